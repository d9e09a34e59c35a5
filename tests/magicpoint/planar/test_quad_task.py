"""Training of the detector of quadrilaterals, by the loop that trains everything."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from magicpoint.cli import main
from magicpoint.io.images import write_png
from magicpoint.jobs import train as train_job
from magicpoint.model.weights import load_weights, resolve_planar, shipped_weights, weights_hash
from magicpoint.planar.model import QuadNetwork
from magicpoint.planar.scenes import SceneSettings
from magicpoint.planar.settings import QuadModelSettings, QuadTaskSettings
from magicpoint.planar.task import QuadTask
from magicpoint.training import loop
from magicpoint.training.loop import train_model
from magicpoint.training.settings import TrainSettings
from magicpoint.training.tasks.start import start_from

SMALL = QuadTaskSettings(
    boards=6,
    scenes=SceneSettings((64, 96), most_objects=3, shorter_side=(20.0, 44.0), most_occluders=0, tilt=1.0),
    model=QuadModelSettings(width=0.25, neck=32, anchor_sides=(24.0, 40.0), proposals=12, proposal_iou=0.5),
)
RUN = TrainSettings(
    task=SMALL, steps=4, batch_size=2, workers=0, validate_every=2, checkpoint_every=2, log_every=1, precision="float32"
)


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch):
    monkeypatch.setattr("magicpoint.planar.validation.SCENES", 8)


def lines(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: str(value) for name, value in line.items() if name != "images_per_second"} for line in found]


def last_hash(folder):
    return weights_hash(load_weights(folder / "last.safetensors", QuadNetwork)[0].state_dict())


@pytest.mark.slow
def test_it_is_resumed_bit_for_bit(tmp_path, monkeypatch):
    train_model(tmp_path / "whole", RUN, progress=False)
    step = loop.train_step

    def fail_at_3(*arguments):
        if arguments[5] == 3:
            raise OSError("stopped")
        return step(*arguments)

    monkeypatch.setattr(loop, "train_step", fail_at_3)
    with pytest.raises(OSError, match="stopped"):
        train_model(tmp_path / "parts", RUN, progress=False)
    monkeypatch.setattr(loop, "train_step", step)
    train_model(tmp_path / "parts", RUN, resume=True, progress=False)
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")
    assert last_hash(tmp_path / "parts") == last_hash(tmp_path / "whole")
    other = dataclasses.replace(RUN, task=dataclasses.replace(SMALL, boards=7))
    with pytest.raises(ValueError, match="boards 6, now 7"):
        train_model(tmp_path / "parts", other, resume=True, progress=False)
    _, provenance = load_weights(tmp_path / "whole" / "best.safetensors", QuadNetwork)
    assert provenance["settings"]["task"] == "quads"
    assert provenance["steps"] in (2, 4)
    again = dataclasses.replace(RUN, start=str(tmp_path / "whole"), steps=1)
    _, provenance = load_weights(train_model(tmp_path / "next", again, progress=False), QuadNetwork)
    best = load_weights(tmp_path / "whole" / "best.safetensors", QuadNetwork)[0]
    assert provenance["start_hash"] == weights_hash(best.state_dict())


def test_it_goes_on_from_the_weights_that_ship_by_their_name():
    settings = load_weights(resolve_planar("quads").path, QuadNetwork)[0].settings
    task = QuadTask(dataclasses.replace(SMALL, model=settings), RUN)
    network = task.build_network()
    assert task.start(network, "quads") == weights_hash(network.state_dict())
    with pytest.raises(ValueError, match=r"cannot start from quads: encoder\S+ is .* there and"):
        start_from(QuadNetwork(dataclasses.replace(settings, width=0.5)), "quads")


def test_it_begins_with_the_encoder_of_a_network_of_keypoints():
    """Frozen layers stay as they were, BatchNorm's statistics in them, too; those above are trained."""
    settings = dataclasses.replace(SMALL, frozen=3)
    task = QuadTask(settings, RUN)
    network = task.build_network()
    found = task.start(network, "superpoint-tiny")
    source, _ = load_weights(shipped_weights("superpoint-tiny").path)
    assert found == weights_hash(source.state_dict())
    begun = {name: value.clone() for name, value in network.encoder.state_dict().items()}
    for name, value in source.encoder.state_dict().items():
        torch.testing.assert_close(begun[name], value)
    optimizer = torch.optim.AdamW(network.parameters())
    loop.train_step(task, loop.StepLosses(task, network).train(), optimizer, [task.batches(0, 1)[0]], RUN, 3)
    changed = {name for name, value in network.encoder.state_dict().items() if not torch.equal(value, begun[name])}
    frozen = {f"layers.{number}." for number in (0, 1, 3)}  # the third convolution stands behind a max-pool
    assert not any(name.startswith(tuple(frozen)) for name in changed)
    assert {"layers.4.0.weight", "layers.10.0.weight", "layers.10.1.running_mean"} <= changed


