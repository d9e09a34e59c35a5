"""The loop trains any network on any data: a task that it has never heard of, with resume, weights and options."""

import dataclasses
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, NamedTuple

import pytest
import torch
from torch import nn

from magicpoint.cli import main
from magicpoint.cli import tasks as cli_tasks
from magicpoint.data.batches import StepBatches
from magicpoint.jobs import train as train_job
from magicpoint.model.named import NamedNetwork
from magicpoint.model.weights import load_weights, weights_hash
from magicpoint.training import loop
from magicpoint.training.loop import train_model
from magicpoint.training.settings import TrainSettings
from magicpoint.training.state import load_state
from magicpoint.training.tasks.base import Task, TrainingError
from magicpoint.training.tasks.settings import TaskSettings
from synthetic_shapes.sample import sample_generator


@dataclasses.dataclass(frozen=True)
class CurveModelSettings:
    """A network for curves.

    Args:
        widths: Of the hidden layers.
    """

    widths: tuple[int, ...] = (8,)


class CurveNetwork(NamedNetwork):
    """A number to a number; no image, no keypoint."""

    architecture = "curves"
    settings_type = CurveModelSettings

    def __init__(self, settings):
        super().__init__(settings)
        widths = (1, *settings.widths)
        hidden = [part for i, o in pairwise(widths) for part in (nn.Linear(i, o), nn.BatchNorm1d(o))]
        self.layers = nn.Sequential(*hidden, nn.Tanh(), nn.Linear(widths[-1], 1))

    def forward(self, x):
        return self.layers(x)


class Points(NamedTuple):
    """Items and batches of this task: x and y, (B, 1)."""

    x: torch.Tensor
    y: torch.Tensor


class CurveBatches(StepBatches[Points]):
    """Points of a sine."""

    def __init__(self, seed, batch_size, frequency, rank, world_size):
        super().__init__(batch_size, rank, world_size)
        self.seed, self.frequency = seed, frequency

    def __getitem__(self, step):
        x = torch.tensor([[sample_generator(self.seed, "curve", i).random()] for i in self.indices(step)])
        return Points(x.float(), torch.sin(self.frequency * x).float())


@dataclasses.dataclass(frozen=True)
class CurveSettings(TaskSettings):
    """A network learns a sine.

    Args:
        curves: Folders that it does not look into.
        frequency: Of the sine.
        model: The network.
    """

    name: ClassVar[str] = "curves"
    implementation: ClassVar[str] = f"{__name__}:CurveTask"

    curves: tuple[Path, ...]
    frequency: float = 3.0
    model: CurveModelSettings = dataclasses.field(default_factory=CurveModelSettings)


class CurveTask(Task[CurveNetwork, Points, Points]):
    def __init__(self, settings, run):
        self.settings, self.run = settings, run
        self.digest = f"sine {settings.frequency}"

    def build_network(self):
        return CurveNetwork(self.settings.model)

    def start(self, network, weights):
        source, _ = load_weights(weights, CurveNetwork)
        network.load_state_dict(source.state_dict())
        return weights_hash(source.state_dict())

    def batches(self, rank, world_size):
        return CurveBatches(self.run.seed, self.run.batch_size, self.settings.frequency, rank, world_size)

    def to_device(self, item, device):
        return Points(item.x.to(device), item.y.to(device))

    def losses(self, network, batch, step):
        error = network(batch.x) - batch.y
        return {"loss": (error**2).mean(), "largest": error.detach().abs().max()}

    def check(self, means, step):
        if means["loss"] > 1e6:
            raise TrainingError(f"the curve has left at step {step}")

    def measure(self, network, device):
        x = torch.linspace(0, 1, 50)[:, None]
        with torch.no_grad():
            error = network.eval()(x) - torch.sin(self.settings.frequency * x)
        network.train()
        return {"error": error.abs().mean().item()}

    def check_measures(self, measures, step):
        if measures["error"] > 1e6:
            raise TrainingError(f"the curve is far off at step {step}")

    def score(self, measures):
        return -measures["error"]


SETTINGS = TrainSettings(
    task=CurveSettings((Path("some/where"),), model=CurveModelSettings((8, 6))),
    steps=60,
    batch_size=16,
    learning_rate=0.05,
    warmup_steps=5,
    log_every=10,
    validate_every=20,
    checkpoint_every=20,
    workers=0,
    precision="float32",
)


def lines(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "images_per_second"} for line in found]


