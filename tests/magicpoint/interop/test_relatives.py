"""hloc, glue-factory and vismatch: with their own classes where they are installed, and with those they document."""

import importlib
import json
import sys
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from magicpoint.core.errors import InputError, MissingPackageError
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.inference.extractor import Extractor
from magicpoint.interop.hloc_extractor import hloc_conf
from magicpoint.interop.vismatch import vismatch_matcher
from magicpoint.matching.nearest import match_features

WEIGHTS = "superpoint-tiny"


class HlocModel(nn.Module):
    default_conf, required_inputs = {}, ()

    def __init__(self, conf):
        super().__init__()
        self._init({**self.default_conf, **conf})

    def forward(self, data):
        assert all(key in data for key in self.required_inputs)
        return self._forward(data)


class GlueFactoryModel(nn.Module):
    def __init__(self, conf):
        super().__init__()
        self.conf = SimpleNamespace(**{**self.default_conf, **conf})
        self._init(self.conf)

    def set_initialized(self):
        pass

    def forward(self, data):
        assert all(key in data for key in self.required_data_keys)
        return self._forward(data)


class Matcher(nn.Module):
    def __init__(self, device="cpu", **options):
        super().__init__()
        self.device = device

    def forward(self, img0, img1):
        names = ("matched_kpts0", "matched_kpts1", "all_kpts0", "all_kpts1", "all_desc0", "all_desc1")
        outputs = self._forward(img0.to(self.device), img1.to(self.device))
        return dict(zip((*names, "matched_confidences"), (value.numpy() for value in outputs), strict=True))


def pad_to_length(values, length, pad_dim=-2, mode="zeros", bounds=(None, None)):
    missing = length - values.shape[pad_dim]
    if mode == "zeros":
        return torch.cat((values, torch.zeros(missing)))
    low, high = values.min(0).values, values.max(0).values
    return torch.cat((values, low + torch.rand(missing, 2) * (high - low)))


CONTRACT = {
    "hloc.utils.base_model": {"BaseModel": HlocModel},
    "gluefactory.models.base_model": {"BaseModel": GlueFactoryModel},
    "gluefactory.models.utils.misc": {"pad_to_length": pad_to_length},
    "vismatch": {"BaseMatcher": Matcher},
}


@pytest.fixture(params=["contract", "real"])
def package(request, monkeypatch):
    """A function that gives a package, its own or one with just the documented base class."""

    def provide(name):
        modules = {path: members for path, members in CONTRACT.items() if path.split(".")[0] == name}
        for path in modules if request.param == "real" else ():
            pytest.importorskip(path)
        for path, members in modules.items() if request.param == "contract" else ():
            for end in range(1, len(path.split("."))):
                monkeypatch.setitem(sys.modules, ".".join(path.split(".")[:end]), ModuleType("package"))
            module = ModuleType(path)
            vars(module).update(members)
            monkeypatch.setitem(sys.modules, path, module)
        monkeypatch.delitem(sys.modules, "magicpoint.interop.gluefactory", raising=False)
        monkeypatch.delitem(sys.modules, "hloc.extractors.magicpoint", raising=False)
        return request.param

    return provide


@pytest.fixture(scope="module")
def image():
    noise = np.random.default_rng(0).integers(0, 256, (30, 40)).astype(np.uint8)
    return cv2.resize(noise, (160, 120), interpolation=cv2.INTER_NEAREST)


def as_tensor(image):
    return torch.from_numpy(image / np.float32(255))


def extractor(settings=None):
    return Extractor.load(WEIGHTS, settings, "cpu")


def test_hloc_extracts_with_it(package, image):
    package("hloc")
    conf = hloc_conf(WEIGHTS, DecodeSettings(max_keypoints=30), resize_max=1024)
    assert json.loads(json.dumps(conf))["preprocessing"] == {"grayscale": True, "resize_max": 1024}
    module = __import__("hloc.extractors.magicpoint", fromlist=[""])  # as hloc does it
    [Model] = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    model = Model(conf["model"]).eval()
    found = {name: values[0].numpy() for name, values in model({"image": as_tensor(image)[None, None]}).items()}
    expected = extractor(DecodeSettings(max_keypoints=30)).extract(as_tensor(image))
    np.testing.assert_array_equal(found["keypoints"], expected.keypoints)
    np.testing.assert_array_equal(found["scores"], expected.keypoint_scores)
    np.testing.assert_array_equal(found["descriptors"], expected.descriptors.T)
    with pytest.raises(InputError, match="one image at a time"):
        model({"image": torch.zeros(2, 1, 64, 64)})


