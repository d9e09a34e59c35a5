"""Special files, declared sizes, ranges of values, and types of images."""

import logging
import os
import socket
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from magicpoint import ImageReading, read_image
from magicpoint.core.errors import InputError
from magicpoint.io.finding import find_images
from magicpoint.io.grey import GreyImage, to_grey
from magicpoint.io.headers import declared_size
from magicpoint.io.images import decode_image, open_image
from magicpoint.io.stream import Remarks
from magicpoint.io.video import open_source

SIDE = 60000


def png_header(width, height):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))

    def whole(body):
        return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))

    return b"\x89PNG\r\n\x1a\n" + whole(chunk) + whole(data) + whole(b"IEND")


def patched(suffix, *patches, **how):
    """An image of 64x64 pixels whose header says something else."""
    content = bytearray(cv2.imencode(suffix, np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    for place, value in patches:
        place = content.index(place) + len(place) if isinstance(place, bytes) else place
        content[place : place + len(value)] = value
    return bytes(content)


HUGE = {
    "png": png_header(SIDE, SIDE),
    "jpg": patched(".jpg", (b"\xff\xc0\x00\x11\x08", struct.pack(">HH", SIDE, SIDE))),
    "bmp": patched(".bmp", (18, struct.pack("<ii", SIDE, SIDE))),
    "upside_down_bmp": patched(".bmp", (18, struct.pack("<ii", SIDE, -SIDE))),
    "tif": patched(
        ".tif",
        (b"\x00\x01\x03\x00\x01\x00\x00\x00", struct.pack("<H", SIDE)),
        (b"\x01\x01\x03\x00\x01\x00\x00\x00", struct.pack("<H", SIDE)),
    ),
    "webp": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + struct.pack("<I", SIDE - 1)[:3] * 2,
    "gif": patched(".gif", (6, struct.pack("<HH", SIDE, SIDE))),
    "jp2": patched(".jp2", (b"\xff\x4f\xff\x51\x00\x2f\x00\x00", struct.pack(">II", SIDE, SIDE))),
    "pgm": b"P5\n# a comment\n60000 60000\n255\n",
    "pam": b"P7\nWIDTH 60000\nHEIGHT 60000\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n",
    "pfm": b"Pf\n60000 60000\n-1.0\n",
    "ras": b"\x59\xa6\x6a\x95" + struct.pack(">7I", SIDE, SIDE, 8, 0, 1, 0, 0),
    "hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 60000 +X 60000\n",
}


@pytest.mark.parametrize("kind", HUGE)
def test_images_that_say_they_are_huge_are_refused_by_name(tmp_path, kind, monkeypatch):
    path = tmp_path / f"huge.{kind}"
    path.write_bytes(HUGE[kind])
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("memory would be taken"))
    with pytest.raises(InputError, match=rf"huge\.{kind} says it has 60000x60000 .* max_megapixels 200"):
        read_image(path)


def test_the_limit_of_the_size_can_be_moved(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((100, 100), np.uint8))
    assert read_image(path, ImageReading(max_megapixels=0.01)).shape == (100, 100)
    with pytest.raises(InputError, match=r"a\.png .*100x100.*max_megapixels 0\.009"):
        read_image(path, ImageReading(max_megapixels=0.009))


def test_a_file_without_end_is_not_read(tmp_path):
    path = tmp_path / "sparse.png"
    with open(path, "wb") as file:
        file.truncate(10**12)
    with pytest.raises(InputError, match=r"sparse\.png has 1000000000000 bytes"):
        read_image(path)


SPECIAL = {"pipe": os.mkfifo, "link": lambda path: os.symlink("/dev/zero", path), "socket": None}


def make_special(path, kind):
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            os.chdir(path.parent)  # the name of a socket is short
            one.bind(path.name)
    else:
        SPECIAL[kind](path)
    return path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_is_refused_without_opening_it(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = make_special(tmp_path / "special.png", kind)
    for refuse in (read_image, lambda path: find_images([path]), open_source):
        with pytest.raises(InputError, match=r"special\.png is no file but"):
            refuse(path)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8), np.uint8))
    assert list(find_images([tmp_path])) == ["a.png", "special.png"]  # it is skipped with this reason


