"""Arrays, tensors and Pillow's images to grey values."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow
from torch import Tensor

from .ranges import Limits, full_limits, used_limits
from .reading import ImageReading

ROUNDING = 1e-4
"""How far a floating image may lie outside [0, 1]."""

_RED, _BLUE = 0.299, 0.114  # ITU-R BT.601, section 2.5.1; green has the rest
_DEPTHS = ("bool", "uint8", "uint16")
_BLOCK_PIXELS = 2**16  # turned to grey at once: their colours and what is in between, 3 MB, stay in a processor's cache
_OPAQUE = 0.5  # the alpha from which on a pixel counts


@dataclasses.dataclass(frozen=True, eq=False)
class GreyImage:
    """An image as it was read.

    Args:
        grey: float32 (H, W) in [0, 1].
        mask: bool (H, W), False where the image is transparent or masked; None where nothing is.
        limits: The stored values of black and white.
        stretched: Whether the image uses so few values that these are not those of its number format.
        several: Whether it is the first of several: of an animation, of pages.
    """

    grey: NDArray[np.float32]
    mask: NDArray[np.bool_] | None = None
    limits: Limits = (0.0, 255.0)
    stretched: bool = False
    several: bool = False


def to_grey(image: NDArray[Any] | Tensor, limits: Limits | None = None) -> NDArray[np.float32]:
    """Turn an image into grey values from 0 (black) to 1 (white).

    Beside the image and the result it takes a few MB, however large they are.

    Colours become 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601) of the values as they are stored. 255 of an 8-bit
    image and 1 of a float one are white. Of a 16-bit one 65535 is, unless the image uses few of these values: then
    black and white are the ends of what it uses, see `ranges.used_limits`.

    Args:
        image: An array (H, W), (H, W, 1) or (H, W, 3), or a tensor (H, W), (1, H, W) or (3, H, W), red first; bool,
            uint8, uint16, or floating in [0, 1].
        limits: The values of black and white, where they are others; of numbers of any type.

    Returns:
        float32 (H, W), contiguous.

    Raises:
        TypeError: It is neither array nor tensor, or holds numbers of another type.
        ValueError: Its shape is none of these, a side is 0, or a floating value is NaN, or outside [0, 1] without
            limits.

    Examples:
        >>> red = np.zeros((1, 1, 3), np.uint8)
        >>> red[..., 0] = 255
        >>> to_grey(red)
        array([[0.299]], dtype=float32)
    """
    _check_shape(image)
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        image = (image.float() if image.is_floating_point() else image).numpy()
        image = np.moveaxis(image, 0, -1) if image.ndim == 3 else image
    if image.size == 0:
        raise ValueError(f"image must have at least one pixel, got shape {image.shape}")
    black, white = _limits(image) if limits is None else limits
    height, width = image.shape[:2]
    grey = np.empty((height, width), np.float32)
    rows = max(1, _BLOCK_PIXELS // width)
    for top in range(0, height, rows):
        grey[top : top + rows] = _block_to_grey(image[top : top + rows], black, white)
    return grey


def _check_shape(image: NDArray[Any] | Tensor) -> None:
    if not isinstance(image, (np.ndarray, Tensor)):
        raise TypeError(f"image must be an array or a tensor, got {type(image).__name__}")
    kind, channels, swapped = ("a tensor", 0, "last") if isinstance(image, Tensor) else ("an array", -1, "first")
    shape = tuple(image.shape)
    if len(shape) == 2 or (len(shape) == 3 and shape[channels] in (1, 3)):
        return
    hint = f": {kind} whose channels come {swapped}?" if len(shape) == 3 and shape[-1 - channels] in (1, 3, 4) else ""
    if len(shape) == 4:
        hint = ": a batch of them is for extract_batch"
    raise ValueError(
        "image must be an array (H, W), (H, W, 1) or (H, W, 3) or a tensor (H, W), (1, H, W) or (3, H, W), "
        f"got {kind} of shape {shape}{hint}"
    )


def _limits(image: NDArray[Any]) -> Limits:
    """The values of black and white; refuses numbers of another type and floating ones out of range."""
    if image.dtype.name in _DEPTHS:
        full = full_limits(image)
        return used_limits(image, full) if image.dtype == np.uint16 else full
    if image.dtype.kind != "f":
        raise TypeError(f"image must be bool, uint8, uint16 or floating, got {image.dtype}")
    lowest, highest = image.min(), image.max()
    if not (lowest >= -ROUNDING and highest <= 1.0 + ROUNDING):
        hint = ": divide by 255, or give uint8" if lowest >= 0 and 1 < highest <= 255 else ""
        raise ValueError(f"a floating image must lie in [0, 1], got values from {lowest} to {highest}{hint}")
    return 0.0, 1.0


def _block_to_grey(block: NDArray[Any], black: float, white: float) -> NDArray[np.float32]:
    if black:
        values = ((block.astype(np.float64) - black) / (white - black)).astype(np.float32)
    else:
        values = block.astype(np.float32) / np.float32(white)
    if values.ndim == 3:
        red, green, blue = values[..., 0], values[..., values.shape[2] // 2], values[..., -1]
        # Written with differences, so that equal channels give exactly their value.
        values = green + np.float32(_RED) * (red - green) + np.float32(_BLUE) * (blue - green)
    return values.clip(0.0, 1.0)


def opaque_mask(alpha: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Which pixels of an alpha channel (H, W) count; None where all do."""
    opaque: NDArray[np.bool_] = alpha >= _OPAQUE * full_limits(alpha)[1]
    return None if opaque.all() else opaque


