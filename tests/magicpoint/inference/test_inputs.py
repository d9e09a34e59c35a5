"""What an extractor takes for an image: Pillow's modes, batches, and words for what is none."""

import multiprocessing

import numpy as np
import pytest
import torch
from PIL import Image

from magicpoint import DecodeSettings, Extractor, Features, labels2Dto3D
from magicpoint.core.errors import InputError
from magicpoint.io.grey import to_grey
from magicpoint.io.images import open_image
from magicpoint.model.network import Output
from magicpoint.model.settings import ModelSettings

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (24, 32)).astype(np.uint8)
COLOURS = RNG.integers(0, 256, (24, 32, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def extractor():
    return Extractor.load("superpoint-tiny", DecodeSettings(max_keypoints=5, threshold=0), device="auto")


def palette():
    return Image.fromarray(COLOURS).quantize(16)


PILLOW = {
    "L": (Image.fromarray(GREY), GREY),
    "RGB": (Image.fromarray(COLOURS), COLOURS),
    "1": (Image.fromarray(GREY > 100), GREY > 100),
    "P": (palette(), np.asarray(palette().convert("RGB"))),
    "I;16": (Image.fromarray(GREY.astype(np.uint16) * 257), GREY),
    "I": (Image.fromarray(GREY.astype(np.int32) * 257), GREY),
    "F": (Image.fromarray(GREY.astype(np.float32) / 255), GREY),
    "CMYK": (Image.fromarray(COLOURS).convert("CMYK"), COLOURS),
    "LA": (Image.fromarray(GREY).convert("LA"), GREY),
    "RGBA": (Image.fromarray(COLOURS).convert("RGBA"), COLOURS),
}


@pytest.mark.parametrize("mode", PILLOW)
def test_images_of_pillow_are_their_values(extractor, mode):
    image, same = PILLOW[mode]
    assert image.mode == mode
    opened = open_image(image)
    assert opened.mask is None
    assert np.abs(opened.grey - to_grey(same)).max() < 1e-6
    assert extractor.extract(image).image_size == (32, 24)


def test_transparency_is_a_mask_in_any_form(tmp_path):
    alpha = np.where(np.arange(32) < 16, 0, 255).astype(np.uint8) * np.ones((24, 1), np.uint8)
    array = np.dstack([COLOURS, alpha])
    image = Image.fromarray(array)
    with_key = palette()
    with_key.info["transparency"] = 0
    for form in (
        array,
        image,
        torch.from_numpy(array).permute(2, 0, 1),
        array / 255,
        Image.merge("LA", (image.getchannel(0), image.getchannel(3))),
    ):
        assert np.array_equal(open_image(form).mask, alpha > 0)
    assert np.array_equal(open_image(with_key).mask, np.asarray(palette()) != 0)


@pytest.mark.parametrize("form", ["NHWC", "NCHW", "NHW", "list"])
def test_a_batch_gives_what_its_images_give(extractor, form):
    images = RNG.integers(0, 256, (2, 24, 32, 3)).astype(np.uint8)
    batch = {
        "NHWC": images,
        "NCHW": torch.from_numpy(images).permute(0, 3, 1, 2),
        "NHW": images[..., 0],
        "list": list(images),
    }[form]
    expected = [extractor.extract(image[..., 0] if form == "NHW" else image) for image in images]
    for found, one in zip(extractor.extract_batch(batch), expected, strict=True):
        assert torch.equal(found.keypoints, one.keypoints)


WRONG = {
    "batch": (np.zeros((2, 24, 32, 3), np.uint8), r"a batch of them is for extract_batch"),
    "batch_of_one": (torch.zeros(1, 1, 24, 32), r"a batch of them is for extract_batch"),
    "channels_last": (torch.zeros(24, 32, 3), r"a tensor whose channels come last\?"),
    "alpha_last": (torch.zeros(24, 32, 4), r"a tensor whose channels come last\?"),
    "channels_first": (np.zeros((3, 24, 32), np.uint8), r"an array whose channels come first\?"),
    "up_to_255": (GREY.astype(np.float32), r"in \[0, 1\], got values from .*: divide by 255"),
    "negative": (GREY.astype(np.float32) - 300, r"in \[0, 1\], got values from [^:]*$"),
    "nan": (np.full((8, 8), np.nan), r"in \[0, 1\], got values from nan"),
    "empty": (np.zeros((0, 8), np.uint8), r"at least one pixel"),
    "wide_pillow": (Image.fromarray(np.full((8, 8), 70000, np.int32)), r"mode I must lie in \[0, 65535\], got 70000"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_image_is_refused_with_the_way_out(extractor, case):
    image, said = WRONG[case]
    with pytest.raises(ValueError, match=said):
        extractor.extract(image)


@pytest.mark.parametrize("wrong", [[[0.0]], None, 7, np.zeros((8, 8), np.int64)], ids=str)
def test_what_holds_no_pixels_has_a_wrong_type(extractor, wrong):
    with pytest.raises(TypeError, match="image must be"):
        extractor.extract(wrong)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:x", "7 of 9"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(InputError, match="device"):
        Extractor.load("superpoint-tiny", device=device)


def test_features_say_in_short_what_they_are():
    features = Features(torch.zeros(3, 2), torch.zeros(3), torch.zeros(3, 64), (32, 24))
    assert repr(features) == "Features(3 keypoints, descriptors of length 64, image of 32x24)"
    assert repr(Features(torch.zeros(0, 2), torch.zeros(0), None, (32, 24))) == "Features(0 keypoints, image of 32x24)"


def test_opening_an_extractor_draws_no_random_numbers():
    before = torch.get_rng_state()
    Extractor.from_pretrained("superpoint-tiny")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_a_spawned_process_is_given_an_extractor_of_onnx_runtime():
    pytest.importorskip("onnxruntime")
    extractor = Extractor.load("superpoint-tiny", backend="onnxruntime")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        [found] = pool.map(extractor.extract, [GREY])
    assert torch.equal(found.keypoints, extractor.extract(GREY).keypoints)


class BrightPixels(torch.nn.Module):
    """A network that is certain of a keypoint in every pixel brighter than one half."""

    settings = ModelSettings()

    def forward(self, image):
        return Output((labels2Dto3D((image > 0.5).float()) + 1e-6).log(), None)


def test_keypoints_of_a_shrunk_image_are_in_pixels_of_the_image():
    image = np.zeros((64, 96), np.uint8)
    image[20:22, 40:42] = 200  # one pixel of half the size, whose centre is that of the four
    settings = DecodeSettings(nms_radius=2)
    shrunk = Extractor(BrightPixels(), settings, "cpu", longest_side=48)
    features = shrunk.extract(image)
    assert (features.keypoints.tolist(), features.image_size) == ([[40.5, 20.5]], (96, 64))
    assert Extractor(BrightPixels(), settings, "cpu", longest_side=96).extract(image).image_size == (96, 64)
    mask = np.ones_like(image)
    mask[:, 60:] = 0  # 18 pixels from the keypoint, 9 of the shrunk ones
    assert len(shrunk.extract(image, mask)) == 1
    mask[:, 56:] = 0
    assert len(shrunk.extract(image, mask)) == 0