def thermal(low=7000, high=7510):
    """16 bits of which a scene uses few values."""
    ramp = np.linspace(low, high, 64 * 64).reshape(64, 64)
    return np.random.default_rng(0).permutation(ramp.ravel()).reshape(64, 64).astype(np.uint16)


RANGES = {
    # values, the range, black and white
    "thermal": (thermal(), "auto", (7000, 7510)),
    "high": (thermal(60000, 61000), "auto", (60000, 61000)),
    "twelve_bits": (thermal(0, 4095), "auto", (0, 4095)),
    "fourteen_bits": (thermal(0, 16383), "auto", (0, 16383)),
    "all_values": (thermal(0, 65535), "auto", (0, 65535)),
    "most_values": (thermal(3000, 60000), "auto", (0, 65535)),
    "hazy": (thermal(30000, 45000), "auto", (0, 65535)),
    "flat": (np.full((8, 8), 7000, np.uint16), "auto", (0, 65535)),
    "eight_bits": (thermal(100, 110).astype(np.uint8), "auto", (0, 255)),
    "full": (thermal(), "full", (0, 65535)),
    "given": (thermal(), "7000,8000", (7000, 8000)),
    "given_of_eight_bits": (thermal(100, 110).astype(np.uint8), "100,120.5", (100, 120.5)),
    "kelvin": (thermal(0, 65535).astype(np.float32) / 65535 * 40 + 270, "auto", (270, 310)),
    "unit": (thermal(0, 6553).astype(np.float32) / 65535, "auto", (0, 1)),
    "signed": (thermal(0, 4000).astype(np.int16) - 2000, "auto", (-2000, 2000)),
}


@pytest.mark.parametrize("case", RANGES)
def test_black_and_white(tmp_path, case):
    values, wanted, (black, white) = RANGES[case]
    path = tmp_path / "a.tif"
    assert cv2.imwrite(str(path), values)
    grey = read_image(path, ImageReading(range=wanted))
    expected = ((values.astype(np.float64) - black) / (white - black)).clip(0, 1)
    assert np.abs(grey - expected).max() <= 0.0025  # the tails of 0.1 % at either end


def test_a_hot_and_a_dead_pixel_change_nothing(tmp_path):
    values = thermal()
    values[5, 5], values[9, 9] = 0, 65535
    assert to_grey(values).std() > 0.28  # of evenly spread values 0.289


def test_arrays_and_files_have_the_same_range(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), thermal())
    assert np.array_equal(read_image(tmp_path / "a.png"), to_grey(thermal()))
    for wanted in ("auto", "full", "7000,8000"):
        reading = ImageReading(range=wanted)
        expected = read_image(tmp_path / "a.png", reading)
        for form in (thermal(), torch.from_numpy(thermal()), Image.fromarray(thermal())):
            assert np.array_equal(open_image(form, reading).grey, expected)