def as_grey_image(image: NDArray[Any] | Tensor | pillow.Image, reading: ImageReading) -> GreyImage:
    """`to_grey` with the range of a reading; a fourth channel, alpha, is a mask, and images of Pillow are not turned.

    Raises:
        TypeError: As from `to_grey`.
        ValueError: As from `to_grey`.
    """
    array = _from_pillow(image) if isinstance(image, pillow.Image) else image
    mask = None
    if isinstance(array, np.ndarray) and array.ndim == 3 and array.shape[-1] == 4:
        array, mask = array[..., :3], opaque_mask(array[..., 3])
    elif isinstance(array, Tensor) and array.ndim == 3 and array.shape[0] == 4:
        array, mask = array[:3], opaque_mask(array[3].detach().cpu().float().numpy())
    is_deep = str(getattr(array, "dtype", None)).removeprefix("torch.") == "uint16"
    limits = (0.0, 65535.0) if is_deep and reading.range == "full" else reading.limits
    return GreyImage(to_grey(array, limits), mask)


def _from_pillow(image: pillow.Image) -> NDArray[Any]:
    """The values of an image of any of Pillow's modes, in a form that `as_grey_image` takes."""
    if image.mode in ("LA", "La", "PA", "RGBa", "RGBA") or "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    if image.mode in ("1", "L", "RGB", "F") or image.mode.startswith("I;16"):
        array = np.asarray(image)
        return array.astype(array.dtype.newbyteorder("="))
    if image.mode == "I":
        array = np.asarray(image)
        if array.size and not (array.min() >= 0 and array.max() <= 65535):
            raise ValueError(f"an image of mode I must lie in [0, 65535], got {array.min()} to {array.max()}")
        return array.astype(np.uint16)
    return np.asarray(image.convert("RGB"))


def pad_to_multiple(grey: NDArray[Any], multiple: int) -> NDArray[Any]:
    """A grey (H, W), its last row and column repeated up to the next multiple of its sides.

    Repetition makes no edge that the image does not have.
    """
    height, width = grey.shape
    return np.pad(grey, ((0, -height % multiple), (0, -width % multiple)), mode="edge")
