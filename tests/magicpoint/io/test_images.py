import struct
import tracemalloc

import cv2
import numpy as np
import pytest
import torch
from PIL import Image as pillow
from PIL import ImageOps

from magicpoint.inference.extractor import as_input
from magicpoint.io import grey as grey_values
from magicpoint.io.finding import find_images
from magicpoint.io.grey import to_grey
from magicpoint.io.images import read_image, read_picture
from magicpoint.io.reading import ImageReading


def picture(height=40, width=56, seed=0):
    """A smooth uint8 (H, W, 3) image."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def encode(suffix, image, *options):
    encoded, content = cv2.imencode(suffix, image, *options)
    assert encoded
    return content.tobytes()


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(path.suffix, image))
    return path


def with_orientation(jpeg, orientation):
    """Puts an EXIF header with that orientation into a JPEG file."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0" + struct.pack("<2sHIH", b"II", 42, 8, 1) + entry + struct.pack("<I", 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize("orientation", [1, 6])
def test_grey_values_of_a_jpeg_are_the_brightness_that_it_stores(tmp_path, orientation):
    rng = np.random.default_rng(0)
    colours = cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), (80, 60), interpolation=cv2.INTER_CUBIC)
    jpeg = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(with_orientation(jpeg, orientation))
    grey = read_image(tmp_path / "a.jpg")
    assert grey.shape == ((60, 80) if orientation == 1 else (80, 60))
    stored = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(np.rint(255 * grey), stored if orientation == 1 else np.rot90(stored, -1))
    assert np.array_equal(read_image(tmp_path / "a.jpg", orientation="stored"), stored / np.float32(255))
    # The sum of the decoded colours, which are rounded, is near.
    shown = read_picture(tmp_path / "a.jpg")
    assert shown.shape == (*grey.shape, 3)
    assert np.abs(255 * to_grey(shown) - 255 * grey).mean() < 0.5
    assert np.ptp(shown, axis=2).max() > 30  # a picture keeps its colours


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_equal_channels_are_their_grey_value(dtype):
    grey = np.linspace(0, np.iinfo(dtype).max, 4096).astype(dtype).reshape(64, 64)
    expected = grey / np.float32(np.iinfo(dtype).max)
    for image in (grey, grey[..., None], np.dstack([grey] * 3)):
        result = to_grey(image)
        assert result.dtype == np.float32
        assert np.array_equal(result, expected)


def test_depths_agree():
    eight = picture()
    expected = to_grey(eight)
    for image in (eight.astype(np.uint16) * 257, (eight / 255).astype(np.float32), eight / 255):
        assert np.abs(to_grey(image) - expected).max() <= 1e-6
    assert np.array_equal(to_grey(np.array([[True, False]])), [[1, 0]])


def test_colours_have_the_weights_of_bt601():
    red_green_blue = np.eye(3, dtype=np.uint8)[None] * 255
    assert to_grey(red_green_blue) == pytest.approx(np.array([[0.299, 0.587, 0.114]]), abs=1e-7)


def test_tensors_have_their_channels_first():
    image = picture(5, 3)
    expected = to_grey(image)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    assert np.array_equal(to_grey(tensor), expected)
    assert np.abs(to_grey(tensor / 255) - expected).max() <= 1e-6
    grey = torch.rand(5, 3)
    assert np.array_equal(to_grey(grey[None]), grey.numpy())
    assert np.array_equal(to_grey(grey.requires_grad_()), grey.detach().numpy())
    assert to_grey(grey.bfloat16()).shape == (5, 3)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 5, 4), np.uint8), r"\(4, 5, 4\)"),
        (np.zeros((2, 1, 4, 5), np.uint8), r"\(2, 1, 4, 5\)"),
        (np.zeros(7, np.uint8), r"\(7,\)"),
        (torch.zeros(4, 5, 3), r"\(4, 5, 3\)"),
        (np.zeros((0, 5), np.uint8), r"\(0, 5\)"),
        (np.full((2, 2), 200.0), "200.0"),
        (np.array([[-0.5, 0.5]]), "-0.5"),
        (np.array([[np.nan, 0.5]]), "nan"),
        (np.array([[np.inf, 0.5]]), "inf"),
    ],
)
def test_unusable_arrays_are_refused(image, message):
    with pytest.raises(ValueError, match=message):
        to_grey(image)


def test_unusable_types_are_refused():
    with pytest.raises(TypeError, match="int64"):
        to_grey(np.zeros((2, 2), np.int64))
    with pytest.raises(TypeError, match="list"):
        to_grey([[0.0]])


def test_float_images_may_pass_their_range_by_rounding():
    assert np.array_equal(to_grey(np.array([[1.00001, -0.00001]])), [[1, 0]])


