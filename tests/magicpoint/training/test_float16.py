"""Training in float16: the loss is scaled, a step whose gradients overflow is skipped and counted, and no more.

float16 is for GPUs; here the layers compute in float32, and all but that is as there.
"""

import dataclasses
import itertools
import json
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.amp import GradScaler

from magicpoint.cli import main
from magicpoint.core.machine import autocast, resolve_precision
from magicpoint.model.settings import ModelSettings
from magicpoint.model.weights import load_weights
from magicpoint.training import loop
from magicpoint.training.loop import LEAST_SCALE, train_model, train_step
from magicpoint.training.run import TrainingRun
from magicpoint.training.settings import TrainSettings
from magicpoint.training.state import load_state, save_state
from magicpoint.training.tasks import magicpoint as tasks_module
from magicpoint.training.tasks import points
from magicpoint.training.tasks.base import TrainingError
from magicpoint.training.tasks.settings import MagicPointSettings
from synthetic_shapes import ShapeSettings

SETTINGS = TrainSettings(
    task=MagicPointSettings(model=ModelSettings(width=0.125), shapes=ShapeSettings(size_hw=(48, 64))),
    steps=8,
    batch_size=2,
    warmup_steps=0,
    log_every=1,
    validate_every=100,
    checkpoint_every=4,
    workers=0,
    decay_fraction=0.0,
    precision="float16",
)


class Line:
    """A task whose loss is its one weight times what the batch says, so that this is its gradient."""

    def to_device(self, item, device):
        return torch.tensor(item)


class Product(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, batch, step):
        return {"loss": self.weight * batch}


def steps_of(gradients, scaler, clip=1e9):
    network = Product()
    optimizer = torch.optim.SGD(network.parameters(), 1.0)
    settings = dataclasses.replace(SETTINGS, learning_rate=0.5, steps=1000, gradient_clip=clip)
    return [
        (*train_step(Line(), network, optimizer, parts, settings, step, scaler).values(), network.weight.item())
        for step, parts in enumerate(gradients)
    ]


def test_a_step_whose_gradient_overflows_is_skipped_and_counted():
    scaler = GradScaler("cpu", init_scale=2.0**100)
    # 2^100 times 2^30 is more than float32 has; half of it is just as little, a 2^-4 of it is not.
    found = steps_of([[1.0], [2.0**30], [2.0**30], [3.0], [1.0, 5.0]], scaler)
    loss, norm, skipped, weight = zip(*found, strict=True)
    assert skipped == (0.0, 1.0, 1.0, 0.0, 0.0)
    assert norm == (1.0, 0.0, 0.0, 3.0, 3.0)  # of the gradient, not of what was scaled
    assert weight == (0.5, 0.5, 0.5, -1.0, -2.5)
    assert loss == (1.0, 0.5 * 2.0**30, 0.5 * 2.0**30, 1.5, -3.0)
    assert scaler.get_scale() == 2.0**98


def test_the_gradient_is_clipped_as_without_a_scale():
    (scaled,) = steps_of([[3.0]], GradScaler("cpu"), clip=1.0)
    (plain,) = steps_of([[3.0]], None, clip=1.0)
    assert scaled == pytest.approx((3.0, 3.0, 0.0, 0.5), abs=1e-5)
    assert plain == pytest.approx((3.0, 3.0, 0.5), abs=1e-5)


def test_gradients_that_overflow_at_every_scale_end_the_run():
    with pytest.raises(TrainingError, match=r"the gradients of step 26 overflow float16 at the scale 0\.000976562"):
        steps_of([[float("inf")]] * 40, GradScaler("cpu"))
    assert LEAST_SCALE == 2.0**16 / 2**26


@pytest.fixture
def on_a_gpu(monkeypatch):
    """What a GPU has is asked for, and float32 computed."""
    monkeypatch.setattr(loop, "resolve_precision", lambda precision, device: precision)
    monkeypatch.setattr(points, "autocast", lambda *_: nullcontext())
    monkeypatch.setattr(tasks_module, "Validator", lambda size_hw: None)
    monkeypatch.setattr(TrainingRun, "validate", lambda *_: None)


def metrics(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"], line["gradient_norm"], line["skipped"]) for line in lines]


def test_a_resumed_run_goes_on_with_the_scale(on_a_gpu, tmp_path, monkeypatch):
    calls = itertools.count()
    real = points.detector_loss

    def at_times_too_steep(*arguments):
        return real(*arguments) * (2.0**120 if next(calls) % SETTINGS.steps in (0, 5) else 1.0)

    monkeypatch.setattr(points, "detector_loss", at_times_too_steep)
    train_model(tmp_path / "whole", SETTINGS, progress=False)
    assert [skipped for *_, skipped in metrics(tmp_path / "whole")] == [1, 0, 0, 0, 0, 1, 0, 0]
    train_model(tmp_path / "parts", dataclasses.replace(SETTINGS, steps=5), progress=False)
    state = load_state(tmp_path / "parts" / "last.state")["scaler"]
    assert (state["scale"], state["_growth_tracker"]) == (2.0**15, 4)
    train_model(tmp_path / "parts", SETTINGS, resume=True, progress=False)
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")
    whole, parts = (load_weights(tmp_path / name / "last.safetensors")[0].state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.parametrize("broken", [None, {"scale": 0.0, "_growth_tracker": 1}, {"scale": 2.0, "_growth_tracker": -1}])
def test_a_state_without_a_scale_is_damaged(on_a_gpu, tmp_path, broken):
    settings = dataclasses.replace(SETTINGS, steps=1)
    train_model(tmp_path, settings, progress=False)
    save_state(tmp_path / "last.state", {**load_state(tmp_path / "last.state"), "scaler": broken})
    with pytest.raises(ValueError, match=r"last\.state is damaged: scaler must hold a scale and the steps"):
        train_model(tmp_path, settings, resume=True, progress=False)


def test_float16_is_refused_where_there_is_no_gpu(tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert main(["train", str(tmp_path / "run"), "--precision", "float16", "--quiet"]) == 1
    assert "precision float16 is for CUDA, not for cpu: take bfloat16, float32 or auto" in capsys.readouterr().err
    assert resolve_precision("float16", torch.device("cuda")) == "float16"


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_layers_compute_in_the_precision(precision, dtype):
    with autocast(torch.device("cpu"), precision):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype
