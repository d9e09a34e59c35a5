"""Points and images through a homography, batched, for NumPy arrays and torch tensors."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, overload

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Mode = Literal["bilinear", "nearest"]


@overload
def warp_points(points: NDArray[np.floating], H_0to1: NDArray[np.floating]) -> NDArray[np.floating]: ...


@overload
def warp_points(points: torch.Tensor, H_0to1: torch.Tensor) -> torch.Tensor: ...


def warp_points(
    points: NDArray[np.floating] | torch.Tensor, H_0to1: NDArray[np.floating] | torch.Tensor
) -> NDArray[np.floating] | torch.Tensor:
    """Map points of view 0 to view 1.

    A point on or behind the horizon of view 0, where the third homogeneous coordinate w <= 0, is not seen in view 1 and
    gives (nan, nan) instead of a mirrored place. So the sign of the matrix matters: w must be positive on the visible
    side. Matrices from `homography.sample_homography` are so, and those with H[2, 2] = 1 where the top-left pixel
    of view 0 is on the visible side.

    Args:
        points: float (N, 2) or (B, N, 2), (x, y) in pixels; N may be 0.
        H_0to1: float (3, 3), or (B, 3, 3) for batched points, of the same kind (NumPy or torch, same device).

    Returns:
        Points in view 1, of the kind, shape, dtype and device of `points`. The arithmetic is in float64 (float32 on
        devices without it). Tensors are differentiable in both arguments, with zero gradient for unseen points.

    Raises:
        TypeError: the arguments are not two float arrays or two float tensors.
        ValueError: a shape does not fit, or a NumPy homography is not finite.

    Examples:
        >>> import numpy as np
        >>> shift = np.array([[1.0, 0.0, 5.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        >>> warp_points(np.array([[2.0, 3.0]]), shift)
        array([[7., 3.]])
    """
    check_float("points", points)
    if points.ndim not in (2, 3) or points.shape[-1] != 2:
        raise ValueError(f"points must have the shape (N, 2) or (B, N, 2), got {tuple(points.shape)}")
    check_homography(H_0to1, batched=points.ndim == 3)
    if points.ndim == 3 and len(points) != len(H_0to1):
        raise ValueError(f"{len(points)} sets of points do not fit H_0to1 of the shape {tuple(H_0to1.shape)}")
    if is_tensor(points) and is_tensor(H_0to1):
        return _project_tensor(points, H_0to1)
    if isinstance(points, np.ndarray) and isinstance(H_0to1, np.ndarray):
        return _project_array(points, H_0to1)
    raise TypeError(f"points and H_0to1 must be two arrays or two tensors, got {type(points)} and {type(H_0to1)}")


@overload
def warp_image(
    image: NDArray[Any],
    H_0to1: NDArray[np.floating],
    size: tuple[int, int] | None = None,
    mode: Mode = "bilinear",
    fill: float = 0,
) -> NDArray[Any]: ...


@overload
def warp_image(
    image: torch.Tensor,
    H_0to1: torch.Tensor,
    size: tuple[int, int] | None = None,
    mode: Mode = "bilinear",
    fill: float = 0,
) -> torch.Tensor: ...


def warp_image(
    image: NDArray[Any] | torch.Tensor,
    H_0to1: NDArray[np.floating] | torch.Tensor,
    size: tuple[int, int] | None = None,
    mode: Mode = "bilinear",
    fill: float = 0,
) -> NDArray[Any] | torch.Tensor:
    """Render view 1 from image 0: pixel p of the result is image 0 at H_0to1^-1 p.

    What lies outside image 0, or behind its horizon, is `fill`; within one pixel of the border the bilinear mode
    blends the two (`homography.valid_mask` marks where it does not). Nothing is smoothed before shrinking.

    Args:
        image: NumPy uint8 or float32 (H, W) or (H, W, C); or a float tensor (B, C, H, W).
        H_0to1: float NumPy (3, 3), or tensor (B, 3, 3); see `warp_points` for its sign.
        size: (W, H) of view 1 in pixels; None for that of image 0.
        mode: "bilinear" or "nearest".
        fill: value of what is not seen, in the image's own unit.

    Returns:
        View 1, of the kind, dtype and device of `image`. Tensors are differentiable in the image and, in the bilinear
        mode, in the homography.

    Raises:
        TypeError: an argument is of the wrong kind or dtype.
        ValueError: a shape, a size or the mode does not fit, or the homography cannot be inverted.

    Examples:
        >>> import numpy as np
        >>> image = np.array([[10, 20, 30]], np.uint8)
        >>> shift = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        >>> warp_image(image, shift)  # the content moves to the right by one
        array([[ 0, 10, 20]], dtype=uint8)
    """
    if mode not in ("bilinear", "nearest"):
        raise ValueError(f"mode must be 'bilinear' or 'nearest', got {mode!r}")
    size = None if size is None else check_image_size("size", size)
    if is_tensor(image) and is_tensor(H_0to1):
        return _warp_tensor(image, H_0to1, size, mode, fill)
    if isinstance(image, np.ndarray) and isinstance(H_0to1, np.ndarray):
        return _warp_array(image, H_0to1, size, mode, fill)
    raise TypeError(f"image and H_0to1 must be two arrays or two tensors, got {type(image)} and {type(H_0to1)}")


@overload
def inverse_homography(H: NDArray[np.floating]) -> NDArray[np.float64]: ...


@overload
def inverse_homography(H: torch.Tensor) -> torch.Tensor: ...


def inverse_homography(H: NDArray[np.floating] | torch.Tensor) -> NDArray[np.float64] | torch.Tensor:
    """Invert (..., 3, 3) in float64 (float32 on devices without it), keeping w's sign; `ValueError` if singular."""
    inv = sys.modules["torch"].linalg.inv if is_tensor(H) else np.linalg.inv
    try:
        inverse: NDArray[np.float64] | torch.Tensor = inv(_widened(H))
    except (np.linalg.LinAlgError, RuntimeError) as error:  # torch's LinAlgError is a RuntimeError.
        raise ValueError(f"the homography cannot be inverted: {H}") from error
    return inverse


def resizing(old: tuple[int, int], new: tuple[int, int]) -> NDArray[np.float64]:
    """The matrix, (3, 3), that takes places in an image of size `old` to those in the same image resized to `new`.

    Sizes are (W, H). Along each axis k becomes (k + 0.5) s - 0.5 with s the ratio of the sides.

    Examples:
        >>> import numpy as np
        >>> H = resizing((100, 50), (200, 100))
        >>> (H @ np.array([0.0, 0.0, 1.0]))[:2]  # the centre of the top-left pixel, in an image twice as large
        array([0.5, 0.5])
    """
    x, y = new[0] / old[0], new[1] / old[1]
    return np.array([[x, 0.0, (x - 1) / 2], [0.0, y, (y - 1) / 2], [0.0, 0.0, 1.0]])


def is_tensor(value: object) -> TypeGuard[torch.Tensor]:
    """Whether the value is a torch tensor, without importing torch: who holds a tensor has imported it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def check_image_size(name: str, size: tuple[int, int], smallest: int = 1) -> tuple[int, int]:
    """Return `size`, (W, H), as two ints; refuse what is not a pair of integers of at least `smallest`."""
    if len(size) != 2 or not all(isinstance(side, (int, np.integer)) for side in size):
        raise TypeError(f"{name} must be two integers (W, H), got {size!r}")
    if min(size) < smallest:
        raise ValueError(f"{name} must be at least {smallest} x {smallest} pixels, got {size!r}")
    return int(size[0]), int(size[1])


def check_homography(H: NDArray[np.floating] | torch.Tensor, batched: bool) -> None:
    """Refuse what is not a finite float (3, 3), or (B, 3, 3) if batched; a tensor's values are not read."""
    check_float("H_0to1", H)
    if H.ndim != 2 + batched or tuple(H.shape[-2:]) != (3, 3):
        raise ValueError(f"H_0to1 must have the shape {'(B, 3, 3)' if batched else '(3, 3)'}, got {tuple(H.shape)}")
    if isinstance(H, np.ndarray) and not np.isfinite(H).all():
        raise ValueError(f"H_0to1 must be finite, got {H}")


def check_float(name: str, value: object) -> None:
    """Refuse what is neither an array nor a tensor of a float dtype."""
    if isinstance(value, np.ndarray):
        dtype, is_float = str(value.dtype), value.dtype.kind == "f"
    elif is_tensor(value):
        dtype, is_float = str(value.dtype), value.dtype.is_floating_point
    else:
        raise TypeError(f"{name} must be a NumPy array or a torch tensor, got {type(value)}")
    if not is_float:
        raise TypeError(f"{name} must be of a float dtype, got {dtype}")


def _widened(value: Any) -> Any:
    """The array or tensor in float64, or in float32 on Apple's GPU, which has no float64."""
    if not is_tensor(value):
        return value.astype(np.float64, copy=False)
    return value.float() if value.device.type == "mps" else value.double()


def _project_array(points: NDArray[np.floating], H_0to1: NDArray[np.floating]) -> NDArray[np.floating]:
    H = _widened(H_0to1)
    projected = _widened(points) @ H[..., :2].swapaxes(-1, -2) + H[..., None, :, 2]
    w = projected[..., 2:]
    seen = w > 0
    with np.errstate(over="ignore"):  # A point near the horizon may pass the range of float32: it becomes inf.
        warped: NDArray[np.floating] = np.where(seen, projected[..., :2] / np.where(seen, w, 1.0), np.nan)
        return warped.astype(points.dtype)


def _project_tensor(points: torch.Tensor, H_0to1: torch.Tensor) -> torch.Tensor:
    H = _widened(H_0to1)
    projected: torch.Tensor = _widened(points) @ H[..., :2].swapaxes(-1, -2) + H[..., None, :, 2]
    w = projected[..., 2:]
    seen = w > 0
    # Dividing by 1 where the point is unseen keeps 0 / 0 out of the gradient.
    return (projected[..., :2] / w.where(seen, 1.0)).where(seen, float("nan")).to(points.dtype)


def _warp_array(
    image: NDArray[Any], H_0to1: NDArray[np.floating], size: tuple[int, int] | None, mode: Mode, fill: float
) -> NDArray[Any]:
    if image.dtype not in (np.uint8, np.float32):
        raise TypeError(f"image must be of the dtype uint8 or float32, got {image.dtype}")
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(f"image must have the shape (H, W) or (H, W, C), none of them 0, got {image.shape}")
    if image.dtype == np.uint8 and fill not in range(256):
        raise ValueError(f"fill must be a whole number in [0, 255] for a uint8 image, got {fill}")
    check_homography(H_0to1, batched=False)
    size = (image.shape[1], image.shape[0]) if size is None else size
    H_1to0 = inverse_homography(H_0to1)
    channels = 1 if image.ndim == 2 else image.shape[2]
    if mode == "bilinear" and _opencv_is_exact(image.dtype.str, channels):
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpPerspective(image, H_1to0, size, flags=flags, borderValue=(fill, fill, fill, fill))
        warped = warped.reshape(size[1], size[0], *image.shape[2:])
    else:
        # OpenCV's nearest mode is not used: 4.13 takes a position of -1e-15 for outside.
        warped = _interpolate(image, H_1to0, size, mode, fill)
    across, down = H_1to0[2, 0] * np.arange(size[0]), H_1to0[2, 1] * np.arange(size[1]) + H_1to0[2, 2]
    if across.min() + down.min() <= 0:
        # What OpenCV draws behind the horizon is a mirrored view.
        warped[across <= -down[:, None]] = fill
    return warped


@functools.cache
def _opencv_is_exact(dtype: str, channels: int) -> bool:
    """Whether OpenCV interpolates at the very position, not at the nearest 1/32 pixel.

    OpenCV 4 rounds positions for all images, OpenCV 5 for some numbers of channels. A step from 0 to 255 that is read
    1/64 pixel beyond its foot gives 4, and 0 or 8 where positions are rounded.
    """
    step = np.zeros((64, 64, channels), dtype)
    step[:, 32:] = 255
    shift = np.array([[1, 0, 1 / 64], [0, 1, 0], [0, 0, 1]])
    read = cv2.warpPerspective(step, shift, (64, 64), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return bool(np.all(np.abs(read.reshape(step.shape)[:, 31].astype(np.float64) - 255 / 64) < 0.1))


def _interpolate(
    image: NDArray[Any], H_1to0: NDArray[np.float64], size: tuple[int, int], mode: Mode, fill: float
) -> NDArray[Any]:
    """Warp without OpenCV and its rounding of positions; pixels behind the horizon are left undefined."""
    height, width = image.shape[:2]
    u, v = np.arange(size[0]), np.arange(size[1])[:, None]
    w = H_1to0[2, 0] * u + H_1to0[2, 1] * v + H_1to0[2, 2]
    w[w == 0] = 1  # On the horizon: undefined too, but no division by zero.
    # Beyond a frame of one pixel of fill there is only more of it.
    x = np.clip((H_1to0[0, 0] * u + H_1to0[0, 1] * v + H_1to0[0, 2]) / w, -1, width)
    y = np.clip((H_1to0[1, 0] * u + H_1to0[1, 1] * v + H_1to0[1, 2]) / w, -1, height)
    row = width + 2
    framed = np.full((height + 2, row, *image.shape[2:]), fill, image.dtype)
    framed[1:-1, 1:-1] = image
    pixels: NDArray[Any] = framed.reshape(-1, *image.shape[2:])
    if mode == "nearest":
        nearest: NDArray[Any] = pixels[(np.rint(y).astype(np.intp) + 1) * row + np.rint(x).astype(np.intp) + 1]
        return nearest
    left, top = np.minimum(np.floor(x), width - 1), np.minimum(np.floor(y), height - 1)
    index = (top.astype(np.intp) + 1) * row + left.astype(np.intp) + 1
    trailing = (1,) * (image.ndim - 2)
    alpha = (x - left).astype(np.float32).reshape(*x.shape, *trailing)
    beta = (y - top).astype(np.float32).reshape(*y.shape, *trailing)
    upper = pixels.take(index, axis=0) * (1 - alpha) + pixels.take(index + 1, axis=0) * alpha
    index += row
    lower = pixels.take(index, axis=0) * (1 - alpha) + pixels.take(index + 1, axis=0) * alpha
    blended: NDArray[np.float32] = upper * (1 - beta) + lower * beta
    return blended if image.dtype == np.float32 else np.rint(blended).astype(image.dtype)


def _warp_tensor(
    image: torch.Tensor, H_0to1: torch.Tensor, size: tuple[int, int] | None, mode: Mode, fill: float
) -> torch.Tensor:
    import torch
    import torch.nn.functional as F

    check_float("image", image)
    if image.ndim != 4 or 0 in image.shape[-2:]:
        raise ValueError(f"image must have the shape (B, C, H, W), H and W not 0, got {tuple(image.shape)}")
    check_homography(H_0to1, batched=True)
    if len(image) != len(H_0to1):
        raise ValueError(f"{len(image)} images do not fit H_0to1 of the shape {tuple(H_0to1.shape)}")
    height, width = image.shape[-2:]
    out_width, out_height = (width, height) if size is None else size
    H_1to0 = inverse_homography(H_0to1)
    # grid_sample(align_corners=False) wants the outer corners of the image at -1 and 1: x -> (2 x + 1) / width - 1.
    to_grid = [[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]]
    dtype = torch.promote_types(image.dtype, torch.float32)
    matrix = (torch.tensor(to_grid, dtype=H_1to0.dtype, device=H_1to0.device) @ H_1to0).to(dtype)[..., None, None]
    u = torch.arange(out_width, dtype=dtype, device=image.device)
    v = torch.arange(out_height, dtype=dtype, device=image.device)[:, None]
    projected = matrix[:, :, 0] * u + (matrix[:, :, 1] * v + matrix[:, :, 2])
    w = projected[:, 2:]
    seen = w > 0
    # -3 and 3 are outside by a pixel or more at every size, and safe to turn into indices, which inf is not.
    grid = (projected[:, :2] / w.where(seen, 1.0)).where(seen, -3.0).clamp(-3, 3).permute(0, 2, 3, 1)
    source = image.to(dtype)
    warped = F.grid_sample(source - fill if fill else source, grid, mode, padding_mode="zeros", align_corners=False)
    return (warped + fill if fill else warped).to(image.dtype)
