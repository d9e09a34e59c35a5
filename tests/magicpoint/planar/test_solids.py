"""Solids at known orientations, and which view of a codebook a query shows."""

import pickle

import cv2
import numpy as np
import pytest

from magicpoint.data.photometric import PhotometricSettings
from magicpoint.planar.solids import pairs
from magicpoint.planar.solids.evaluation import SolidsProtocol, evaluate_solids
from magicpoint.planar.solids.pairs import MixedPairs, SolidPairStream, turn
from magicpoint.planar.solids.rotations import (
    angles_between,
    error,
    in_plane,
    random_rotation,
    spread_rotations,
    symmetries,
)
from magicpoint.planar.solids.solid import FORMS, Solid, draw_solid, view
from magicpoint.planar.solids.views import entry, seen

GREYS = tuple(np.full((8, 8), 30 * number + 60, np.uint8) for number in range(6))


def picture(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (90, 60), interpolation=cv2.INTER_CUBIC))


PICTURES = [picture(seed) for seed in range(12)]


def test_a_cube_that_faces_the_camera_shows_one_face_as_large_as_it_should():
    cube = Solid(2 * np.eye(3) / np.sqrt(3), GREYS)
    image, mask = view(cube, np.eye(3), 120)
    assert set(np.unique(image[40:80, 40:80])) == {60 + 30 * 4}  # the end of z that is nearer to the camera
    # Its front is 4 - 1 / sqrt(3) away and 2 / sqrt(3) wide; the focal length is 120 * 4 / 2.4 pixels.
    side = 200 * (2 / np.sqrt(3)) / (4 - 1 / np.sqrt(3))
    assert mask.sum() == pytest.approx(side**2, rel=0.03)
    turned, _ = view(cube, in_plane(np.array([90.0]))[0], 120)
    np.testing.assert_allclose(turned, image, atol=1)


def test_a_turn_in_the_plane_turns_the_picture_clockwise():
    solid = draw_solid("box", PICTURES, np.random.default_rng(0))
    base = random_rotation(np.random.default_rng(1))
    upright, _ = view(solid, base, 64)
    turned, _ = view(solid, in_plane(np.array([90.0]))[0] @ base, 64)
    assert np.abs(turned.astype(float) - np.rot90(upright, -1)).mean() < 2


def test_angles_are_those_of_the_turn():
    base = random_rotation(np.random.default_rng(0))
    found = angles_between(in_plane(np.array([0.0, 30, 180, 350])) @ base, base)
    np.testing.assert_allclose(found, [0, 30, 180, 10], atol=1e-4)


def test_the_codebook_is_of_rotations_and_leaves_no_gap():
    rotations = spread_rotations(500)
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (500, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0)
    rng = np.random.default_rng(0)
    assert max(angles_between(rotations, random_rotation(rng)).min() for _ in range(50)) < 30


@pytest.mark.parametrize(
    ("edges", "pictures", "count"),
    [
        (np.eye(3), GREYS[:1] * 6, 24),  # a plain cube
        (np.eye(3), GREYS, 1),
        (np.diag([1.0, 1, 0.6]), GREYS[:1] * 6, 8),  # about the short edge by quarters, and upside down
        (np.diag([1.0, 0.8, 0.6]), GREYS[:1] * 6, 4),
        (np.eye(3), GREYS[:1] * 5 + GREYS[4:5], 4),  # one face differs
    ],
)
def test_what_looks_the_same_is_known(edges, pictures, count):
    alike = symmetries(Solid(edges, tuple(pictures)))
    assert len(alike) == count
    np.testing.assert_array_equal(alike[0], np.eye(3))
    truth = random_rotation(np.random.default_rng(0))
    assert max(error(truth @ group, truth, alike) for group in alike) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_a_drawn_solid_fits_its_view_and_a_query_shows_it(form):
    solid = draw_solid(form, PICTURES, np.random.default_rng(0))
    R = random_rotation(np.random.default_rng(1))
    _, mask = view(solid, R, 64)
    assert not mask[0].any()
    assert not mask[:, -1].any()
    assert 0.1 < mask.mean() < 0.7
    unlit = PhotometricSettings(probability=0.0)
    query, pixels = seen(solid, R, PICTURES, unlit, 64, np.random.default_rng(2), jitter=0.0)
    assert 32 <= pixels <= 128
    inner = cv2.erode(mask.astype(np.uint8), np.ones((7, 7))).astype(bool)
    assert np.corrcoef(query[inner], entry(solid, R, 64)[inner])[0, 1] > 0.9


