"""An extractor in the place of kornia's local features, and its features for LightGlue."""

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from magicpoint.core.types import Features
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.inference.extractor import Extractor
from magicpoint.interop.kornia import LocalFeature

PHOTOGRAPH = Path(__file__).parents[3] / "notebooks" / "images" / "cameraman.png"
H_0TO1 = np.array([[0.96, -0.12, 40.0], [0.1, 0.98, -12.0], [8e-5, -5e-5, 1.0]])


@pytest.fixture(scope="module")
def views():
    """Two views of a plane as a batch (2, 1, H, W), with `H_0TO1` between them."""
    photograph = cv2.imread(str(PHOTOGRAPH), cv2.IMREAD_GRAYSCALE)
    turned = cv2.warpPerspective(photograph, H_0TO1, photograph.shape[::-1])
    return torch.from_numpy(np.stack((photograph, turned))).float()[:, None] / 255


@pytest.fixture(scope="module")
def extractor():
    return Extractor.from_pretrained("superpoint-tiny", DecodeSettings(max_keypoints=500), device="cpu")


@pytest.fixture(scope="module")
def kornia():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("kornia.feature")


def test_frames_responses_and_descriptors_are_those_of_the_extractor(random_network):
    extractor = Extractor(random_network(), device="cpu")
    image = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0))
    expected = extractor.extract(image)
    frames, responses, descriptors = LocalFeature(extractor)(image[None])
    assert frames.shape == (1, len(expected), 2, 3)
    assert torch.equal(frames[0, :, :, 2], expected.keypoints)
    assert torch.equal(frames[0, :, :, :2], (4 * torch.eye(2)).expand(len(expected), 2, 2))
    assert torch.equal(responses[0], expected.keypoint_scores)
    assert torch.equal(descriptors[0], expected.descriptors)


def test_what_an_image_lacks_of_a_batch_is_zeros(random_network):
    extractor = Extractor(random_network(), device="cpu")
    images = torch.rand(2, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 1, 48, 64)
    mask[1, :, :, :40] = 0
    frames, responses, descriptors = LocalFeature(extractor)(images, mask)
    expected = extractor.extract(images[0])
    assert torch.equal(frames[0, :, :, 2], expected.keypoints)
    count = int((responses[1] > 0).sum())
    assert 0 < count < len(expected)
    assert (frames[1, :count, 0, 2] >= 39.5).all()
    for values in (frames, responses, descriptors):
        assert values[1, :count].flatten(1 if values.ndim > 2 else 0).abs().sum() > 0
        assert not values[1, count:].any()


def test_what_is_no_batch_and_who_gives_no_descriptors_is_refused(random_network):
    feature = LocalFeature(Extractor(random_network(), device="cpu"))
    with pytest.raises(ValueError, match=r"got \(1, 48, 64\) and None"):
        feature(torch.zeros(1, 48, 64))
    with pytest.raises(ValueError, match=r"got \(1, 1, 48, 64\) and \(1, 48, 64\)"):
        feature(torch.zeros(1, 1, 48, 64), torch.ones(1, 48, 64))
    with pytest.raises(ValueError, match="give no descriptors"):
        LocalFeature(Extractor(random_network(descriptor_dim=0), device="cpu"))


def test_kornias_matcher_finds_a_known_homography(kornia, extractor, views):
    matcher = kornia.LocalFeatureMatcher(LocalFeature(extractor), kornia.DescriptorMatcher("mnn"))
    found = matcher({"image0": views[:1], "image1": views[1:]})
    points0, points1 = found["keypoints0"].numpy(), found["keypoints1"].numpy()
    errors = np.linalg.norm(cv2.perspectiveTransform(points0[None], H_0TO1)[0] - points1, axis=1)
    assert (errors < 3).sum() > 100
    assert np.median(errors[errors < 3]) < 1.5
    assert torch.equal(kornia.get_laf_scale(found["lafs0"]).unique().round(decimals=4), torch.tensor([4.0]))


def test_kornia_matches_no_place_that_is_not_filled(kornia, extractor, views):
    mask = torch.ones_like(views)
    mask[1, :, :, 100:] = 0
    feature = LocalFeature(extractor)
    frames, responses, _ = feature(views, mask)
    assert kornia.laf_is_filled(frames).tolist() == (responses > 0).tolist()
    assert not kornia.laf_is_filled(frames).all()
    matcher = kornia.LocalFeatureMatcher(feature, kornia.DescriptorMatcher("nn"))
    found = matcher({"image0": views, "image1": views.flip(0), "mask0": mask, "mask1": mask.flip(0)})
    assert (found["keypoints0"].abs().sum(1) > 0).all()
    assert (found["keypoints1"].abs().sum(1) > 0).all()
    second = found["batch_indexes"] == 1
    assert second.sum() == (responses[1] > 0).sum()
    assert (found["keypoints0"][second][:, 0] < 100).all()


def test_features_become_a_batch_for_lightglue():
    features = Features(torch.rand(7, 2), torch.rand(7), torch.rand(7, 16), (640, 480))
    given = features.as_lightglue()
    assert {name: tuple(values.shape) for name, values in given.items()} == {
        "keypoints": (1, 7, 2),
        "keypoint_scores": (1, 7),
        "descriptors": (1, 7, 16),
        "image_size": (1, 2),
    }
    assert {values.dtype for values in given.values()} == {torch.float32}
    assert given["image_size"].tolist() == [[640, 480]]
    assert torch.equal(given["keypoints"][0], features.keypoints)
    assert torch.equal(given["descriptors"][0], features.descriptors)
    with pytest.raises(ValueError, match="needs descriptors"):
        Features(torch.rand(7, 2), torch.rand(7), None, (640, 480)).as_lightglue()


def test_lightglue_reads_the_image_size_as_it_reads_the_image(kornia, extractor, views):
    torch.manual_seed(0)
    matcher = kornia.LightGlue(None, input_dim=256, n_layers=2, filter_threshold=0.0).eval()  # untrained: no download
    wide = views[:, :, :300]  # 512x300: the two sides can be told apart
    inputs = [extractor.extract(view).as_lightglue() for view in wide]
    with torch.no_grad():
        found = matcher({"image0": inputs[0], "image1": inputs[1]})
        for given, view in zip(inputs, wide, strict=True):
            del given["image_size"]
            given["image"] = view[None]
        expected = matcher({"image0": inputs[0], "image1": inputs[1]})
    assert found["matches0"].shape == (1, inputs[0]["keypoints"].shape[1])
    assert (found["matches0"] >= 0).any()
    assert torch.equal(found["matches0"], expected["matches0"])
    assert torch.equal(found["matching_scores0"], expected["matching_scores0"])