def test_batches_are_the_same_however_they_are_made():
    task, again = QuadTask(SMALL, RUN), QuadTask(SMALL, RUN)
    whole = task.batches(0, 1)[20]
    parts = [again.batches(rank, 2)[20] for rank in (1, 0)]
    assert [part.first for part in (whole, *parts)] == [40, 41, 40]
    torch.testing.assert_close(torch.cat([part.image for part in parts[::-1]]), whole.image, atol=0, rtol=0)
    torch.testing.assert_close(torch.cat([part.corners for part in parts[::-1]]), whole.corners, atol=0, rtol=0)
    assert whole.image.shape == (2, 1, 64, 96)
    batch = whole.to(torch.device("cpu"))
    assert [len(corners) for corners in batch.objects] == whole.counts.tolist()


def test_its_options_are_those_of_the_command_line(tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(loop, "train_model", lambda out, settings, **_: seen.append(settings))
    monkeypatch.setattr(train_job, "read_training", str)
    words = ["train", str(tmp_path), "--task", "quads", "--templates", "a", "b", "--scenes.size_hw", "480x640"]
    assert main([*words, "--assignment", "iou_rule", "--model.pooling", "upright", "--frozen", "4"]) == 0
    task = seen[0].task
    assert isinstance(task, QuadTaskSettings)
    assert [path.name for path in task.templates] == ["a", "b"]
    assert (task.assignment, task.frozen, task.scenes.size_hw) == ("iou_rule", 4, (480, 640))
    assert task.model.pooling == "upright"
    with pytest.raises(SystemExit):
        main(["train", "--task", "quads", "--help"])
    assert "--least_visible" in capsys.readouterr().out


def test_pictures_of_folders_are_templates_and_backgrounds(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        write_png(tmp_path / f"{name}.png", rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    settings = dataclasses.replace(SMALL, templates=(tmp_path,), backgrounds=(tmp_path,), boards=0)
    task = QuadTask(settings, RUN)
    assert task.batches(0, 1)[0].image.float().std() > 5
    assert task.digest != QuadTask(SMALL, RUN).digest
    assert task.digest == QuadTask(settings, RUN).digest


@pytest.mark.parametrize(
    "wrong",
    [
        {"boards": 0},
        {"boards": -1},
        {"frozen": 9},
        {"holdout": 0.0},
        {"least_visible": 2.0},
        {"assignment": "none"},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must|nothing to be found"):
        QuadTaskSettings(**wrong)


class EightScenes(QuadTask):
    """The task with the same eight scenes at each step, by which it judges itself, too."""

    def __init__(self, settings, run):
        super().__init__(settings, run)
        self._validator._stream = [self._views[index] for index in range(8)]

    def batches(self, rank, world_size):
        batch = super().batches(rank, world_size)[0]
        return [batch._replace(first=8 * step) for step in range(self._run.steps)]


@pytest.mark.slow
def test_it_learns_eight_scenes_by_heart(tmp_path, monkeypatch):
    monkeypatch.setattr(QuadTaskSettings, "implementation", f"{__name__}:EightScenes")
    run = dataclasses.replace(
        RUN, steps=160, batch_size=8, learning_rate=2e-3, warmup_steps=20, validate_every=160, checkpoint_every=160
    )
    best = train_model(tmp_path, dataclasses.replace(run, seed=1), progress=False)
    _, provenance = load_weights(best, QuadNetwork)
    assert provenance["validation"]["ap_75"] >= 0.95
    assert provenance["validation"]["right_order"] >= 0.95
    assert provenance["validation"]["ordered_error"] < 3
