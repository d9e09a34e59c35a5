"""Image files to grey values, and pictures to files."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from synthetic_shapes.png import PNG_SIGNATURE, png_is_intact

from ..core.errors import InputError
from ..core.files import AnyPath, check_regular, write_atomically
from .headers import declared_size, has_alpha, has_more_frames, largest_value, transparency_by_key
from .ranges import Limits, full_limits, used_limits
from .reading import ImageReading

Image = str | os.PathLike[str] | NDArray[Any] | Tensor
Pixel = TypeVar("Pixel", np.uint8, np.float32)

_RED, _BLUE = 0.299, 0.114  # ITU-R BT.601, section 2.5.1; green has the rest
_DEPTHS = ("bool", "uint8", "uint16")
_ROUNDING = 1e-4  # how far a float image may lie outside [0, 1]
_BLOCK_PIXELS = 2**16  # turned to grey at once: their colours and what is in between, 3 MB, stay in a processor's cache
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_JPEG_SCAN = 0xDA
_BYTES_PER_PIXEL, _BYTES_OF_TEXTS = 32, 2**24  # four channels of 64 bits; profiles, thumbnails and the like beside them
_OPAQUE = 0.5  # the alpha from which on a pixel counts


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
    hint = f": {kind} whose channels come {swapped}?" if len(shape) == 3 and shape[-1 - channels] in (1, 3) else ""
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
    if not (lowest >= -_ROUNDING and highest <= 1.0 + _ROUNDING):
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


def read_image(path: AnyPath, reading: ImageReading | None = None) -> NDArray[np.float32]:
    """Read an image file as grey values, see `to_grey`, at its full depth and without its transparency.

    The image is turned as its EXIF orientation says, as viewers do: keypoints are in pixels of the image as it is seen.

    Args:
        path: The file.
        reading: None stands for `ImageReading()`.

    Returns:
        float32 (H, W) in [0, 1].

    Raises:
        OSError: The file cannot be read.
        InputError: It is no file, no image, too large a one, or an unfinished or damaged one; the message names it.
            Damage inside the data of a JPEG, which has no checksums, can pass unnoticed.
    """
    return decode_image(read_content(path, reading), Path(path), reading).grey


def read_content(path: AnyPath, reading: ImageReading | None = None) -> bytes:
    """The bytes of an image file.

    Raises:
        OSError: It cannot be read.
        InputError: It is no file, or larger than any image of the largest size; the message names it.
    """
    path, reading = Path(path), reading or ImageReading()
    if not path.exists():
        raise FileNotFoundError(f"no file {path}")
    size, largest = check_regular(path), reading.max_megapixels * 1e6 * _BYTES_PER_PIXEL + _BYTES_OF_TEXTS
    if size > largest:
        raise InputError(f"{path} has {size} bytes, more than an image of max_megapixels {reading.max_megapixels:g}")
    return path.read_bytes()


def decode_image(data: bytes, path: Path, reading: ImageReading | None = None) -> GreyImage:
    """`read_image` of the content of a file that was read already, with all that is known; the path is for messages."""
    reading = reading or ImageReading()
    image = _decode(data, path, reading)
    try:
        alpha = _alpha(data, image) if has_alpha(data) else None
        full = full_limits(image) if (white := largest_value(data)) is None else (0.0, float(white))
        limits = _wanted_limits(image, full, reading)
        grey = to_grey(image[..., ::-1] if image.ndim == 3 else image, limits)
    except (TypeError, ValueError, cv2.error) as error:
        raise InputError(f"{path}: {error}") from error
    opaque = None if alpha is None else alpha >= _OPAQUE * full_limits(alpha)[1]
    mask = None if opaque is None or opaque.all() else opaque
    return GreyImage(grey, mask, limits, limits != full and reading.range == "auto", has_more_frames(data))


def _wanted_limits(image: NDArray[Any], full: Limits, reading: ImageReading) -> Limits:
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ValueError("some of its values are no finite numbers")
    if reading.limits is not None:
        return reading.limits
    if reading.range == "full" or image.dtype == np.uint8:
        if image.dtype.kind == "f" and not (image.min() >= -_ROUNDING and image.max() <= 1.0 + _ROUNDING):
            raise ValueError(f"its values reach from {image.min()} to {image.max()}, and the full range is [0, 1]")
        return full
    if image.dtype.kind == "f" and image.min() >= -_ROUNDING and image.max() <= 1.0 + _ROUNDING:
        return full
    return used_limits(image, full)


def _decode(data: bytes, path: Path, reading: ImageReading) -> NDArray[Any]:
    """The image of a file as OpenCV gives it, blue first."""
    # OpenCV opens no path with letters beyond the system's code page on Windows, so it gets the content.
    if not data:
        raise InputError(f"{path} is empty")
    if not _is_complete(data):
        raise InputError(f"{path} is truncated or damaged")
    size = declared_size(data)
    if size is None:
        raise InputError(f"{path} is damaged or no image of a known format")
    check_pixels(*size, path, reading)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise InputError(f"{path} cannot be decoded: {' '.join(str(error).split())}") from error
    if image is None:
        raise InputError(f"{path} is damaged or no image of a known format")
    return np.asarray(image)


def check_pixels(width: int, height: int, path: AnyPath, reading: ImageReading) -> None:
    """Refuses images that are too large, by name."""
    if width * height > reading.max_megapixels * 1e6:
        raise InputError(
            f"{path} says it has {width}x{height} pixels, {width * height / 1e6:.1f} megapixels, which is more than "
            f"max_megapixels {reading.max_megapixels:g}"
        )


def _alpha(data: bytes, image: NDArray[Any]) -> NDArray[Any] | None:
    """How opaque the pixels of an image are, in the place where they are seen."""
    whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if whole is None or whole.ndim != 3 or whole.shape[2] != 4:
        return transparency_by_key(data)
    colours, alpha = whole[..., :3], whole[..., 3]
    # This way of decoding does not turn every image as the other does.
    for quarters in range(4):
        for mirrored in (False, True):
            turned, beside = (np.rot90(np.fliplr(part) if mirrored else part, quarters) for part in (colours, alpha))
            if turned.shape[:2] == image.shape[:2] and _agrees(turned, image):
                return beside
    return alpha if alpha.shape == image.shape[:2] else None


def _agrees(colours: NDArray[Any], image: NDArray[Any]) -> bool:
    return np.array_equal(colours if image.ndim == 3 else colours[..., 0], image)


def _is_complete(data: bytes) -> bool:
    """Whether a PNG file is intact, and the end of a JPEG is there: OpenCV 4 fills its missing part with grey."""
    if data.startswith(PNG_SIGNATURE):
        return png_is_intact(data)
    if not data.startswith(_JPEG_START):
        return True
    # A thumbnail in the header has an end of its own, so the search begins at the image's data: inside them a 0xFF is
    # followed by 0 or a restart marker (ITU-T T.81, B.1.1.5). Bytes after the end are common and harmless.
    position = len(_JPEG_START)
    while position + 4 <= len(data):
        if data[position] == 0xFF and data[position + 1] == 0xFF:  # padding before a marker
            position += 1
        elif data[position + 1] == _JPEG_SCAN:
            return data.find(_JPEG_END, position) >= 0
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False


def shrink(image: NDArray[Pixel], longest_side: int, shortest_side: int = 1) -> NDArray[Pixel]:
    """Shrink a grey image to at most so many pixels on its longer side; a smaller one comes back as it is.

    Each pixel becomes the mean of those that it covers, which leaves no alias and moves no edge.

    Args:
        image: uint8 or float32 (H, W).
        longest_side: In pixels.
        shortest_side: No side becomes shorter than this, which bends the proportions of a very narrow image.
    """
    height, width = image.shape
    if max(height, width) <= longest_side:
        return image
    scale = longest_side / max(height, width)
    image_size = max(shortest_side, round(width * scale)), max(shortest_side, round(height * scale))
    return np.asarray(cv2.resize(image, image_size, interpolation=cv2.INTER_AREA), image.dtype)


def write_png(path: AnyPath, picture: NDArray[np.uint8]) -> Path:
    """Write a picture (H, W, 3), red first, as a PNG file, in full or not at all.

    Raises:
        OSError: It cannot be written.
        ValueError: It cannot be encoded.
    """
    encoded, content = cv2.imencode(".png", picture[..., ::-1])
    if not encoded:
        raise ValueError(f"cannot encode a picture of shape {picture.shape} for {path}")
    write_atomically(path, lambda temporary: temporary.write_bytes(content.tobytes()))
    return Path(path)
