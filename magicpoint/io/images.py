"""Image files to grey values, and pictures to files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from synthetic_shapes.png import PNG_SIGNATURE, png_is_intact

from ..core.errors import InputError
from ..core.files import AnyPath, write_atomically

Image = str | os.PathLike[str] | NDArray[Any] | Tensor
Pixel = TypeVar("Pixel", np.uint8, np.float32)

_RED, _BLUE = 0.299, 0.114  # ITU-R BT.601, section 2.5.1; green has the rest
_WHITE = {"bool": 1, "uint8": 255, "uint16": 65535}
_ROUNDING = 1e-4  # how far a float image may lie outside [0, 1]
_BLOCK_PIXELS = 2**16  # turned to grey at once: their colours and what is in between, 3 MB, stay in a processor's cache
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_JPEG_SCAN = 0xDA


def to_grey(image: NDArray[Any] | Tensor) -> NDArray[np.float32]:
    """Turn an image into grey values from 0 (black) to 1 (white).

    Beside the image and the result it takes a few MB, however large they are.

    Colours become 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601) of the values as they are stored. 255 of an 8-bit
    image, 65535 of a 16-bit one and 1 of a float one are white: a 12-bit image in 16 bits is to be stretched before.

    Args:
        image: An array (H, W), (H, W, 1) or (H, W, 3), or a tensor (H, W), (1, H, W) or (3, H, W), red first; bool,
            uint8, uint16, or floating in [0, 1].

    Returns:
        float32 (H, W), contiguous.

    Raises:
        TypeError: It is neither array nor tensor, or holds numbers of another type.
        ValueError: Its shape is none of these, a side is 0, or a floating value is NaN or outside [0, 1].

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
    white = _white(image)
    height, width = image.shape[:2]
    grey = np.empty((height, width), np.float32)
    rows = max(1, _BLOCK_PIXELS // width)
    for top in range(0, height, rows):
        grey[top : top + rows] = _block_to_grey(image[top : top + rows], white)
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


def _white(image: NDArray[Any]) -> int:
    """The value that stands for white; refuses numbers of another type and floating ones out of range."""
    if image.dtype.name in _WHITE:
        return _WHITE[image.dtype.name]
    if image.dtype.kind != "f":
        raise TypeError(f"image must be bool, uint8, uint16 or floating, got {image.dtype}")
    lowest, highest = image.min(), image.max()
    if not (lowest >= -_ROUNDING and highest <= 1.0 + _ROUNDING):
        raise ValueError(f"a floating image must lie in [0, 1], got values from {lowest} to {highest}")
    return 1


def _block_to_grey(block: NDArray[Any], white: int) -> NDArray[np.float32]:
    values = block.astype(np.float32) / np.float32(white)
    if values.ndim == 3:
        red, green, blue = values[..., 0], values[..., values.shape[2] // 2], values[..., -1]
        # Written with differences, so that equal channels give exactly their value.
        values = green + np.float32(_RED) * (red - green) + np.float32(_BLUE) * (blue - green)
    return values.clip(0.0, 1.0)


def read_image(path: AnyPath) -> NDArray[np.float32]:
    """Read an image file as grey values, see `to_grey`, at its full depth and without its transparency.

    The image is turned as its EXIF orientation says, as viewers do: keypoints are in pixels of the image as it is seen.

    Returns:
        float32 (H, W) in [0, 1].

    Raises:
        OSError: The file cannot be read.
        InputError: It is no image, or an unfinished or damaged one; the message names it. Damage inside the data of a
            JPEG, which has no checksums, can pass unnoticed.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file {path}")
    return decode_image(path.read_bytes(), path)


def decode_image(data: bytes, path: Path) -> NDArray[np.float32]:
    """`read_image` of the content of a file that was read already; the path is for messages."""
    image = _decode(data, path)
    try:
        return to_grey(image[..., ::-1] if image.ndim == 3 else image)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error


def _decode(data: bytes, path: Path) -> NDArray[Any]:
    """The image of a file as OpenCV gives it, blue first."""
    # OpenCV opens no path with letters beyond the system's code page on Windows, so it gets the content.
    if not data:
        raise InputError(f"{path} is empty")
    if not _is_complete(data):
        raise InputError(f"{path} is truncated or damaged")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise InputError(f"{path} cannot be decoded: {error}") from error
    if image is None:
        raise InputError(f"{path} is damaged or no image of a known format")
    return np.asarray(image)


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
