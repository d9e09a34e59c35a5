"""Runs that are stopped, killed and resumed, on a network and images that are as small as can be."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from magicpoint.model.network import PointNetwork
from magicpoint.model.settings import ModelSettings
from magicpoint.model.weights import load_weights, save_weights, weights_hash
from magicpoint.training import loop as train_module
from magicpoint.training.loop import train_model
from magicpoint.training.run import learning_rate
from magicpoint.training.settings import TrainSettings, flat_settings
from magicpoint.training.state import load_state
from magicpoint.training.tasks import magicpoint as tasks_module
from magicpoint.training.tasks import points as points_module
from magicpoint.training.tasks.base import TrainingError
from magicpoint.training.tasks.settings import MagicPointSettings, SuperPointSettings
from magicpoint.training.tasks.start import start_from
from synthetic_shapes import ShapeSettings

TINY = TrainSettings(
    task=MagicPointSettings(model=ModelSettings(width=0.125), shapes=ShapeSettings(size_hw=(48, 64))),
    steps=12,
    batch_size=2,
    warmup_steps=2,
    log_every=3,
    validate_every=100,
    checkpoint_every=4,
    workers=0,
    precision="float32",
)


class NoValidation:
    def __init__(self, size_hw):
        self.size_hw = size_hw

    def measure(self, model, device):
        return {"ap_clean": 0.5, "ap_noise": 0.5, "keypoints_per_image": 1.0}


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(tasks_module, "Validator", NoValidation)
    return TINY


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"], line["gradient_norm"]) for line in lines if line["kind"] == "train"]


def test_a_run_leaves_weights_settings_and_metrics(tiny, tmp_path):
    best = train_model(tmp_path / "run", tiny, progress=False)
    assert best == tmp_path / "run" / "best.safetensors"
    model, provenance = load_weights(best)
    assert not model.training
    assert provenance["images_seen"] == 24
    assert provenance["settings"]["seed"] == 0
    assert "torch" in provenance["versions"]
    assert [step for step, *_ in losses(tmp_path / "run")] == [3, 6, 9, 12]
    assert "width: 0.125" in (tmp_path / "run" / "settings.yaml").read_text()


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_a_resumed_run_repeats_the_losses_bit_for_bit(tiny, tmp_path, averaging):
    tiny = dataclasses.replace(tiny, averaging=averaging)
    train_model(tmp_path / "whole", tiny, progress=False)
    stopped = dataclasses.replace(tiny, checkpoint_every=5)

    class Stop:
        requested = False

    def stop_after_seven_steps(*arguments):
        result = real_step(*arguments)
        Stop.requested = arguments[5] == 6
        return result

    real_step = train_module.train_step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_module, "train_step", stop_after_seven_steps)
        patch.setattr(train_module, "stop_requests", lambda: __import__("contextlib").nullcontext(Stop))
        with pytest.raises(KeyboardInterrupt, match="step 7"):
            train_model(tmp_path / "parts", stopped, progress=False)
    assert load_state(tmp_path / "parts" / "last.state")["step"] == 7
    train_model(tmp_path / "parts", tiny, resume=True, progress=False)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    whole, parts = (load_weights(tmp_path / name / "last.safetensors")[0].state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_the_average_is_what_is_written_and_what_is_trained_is_kept_beside_it(tiny, tmp_path):
    for name, averaging in (("plain", 0.0), ("averaged", 0.9)):
        train_model(tmp_path / name, dataclasses.replace(tiny, averaging=averaging), progress=False)
    plain, averaged = (load_state(tmp_path / name / "last.state") for name in ("plain", "averaged"))
    assert "average" not in plain
    assert losses(tmp_path / "plain") == losses(tmp_path / "averaged")
    assert all(torch.equal(plain["model"][name], averaged["model"][name]) for name in plain["model"])
    for file in ("best.safetensors", "last.safetensors"):
        written = load_weights(tmp_path / "averaged" / file)[0].state_dict()
        assert all(torch.equal(written[name], averaged["average"][name]) for name in written)
        assert any(not torch.equal(written[name], averaged["model"][name]) for name in written)


def test_the_average_is_what_is_validated(tiny, tmp_path, monkeypatch):
    measured = []

    def measure(self, network, device):
        measured.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"ap_clean": 0.5, "ap_noise": 0.5, "keypoints_per_image": 1.0}

    monkeypatch.setattr(NoValidation, "measure", measure)
    train_model(tmp_path, dataclasses.replace(tiny, averaging=0.9), progress=False)
    average = load_state(tmp_path / "last.state")["average"]
    assert len(measured) == 1
    assert all(torch.equal(measured[0][name], average[name]) for name in average)


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = [{folder!r}]
from test_loop import TINY, NoValidation
from magicpoint.training.tasks import magicpoint as tasks
from magicpoint.training import loop as t
import torch
torch.set_num_threads(1)
tasks.Validator = NoValidation
import dataclasses
t.train_model(Path(sys.argv[1]), dataclasses.replace(TINY, steps=100_000, checkpoint_every=20), progress=False)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_can_be_resumed(tmp_path, number):
    out = tmp_path / "run"
    script = SCRIPT.format(folder=os.path.dirname(__file__))
    process = subprocess.Popen([sys.executable, "-c", script, str(out)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    # There is a state of step 0 from the beginning on.
    while not (out / "last.safetensors").exists() or load_state(out / "last.state")["step"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == -number
    step = load_state(out / "last.state")["step"]
    if number == signal.SIGKILL:
        assert step >= 20
        assert step % 20 == 0
        assert errors == ""
    else:
        assert f"stopped after step {step};" in errors
        assert not list(out.glob(".*.tmp"))
    settings = dataclasses.replace(TINY, steps=step + 2, validate_every=10**6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks_module, "Validator", NoValidation)
        train_model(out, settings, resume=True, progress=False)
    assert load_state(out / "last.state")["step"] == step + 2


def test_a_folder_with_a_run_is_not_overwritten(tiny, tmp_path):
    train_model(tmp_path, tiny, progress=False)
    before = (tmp_path / "last.state").read_bytes()
    with pytest.raises(FileExistsError, match="holds a run already"):
        train_model(tmp_path, tiny, progress=False)
    with pytest.raises(ValueError, match=r"learning_rate 0\.004, now 0\.001"):
        train_model(tmp_path, dataclasses.replace(tiny, learning_rate=1e-3), resume=True, progress=False)
    assert (tmp_path / "last.state").read_bytes() == before


def test_a_damaged_state_is_named(tiny, tmp_path):
    train_model(tmp_path, tiny, progress=False)
    content = (tmp_path / "last.state").read_bytes()
    (tmp_path / "last.state").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"last\.state is damaged"):
        train_model(tmp_path, tiny, resume=True, progress=False)


def test_a_loss_that_is_no_number_stops_the_run(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(train_module, "train_step", lambda *_: {"loss": float("nan")})
    with pytest.raises(TrainingError, match="not a number at step 0"):
        train_model(tmp_path, tiny, progress=False)


def test_a_dead_detector_stops_the_run(tiny, tmp_path, monkeypatch):
    scores = {"ap_clean": 0.0, "ap_noise": 0.0, "keypoints_per_image": 0.0}
    monkeypatch.setattr(NoValidation, "measure", lambda *_: scores)
    monkeypatch.setattr(points_module, "ALIVE_BY_STEP", 12)
    with pytest.raises(TrainingError, match="detector is dead"):
        train_model(tmp_path, tiny, progress=False)


def test_the_learning_rate_rises_stays_and_falls():
    settings = TrainSettings(steps=100, warmup_steps=10, decay_fraction=0.5, learning_rate=1.0)
    rates = [learning_rate(step, settings) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:51] == [1.0] * 42
    assert rates[75] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.02)


def test_unusable_settings_are_named():
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        TrainSettings(steps=0)
    with pytest.raises(ValueError, match=r"shapes\.size_hw must be positive multiples of 8 up to 32768, got 50x64"):
        MagicPointSettings(shapes=ShapeSettings(size_hw=(50, 64)))


def test_a_run_starts_from_the_layers_that_weights_have(tmp_path):
    torch.manual_seed(1)
    detector = PointNetwork(ModelSettings(width=0.125))
    path = save_weights(tmp_path / "detector.safetensors", detector, {})
    model = PointNetwork(ModelSettings(width=0.125, descriptor_dim=16))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert start_from(model, str(path)) == weights_hash(detector.state_dict())
    for name, value in model.state_dict().items():
        wanted = before[name] if name.startswith("descriptor") else detector.state_dict()[name]
        assert torch.equal(value, wanted)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    path = save_weights(tmp_path / "other.safetensors", PointNetwork(ModelSettings(width=0.25)), {})
    model = PointNetwork(ModelSettings(width=0.125))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"cannot start from .*other\.safetensors: .* is \(16, 1, 3, 3\) there and"):
        start_from(model, str(path))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match="no weights missing"):
        start_from(model, "missing")


def test_a_task_has_the_settings_that_it_needs_and_no_others(tmp_path):
    with pytest.raises(TypeError, match=r"required .*'images'"):
        SuperPointSettings(labels=tmp_path / "labels.h5")
    with pytest.raises(ValueError, match="labels must be given with images, got none"):
        MagicPointSettings(images=(tmp_path,))
    with pytest.raises(ValueError, match="images must be at least one, got none"):
        SuperPointSettings(images=(), labels=tmp_path / "labels.h5")
    with pytest.raises(ValueError, match=r"model\.descriptor_dim must be 0 in a detector, got 64"):
        MagicPointSettings(model=ModelSettings(descriptor_dim=64))
    with pytest.raises(ValueError, match=r"model\.descriptor_dim must be at least 1, got 0"):
        SuperPointSettings(images=(tmp_path,), labels=tmp_path / "labels.h5", model=ModelSettings())
    assert SuperPointSettings(images=(tmp_path,), labels=tmp_path / "labels.h5").model.descriptor_dim == 256


def test_settings_stand_side_by_side_in_a_file():
    plain = flat_settings(dataclasses.replace(TINY, task=SuperPointSettings(images=(Path("a"),), labels=Path("b.h5"))))
    assert (plain["task"], plain["images"], plain["labels"], plain["steps"]) == ("superpoint", ["a"], "b.h5", 12)
    assert (plain["views"]["size_hw"], plain["descriptor_loss"]) == ([120, 160], "dual_softmax")
    assert "views" not in flat_settings(TINY)
    assert json.loads(json.dumps(plain)) == plain


def test_weights_do_not_tell_where_files_lie(tiny, tmp_path):
    start = save_weights(tmp_path / "start.safetensors", PointNetwork(tiny.task.model), {})
    best = train_model(tmp_path / "run", dataclasses.replace(tiny, steps=2, start=str(start)), progress=False)
    settings = load_weights(best)[1]["settings"]
    assert settings["start"] == "start.safetensors"
    assert str(tmp_path) not in json.dumps(settings)