def test_glue_factory_gets_positions_from_the_corner(package, image):
    kind = package("gluefactory")
    module = importlib.import_module("magicpoint.interop.gluefactory")
    model = module.MagicPoint({"weights": WEIGHTS, "max_num_keypoints": 25})
    colours = as_tensor(image).expand(1, 3, 120, 160)
    found = model({"image": colours})
    expected = extractor(DecodeSettings(max_keypoints=25)).extract(colours[0])
    assert torch.equal(found["keypoints"][0], expected.keypoints + 0.5)
    assert torch.equal(found["keypoint_scores"][0], expected.keypoint_scores)
    assert torch.equal(found["descriptors"][0], expected.descriptors)
    # What is padding has no keypoints.
    padded = torch.zeros(1, 1, 200, 240)
    padded[0, 0, :120, :160] = as_tensor(image)
    if kind == "real":
        assert sys.modules["gluefactory.models"].get_model("magicpoint.interop.gluefactory") is module.MagicPoint
    inside = model({"image": padded, "image_size": torch.tensor([[160, 120]])})
    assert torch.equal(inside["keypoints"], found["keypoints"])


def test_glue_factory_fills_up_to_the_number_that_it_wants(package, image):
    package("gluefactory")
    module = importlib.import_module("magicpoint.interop.gluefactory")
    batch = torch.stack((as_tensor(image), as_tensor(image).flip(0) / 2 + 0.25))[:, None]
    conf = {"weights": WEIGHTS, "max_num_keypoints": 500}
    found = module.MagicPoint({**conf, "force_num_keypoints": True})({"image": batch})
    assert {name: tuple(values.shape) for name, values in found.items()} == {
        "keypoints": (2, 500, 2),
        "keypoint_scores": (2, 500),
        "descriptors": (2, 500, 256),
    }
    count = int((found["keypoint_scores"][0] > 0).sum())
    assert 5 < count < 500
    at = found["keypoints"][0, count:] - 0.5
    assert torch.equal(found["descriptors"][0, count:], extractor().describe(batch[0], at))
    with pytest.raises(InputError, match="force_num_keypoints needs"):
        module.MagicPoint({"weights": WEIGHTS, "force_num_keypoints": True})


def test_vismatch_matches_with_it(package, image):
    package("vismatch")
    matcher = vismatch_matcher(WEIGHTS, DecodeSettings(max_keypoints=40))
    colours = as_tensor(image).expand(3, 120, 160)
    brighter = matcher(colours, colours * 1.1)  # vismatch allows values somewhat outside [0, 1]
    features = extractor(DecodeSettings(max_keypoints=40)).extract(colours)
    assert len(brighter["all_kpts0"]) == len(brighter["all_desc0"]) == len(features)
    matches = match_features(features, features)
    same = matcher(colours, colours)
    np.testing.assert_array_equal(same["matched_kpts0"], features.keypoints[matches.matches01[:, 0]])
    np.testing.assert_array_equal(same["matched_kpts0"], same["matched_kpts1"])
    np.testing.assert_array_equal(same["matched_confidences"], matches.scores)


@pytest.mark.parametrize("name", ["hloc", "gluefactory", "vismatch"])
def test_it_is_said_where_a_missing_one_comes_from(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    for module in [module for module in sys.modules if module.startswith((f"{name}.", "magicpoint.interop.glue"))]:
        monkeypatch.delitem(sys.modules, module)
    calls = {
        "hloc": hloc_conf,
        "gluefactory": lambda: importlib.import_module("magicpoint.interop.gluefactory").MagicPoint,
        "vismatch": vismatch_matcher,
    }
    with pytest.raises(MissingPackageError, match=rf"this needs {name}: install it from https://github\.com/"):
        calls[name]()


def test_a_detector_cannot_match_there(package):
    package("vismatch")
    with pytest.raises(InputError, match="give no descriptors"):
        vismatch_matcher("magicpoint")
