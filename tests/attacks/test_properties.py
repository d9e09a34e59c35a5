"""What holds for any values: geometry there and back, targets and decoding, files written and read."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from homography import HomographySettings, resizing, sample_homography, warp_points
from magicpoint.core.types import Features, Labels
from magicpoint.decoding.decode import decode
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.io.features import read_features, write_features
from magicpoint.io.labels import LABELS, read_labels
from magicpoint.io.records import write_records
from magicpoint.training.targets import draw_keypoint_map, labels2Dto3D, labels3Dto2D
from synthetic_shapes.array_files import read_npy

SEEDS = st.integers(0, 2**32 - 1)
KEYS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="/\\:\0"), min_size=1, max_size=12).filter(
    lambda key: key not in (".", "..")
)


@settings(max_examples=25)
@given(SEEDS, st.tuples(st.integers(16, 200), st.integers(16, 200)))
def test_a_homography_and_its_inverse_move_a_point_nowhere(seed, image_size):
    rng = np.random.default_rng(seed)
    H = sample_homography(image_size, rng, HomographySettings(rotation=np.pi))
    seen = warp_points(rng.uniform(0, 1, (20, 2)) * (np.array(image_size) - 1), np.linalg.inv(H))
    moved = warp_points(warp_points(seen, H), np.linalg.inv(H))
    known = np.isfinite(seen).all(1) & np.isfinite(moved).all(1)
    np.testing.assert_allclose(moved[known], seen[known], atol=1e-6)


@settings(max_examples=25)
@given(*[st.tuples(st.integers(1, 500), st.integers(1, 500)) for _ in range(2)], SEEDS)
def test_resizing_keeps_the_corners_of_the_image(size0, size1, seed):
    """A keypoint k moves to (k + 0.5) * s - 0.5, so the outer corners are those of the other image, and back."""
    H = resizing(size0, size1)
    corners0, corners1 = (np.array([[-0.5, -0.5], [size[0] - 0.5, size[1] - 0.5]]) for size in (size0, size1))
    np.testing.assert_allclose(warp_points(corners0, H), corners1, atol=1e-9)
    points = np.random.default_rng(seed).uniform(0, 100, (5, 2))
    np.testing.assert_allclose(warp_points(warp_points(points, H), resizing(size1, size0)), points, atol=1e-9)


@settings(max_examples=25)
@given(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=24), st.integers(0, 63))
def test_targets_say_where_the_keypoints_are(cells, place):
    """One keypoint in a cell: the map comes back, and decoding finds just these pixels."""
    points = torch.tensor([[8 * x + place % 8, 8 * y + place // 8] for x, y in sorted(cells)], dtype=torch.float32)
    drawn = draw_keypoint_map([points.reshape(-1, 2)], (32, 48))
    back = labels3Dto2D(labels2Dto3D(drawn))
    assert torch.equal(back, drawn)
    found, _ = decode(back[:, 0], DecodeSettings(nms_radius=3, threshold=0.5, border=0, subpixel=False))[0]
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, points.tolist()))


@settings(max_examples=25)
@given(SEEDS, st.integers(0, 4), st.integers(0, 4), st.one_of(st.none(), st.integers(1, 20)), st.booleans())
def test_decoded_keypoints_are_apart_inside_sorted_and_the_best(seed, radius, border, most, subpixel):
    heatmap = torch.rand(1, 24, 32, generator=torch.Generator().manual_seed(seed))
    chosen = DecodeSettings(nms_radius=radius, threshold=0.3, border=border, max_keypoints=most, subpixel=subpixel)
    points, scores = decode(heatmap, chosen)[0]
    assert (scores > 0.3).all()
    assert (scores[:-1] >= scores[1:]).all()
    assert most is None or len(points) <= most
    pixels = torch.floor(points + 0.5)
    assert len(points) == 0 or (pixels.amin(0) >= border - subpixel).all()
    apart = (points[:, None] - points[None]).abs().amax(-1) + torch.eye(len(points)) * 99
    assert len(points) == 0 or apart.min() > radius - subpixel
    _, every = decode(heatmap, DecodeSettings(nms_radius=radius, threshold=0.3, border=border, subpixel=subpixel))[0]
    assert torch.equal(scores, every[: len(scores)])


def record(seed, count, dim):
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.uniform(0, 40, (count, 2)).astype(np.float32))
    scores = torch.from_numpy(rng.uniform(0, 1, count).astype(np.float32))
    descriptors = torch.from_numpy(rng.normal(size=(count, dim)).astype(np.float32)) if dim else None
    return Features(points, scores, descriptors, (int(rng.integers(1, 99)), int(rng.integers(1, 99))))


def same(first, second):
    return first.image_size == second.image_size and all(
        (a is None and b is None) or torch.equal(a, b)
        for a, b in zip(
            (first.keypoints, first.keypoint_scores, first.descriptors),
            (second.keypoints, second.keypoint_scores, second.descriptors),
            strict=True,
        )
    )


@settings(max_examples=10)
@given(st.dictionaries(KEYS, st.tuples(SEEDS, st.integers(0, 9), st.sampled_from([0, 1, 16])), max_size=4))
def test_features_come_back_as_they_were_written(tmp_path_factory, images):
    path = tmp_path_factory.mktemp("f") / "f.h5"
    written = {key: record(*values) for key, values in images.items()}
    found = read_features(write_features(path, written, {"weights": "w"}))
    assert set(found) == set(written)
    assert all(same(found[key], written[key]) for key in written)
    assert found.keypoint_counts() == {key: len(value) for key, value in written.items()}


@settings(max_examples=10)
@given(SEEDS, st.integers(0, 9))
def test_labels_come_back_as_they_were_written(tmp_path_factory, seed, count):
    one = record(seed, count, 0)
    width, height = one.image_size
    mask = torch.from_numpy(np.random.default_rng(seed).random((height, width)) < 0.5)
    labels = Labels(one.keypoints, one.keypoint_scores, None, one.image_size, mask)
    path = write_records(tmp_path_factory.mktemp("l") / "l.h5", LABELS, {"a/b.png": labels})
    found = read_labels(path)["a/b.png"]
    assert same(found, labels)
    assert torch.equal(found.valid_mask, mask)


@settings(max_examples=25)
@given(arrays.arrays(st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]), arrays.array_shapes()))
def test_arrays_come_back_as_they_were_written(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("a") / "a.npy"
    np.save(path, array)
    found = read_npy(path)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()