def test_the_loop_trains_it(tmp_path):
    best = train_model(tmp_path, SETTINGS, progress=False)
    training = [line for line in lines(tmp_path) if line["kind"] == "train"]
    assert training[-1]["loss"] < 0.5 * training[0]["loss"]
    assert training[-1]["largest"] > math.sqrt(training[-1]["loss"])
    errors = [line["error"] for line in lines(tmp_path) if line["kind"] == "validation"]
    assert [line["step"] for line in lines(tmp_path) if line["kind"] == "validation"] == [20, 40, 60]
    network, provenance = load_weights(best, CurveNetwork)
    assert network.settings == CurveModelSettings((8, 6))
    assert provenance["validation"]["error"] == min(errors)
    assert provenance["data_digest"] == "sine 3.0"
    assert (provenance["settings"]["task"], provenance["settings"]["curves"]) == ("curves", ["where"])
    with pytest.raises(ValueError, match=r"best\.safetensors holds a network of the architecture curves, not points"):
        load_weights(best)


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_it_is_resumed_bit_for_bit(tmp_path, monkeypatch, averaging):
    settings = dataclasses.replace(SETTINGS, averaging=averaging)
    train_model(tmp_path / "whole", settings, progress=False)

    def fail_at_33(*arguments):
        if arguments[5] == 33:
            raise OSError("stopped")
        return step(*arguments)

    step = loop.train_step
    monkeypatch.setattr(loop, "train_step", fail_at_33)
    with pytest.raises(OSError, match="stopped"):
        train_model(tmp_path / "parts", settings, progress=False)
    monkeypatch.undo()
    assert load_state(tmp_path / "parts" / "last.state")["step"] == 20
    train_model(tmp_path / "parts", settings, resume=True, progress=False)
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")
    hashes = {
        weights_hash(load_weights(tmp_path / run / "last.safetensors", CurveNetwork)[0].state_dict())
        for run in ("whole", "parts")
    }
    assert len(hashes) == 1
    other = dataclasses.replace(settings, task=dataclasses.replace(SETTINGS.task, frequency=2.0))
    with pytest.raises(ValueError, match=r"frequency 3\.0, now 2\.0"):
        train_model(tmp_path / "parts", other, resume=True, progress=False)


def test_it_begins_from_weights_in_its_own_way(tmp_path):
    first = train_model(tmp_path / "first", SETTINGS, progress=False)
    again = dataclasses.replace(SETTINGS, start=str(first), steps=1, warmup_steps=0)
    _, provenance = load_weights(train_model(tmp_path / "second", again, progress=False), CurveNetwork)
    assert provenance["start_hash"] == weights_hash(load_weights(first, CurveNetwork)[0].state_dict())


def test_its_checks_stop_a_run(tmp_path):
    settings = dataclasses.replace(SETTINGS, learning_rate=1e5, warmup_steps=0, weight_decay=0.0)
    with pytest.raises(TrainingError, match="the curve has left at step 10"):
        train_model(tmp_path, settings, progress=False)


def test_names_that_every_run_has_are_not_its_own(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Settings(CurveSettings):
        steps: int = 3

    # What is inherited is documented where it comes from.
    assert cli_tasks.path_lists(Settings) == {"curves": "Folders that it does not look into."}
    with pytest.raises(ValueError, match=r"Settings and TrainSettings share \['steps'\]"):
        train_model(tmp_path, dataclasses.replace(SETTINGS, task=Settings(())), progress=False)


@pytest.fixture
def trained(monkeypatch):
    """The command line with this task; the settings with which training was begun, in place of training."""
    known, seen = cli_tasks.tasks(), []
    with_curves = {**known, "curves": CurveSettings}
    monkeypatch.setattr(cli_tasks, "tasks", lambda: with_curves)
    monkeypatch.setattr("magicpoint.cli.verbs.train.tasks", lambda: with_curves)
    monkeypatch.setattr(loop, "train_model", lambda out, settings, **_: seen.append(settings))
    monkeypatch.setattr(train_job, "read_training", str)
    return seen


def test_a_row_gives_it_its_options(trained, tmp_path, capsys):
    out = str(tmp_path / "run")
    words = ["--curves", "a", "b", "--frequency", "2", "--model.widths", "[4, 3]", "--steps", "7"]
    task = CurveSettings((Path("a"), Path("b")), 2.0, CurveModelSettings((4, 3)))
    for said in ([], ["--task", "curves"]):
        assert main(["train", out, *words, *said]) == 0
        assert trained[-1] == TrainSettings(task=task, steps=7)
    with pytest.raises(SystemExit):
        main(["train", "--task", "curves", "--help"])
    listed = capsys.readouterr().out
    assert "--frequency" in listed
    assert "Folders that it does not look into." in listed
    assert "curves: A network learns a sine." in " ".join(listed.split())
    assert "--shapes" not in listed
    assert "--labels" not in listed
