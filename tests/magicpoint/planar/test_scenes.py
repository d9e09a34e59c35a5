"""Scenes: what decides them, and that their labels are where the things are."""

import itertools
import pickle

import cv2
import numpy as np
import pytest

from magicpoint.data.photometric import PhotometricSettings
from magicpoint.planar import scenes
from magicpoint.planar.scenes import Scene, SceneSettings, SceneStream, draw_boards

PLAIN = PhotometricSettings(probability=0.0)
WHITE = np.full((60, 80), 255, np.uint8)
BLACK = np.zeros((240, 320), np.uint8)


def white_cards(seed=0, **changes):
    """White cards before a black wall, nothing in front."""
    settings = SceneSettings(photometric=PLAIN, most_occluders=0, shorter_side=(40.0, 90.0), **changes)
    return SceneStream([WHITE], [BLACK], seed, settings)


def inside(quad, margin=6):
    return (quad >= margin).all() and (quad <= np.array([319, 239]) - margin).all()


def whole(stream, count):
    """Scenes with one card, which lies in the image as a whole."""
    found = map(stream.__getitem__, itertools.count())
    return list(itertools.islice((s for s in found if len(s.corners) == 1 and inside(s.corners[0])), count))


def test_the_number_decides_a_scene():
    stream = SceneStream(draw_boards(3), seed=5)
    again = pickle.loads(pickle.dumps(SceneStream(draw_boards(3), seed=5)))
    for index in (7, 0, 3):
        one, other = stream[index], again[index]
        for name in ("image", "corners", "visible", "templates"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert not np.array_equal(stream[0].image, stream[1].image)
    assert not np.array_equal(stream[0].image, SceneStream(draw_boards(3), seed=6)[0].image)
    assert not np.array_equal(stream[0].image, SceneStream(draw_boards(3), seed=5, stream="test")[0].image)


def test_a_scene_has_none_to_most_objects():
    stream = SceneStream(draw_boards(2), settings=SceneSettings(size_hw=(64, 96), shorter_side=(10, 40)))
    counts = {len(stream[index].corners) for index in range(60)}
    assert counts == set(range(7))
    for scene in (stream[index] for index in range(10)):
        count = len(scene.corners)
        assert scene.image.shape == (64, 96)
        assert scene.corners.shape == (count, 4, 2)
        assert scene.visible.shape == scene.templates.shape == (count,)
        assert ((scene.visible >= 0) & (scene.visible <= 1)).all()


def measured_corners(scene: Scene):
    """Where lines through the places at which the grey passes the half of white, along normals of the edges, meet."""
    quad, grey = scene.corners[0].astype(np.float64), scene.image.astype(np.float32)
    middle, steps = quad.mean(axis=0), np.arange(-2.5, 2.51, 0.05)
    lines = []
    for start, end in zip(quad, np.roll(quad, -1, axis=0), strict=True):
        normal = np.array([end[1] - start[1], start[0] - end[0]]) / np.linalg.norm(end - start)
        normal *= np.sign((start - middle) @ normal)
        on_edge = start + np.linspace(0.1, 0.9, 61)[:, None] * (end - start)
        places = (on_edge[:, None] + steps[:, None] * normal).astype(np.float32)
        profiles = cv2.remap(grey, places[..., 0], places[..., 1], cv2.INTER_LINEAR)
        outwards = [np.interp(-127.5, -profile, steps) for profile in profiles]
        points = on_edge + np.array(outwards)[:, None] * normal
        across = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][1]
        lines.append([*across, -across @ points.mean(axis=0)])
    meets = [np.cross(before, after) for before, after in zip(np.roll(lines, 1, axis=0), lines, strict=True)]
    return np.array([meet[:2] / meet[2] for meet in meets])


