"""Frames of quadrilaterals and what is pooled in them, on cases that can be checked on paper."""

import pytest
import torch

from homography import warp_points
from magicpoint.planar.frames import (
    CONTEXT,
    UNIT_SQUARE,
    box_frames,
    is_convex,
    parallelogram_frames,
    pool,
    rectified_frames,
    square_to_quad,
)

SQUARE = torch.tensor(UNIT_SQUARE)
QUADS = torch.stack(
    [
        SQUARE,
        SQUARE * 10 + 3,
        SQUARE.roll(1, 0) * 10,
        torch.tensor([[0.0, 0], [9, 1], [7, 8], [2, 6]]),
        torch.tensor([[0.0, 0], [2, 6], [7, 8], [9, 1]]),
    ]
)


def test_the_unit_square_comes_to_lie_on_the_corners():
    placed = warp_points(SQUARE.double().expand(len(QUADS), -1, -1), square_to_quad(QUADS.double()))
    torch.testing.assert_close(placed, QUADS.double())


def test_its_own_frame_is_the_identity_and_a_rectangles_is_its_size():
    frames = square_to_quad(QUADS[:2])
    torch.testing.assert_close(frames[0], torch.eye(3))
    torch.testing.assert_close(frames[1], torch.tensor([[10.0, 0, 3], [0, 10, 3], [0, 0, 1]]))
    torch.testing.assert_close(box_frames(QUADS[1:3])[0], frames[1])


def test_of_a_turned_square_the_box_is_the_same_and_the_frame_is_turned():
    torch.testing.assert_close(box_frames(QUADS[2:3])[0], torch.diag(torch.tensor([10.0, 10, 1])))
    # The first corner is the square's last: the unit square's right leads up from there.
    torch.testing.assert_close(square_to_quad(QUADS[2:3])[0, :2, 2], torch.tensor([0.0, 10]))


@pytest.mark.parametrize(
    ("corners", "convex"),
    [
        (UNIT_SQUARE, True),
        (UNIT_SQUARE[::-1], True),
        ([[0, 0], [1, 1], [1, 0], [0, 1]], False),
        ([[0, 0], [1, 0], [0.2, 0.2], [0, 1]], False),
        ([[0, 0], [1, 0], [2, 0], [0, 1]], False),
        ([[0, 0]] * 4, False),
    ],
)
def test_what_is_convex(corners, convex):
    quads = torch.tensor([corners], dtype=torch.float32)
    assert is_convex(quads).tolist() == [convex]
    expected = square_to_quad(quads) if convex else box_frames(quads)
    torch.testing.assert_close(rectified_frames(quads), expected)
    assert rectified_frames(quads).isfinite().all()


@pytest.mark.parametrize("turn", range(4))
def test_a_parallelogram_is_its_own_frame(turn):
    quad = torch.tensor([[10.0, 10], [50, 20], [60, 50], [20, 40]]).roll(turn, dims=0)[None]
    torch.testing.assert_close(parallelogram_frames(quad), square_to_quad(quad), atol=1e-4, rtol=0)


def test_a_trapezium_has_the_frame_of_its_middle_lines():
    """The middle lines from (5, 10) to (35, 10), the mean of the sides across, and from (20, 0) to (20, 20)."""
    quad = torch.tensor([[[10.0, 0], [30, 0], [40, 20], [0, 20]]])
    wanted = torch.tensor([[30.0, 0, 5], [0, 20, 0], [0, 0, 1]])
    torch.testing.assert_close(parallelogram_frames(quad)[0], wanted)


@pytest.mark.parametrize(
    "corners", [[[0, 0], [40, 0], [40, 1], [0, 1]], [[0, 0], [40, 40], [44, 46], [4, 6]], [[7, 7]] * 4]
)
def test_what_is_nearly_flat_has_the_frame_of_its_box(corners):
    quad = torch.tensor([corners], dtype=torch.float32)
    flat = corners != [[0, 0], [40, 0], [40, 1], [0, 1]]
    wanted = box_frames(quad) if flat else square_to_quad(quad)
    torch.testing.assert_close(parallelogram_frames(quad), wanted)


def ramps(rows=8, columns=10):
    """Features that tell where they are: x and y of the cells' centres, in pixels."""
    y, x = torch.meshgrid(torch.arange(rows) * 8 + 3.5, torch.arange(columns) * 8 + 3.5, indexing="ij")
    return torch.stack((x, y))[None]


def test_what_is_pooled_is_what_lies_under_the_square():
    quad = torch.tensor([[[20.0, 12], [60, 20], [50, 48], [24, 40]]])
    frames = rectified_frames(quad)
    pooled = pool(ramps(), torch.zeros(1, dtype=torch.int64), frames, 5, 8)
    steps = (torch.arange(5) + 0.5) / 5
    steps = (steps - 0.5) * CONTEXT + 0.5
    grid = torch.stack([torch.tensor([u, v]) for v in steps for u in steps])
    places = warp_points(grid[None], frames)[0]
    torch.testing.assert_close(pooled[0].flatten(1).T, places, atol=1e-3, rtol=0)


def test_the_middle_of_an_upright_box_is_its_middle():
    quad = torch.tensor([[[16.0, 16], [48, 16], [48, 40], [16, 40]]])
    pooled = pool(ramps(), torch.zeros(1, dtype=torch.int64), box_frames(quad), 3, 8)
    torch.testing.assert_close(pooled[0, :, 1, 1], torch.tensor([32.0, 28]), atol=1e-3, rtol=0)
    # A third of the widened box to the right.
    torch.testing.assert_close(pooled[0, 0, 1, 2], torch.tensor(32 + 32 * CONTEXT / 3), atol=1e-3, rtol=0)


def test_each_quadrilateral_takes_from_its_own_image():
    features = torch.stack([torch.full((1, 4, 4), float(value)) for value in (5, 6, 7)])
    image = torch.tensor([2, 0, 2, 1])
    pooled = pool(features, image, rectified_frames(SQUARE.expand(4, -1, -1) * 20), 2, 8)
    assert pooled[:, 0, 0, 0].tolist() == [7, 5, 7, 6]
    assert pool(features, image[:0], torch.zeros(0, 3, 3), 2, 8).shape == (0, 1, 2, 2)


def test_gradients_reach_the_features_alone():
    features = ramps().requires_grad_()
    corners = (SQUARE[None] * 30 + 10).requires_grad_()
    pool(features, torch.zeros(1, dtype=torch.int64), rectified_frames(corners), 4, 8).sum().backward()
    assert features.grad.sum() == pytest.approx(2 * 16, rel=1e-4)
    assert corners.grad is None