@pytest.mark.parametrize("magic", [b"P5", b"P6", b"P2"])
@pytest.mark.parametrize("largest", [15, 255, 1023, 4095, 65535])
def test_the_largest_value_of_a_portable_map_is_white(tmp_path, magic, largest):
    values = np.repeat([0, largest // 2, largest], 12)
    deep = ">u2" if largest > 255 else np.uint8
    text = b" ".join(b"%d" % value for value in values)
    size = b"4 3" if magic == b"P6" else b"12 3"
    content = text + b"\n" if magic == b"P2" else values.astype(deep).tobytes()
    path = tmp_path / "a.pgm"
    path.write_bytes(magic + b"\n" + size + b"\n%d\n" % largest + content)
    for wanted in ("auto", "full"):
        grey = read_image(path, ImageReading(range=wanted))
        assert grey[:, 0] == pytest.approx([0, largest // 2 / largest, 1], abs=0.003)


@pytest.mark.parametrize("wrong", ["Auto", "5", "7,5", "1,2,3", "nan,1", "0,inf", "", None])
def test_a_range_that_is_none_is_refused(wrong):
    with pytest.raises(InputError, match=r"range must be auto, full or LOW,HIGH"):
        ImageReading(range=wrong)


def test_not_finite_values_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.tif"), np.full((4, 4), np.nan, np.float32))
    with pytest.raises(InputError, match=r"a\.tif: some of its values are no finite numbers"):
        read_image(tmp_path / "a.tif")


def test_files_of_other_types_are_named(tmp_path, caplog):
    for name in ("a.heic", "b.heic", "c.xyz", "notes.txt", ".hidden.heic"):
        (tmp_path / name).write_bytes(b"no image that OpenCV reads")
    with pytest.raises(InputError, match=r"no images in .* \(files of other types: \.heic 2, \.txt 1, \.xyz 1\)"):
        find_images([tmp_path])
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8), np.uint8))
    with caplog.at_level(logging.WARNING, "magicpoint"):
        find_images([tmp_path], say_passed_over=True)
    assert caplog.messages == ["passed over, of other types: .heic 2, .txt 1, .xyz 1"]


@pytest.mark.parametrize("suffix", [".gif", ".avif", ".jp2", ".pam", ".hdr", ".ras"])
def test_what_opencv_reads_is_found_and_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    if not cv2.haveImageWriter(str(path)):
        pytest.skip("this OpenCV has no such format")
    image = np.full((64, 96, 3), 128, np.uint8)
    cv2.imwrite(str(path), image if suffix != ".hdr" else image.astype(np.float32) / 255)
    assert list(find_images([tmp_path])) == [path.name]
    assert read_image(path).shape == (64, 96)


def test_of_an_animation_the_first_frame_is_read(tmp_path):
    frames = [Image.new("L", (24, 16), value) for value in (255, 0)]
    for suffix in ("gif", "png", "webp", "tif"):
        path = tmp_path / f"a.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        image = decode_image(path.read_bytes(), path)
        assert image.several
        assert image.grey.min() > 0.9
        frames[0].save(path)
        assert not decode_image(path.read_bytes(), path).several


@pytest.mark.parametrize("pattern", ["*.png", "**/*.png", "[ab].png"])
def test_patterns_are_expanded_where_no_shell_does(tmp_path, pattern):
    for name in ("a.png", "b.png", "c.jpg"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8), np.uint8))
    assert list(find_images([tmp_path / pattern])) == ["a.png", "b.png"]
    (tmp_path / "[ab].png").write_bytes(b"")
    if pattern == "[ab].png":
        assert list(find_images([tmp_path / pattern])) == ["[ab].png"]


def test_it_is_said_what_was_stretched_and_what_is_the_first_of_several():
    remarks = Remarks()
    remarks.add("a.png", GreyImage(np.zeros((1, 1), np.float32), limits=(7000, 7510), stretched=True))
    assert remarks.lines() == ["range auto: 1 image uses few values; black is 7000, white 7510"]
    for key in ("b.gif", "c.png"):
        remarks.add(key, GreyImage(np.zeros((1, 1), np.float32), None, (0, 4095), key == "c.png", key == "b.gif"))
    assert remarks.lines() == [
        "range auto: 2 images use few values; black is 0 to 7000, white 4095 to 7510",
        "1 image is animated or of several pages, of which the first was taken, such as b.gif",
    ]


@pytest.mark.parametrize(
    "suffix", [".png", ".jpg", ".bmp", ".tif", ".webp", ".gif", ".avif", ".jp2", ".ppm", ".pam", ".ras"]
)
def test_a_header_says_the_size(suffix):
    if not cv2.haveImageWriter(f"a{suffix}"):
        pytest.skip("this OpenCV has no such format")
    content = cv2.imencode(suffix, np.zeros((64, 96, 3), np.uint8))[1].tobytes()
    assert declared_size(content) == (96, 64)
    assert declared_size(content[:6]) is None


def test_the_header_of_tiff_in_its_other_forms(tmp_path):
    Image.new("L", (96, 64)).save(tmp_path / "big.tif", big_tiff=True)
    assert declared_size((tmp_path / "big.tif").read_bytes()) == (96, 64)
    fields = struct.pack(">HHIHHHHIHH", 256, 3, 1, 96, 0, 257, 3, 1, 64, 0)
    assert declared_size(b"MM\0*" + struct.pack(">IH", 8, 2) + fields + bytes(4)) == (96, 64)
