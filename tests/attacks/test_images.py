"""Image files that are cut, changed, empty, something else, or claim more than they hold."""

import os
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest

from magicpoint.core.errors import InputError
from magicpoint.io.images import decode_image, read_image

GREY = np.random.default_rng(0).integers(0, 256, (48, 64), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def encoded(image, suffix, *options):
    done, data = cv2.imencode(suffix, image, list(options))
    assert done
    return data.tobytes()


WHOLE = {
    "png": encoded(GREY, ".png"),
    "png16": encoded(GREY.astype(np.uint16) * 257, ".png"),
    "png colour": encoded(COLOUR, ".png"),
    "jpg": encoded(GREY, ".jpg"),
    "jpg colour": encoded(COLOUR, ".jpg"),
    "jpg progressive": encoded(COLOUR, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "bmp": encoded(GREY, ".bmp"),
    "pgm": encoded(GREY, ".pgm"),
    "ppm": encoded(COLOUR, ".ppm"),
    "tif": encoded(GREY, ".tif"),
    "tif16": encoded(GREY.astype(np.uint16) * 257, ".tif"),
    "webp": encoded(COLOUR, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
}


def read(tmp_path, name, data):
    path = tmp_path / f"x.{name.split()[0].rstrip('16')}"
    path.write_bytes(data)
    return read_image(path)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_is_read(tmp_path, name):
    grey = read(tmp_path, name, WHOLE[name])
    assert (grey.dtype, grey.shape) == (np.float32, (48, 64))
    assert 0 <= grey.min() < grey.max() <= 1


@pytest.mark.parametrize("share", [0.003, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("name", WHOLE)
def test_a_file_that_is_cut_is_refused_by_its_name(tmp_path, refused, name, share):
    data = WHOLE[name]
    path = tmp_path / f"cut.{name.split()[0].rstrip('16')}"
    path.write_bytes(data[: max(1, int(len(data) * share))])
    refused(read_image, path, named="cut.")


def check_sane(data, path):
    """Holds that there are grey values in [0, 1], or a refusal in one line that names the file."""
    grey, said = None, ""
    try:
        grey = decode_image(data, path).grey
    except InputError as error:
        said = str(error)
    if grey is None:
        assert str(path) in said
        assert len(said.splitlines()) == 1
    else:
        assert (grey.dtype, grey.ndim) == (np.float32, 2)
        assert 0 <= grey.min() <= grey.max() <= 1


@pytest.mark.parametrize("position", range(0, 64, 4))
@pytest.mark.parametrize("name", ["bmp", "pgm", "ppm", "tif", "jpg", "webp", "png"])
def test_a_changed_header_is_read_as_what_it_says_or_refused(tmp_path, name, position):
    for value in (0x00, 0x7F, 0xFF):
        for place in range(position, position + 4):
            data = bytearray(WHOLE[name])
            data[place] = value
            check_sane(bytes(data), tmp_path / f"x.{name}")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width=64, height=48, depth=8, colour=0, compression=0, filtering=0, interlace=0, rows=None, before=b""):
    """A PNG file whose checksums are right whatever its fields say."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, compression, filtering, interlace)
    rows = b"".join(b"\0" + bytes(64) for _ in range(48)) if rows is None else rows
    parts = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    "fields",
    [
        {"width": 0},
        {"height": 0},
        {"width": 2**31 - 1},
        {"width": 2**32 - 1, "height": 2**32 - 1},
        {"width": 100_000, "height": 100_000},
        {"height": 2_000_000},
        {"depth": 3},
        {"depth": 255},
        {"colour": 1},
        {"colour": 5},
        {"colour": 3},
        {"compression": 1},
        {"filtering": 9},
        {"interlace": 7},
        {"rows": b""},
        {"rows": b"\0" * 100},
        {"rows": b"\x09" * (65 * 48)},
    ],
    ids=str,
)
def test_a_png_that_says_what_cannot_be_is_refused(tmp_path, refused, fields):
    path = tmp_path / "x.png"
    path.write_bytes(png(**fields))
    refused(read_image, path, named="x.png")


@pytest.mark.parametrize(
    "header",
    [
        b"P5\n0 48\n255\n",
        b"P5\n64 0\n255\n",
        b"P5\n-64 48\n255\n",
        b"P5\n64 48\n0\n",
        b"P5\n64 48\n65536\n",
        b"P5\n64 48\n-1\n",
        b"P5\n64\n",
        b"P5\nwide high\n255\n",
        b"P5\n99999999999999999999 48\n255\n",
        b"P5\n100000 100000\n255\n",
        b"P7\n64 48\n255\n",
        b"P5",
        b"P5\n#" + b"x" * 5000,
    ],
    ids=lambda header: header[:24].decode(),
)
def test_a_pgm_that_says_what_cannot_be_is_refused(tmp_path, refused, header):
    path = tmp_path / "x.pgm"
    path.write_bytes(header + bytes(64 * 40))
    refused(read_image, path, named="x.pgm")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\n",
        b"not an image",
        b"\0" * 4096,
        b"\xff" * 4096,
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xda\xff\xd9",
        b"BM",
        b"II*\0",
        b"MM\0*",
        b"RIFF\0\0\0\0WEBP",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.4",
        b"PK\x03\x04",
        b"\x89HDF\r\n\x1a\n",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    ],
    ids=lambda content: repr(content[:12]),
)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ""])
def test_what_is_no_image_is_refused_whatever_its_name(tmp_path, refused, content, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    refused(read_image, path, named="x")


LONG = {
    "lines without end": b"P5" + b"\n" * 60_000,
    "spaces and comments": b"P5" + b" \n#\n" * 15_000,
    "a long number": b"P5\n" + b"9" * 60_000 + b" 48\n255\n",
    "a long maxval": b"P5\n64 48\n" + b"9" * 60_000 + b"\n",
    "widths and heights without end": b"P7\n" + b"WIDTH 1\nHEIGHT 1\n" * 3000,
    "a radiance without end": b"#?RADIANCE\n" + b"\n-Y 1 " * 9000,
    "a radiance of spaces": b"#?RADIANCE\n\n-Y" + b" " * 60_000,
}


@pytest.mark.parametrize("name", LONG)
def test_a_header_without_end_takes_no_time_without_end(tmp_path, refused, name):
    """Patterns that can read the same bytes in two ways try all of them."""
    path = tmp_path / "x.png"
    path.write_bytes(LONG[name])
    refused(read_image, path, named="x.png")


@pytest.mark.parametrize(("name", "suffix"), [("png", "jpg"), ("jpg", "png"), ("bmp", "tif"), ("webp", "ppm")])
def test_the_content_counts_and_not_the_name(tmp_path, name, suffix):
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(WHOLE[name])
    assert read_image(path).shape == (48, 64)


@pytest.mark.skipif(sys.platform == "win32", reason="no such files there")
@pytest.mark.parametrize("kind", ["fifo", "link to a fifo", "device", "link to a device", "folder", "dangling", "loop"])
def test_what_is_no_ordinary_file_is_refused_without_waiting(tmp_path, refused, kind):
    path, target = tmp_path / "x.png", tmp_path / "target"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link to a fifo":
        os.mkfifo(target)
        path.symlink_to(target)
    elif kind == "device":
        path = type(path)("/dev/zero")
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to(tmp_path / "nowhere")
    else:
        path.symlink_to(path)
    refused(read_image, path, named=path.name)
