"""Image files to grey values, and pictures to files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow
from torch import Tensor

from synthetic_shapes.png import PNG_SIGNATURE, png_is_intact

from ..core.errors import InputError
from ..core.files import AnyPath, check_regular, write_atomically
from .grey import ROUNDING, GreyImage, as_grey_image, opaque_mask, to_grey
from .headers import declared_size, has_alpha, has_more_frames, largest_value, tiff_orientation, transparency_by_key
from .png_text import with_title
from .ranges import Limits, full_limits, used_limits
from .reading import ImageReading, Orientation
from .remote import address_of, read_address

Image = str | os.PathLike[str] | NDArray[Any] | Tensor | pillow.Image | GreyImage
Pixel = TypeVar("Pixel", np.uint8, np.float32)

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_JPEG_SCAN = 0xDA
_APPLES = {b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")}
_TURN_BACK: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: image.swapaxes(0, 1),
    6: np.rot90,
    7: lambda image: np.rot90(image, 2).swapaxes(0, 1),
    8: lambda image: np.rot90(image, -1),
}
"""From an image as its orientation, 2 to 8, says it is to be seen to the rows that are stored."""
_BYTES_PER_PIXEL, _BYTES_OF_TEXTS = 32, 2**24  # four channels of 64 bits; profiles, thumbnails and the like beside them


def read_image(
    path: AnyPath, reading: ImageReading | None = None, orientation: Orientation | None = None
) -> NDArray[np.float32]:
    """Read an image file as grey values, see `to_grey`, at its full depth and without its transparency.

    Args:
        path: The file.
        reading: None stands for `ImageReading()`.
        orientation: exif turns the image as its EXIF orientation says, as viewers do; stored leaves it as COLMAP and
            hloc see it; None is as `reading` says.

    Returns:
        float32 (H, W) in [0, 1].

    Raises:
        OSError: The file cannot be read.
        InputError: It is no file, no image, too large a one, or an unfinished or damaged one; the message names it.
            Damage inside the data of a JPEG, which has no checksums, can pass unnoticed.
    """
    reading = reading or ImageReading()
    reading = reading if orientation is None else dataclasses.replace(reading, orientation=orientation)
    return decode_image(read_content(path, reading), Path(path), reading).grey


def open_image(image: Image, reading: ImageReading | None = None) -> GreyImage:
    """An image in any form that the public functions take, with its mask where it is transparent.

    Raises:
        OSError: A file cannot be read.
        TypeError: As from `to_grey`.
        ValueError: As from `to_grey`; of a file it is an `InputError`.
    """
    reading = reading or ImageReading()
    if isinstance(image, (str, os.PathLike)):
        return decode_image(read_content(image, reading), Path(image), reading)
    if isinstance(image, GreyImage):
        return image
    return as_grey_image(image, reading)


def read_content(path: AnyPath, reading: ImageReading | None = None) -> bytes:
    """The bytes of an image file, or of one elsewhere, see `io.remote`.

    Raises:
        OSError: It cannot be read.
        InputError: It is no file, cannot be read from elsewhere, or is larger than any image of the largest size; the
            message names it.
        MissingPackageError: It is elsewhere, and a package for such addresses is not installed.
    """
    address = address_of(path)
    if address is not None:
        content = read_address(address, _most_bytes(reading))
        check_bytes(len(content), address, reading)
        return content
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file {path}")
    check_bytes(check_regular(path), path, reading)
    return path.read_bytes()


def check_bytes(size: int, path: AnyPath, reading: ImageReading | None = None) -> None:
    """Refuses a file of more bytes than any image of the largest size, by name."""
    if size > _most_bytes(reading):
        megapixels = (reading or ImageReading()).max_megapixels
        raise InputError(f"{path} has {size} bytes, more than an image of max_megapixels {megapixels:g}")


def _most_bytes(reading: ImageReading | None) -> int:
    return int((reading or ImageReading()).max_megapixels * 1e6) * _BYTES_PER_PIXEL + _BYTES_OF_TEXTS


def decode_image(data: bytes, path: Path, reading: ImageReading | None = None) -> GreyImage:
    """`read_image` of the content of a file that was read already, with all that is known; the path is for messages."""
    reading = reading or ImageReading()
    image = decode_values(data, path, reading, luma=True)
    try:
        alpha = _alpha(data, image) if has_alpha(data) else None
        full = full_limits(image) if (white := largest_value(data)) is None else (0.0, float(white))
        limits = _wanted_limits(image, full, reading)
        grey = to_grey(image[..., ::-1] if image.ndim == 3 else image, limits)
    except (TypeError, ValueError, cv2.error) as error:
        raise InputError(f"{path}: {error}") from error
    mask = None if alpha is None else opaque_mask(alpha)
    return GreyImage(grey, mask, limits, limits != full and reading.range == "auto", has_more_frames(data))


def read_picture(path: AnyPath, reading: ImageReading | None = None) -> NDArray[np.uint8]:
    """An image file as it is shown: in its colours where it has 8 bits of them, else as the grey values that are read.

    Returns:
        uint8 (H, W, 3), red first.

    Raises:
        OSError: See `read_image`; so is InputError.
    """
    reading = reading or ImageReading()
    data = read_content(path, reading)
    values = decode_values(data, Path(path), reading)
    if values.ndim == 3 and values.dtype == np.uint8:
        return np.ascontiguousarray(values[..., ::-1])
    grey = np.rint(decode_image(data, Path(path), reading).grey * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _wanted_limits(image: NDArray[Any], full: Limits, reading: ImageReading) -> Limits:
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ValueError("some of its values are no finite numbers")
    if reading.limits is not None:
        return reading.limits
    if reading.range == "full" or image.dtype == np.uint8:
        if image.dtype.kind == "f" and not (image.min() >= -ROUNDING and image.max() <= 1.0 + ROUNDING):
            raise ValueError(f"its values reach from {image.min()} to {image.max()}, and the full range is [0, 1]")
        return full
    if image.dtype.kind == "f" and image.min() >= -ROUNDING and image.max() <= 1.0 + ROUNDING:
        return full
    return used_limits(image, full)


def decode_values(data: bytes, path: Path, reading: ImageReading, luma: bool = False) -> NDArray[Any]:
    """The image of a file as OpenCV gives it, blue first.

    Args:
        data: Content of the file.
        path: For messages.
        reading: How it is read.
        luma: Give of a JPEG the brightness alone, as it is stored (ITU-T T.871, section 7, which is that of BT.601).
            That is ten times as fast as colours and their sum, from which it differs by their rounding: by 0.16 of 255
            in the mean, and by little more than 1.
    """
    # OpenCV opens no path with letters beyond the system's code page on Windows, so it gets the content.
    if not data:
        raise InputError(f"{path} is empty")
    if not _is_complete(data):
        raise InputError(f"{path} is truncated or damaged")
    size = declared_size(data)
    if size is None and data[4:12] in _APPLES:
        raise InputError(f"{path} is a HEIC image, which is not read: save it as JPEG or PNG")
    if size is None:
        raise InputError(f"{path} is damaged or no image of a known format")
    check_pixels(*size, path, reading)
    stored = reading.orientation == "stored"
    wanted = (
        cv2.IMREAD_GRAYSCALE if luma and data.startswith(_JPEG_START) else cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    )
    way = wanted | (cv2.IMREAD_IGNORE_ORIENTATION if stored else 0)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), way)
    except cv2.error as error:
        raise InputError(f"{path} cannot be decoded: {' '.join(str(error).split())}") from error
    if image is None:
        raise InputError(f"{path} is damaged or no image of a known format")
    turn_back = _TURN_BACK.get(tiff_orientation(data)) if stored else None
    return np.asarray(image) if turn_back is None else np.ascontiguousarray(turn_back(image))


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


def write_png(path: AnyPath, picture: NDArray[np.uint8], title: str | None = None) -> Path:
    """Write a picture (H, W, 3), red first, as a PNG file, in full or not at all.

    Args:
        path: The file.
        picture: uint8.
        title: What it says that it shows, see `png_text.with_title`; None writes no text.

    Raises:
        OSError: It cannot be written.
        ValueError: It cannot be encoded.
    """
    encoded, content = cv2.imencode(".png", picture[..., ::-1])
    if not encoded:
        raise ValueError(f"cannot encode a picture of shape {picture.shape} for {path}")
    data = content.tobytes() if title is None else with_title(content.tobytes(), title)
    write_atomically(path, lambda temporary: temporary.write_bytes(data))
    return Path(path)
