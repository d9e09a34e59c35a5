"""Nothing draws from, or seeds, the global random states of those who call."""

import dataclasses
import random

import numpy as np
import pytest
import torch

from magicpoint.adaptation.labeller import Labeller
from magicpoint.adaptation.settings import AdaptationSettings
from magicpoint.core.errors import MachineError
from magicpoint.evaluation.methods.base import Selection
from magicpoint.evaluation.methods.network import NetworkOnShapes
from magicpoint.evaluation.methods.opencv import ON_PAIRS, ON_SHAPES
from magicpoint.inference.extractor import Extractor
from magicpoint.model.network import MagicPoint
from magicpoint.model.settings import ModelSettings
from magicpoint.model.weights import load_weights, save_weights
from magicpoint.model.widen import widen
from magicpoint.training.loop import train_model
from magicpoint.training.settings import TrainSettings
from magicpoint.training.tasks import magicpoint as task
from magicpoint.training.tasks.settings import MagicPointSettings
from synthetic_shapes import ShapeSettings

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64)).astype(np.uint8)
SETTINGS = TrainSettings(
    task=MagicPointSettings(model=ModelSettings(width=0.25), shapes=ShapeSettings(size_hw=(48, 64))),
    steps=1,
    batch_size=2,
    workers=0,
)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    return save_weights(tmp_path_factory.mktemp("weights") / "narrow.safetensors", MagicPoint(0.125), {})


@pytest.fixture
def extractor(narrow):
    return Extractor.load(narrow, device="cpu")


class Validator:
    def __init__(self, size_hw):
        pass

    def measure(self, model, device):
        return {"ap_clean": 0.5, "ap_noise": 0.5, "keypoints_per_image": 1.0}


def train(folder, narrow, monkeypatch, **changes):
    monkeypatch.setattr(task, "Validator", Validator)
    train_model(folder / "run", dataclasses.replace(SETTINGS, **changes), progress=False)


CALLS = {
    "load": lambda at: Extractor.load(at.narrow, device="cpu"),
    "load a shipped name": lambda at: Extractor.load("superpoint-tiny", device="cpu"),
    "from_pretrained": lambda at: Extractor.from_pretrained("superpoint-tiny", device="cpu"),
    "int8": lambda at: Extractor.load("superpoint-tiny", device="cpu", precision="int8"),
    "extract": lambda at: at.extractor.extract(IMAGE),
    "widen": lambda at: widen(load_weights(at.narrow)[0], 0.25),
    "train": lambda at: at.train(),
    "train from narrower weights": lambda at: at.train(start=str(at.narrow)),
    "label": lambda at: Labeller(at.extractor, AdaptationSettings(count=3)).label(IMAGE / np.float32(255), "a"),
    "detect": lambda at: [m.detect([IMAGE]) for m in (NetworkOnShapes(at.extractor), *ON_SHAPES.values())],
    "random points": lambda at: ON_PAIRS["random"].prepare(Selection(4, 4, 10, False))(IMAGE),
}


def numpy_state():
    return np.random.get_state()[1].tolist()  # noqa: NPY002


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_global_random_states_stay(call, narrow, extractor, tmp_path, monkeypatch):
    class At:
        def train(self, **changes):
            train(tmp_path, narrow, monkeypatch, **changes)

    at = At()
    at.narrow, at.extractor = narrow, extractor
    before = torch.get_rng_state(), numpy_state(), random.getstate()
    try:
        call(at)
    except MachineError as error:  # a processor without what int8 needs
        pytest.skip(str(error))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert numpy_state() == before[1]
    assert random.getstate() == before[2]