def grey_at_once(image):
    """What `to_grey` gives, of the whole image at once."""
    white = {"bool": 1, "uint8": 255, "uint16": 65535}.get(image.dtype.name, 1)
    values = image.astype(np.float32) / np.float32(white)
    if values.ndim == 3:
        red, green, blue = values[..., 0], values[..., values.shape[2] // 2], values[..., -1]
        values = green + np.float32(0.299) * (red - green) + np.float32(0.114) * (blue - green)
    return values.clip(0, 1)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(301, 601), (301, 601, 1), (301, 601, 3), (3, 70001, 3), (70001, 3)])
def test_rows_at_a_time_give_the_bits_of_all_at_once(monkeypatch, dtype, shape):
    monkeypatch.setattr(grey_values, "_BLOCK_PIXELS", 2**14)
    generator = np.random.default_rng(0)
    if dtype.startswith("float"):
        image = generator.uniform(-0.00005, 1.00005, shape).astype(dtype)
    else:
        image = generator.integers(0, {"bool": 2, "uint8": 256, "uint16": 65536}[dtype], shape).astype(dtype)
    for view in (image, image[::-1, ::-1], image[..., ::-1], image[1:, 1:]):
        result = to_grey(view)
        assert result.flags.c_contiguous
        assert np.array_equal(result.view(np.uint32), grey_at_once(view).view(np.uint32))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_large_image_needs_little_beside_itself_and_its_grey_values(dtype):
    image = np.zeros((3000, 4000, 3), dtype)
    tracemalloc.start()
    try:
        grey = to_grey(image)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert grey.nbytes == 4 * 3000 * 4000 <= peak
    assert peak < 1.1 * grey.nbytes


def test_the_range_in_the_message_is_that_of_the_whole_image(monkeypatch):
    monkeypatch.setattr(grey_values, "_BLOCK_PIXELS", 2)
    with pytest.raises(ValueError, match=r"from -3\.0 to 7\.0"):
        to_grey(np.array([[0.5, 2.0], [0.5, 7.0], [-3.0, 0.5]]))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".ppm"])
def test_files_and_arrays_give_the_same(tmp_path, suffix):
    image = picture()
    path = write(tmp_path / f"ünïcode 图{suffix}", image[..., ::-1])
    assert np.array_equal(read_image(path), to_grey(image))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_files_keep_sixteen_bits(tmp_path, suffix):
    image = np.arange(0, 65536, 23, dtype=np.uint16)[: 37 * 70].reshape(37, 70)
    assert np.array_equal(read_image(write(tmp_path / f"deep{suffix}", image)), to_grey(image))


def test_float_files_are_read(tmp_path):
    image = np.random.default_rng(0).random((4, 6), np.float32)
    assert np.array_equal(read_image(write(tmp_path / "a.tif", image)), image)


def test_transparency_is_dropped(tmp_path):
    image = picture()
    transparent = np.dstack([image[..., ::-1], np.full(image.shape[:2], 9, np.uint8)])
    assert np.array_equal(read_image(write(tmp_path / "a.png", transparent)), to_grey(image))


def test_exif_orientation_is_applied(tmp_path):
    image = np.zeros((16, 32), np.uint8)
    image[:, :16] = 255
    path = tmp_path / "turned.jpg"
    path.write_bytes(with_orientation(encode(".jpg", image), 6))
    seen = read_image(path)
    assert seen.shape == (32, 16)
    assert seen[:14].min() > 0.9
    assert seen[18:].max() < 0.1


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_exif_says_or_left_as_it_is_stored(tmp_path, form, orientation):
    stored = pillow.fromarray(picture())
    tag = pillow.Exif()
    tag[0x0112] = orientation
    path = tmp_path / f"turned.{form.lower()}"
    stored.save(path, form, exif=tag, **({"lossless": True} if form == "WEBP" else {}))
    with pillow.open(path) as opened:
        turned = ImageOps.exif_transpose(opened)
    most = 0.02 if form == "JPEG" else 1e-6  # two decoders of JPEG differ by a few grey levels
    for way, expected in (("exif", turned), ("stored", stored if form != "JPEG" else pillow.open(path))):
        expected = to_grey(np.asarray(expected))
        for found in (read_image(path, orientation=way), read_image(path, ImageReading(orientation=way))):
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, atol=most)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp", ".webp", ".ppm"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_truncated_files_are_named(tmp_path, suffix, kept):
    content = encode(suffix, picture())
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ValueError, match=rf"cut\{suffix}"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_an_empty_file_is_called_empty(tmp_path, suffix):
    path = tmp_path / f"nothing{suffix}"
    path.touch()
    with pytest.raises(ValueError, match=rf"nothing\{suffix} is empty$"):
        read_image(path)