@pytest.mark.slow
def test_the_corners_are_where_the_edges_meet():
    """As for the shapes: fits of the edges meet at the labels, to 0.05 px in the median, without bias."""
    cards = whole(white_cards(tilt=1.0, most_objects=1), 15)
    errors = np.array([measured_corners(card) - card.corners[0] for card in cards])
    assert errors.shape == (15, 4, 2)
    assert np.median(np.linalg.norm(errors, axis=2)) < 0.05
    assert np.abs(errors.mean(axis=(0, 1))).max() < 0.02


@pytest.mark.slow
def test_the_bright_area_is_that_of_the_quadrilateral_and_in_its_middle():
    for card in whole(white_cards(tilt=1.0, most_objects=1), 10):
        area = card.image.sum() / 255
        assert area == pytest.approx(cv2.contourArea(card.corners[0]), rel=0.02)
        y, x = np.mgrid[:240, :320]
        moments = cv2.moments(card.corners[0])
        centre = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
        weights = card.image / card.image.sum()
        np.testing.assert_allclose([(x * weights).sum(), (y * weights).sum()], centre, atol=0.05)
        assert card.visible[0] == pytest.approx(1, abs=0.05)


@pytest.mark.slow
def test_the_first_corner_is_the_top_left_of_the_template():
    """A card that is white there alone: the brightest place is nearest to corner 0, and the order is clockwise."""
    template = np.zeros((64, 64), np.uint8)
    template[:20, :20] = 255
    settings = SceneSettings(photometric=PLAIN, most_occluders=0, shorter_side=(50.0, 90.0), tilt=0.8, most_objects=1)
    for scene in whole(SceneStream([template], [BLACK], 1, settings), 8):
        y, x = np.nonzero(scene.image > 128)
        bright = np.array([x.mean(), y.mean()])
        assert np.linalg.norm(scene.corners[0] - bright, axis=1).argmin() == 0
        first, second, third, _ = scene.corners[0]
        turn = np.linalg.det([second - first, third - second])
        assert turn > 0  # to the right, then down, as y points down


@pytest.mark.slow
def test_the_visible_share_counts_what_is_hidden_and_what_is_cut():
    stream = white_cards(seed=2)
    seen = [stream[index] for index in range(80)]
    cut = [(s, n) for s in seen for n, quad in enumerate(s.corners) if len(s.corners) == 1 and not inside(quad, 0)]
    assert len(cut) > 3
    for scene, number in cut:
        bright = np.count_nonzero(scene.image > 127)
        assert scene.visible[number] == pytest.approx(bright / cv2.contourArea(scene.corners[number]), abs=0.03)
    together = [s for s in seen if len(s.corners) > 3]
    hidden = [share for s in together for share, quad in zip(s.visible, s.corners, strict=True) if inside(quad, 0)]
    assert min(hidden) < 0.8


@pytest.mark.slow
def test_things_in_front_hide_templates():
    bare = SceneStream(
        [WHITE], [BLACK], 3, SceneSettings((120, 160), photometric=PLAIN, shorter_side=(20.0, 60.0), most_occluders=0)
    )
    full = SceneStream(
        [WHITE], [BLACK], 3, SceneSettings((120, 160), photometric=PLAIN, shorter_side=(20.0, 60.0), most_occluders=2)
    )
    pairs = [(bare[index], full[index]) for index in range(60)]
    for without, behind in pairs:
        np.testing.assert_array_equal(without.corners, behind.corners)
        assert (behind.visible <= without.visible).all()
    assert sum((behind.visible < without.visible - 0.1).sum() for without, behind in pairs) > 5


def test_boards_are_always_the_same():
    one, other = draw_boards(5), draw_boards(6)
    for board, again in zip(one, other[:5], strict=True):
        np.testing.assert_array_equal(board, again)
        assert board.shape == scenes.BOARD_SIZE_HW
        assert board.std() > 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"size_hw": (60, 80)},
        {"most_objects": -1},
        {"tilt": 2.0},
        {"tilt": float("nan")},
        {"shorter_side": (50.0, 20.0)},
        {"shorter_side": (20.0, 500.0)},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        SceneSettings(**wrong)


def test_a_stream_needs_a_template():
    with pytest.raises(ValueError, match="template"):
        SceneStream([])
