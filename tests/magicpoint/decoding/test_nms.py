"""Non-maximum suppression, against its definition and on cases that can be checked on paper."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from magicpoint.decoding.nms import _peaks_by_pooling, non_maximum_suppression


def greedy(heatmap, radius, threshold=0.0):
    """The definition, pixel by pixel."""
    height, width = len(heatmap), len(heatmap[0])
    pixels = [(-heatmap[y][x], y, x) for y in range(height) for x in range(width) if heatmap[y][x] > threshold]
    kept = []
    for _, y, x in sorted(pixels):
        if all(max(abs(y - v), abs(x - u)) > radius for v, u in kept):
            kept.append((y, x))
    return sorted(kept)


SUPPRESSORS = {
    "public": non_maximum_suppression,
    "pooling": _peaks_by_pooling,
}


@pytest.mark.parametrize("suppress", SUPPRESSORS.values(), ids=SUPPRESSORS)
@pytest.mark.parametrize("levels", [1, 2, 5, 10_000])
@pytest.mark.parametrize("radius", [1, 2, 4])
def test_suppression_keeps_what_greedy_selection_keeps(suppress, levels, radius):
    rng = np.random.default_rng(levels + radius)
    for shape in [(13, 17), (1, 20), (20, 1), (1, 1), (3, 3)]:
        heatmap = (rng.integers(1, levels + 1, shape) / levels).astype(np.float32)
        peaks = suppress(torch.from_numpy(heatmap)[None], radius, 0.3)[0].nonzero()
        assert list(map(tuple, peaks.tolist())) == greedy(heatmap.tolist(), radius, np.float32(0.3))


def test_of_two_equals_the_first_is_kept_though_another_exceeds_it():
    # Pixel 4 exceeds pixel 6 and is no peak itself, since 3 suppresses it; so 6 is visited, and before its equal 7.
    heatmap = torch.tensor([[[0, 0, 0, 3, 2, 0, 1, 1]]], dtype=torch.float32)
    assert non_maximum_suppression(heatmap, 2, 0.0)[0].nonzero().tolist() == [[0, 3], [0, 6]]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 3), min_size=8, max_size=8), min_size=1, max_size=9),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.5]),
)
def test_both_algorithms_agree_with_greedy_selection_on_ties(rows, radius, threshold):
    heatmap = torch.tensor(rows, dtype=torch.float32)[None] / 3
    expected = greedy(heatmap[0].tolist(), radius, threshold)
    assert list(map(tuple, non_maximum_suppression(heatmap, radius, threshold)[0].nonzero().tolist())) == expected
    if radius:
        by_pooling = _peaks_by_pooling(heatmap, radius, threshold)[0].nonzero()
        assert list(map(tuple, by_pooling.tolist())) == expected


def test_a_plateau_keeps_its_first_pixel_and_those_beyond_the_radius():
    peaks = non_maximum_suppression(torch.full((1, 1, 12), 0.5), 4)
    assert peaks[0, 0].nonzero().flatten().tolist() == [0, 5, 10]


def test_a_suppressed_pixel_suppresses_nothing():
    # 0.9 suppresses 0.8 two pixels away, so 0.7, two beyond that, stays.
    heatmap = torch.tensor([[[0.9, 0.0, 0.8, 0.0, 0.7]]])
    assert non_maximum_suppression(heatmap, 2)[0, 0].tolist() == [True, False, False, False, True]


def test_images_of_a_batch_do_not_suppress_each_other():
    heatmap = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))
    together = non_maximum_suppression(heatmap, 4)
    pooled = _peaks_by_pooling(heatmap, 4, 0.0)
    for b in range(3):
        assert torch.equal(together[b], non_maximum_suppression(heatmap[b : b + 1], 4)[0])
    assert torch.equal(together, pooled)


def test_a_view_with_other_strides_is_read_as_it_looks():
    heatmap = torch.rand(1, 20, 30, generator=torch.Generator().manual_seed(0))
    turned = heatmap.transpose(1, 2)
    assert torch.equal(non_maximum_suppression(turned, 3), non_maximum_suppression(turned.contiguous(), 3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_keeps_the_same_peaks():
    heatmap = torch.randint(0, 20, (2, 200, 300), generator=torch.Generator().manual_seed(0)) / 20
    assert torch.equal(non_maximum_suppression(heatmap.cuda(), 4).cpu(), non_maximum_suppression(heatmap, 4))


def test_suppression_refuses_bad_arguments():
    with pytest.raises(ValueError, match=r"\(4, 4\)"):
        non_maximum_suppression(torch.zeros(4, 4), 4)
    with pytest.raises(ValueError, match="-1"):
        non_maximum_suppression(torch.zeros(1, 4, 4), -1)
    with pytest.raises(ValueError, match="nan"):
        non_maximum_suppression(torch.zeros(1, 4, 4), 1, math.nan)