@pytest.mark.slow
def test_the_evaluation_asks_for_the_best_view():
    def by_distance(queries, views):
        return -np.abs(queries[:, None].astype(float) - views[None]).mean(axis=(2, 3))

    protocol = SolidsProtocol(1, 3, 36, 60, 0.0, photometric=PhotometricSettings(probability=0.0))
    plain = [np.full((60, 60), 128, np.uint8)]
    methods = {"distance": by_distance, "first": lambda queries, views: np.zeros((len(queries), len(views)))}
    found = evaluate_solids(PICTURES, plain, methods, 32, protocol, progress=False)
    assert set(found) == {"in the plane", "in space"}
    flat = found["in the plane"]
    assert flat["distance"].within_10 == flat["nearest view"].within_10 == 1.0
    assert flat["distance"].median <= 5.0
    assert flat["first"].median > 10
    assert found["in space"]["nearest view"].median <= found["in space"]["distance"].median
    assert flat["first"].count == 3


@pytest.mark.parametrize(("kind", "least", "most"), [("same", 0, 6), ("turned", 12, 180), ("tilted", 12, 180)])
def test_what_is_the_same_is_turned_by_a_little_and_other_things_by_more(kind, least, most):
    rng = np.random.default_rng(0)
    turns = np.stack([turn(kind, rng) for _ in range(200)])
    angles = angles_between(turns, np.eye(3))
    assert least - 1e-3 <= angles.min()
    assert angles.max() <= most + 1e-3
    assert angles.max() > 0.9 * most
    along = np.abs(turns[:, 2, 2] - 1).max() < 1e-9  # about the line of sight
    assert along == (kind == "turned")


def test_a_view_of_the_codebook_says_nothing_of_the_kind_of_its_pair(monkeypatch):
    """The same number has the same view and, up to a turn that hangs on nothing, the same query, whatever its kind."""
    stream, views = SolidPairStream(PICTURES, seed=3, side=32), []
    for kind in ("same", "another", "turned", "tilted"):
        monkeypatch.setattr(pairs, "ROUND", (kind,))
        pair = stream[7]
        assert (pair.kind, pair.same) == (kind, kind == "same")
        assert pair.query.crop.shape == pair.template.shape == (32, 32)
        views.append(pair.template)
    for other in views[1:]:
        np.testing.assert_array_equal(other, views[0])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stream))[7].query.crop, pair.query.crop)


def test_faces_that_look_like_themselves_turned_are_left_out():
    plain = [np.full((40, 40), 20 * number, np.uint8) for number in range(12)]
    with pytest.raises(ValueError, match="of 17 pictures for the faces of solids too few differ"):
        _ = SolidPairStream(PICTURES[:5] + plain, side=32)[0]


@pytest.mark.parametrize(("share", "solid"), [(0.0, 0), (0.25, 3), (0.6, 7), (1.0, 12)])
def test_rounds_of_solids_come_by_turns_with_others(share, solid):
    mixed = MixedPairs([("planar", index) for index in range(72)], [("solid", index) for index in range(72)], share)
    found = [mixed[index] for index in range(72)]
    assert [number for _, number in found] == list(range(72))
    assert [name for name, _ in found].count("solid") == 6 * solid
    assert all(len({name for name, _ in found[start : start + 6]}) == 1 for start in range(0, 72, 6))
