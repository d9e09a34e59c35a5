"""Where a warped view shows the image: valid-region masks, with border erosion, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from homography.warp import check_homography, check_image_size, inverse_homography, is_tensor

if TYPE_CHECKING:
    import torch

TOLERANCE = 1e-4
"""Pixels by which a source position may miss the image and still count as inside; absorbs rounding at the border."""


@overload
def valid_mask(
    image_size: tuple[int, int],
    H_0to1: NDArray[np.floating],
    size: tuple[int, int] | None = None,
    erosion: int = 0,
) -> NDArray[np.bool_]: ...


@overload
def valid_mask(
    image_size: tuple[int, int],
    H_0to1: torch.Tensor,
    size: tuple[int, int] | None = None,
    erosion: int = 0,
) -> torch.Tensor: ...


def valid_mask(
    image_size: tuple[int, int],
    H_0to1: NDArray[np.floating] | torch.Tensor,
    size: tuple[int, int] | None = None,
    erosion: int = 0,
) -> NDArray[np.bool_] | torch.Tensor:
    """Mark the pixels of view 1 that show image 0.

    A pixel p is valid where its source, H_0to1^-1 p, lies in image 0's grid of pixel centres, [0, W - 1] x [0, H - 1],
    so that bilinear interpolation reads only real pixels there, and does not lie behind the horizon. Positions up to
    `TOLERANCE` (1e-4 px) outside the grid count as inside.

    With an erosion of e a pixel stays valid where all (2 e + 1) x (2 e + 1) pixels around it are (Chebyshev distance).
    Positions outside view 1's frame count as invalid, so the frame loses a ring of e pixels too: a network sees padding
    there, as it sees fill outside the image.

    Args:
        image_size: (W, H) of image 0 in pixels.
        H_0to1: float NumPy (3, 3), or torch (B, 3, 3); see `homography.warp.warp_points` for its sign.
        size: (W, H) of view 1 in pixels; None for that of image 0.
        erosion: whole pixels, not negative.

    Returns:
        bool NumPy (H, W), or torch (B, 1, H, W) on the device of `H_0to1`.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: a shape, a size or the erosion is out of range, or the homography cannot be inverted.

    Examples:
        >>> import numpy as np
        >>> shift = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        >>> valid_mask((3, 1), shift)  # nothing of image 0 comes to the first pixel
        array([[False,  True,  True]])
    """
    image_size = check_image_size("image_size", image_size)
    width, height = image_size if size is None else check_image_size("size", size)
    if isinstance(erosion, bool) or not isinstance(erosion, (int, np.integer)):
        raise TypeError(f"erosion must be a whole number of pixels, got {erosion!r}")
    if erosion < 0:
        raise ValueError(f"erosion must not be negative, got {erosion}")
    check_homography(H_0to1, batched=is_tensor(H_0to1))
    bounds = _bounds(image_size)
    mask: NDArray[np.bool_] | torch.Tensor
    if isinstance(H_0to1, np.ndarray):
        mask = _array_mask(bounds, inverse_homography(H_0to1), (width, height), erosion)
    else:
        mask = _tensor_mask(bounds, inverse_homography(H_0to1.detach()), (width, height), erosion)
    if erosion:
        mask[..., :erosion, :] = mask[..., max(height - erosion, 0) :, :] = False
        mask[..., :erosion] = mask[..., max(width - erosion, 0) :] = False
    return mask


def _bounds(image_size: tuple[int, int]) -> NDArray[np.float64]:
    """Rows (4, 3) whose product with a position (x w, y w, w) is not negative where w > 0 and (x, y) is in the image.

    The first two rows sum to a positive multiple of w, so together they also refuse every position with w < 0; w = 0
    would take x w = y w = 0 as well, which no invertible homography gives.
    """
    right, bottom = image_size[0] - 1 + TOLERANCE, image_size[1] - 1 + TOLERANCE
    return np.array([[1, 0, TOLERANCE], [-1, 0, right], [0, 1, TOLERANCE], [0, -1, bottom]], np.float64)


def _array_mask(
    bounds: NDArray[np.float64], H_1to0: NDArray[np.float64], size: tuple[int, int], erosion: int
) -> NDArray[np.bool_]:
    """Mask bool (H, W), without the erosion of the frame.

    Each bound is a half-plane a u + b v + c >= 0 in the pixels (u, v) of view 1. All pixels of a square around (u, v)
    satisfy it where the worst corner of the square does, which lowers the left side by e (|a| + |b|): the erosion is
    exact and costs nothing. The half-planes leave one interval of u in every row, which saves three quarters of the
    comparisons.
    """
    v = np.arange(size[1], dtype=np.float64)
    first, last = np.zeros(size[1]), np.full(size[1], size[0] - 1.0)
    with np.errstate(over="ignore"):  # Where a is next to nothing a border is crossed at infinity, which is right.
        for a, b, c in (bounds @ H_1to0).tolist():
            level = b * v + (c - erosion * (abs(a) + abs(b)))
            if a > 0:
                np.maximum(first, level / -a, out=first)
            elif a < 0:
                np.minimum(last, level / -a, out=last)
            else:
                last[level < 0] = -1
        # Whole numbers of this size are exact in float32, which is compared twice as fast.
        begin, end = np.ceil(first).astype(np.float32), np.floor(last).astype(np.float32)
    u = np.arange(size[0], dtype=np.float32)
    mask: NDArray[np.bool_] = u >= begin[:, None]
    mask &= u <= end[:, None]
    return mask


def _tensor_mask(
    bounds: NDArray[np.float64], H_1to0: torch.Tensor, size: tuple[int, int], erosion: int
) -> torch.Tensor:
    """Masks bool (B, 1, H, W), without the erosion of the frame; see `_array_mask`."""
    import torch

    planes = torch.tensor(bounds, dtype=H_1to0.dtype, device=H_1to0.device) @ H_1to0
    offset = planes[..., 2:] - erosion * planes[..., :2].abs().sum(dim=-1, keepdim=True)
    u = torch.arange(size[0], dtype=H_1to0.dtype, device=H_1to0.device)
    v = torch.arange(size[1], dtype=H_1to0.dtype, device=H_1to0.device)
    across, down = planes[..., :1] * u, -offset - planes[..., 1:2] * v
    return (across[:, :, None, :] >= down[:, :, :, None]).all(dim=1, keepdim=True)
