"""Training of the verifier, by the loop that trains everything; and the trap of its data, which a check finds."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
import torch

from magicpoint.cli import main
from magicpoint.io.images import write_png
from magicpoint.jobs import train as train_job
from magicpoint.model.weights import load_weights, resolve_planar, shipped_weights, weights_hash
from magicpoint.planar.verify import validation
from magicpoint.planar.verify.batches import PairBatches
from magicpoint.planar.verify.leak import Leak, share_right
from magicpoint.planar.verify.network import VerifierNetwork
from magicpoint.planar.verify.pairs import Entry, Pair, PairStream
from magicpoint.planar.verify.settings import QuerySettings, VerifierModelSettings, VerifyTaskSettings
from magicpoint.planar.verify.task import VerifyTask
from magicpoint.training import loop
from magicpoint.training.loop import train_model
from magicpoint.training.settings import TrainSettings
from magicpoint.training.tasks.base import TrainingError

SMALL = VerifyTaskSettings(
    boards=40,
    holdout=0.3,
    queries=QuerySettings(pixels=(30.0, 48.0), blur=0.0, most_hidden=0.0),
    model=VerifierModelSettings(0.125, 16, 32),
)
RUN = TrainSettings(
    task=SMALL, steps=4, batch_size=6, workers=0, validate_every=2, checkpoint_every=2, log_every=1, precision="float32"
)


@pytest.fixture(autouse=True)
def few_pairs(monkeypatch):
    monkeypatch.setattr(validation, "PAIRS", 60)


def lines(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: str(value) for name, value in line.items() if name != "images_per_second"} for line in found]


def last_hash(folder):
    return weights_hash(load_weights(folder / "last.safetensors", VerifierNetwork)[0].state_dict())


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
    _, provenance = load_weights(tmp_path / "whole" / "best.safetensors", VerifierNetwork)
    assert provenance["settings"]["task"] == "verify"
    again = dataclasses.replace(RUN, start=str(tmp_path / "whole"), steps=1)
    _, provenance = load_weights(train_model(tmp_path / "next", again, progress=False), VerifierNetwork)
    best = load_weights(tmp_path / "whole" / "best.safetensors", VerifierNetwork)[0]
    assert provenance["start_hash"] == weights_hash(best.state_dict())


def test_it_begins_with_the_encoder_of_a_network_of_keypoints():
    settings = dataclasses.replace(SMALL, model=VerifierModelSettings(0.25, 16, 32))
    task = VerifyTask(settings, RUN)
    network = task.build_network()
    found = task.start(network, "superpoint-tiny")
    source, _ = load_weights(shipped_weights("superpoint-tiny").path)
    assert found == weights_hash(source.state_dict())
    for name, value in source.encoder.state_dict().items():
        torch.testing.assert_close(network.encoder.state_dict()[name], value)


def test_it_begins_with_the_verifier_that_ships():
    task = VerifyTask(SMALL, RUN)
    source, _ = load_weights(resolve_planar("verifier").path, VerifierNetwork)
    network = VerifierNetwork(source.settings)
    assert task.start(network, "verifier") == weights_hash(source.state_dict()) == weights_hash(network.state_dict())


@pytest.mark.slow
def test_solids_are_learnt_and_judged_beside_templates():
    """Rounds of six pairs by turns; measures of both, and a leak of either ends the run."""
    task = VerifyTask(dataclasses.replace(SMALL, solids=0.5), RUN)
    assert [task._pairs[index].kind for index in (3, 5, 9, 11)] == ["turned", "mirrored", "turned", "tilted"]
    with torch.random.fork_rng(devices=[]):
        network = task.build_network()
    measures = task.measure(network, torch.device("cpu"))
    assert {"ap", "accuracy_mirrored", "solids_ap", "solids_accuracy_tilted"} <= measures.keys()
    fair = dict.fromkeys(("leak_noise", "leak_another", "solids_leak_noise", "solids_leak_another"), 0.5)
    task.check_measures({**fair, "leak_reach": 0.1}, 1)
    with pytest.raises(TrainingError, match=r"judges without the query: with noise in its place 0\.700"):
        task.check_measures({**fair, "solids_leak_noise": 0.7, "leak_reach": 0.1}, 1)
    assert task.score({"ap": 0.9, "solids_ap": 0.8}) == 0.8
    assert task.score({"ap": 0.9}) == 0.9


def test_batches_are_the_same_however_they_are_made():
    task, again = VerifyTask(SMALL, RUN), VerifyTask(SMALL, RUN)
    whole = task.batches(0, 1)[20]
    parts = [PairBatches(again._pairs, 6, rank, 2)[20] for rank in (1, 0)]
    for name in whole._fields:
        torch.testing.assert_close(
            torch.cat([getattr(part, name) for part in parts[::-1]]), getattr(whole, name), atol=0, rtol=0
        )
    batch = whole.to(torch.device("cpu"))
    assert batch.query.shape == batch.template.shape == (6, 1, 32, 32)
    assert batch.query.max() <= 1
    assert batch.same.tolist() == [1, 0, 1, 0, 1, 0]


def test_its_options_are_those_of_the_command_line(tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(loop, "train_model", lambda out, settings, **_: seen.append(settings))
    monkeypatch.setattr(train_job, "read_training", str)
    words = ["train", str(tmp_path), "--task", "verify", "--templates", "a", "b", "--queries.pixels", "[30,40]"]
    assert main([*words, "--model.fusion", "concatenation"]) == 0
    assert main(["train", str(tmp_path), "--config", "verify"]) == 0
    task, configured = (each.task for each in seen)
    assert isinstance(task, VerifyTaskSettings)
    assert [path.name for path in task.templates] == ["a", "b"]
    assert (task.queries.pixels, task.model.fusion) == ((30.0, 40.0), "concatenation")
    assert isinstance(configured, VerifyTaskSettings)
    assert (configured.boards, seen[1].start) == (300, "superpoint-tiny")


def test_pictures_of_folders_are_templates_and_backgrounds(tmp_path):
    rng = np.random.default_rng(0)
    for name in "abcdefghij":
        coarse = cv2.resize(rng.integers(0, 256, (5, 7)).astype(np.uint8), (70, 50), interpolation=cv2.INTER_CUBIC)
        write_png(tmp_path / f"{name}.png", np.repeat(coarse[..., None], 3, axis=2))
    settings = dataclasses.replace(SMALL, templates=(tmp_path,), backgrounds=(tmp_path,), boards=0, holdout=0.5)
    task = VerifyTask(settings, RUN)
    assert task.batches(0, 1)[0].query.float().std() > 5
    assert task.digest != VerifyTask(SMALL, RUN).digest
    assert task.digest == VerifyTask(settings, RUN).digest
    with pytest.raises(
        ValueError, match="two to train on and two held out, got 9 and 1: add some, or change the holdout"
    ):
        VerifyTask(dataclasses.replace(settings, holdout=0.001), RUN)


class TwelvePairs(VerifyTask):
    """The task with the same twelve pairs at each step, by which it judges itself, too."""

    def __init__(self, settings, run):
        super().__init__(settings, run)
        pairs = [self._pairs[index] for index in range(12)] * 5
        self._validator._held_out = self._validator._learnt = pairs

    def batches(self, rank, world_size):
        batch = super().batches(rank, world_size)[0]
        return [batch] * self._run.steps


@pytest.mark.slow
def test_it_learns_twelve_pairs_by_heart(tmp_path, monkeypatch):
    monkeypatch.setattr(VerifyTaskSettings, "implementation", f"{__name__}:TwelvePairs")
    monkeypatch.setattr("magicpoint.planar.verify.leak.DEVIATIONS", 100.0)  # so few templates are told apart by heart
    run = dataclasses.replace(RUN, steps=80, batch_size=12, warmup_steps=10, validate_every=80, checkpoint_every=80)
    _, provenance = load_weights(train_model(tmp_path, run, progress=False), VerifierNetwork)
    assert provenance["validation"]["accuracy"] == 1.0
    assert provenance["validation"]["ap"] == 1.0
    assert lines(tmp_path)[-2]["batch_accuracy"] == "1.0"


class OtherSet(PairStream):
    """The templates of pairs that do not belong together are from another half of the pictures."""

    def entries(self, kind, rng):
        found = super().entries(kind, rng)
        while (found[0].number % 2 == 0) != (kind == "same"):
            found = super().entries(kind, rng)
        return found


class TurnedTemplates(PairStream):
    """Templates lie as in the codebook where they belong, and are turned or mirrored where they do not."""

    def entries(self, kind, rng):
        template, seen = super().entries(kind, rng)
        upright = seen.orientation._replace(whole=True, mirrored=False, angle=0.0)
        if kind == "same":
            return Entry(template.number, upright), Entry(seen.number, upright)
        return Entry(template.number, upright.turned(rng)), Entry(seen.number, upright)


class Marked(PairStream):
    """A corner of the templates says whether the pair belongs together, as a stamp of another source would."""

    def __getitem__(self, index):
        pair = super().__getitem__(index)
        template = pair.template.copy()
        template[:8, :8] = 255 if pair.same else 0
        return Pair(template, pair.query, pair.kind)


def task_of(kind):
    class Trapped(VerifyTask):
        def stream(self, templates, backgrounds, seed, name):
            return kind(templates, backgrounds, seed, self._settings.model.side, self._settings.queries, name)

    return Trapped


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "fusion"),
    [
        (OtherSet, "concatenation"),
        (TurnedTemplates, "concatenation"),
        (Marked, "product"),
        (PairStream, "concatenation"),
    ],
)
def test_the_trap_is_found(tmp_path, monkeypatch, kind, fusion):
    """A verifier that knows the templates alone does well, and the run does not keep it; an honest one passes."""
    monkeypatch.setattr(validation, "PAIRS", 240)
    monkeypatch.setattr("magicpoint.training.loop.open_task", lambda settings, run: task_of(kind)(settings, run))
    settings = dataclasses.replace(SMALL, model=dataclasses.replace(SMALL.model, fusion=fusion))
    run = dataclasses.replace(
        RUN, task=settings, steps=100, batch_size=24, warmup_steps=10, validate_every=100, checkpoint_every=100
    )
    if kind is PairStream:
        assert train_model(tmp_path, run, progress=False).exists()
        return
    with pytest.raises(TrainingError, match=r"judges without the query: .* where chance is 0\.5 ± 0\.126"):
        train_model(tmp_path, run, progress=False)
    assert not (tmp_path / "best.safetensors").exists()


def test_what_is_right_by_chance_is_told_from_what_is_not():
    """60 of 100 are two deviations of five away from a half, 75 are five."""
    assert not Leak(0.6, 0.4, 100).found
    assert Leak(0.75, 0.5, 100).found
    assert Leak(0.5, 0.25, 100).found
    assert Leak(0.5, 0.5, 400).reach == pytest.approx(3.9 * 0.025)
    assert Leak(0.5, 0.3, 100).worse(Leak(0.6, 0.45, 100)) == Leak(0.6, 0.3, 100)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([4, 3, 2, 1], 1.0), ([1, 2, 3, 4], 0.0), ([7, 7, 7, 7], 0.5), ([9, 1, 9.5, 1.5], 0.5), ([9, 8, 8, 1], 0.75)],
)
def test_the_half_with_the_larger_scores_is_said_to_belong_together(scores, expected):
    assert share_right(torch.tensor(scores), np.array([True, True, False, False])) == expected