def test_the_end_of_a_thumbnail_is_not_that_of_the_image(tmp_path):
    jpeg = encode(".jpg", picture())
    thumbnail = b"\xff\xec" + struct.pack(">H", 6) + b"\xff\xda\xff\xd9"
    path = tmp_path / "thumbnail.jpg"
    path.write_bytes(jpeg[:2] + thumbnail + jpeg[2:])
    assert read_image(path).shape == (40, 56)
    path.write_bytes(jpeg[:2] + thumbnail + jpeg[2:-100])
    with pytest.raises(ValueError, match=r"thumbnail\.jpg is truncated"):
        read_image(path)


@pytest.mark.parametrize("options", [(), ([cv2.IMWRITE_JPEG_PROGRESSIVE, 1],), ([cv2.IMWRITE_JPEG_RST_INTERVAL, 4],)])
def test_bytes_behind_a_jpeg_are_harmless(tmp_path, options):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(".jpg", picture(), *options) + bytes(100))
    assert read_image(path).shape == (40, 56)


def test_other_files_are_named(tmp_path):
    path = tmp_path / "text.png"
    path.write_text("no image")
    with pytest.raises(ValueError, match=r"text\.png"):
        read_image(path)
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "missing.png")


def test_padding_repeats_the_last_row_and_column():
    grey = np.arange(6, dtype=np.float32).reshape(2, 3) / 6
    padded = as_input(grey, 8)[0, 0].numpy()
    assert padded.shape == (8, 8)
    assert np.array_equal(padded[:2, :3], grey)
    assert (padded[2:] == padded[1]).all()
    assert (padded[:, 3:] == padded[:, 2:3]).all()
    assert as_input(np.zeros((8, 16), np.float32), 8).shape == (1, 1, 8, 16)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_keys_are_relative_to_the_folder_in_common(tmp_path):
    touch(tmp_path, "a/1.png", "a/deep/2.JPG", "b/1.png", "b/notes.txt", "b/.hidden.png", "b/.cache/1.png", "odd")
    assert list(find_images([tmp_path / "a"])) == ["1.png", "deep/2.JPG"]
    assert list(find_images([tmp_path / "a" / "1.png"])) == ["1.png"]
    assert list(find_images([tmp_path / "a" / "1.png", tmp_path / "b" / "1.png"])) == ["a/1.png", "b/1.png"]
    both = find_images([tmp_path / "b", tmp_path / "a", tmp_path / "a" / "1.png"])
    assert list(both) == ["a/1.png", "a/deep/2.JPG", "b/1.png"]
    assert both["a/deep/2.JPG"] == tmp_path / "a" / "deep" / "2.JPG"
    assert list(find_images([tmp_path / "odd", tmp_path / "b"])) == ["b/1.png", "odd"]


def test_a_folder_can_be_left_out(tmp_path):
    touch(tmp_path, "a/1.png", "overlays/1.png", "overlays/a/1.png")
    assert list(find_images([tmp_path], skip=[tmp_path / "overlays", None])) == ["a/1.png"]


def test_nothing_to_do_is_an_error(tmp_path):
    touch(tmp_path, "notes.txt")
    with pytest.raises(ValueError, match="no images"):
        find_images([tmp_path])
    with pytest.raises(ValueError, match="empty list"):
        find_images([])
    with pytest.raises(FileNotFoundError, match="missing"):
        find_images([tmp_path / "missing"])


def test_channels_at_the_wrong_end_are_named():
    with pytest.raises(ValueError, match=r"got a tensor of shape \(20, 30, 3\): a tensor whose channels come last\?"):
        to_grey(torch.zeros(20, 30, 3))
    with pytest.raises(ValueError, match=r"got an array of shape \(3, 20, 30\): an array whose channels come first\?"):
        to_grey(np.zeros((3, 20, 30), np.uint8))
    with pytest.raises(ValueError, match=r"got an array of shape \(2, 20, 30\)$"):
        to_grey(np.zeros((2, 20, 30), np.uint8))


def test_a_png_with_a_wrong_byte_is_damaged(tmp_path):
    content = bytearray(cv2.imencode(".png", picture())[1].tobytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.png is truncated or damaged"):
        read_image(tmp_path / "a.png")


def test_a_heic_image_is_called_that(tmp_path):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x24ftypheic" + bytes(64))
    with pytest.raises(ValueError, match=r"IMG_1\.HEIC is a HEIC image, which is not read: save it as JPEG or PNG"):
        read_image(tmp_path / "IMG_1.HEIC")
