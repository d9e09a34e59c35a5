"""Pairs of templates and what scenes show: geometry on paper, and that neither side tells of which kind a pair is."""

import pickle

import cv2
import numpy as np
import pytest

from magicpoint.core.errors import InputError
from magicpoint.planar.verify.crops import SQUARE, frame_of, rectify
from magicpoint.planar.verify.orientation import Orientation, draw_orientation, is_told_apart
from magicpoint.planar.verify.pairs import ROUND, PairStream
from magicpoint.planar.verify.queries import see
from magicpoint.planar.verify.settings import QuerySettings
from synthetic_shapes.seeding import sample_generator

CLEAN = {"photometric": None, "blur": 0.0, "most_hidden": 0.0, "distortion": 0.0, "jitter": 0.0}


def picture(seed=0, height=60, width=90):
    """Something without symmetry."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


PICTURES = [picture(seed) for seed in range(6)]


@pytest.fixture(scope="module")
def stream():
    return PairStream(PICTURES, seed=1, side=32)


def test_the_whole_picture_as_it_is():
    image = picture(height=32, width=32)
    upright = Orientation(True, False, 0.0)
    np.testing.assert_array_equal(upright.square(image, 32), image)
    np.testing.assert_array_equal(Orientation(True, True, 0.0).square(image, 32), image[:, ::-1])


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_an_angle_means_the_same_of_the_whole_and_of_its_middle(quarters):
    image = picture(height=32, width=32)
    turned, middle = (Orientation(whole, False, 90.0 * quarters).square(image, 32) for whole in (True, False))
    np.testing.assert_array_equal(turned, np.rot90(image, quarters))
    upright = Orientation(False, False, 0.0).square(image, 32).astype(float)
    assert np.abs(middle - np.rot90(upright, quarters)).max() <= 2


@pytest.mark.parametrize("angle", [0.0, 30.0, 45.0, 200.0])
def test_the_inner_square_lies_in_the_picture_at_any_angle(angle):
    corners = Orientation(False, True, angle).corners(picture())
    assert (corners >= -0.5 - 1e-9).all()
    assert (corners <= (89.5 + 1e-9, 59.5 + 1e-9)).all()


def test_a_quadrilateral_is_rectified_by_the_outer_edges_of_pixels():
    image = np.zeros((40, 60), np.uint8)
    image[10:26, 20:36] = picture(height=16, width=16)
    corners = np.array([[19.5, 9.5], [35.5, 9.5], [35.5, 25.5], [19.5, 25.5]])
    np.testing.assert_array_equal(rectify(image, frame_of(corners), 16), image[10:26, 20:36])
    halved = rectify(image, frame_of(corners), 8)
    expected = image[10:26, 20:36].reshape(8, 2, 8, 2).mean(axis=(1, 3))
    assert np.abs(halved - expected).max() < 25  # shrunk in the neighbourhood, whose size is no multiple of it
    outside = frame_of(SQUARE * 10 + (500, 500))
    assert (rectify(np.full((20, 20), 7, np.uint8), outside, 8) == 7).all()


@pytest.mark.parametrize("seed", range(4))
def test_in_good_light_with_exact_corners_the_query_is_the_template(seed):
    from magicpoint.data.photometric import PhotometricSettings

    settings = QuerySettings(pixels=(90.0, 128.0), **{**CLEAN, "photometric": PhotometricSettings(probability=0.0)})
    rng = np.random.default_rng(seed)
    orientation = draw_orientation(rng)
    query = see(PICTURES[0], orientation.corners(PICTURES[0]), PICTURES, settings, 32, rng)
    template = orientation.square(PICTURES[0], 32)
    assert np.corrcoef(query.crop.ravel(), template.ravel())[0, 1] > 0.97
    assert (query.hidden, query.blur) == (0.0, 0.0)
    assert 60 < query.pixels < 130


def test_something_else_covers_no_more_than_it_may():
    settings = QuerySettings(most_hidden=0.3)
    hidden = [
        see(PICTURES[0], Orientation(True, False, 0.0).corners(PICTURES[0]), PICTURES, settings, 32, rng).hidden
        for rng in (np.random.default_rng(seed) for seed in range(40))
    ]
    assert max(hidden) <= 0.3
    assert 5 < sum(share > 0 for share in hidden) < 30


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (picture(), True),
        (np.full((40, 40), 90, np.uint8), False),
        (
            picture(height=40, width=40) // 2 + picture(height=40, width=40)[:, ::-1] // 2,
            False,
        ),  # mirrored it is itself
        (picture(height=40, width=40) // 2 + picture(height=40, width=40)[::-1, ::-1] // 2, False),  # and turned by 180
        (np.tile(np.arange(40, dtype=np.uint8) * 6, (40, 1)), False),  # stripes
    ],
)
def test_what_looks_like_itself_turned_or_mirrored_is_no_template(image, told):
    assert is_told_apart(np.ascontiguousarray(image)) == told


def test_a_pair_is_the_same_whoever_draws_it(stream):
    alone = pickle.loads(pickle.dumps(PairStream(PICTURES, seed=1, side=32)))
    for index in (7, 3, 7):
        first, second = stream[index], alone[index]
        np.testing.assert_array_equal(first.template, second.template)
        np.testing.assert_array_equal(first.query.crop, second.query.crop)
    assert not np.array_equal(PairStream(PICTURES, seed=2, side=32)[3].template, stream[3].template)
    assert not np.array_equal(PairStream(PICTURES, seed=1, side=32, stream="leak")[3].template, stream[3].template)
    assert [stream[index].kind for index in range(6, 12)] == list(ROUND)
    assert stream[0].query.crop.shape == stream[0].template.shape == (32, 32)


def entries(stream, kind, count=1500):
    return [stream.entries(kind, sample_generator(0, kind, index)) for index in range(count)]


@pytest.mark.parametrize("kind", list(dict.fromkeys(ROUND)))
def test_each_kind_is_what_it_says(stream, kind):
    for template, seen in entries(stream, kind, 200):
        lies, shown = template.orientation, seen.orientation
        apart = (shown.angle - lies.angle) % 360
        assert lies.whole == shown.whole
        assert (template.number == seen.number) == (kind != "another")
        if kind == "same":
            assert lies == shown
        if kind == "turned":
            assert lies.mirrored == shown.mirrored
            assert 25 <= apart <= 335
        if kind == "mirrored":
            assert lies.mirrored != shown.mirrored
        if lies.whole:
            assert lies.angle % 90 == shown.angle % 90 == 0


def test_neither_side_alone_tells_of_which_kind_a_pair_is(stream):
    """The shares of pictures, mirror images and angles are those of all kinds together, within 4.5 deviations."""
    found = {kind: entries(stream, kind) for kind in dict.fromkeys(ROUND)}
    for side in (0, 1):
        for look in (
            lambda entry: entry.number == 2,
            lambda entry: entry.orientation.mirrored,
            lambda entry: entry.orientation.whole,
            lambda entry: entry.orientation.whole and entry.orientation.angle == 90,
            lambda entry: not entry.orientation.whole and entry.orientation.angle < 90,
            lambda entry: entry.orientation.mirrored and entry.orientation.angle >= 180,
        ):
            shares = [np.mean([look(pair[side]) for pair in pairs]) for pairs in found.values()]
            overall = np.mean(shares)
            assert max(shares) - min(shares) < 4.5 * np.sqrt(2 * overall * (1 - overall) / 1500)


def test_too_few_templates_are_refused():
    with pytest.raises(InputError, match="at least two templates, got 1"):
        PairStream(PICTURES[:1])
    plain = [np.full((40, 40), grey, np.uint8) for grey in (0, 255)]
    with pytest.raises(InputError, match="of 2 templates too few differ"):
        _ = PairStream([*plain])[0]
