"""What the header of an image file says about its size, read without decoding the image.

Pillow reads the headers; the decoding is OpenCV's. Where Pillow would take memory for the image (WebP), lacks the
format (Radiance, PFM, PAM), refuses number formats or warns of what is beside the size (TIFF, PNG), the few fields are
read here.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    SunImagePlugin,
)

_PNG = b"\x89PNG\r\n\x1a\n"
# No pattern gives two ways to read the same bytes, which would take time without end; longer numbers are no sizes.
_SPACE, _NUMBER = rb"(?:\s|#[^\n]*\n)++", rb"(\d{1,10})"
_PNM = re.compile(rb"P[1-6Ff]" + _SPACE + _NUMBER + _SPACE + _NUMBER + _SPACE + rb"([-+.\d]{1,20}+)?")
_PAM = tuple(re.compile(rb"\s" + name + rb"\s++" + _NUMBER + rb"\s") for name in (b"WIDTH", b"HEIGHT"))
_RADIANCE = re.compile(rb"\n[-+]Y\s++" + _NUMBER + rb"\s++[-+]X\s++" + _NUMBER + rb"\n")
_CODESTREAM = b"\xff\x4f\xff\x51"  # of JPEG 2000: start, and size
_MOST_FIELDS = 4096
_HEADER_BYTES = 2**16  # where the texts of a header must end


def declared_size(data: bytes) -> tuple[int, int] | None:
    """The (W, H) of an image, before it is turned, as the header of its file says; None where it says nothing."""
    for read in (reader for magic, reader in _READERS.items() if data.startswith(magic)):
        try:
            width, height = read(data)
        except Exception:  # Of damaged headers Pillow raises whatever comes about.
            return None
        return (width, height) if width > 0 and height > 0 else None
    return _media_size(data)


def largest_value(data: bytes) -> int | None:
    """The value of white that a portable grey- or pixmap has, where OpenCV gives its values as they are stored."""
    found = _PNM.match(data[:_HEADER_BYTES])
    if found is None or data[1:2] not in b"2356" or not (found[3] or b"").isdigit():
        return None
    largest = int(found[3])
    as_text = data[1:2] in b"23"
    return largest if 0 < largest < 2**16 and not (as_text and largest < 256) else None


def has_alpha(data: bytes) -> bool:
    """Whether a file may say how transparent its pixels are; not of BMP, in which the fourth byte is often noise."""
    if data.startswith(_PNG):
        return data[25:26] in (b"\4", b"\6") or b"tRNS" in data[: data.find(b"IDAT")]
    if data[8:12] == b"WEBP":
        return data[12:16] == b"VP8L" or (data[12:16] == b"VP8X" and bool(data[20] & 0x10))
    if data[:2] in (b"II", b"MM"):
        fields = _tiff_fields(data)
        colours = {0: 1, 1: 1, 2: 3}.get(fields.get(_COLOURS, -1))
        return colours is not None and fields.get(_SAMPLES, 1) == colours + 1
    return data.startswith((b"GIF8", b"\0\0\0\x0cjP  ", _CODESTREAM)) or data[4:8] == b"ftyp"


def tiff_orientation(data: bytes) -> int:
    """How an image is to be turned (TIFF 6.0, section 8), which OpenCV does with TIFF in any case; 1 elsewhere."""
    if data[:2] not in (b"II", b"MM"):
        return 1
    return int(_tiff_fields(data).get(ExifTags.Base.Orientation, 1))


def has_more_frames(data: bytes) -> bool:
    """Whether an image is the first of several: an animation, or pages."""
    if data.startswith(_PNG):
        return b"acTL" in data[: data.find(b"IDAT")]
    if data[8:12] == b"WEBP":
        return data[12:16] == b"VP8X" and bool(data[20] & 0x02)
    if data[:2] in (b"II", b"MM"):
        return bool(_tiff_fields(data)[_NEXT])
    if data.startswith(b"GIF8"):
        with contextlib.suppress(Exception):  # of a damaged second frame
            return GifImagePlugin.GifImageFile(io.BytesIO(data)).is_animated
    return data[4:12] == b"ftypavis"


def transparency_by_key(data: bytes) -> NDArray[np.uint8] | None:
    """The alpha of a PNG whose transparent pixels are those of one value, which OpenCV passes over."""
    if not data.startswith(_PNG):
        return None
    alpha = PngImagePlugin.PngImageFile(io.BytesIO(data)).convert("RGBA").getchannel("A")
    return np.asarray(alpha)


def _by_pillow(plugin: Callable[[io.BytesIO], object]) -> Callable[[bytes], tuple[int, int]]:
    def read(data: bytes) -> tuple[int, int]:
        size: tuple[int, int] = plugin(io.BytesIO(data)).size  # type: ignore[attr-defined]
        return size

    return read


def _png_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">2I", data[16:24])
    return width, height


_WIDTH, _HEIGHT, _COLOURS, _SAMPLES = 256, 257, 262, 277
_NEXT = -1
_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # of TIFF's types


def _tiff_fields(data: bytes) -> dict[int, int]:
    """The fields of the first page that hold one whole number, by their tags; `_NEXT` is the place of a second page.

    Pillow, which reads them, too, warns of what is odd in the other fields.
    """
    order = "<" if data[:2] == b"II" else ">"
    is_big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    number, counted, length, inline = ("Q", "Q", 20, 12) if is_big else ("I", "H", 12, 8)
    [place] = struct.unpack_from(order + number, data, 8 if is_big else 4)
    [count] = struct.unpack_from(order + counted, data, place)
    first = place + struct.calcsize(counted)
    fields = {}
    for entry in range(first, first + min(count, _MOST_FIELDS) * length, length):
        tag, kind = struct.unpack_from(f"{order}2H", data, entry)
        [values] = struct.unpack_from(order + number, data, entry + 4)
        if values == 1 and kind in _NUMBERS:
            [fields[tag]] = struct.unpack_from(order + _NUMBERS[kind], data, entry + inline)
    end = first + count * length
    fields[_NEXT] = (
        struct.unpack_from(order + number, data, end)[0] if end + struct.calcsize(number) <= len(data) else 0
    )
    return fields


def _tiff_size(data: bytes) -> tuple[int, int]:
    fields = _tiff_fields(data)
    return fields[_WIDTH], fields[_HEIGHT]


def _jpeg2000_size(data: bytes) -> tuple[int, int]:
    """Of the codestream, which is what is decoded (ITU-T T.800, A.5.1)."""
    place = data.index(_CODESTREAM) + 8
    right, bottom, left, top = struct.unpack(">4I", data[place : place + 16])
    return right - left, bottom - top


def _pnm_size(data: bytes) -> tuple[int, int]:
    if data.startswith(b"P7"):
        header = data[: max(0, data.find(b"ENDHDR", 0, _HEADER_BYTES))]
        sides = [pattern.search(header) for pattern in _PAM]
        width, height = (int(side[1]) if side else 0 for side in sides)
        return width, height
    found = _PNM.match(data[:_HEADER_BYTES])
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _radiance_size(data: bytes) -> tuple[int, int]:
    found = _RADIANCE.search(data[:_HEADER_BYTES])
    return (int(found[2]), int(found[1])) if found else (0, 0)


def _media_size(data: bytes) -> tuple[int, int] | None:
    """Of the formats whose magic number stands behind a length."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_size(data)
    if data[4:8] == b"ftyp":
        try:
            width, height = AvifImagePlugin.AvifImageFile(io.BytesIO(data)).size
        except Exception:
            return None
        return width, height
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        return None
    if kind == b"VP8X":  # RFC 9649, section 2.7: 24 bits each, less 1
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L":  # section 3.4: 14 bits each, less 1
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":  # RFC 6386, section 9.1: 14 bits each
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    return None


_READERS: dict[bytes, Callable[[bytes], tuple[int, int]]] = {
    _PNG: _png_size,
    b"\xff\xd8": _by_pillow(JpegImagePlugin.JpegImageFile),
    b"BM": _by_pillow(BmpImagePlugin.BmpImageFile),
    b"GIF8": _by_pillow(GifImagePlugin.GifImageFile),
    b"\0\0\0\x0cjP  ": _jpeg2000_size,
    _CODESTREAM: _jpeg2000_size,
    b"\x59\xa6\x6a\x95": _by_pillow(SunImagePlugin.SunImageFile),
    b"II": _tiff_size,
    b"MM": _tiff_size,
    b"#?R": _radiance_size,
    **{b"P" + kind: _pnm_size for kind in (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"F", b"f")},
}
