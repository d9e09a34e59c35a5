"""precision="auto": the fastest number format that keeps the keypoints, measured once and remembered."""

import json

import pytest
import torch

from magicpoint.core.errors import MachineError
from magicpoint.inference import fastest
from magicpoint.inference.extractor import Extractor
from magicpoint.inference.fastest import fastest_precision
from magicpoint.model.network import MagicPoint

CPU = torch.device("cpu")


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MagicPoint(0.125).eval()


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A function that says which times the formats take; those in `wrong` find no keypoint where float32 does."""
    monkeypatch.setenv("MAGICPOINT_CACHE", str(tmp_path))
    opened = []

    def set_up(seconds, wrong=(), missing=()):
        opened.clear()

        def open_network(model, device, precision):
            opened.append(precision)
            if precision in missing:
                raise MachineError("not here")
            return precision

        def features(network, image):
            points = torch.tensor([[5.0, 5.0 + 10 * (network in wrong)]])
            return fastest.Features(points, torch.ones(1), None, (320, 240))

        monkeypatch.setattr(fastest, "open_network", open_network)
        monkeypatch.setattr(fastest, "_features", features)
        monkeypatch.setattr(fastest, "_seconds", lambda networks, device: {name: seconds[name] for name in networks})
        return opened

    return set_up


TIMES = {"float32": 1.0, "bfloat16": 0.5, "int8": 0.3}


@pytest.mark.parametrize(
    ("seconds", "options", "taken"),
    [
        (TIMES, {}, "int8"),
        (TIMES, {"wrong": ["int8"]}, "bfloat16"),
        (TIMES, {"missing": ["int8"]}, "bfloat16"),
        (TIMES, {"wrong": ["int8", "bfloat16"]}, "float32"),
        ({"float32": 1.0, "bfloat16": 0.81, "int8": 3.0}, {}, "float32"),
    ],
)
def test_the_fastest_that_keeps_the_keypoints_is_taken(model, machine, seconds, options, taken):
    machine(seconds, **options)
    assert fastest_precision(model, CPU, "torch") == taken


def test_it_is_measured_once_for_a_network_on_a_machine(model, machine, monkeypatch):
    opened = machine(TIMES)
    assert fastest_precision(model, CPU, "torch") == "int8"
    assert opened == ["float32", "bfloat16", "int8"]
    assert fastest_precision(model, CPU, "torch") == "int8"
    assert len(opened) == 3
    fastest_precision(MagicPoint(0.25), CPU, "torch")
    assert len(opened) == 6
    monkeypatch.setattr(fastest, "_processor", lambda: "another")
    fastest_precision(model, CPU, "torch")
    assert len(opened) == 9


def test_other_engines_and_devices_have_float32_alone(model, machine):
    opened = machine(TIMES)
    assert fastest_precision(model, CPU, "onnxruntime") == "float32"
    assert fastest_precision(model, torch.device("mps"), "torch") == "float32"
    assert opened == []


def test_an_extractor_names_what_it_took(model, monkeypatch):
    monkeypatch.setattr("magicpoint.inference.extractor.fastest_precision", lambda *_: "bfloat16")
    extractor = Extractor(model, device="cpu", precision="auto")
    assert json.loads(extractor.provenance["network"])["precision"] == "bfloat16"


@pytest.mark.slow
def test_a_real_network_is_measured(model, monkeypatch, tmp_path):
    monkeypatch.setenv("MAGICPOINT_CACHE", str(tmp_path))
    state = torch.get_rng_state()
    taken = fastest_precision(model, CPU, "torch")
    assert taken in ("float32", "bfloat16", "int8")
    assert torch.equal(torch.get_rng_state(), state)
    [file] = tmp_path.rglob("*.json")
    assert list(json.loads(file.read_text()).values()) == [taken]
