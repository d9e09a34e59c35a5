"""Training of a matcher: it learns its pairs by heart, goes on where it was, and begins from another."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from homography import HomographySettings
from magicpoint.cli import main
from magicpoint.cli.tasks import read_task
from magicpoint.data.settings import ViewSettings
from magicpoint.io.images import write_png
from magicpoint.matching.learned import LearnedMatcher
from magicpoint.model.matcher import MatcherNetwork
from magicpoint.model.settings import MatcherForm, MatcherSettings
from magicpoint.model.weights import load_weights, resolve, save_weights, weights_hash
from magicpoint.training.loop import StepLosses, train_model, train_step
from magicpoint.training.settings import TrainSettings
from magicpoint.training.tasks.base import open_task
from magicpoint.training.tasks.settings import MatcherTaskSettings
from magicpoint.training.validation.matcher import MatchValidator
from synthetic_shapes import ShapeSettings, render_sample


@pytest.fixture
def settings(tmp_path):
    for number in range(8):
        shape = ("checkerboard", "multiple_polygons")[number % 2]
        sample = render_sample(0, number, ShapeSettings(shapes=(shape,), size_hw=(96, 128)))
        write_png(tmp_path / "images" / f"{number}.png", sample.image)
    task = MatcherTaskSettings(
        images=(tmp_path / "images",),
        features="superpoint-tiny",
        pairs=8,
        keypoints=48,
        cache=tmp_path / "cache",
        views=ViewSettings((96, 128), homographic=HomographySettings(rotation=0.3, scale=0.3)),
        model=MatcherForm(32, 2, 2),
    )
    return TrainSettings(
        task=task,
        steps=4,
        batch_size=4,
        learning_rate=2e-3,
        log_every=2,
        validate_every=2,
        checkpoint_every=2,
        workers=0,
        precision="float32",
    )


def lines(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "images_per_second"} for line in found]


@pytest.mark.slow
def test_eight_pairs_are_learnt_by_heart(settings):
    run = dataclasses.replace(settings, steps=150, batch_size=8, learning_rate=4e-3)
    task = open_task(run.task, run)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = task.build_network()
    validator = MatchValidator(task._pairs, 8)
    begun = validator.measure(network, torch.device("cpu"))
    optimizer = torch.optim.AdamW(network.parameters(), 4e-3)
    batches = task.batches(0, 1)
    for step in range(run.steps):
        losses = train_step(task, StepLosses(task, network).train(), optimizer, [batches[step]], run, step)
    learnt = validator.measure(network, torch.device("cpu"))
    assert learnt["recall"] >= 0.95 > begun["recall"]
    assert learnt["precision"] >= 0.95
    assert losses["matched_loss"] < 0.5


def test_a_run_goes_on_bit_for_bit(settings, tmp_path):
    train_model(tmp_path / "whole", settings, progress=False)
    half = dataclasses.replace(settings, steps=2, decay_fraction=0.0, warmup_steps=0)
    steady = dataclasses.replace(settings, decay_fraction=0.0, warmup_steps=0)
    train_model(tmp_path / "steady", steady, progress=False)
    train_model(tmp_path / "parts", half, progress=False)
    train_model(tmp_path / "parts", steady, resume=True, progress=False)
    assert lines(tmp_path / "parts") == lines(tmp_path / "steady")
    validated = [line for line in lines(tmp_path / "whole") if line["kind"] == "validation"]
    assert [sorted(line.keys() & {"precision", "recall"}) for line in validated] == [["precision", "recall"]] * 2


def test_the_file_names_the_features_that_it_is_for(settings, tmp_path):
    best = train_model(tmp_path / "run", dataclasses.replace(settings, steps=1, validate_every=1), progress=False)
    network, provenance = load_weights(best, MatcherNetwork)
    own = weights_hash(load_weights(resolve("superpoint-tiny").path)[0].state_dict())
    assert network.settings.features == own
    assert provenance["settings"]["features"] == "superpoint-tiny"
    assert LearnedMatcher.load(tmp_path / "run").network.settings == network.settings
    further = dataclasses.replace(settings, steps=1, start=str(best))
    _, provenance = load_weights(train_model(tmp_path / "next", further, progress=False), MatcherNetwork)
    assert provenance["start_hash"] == weights_hash(network.state_dict())
    other = dataclasses.replace(further, task=dataclasses.replace(settings.task, model=MatcherForm(32, 3, 2)))
    with pytest.raises(ValueError, match="cannot start from"):
        train_model(tmp_path / "other", other, progress=False)


def test_the_command_line_knows_the_task(tmp_path, capsys):
    assert read_task(["run", "--task", "matcher", "--images", "here"]).task == "matcher"
    assert read_task(["run", "--features", "superpoint", "--images", "here"]).task == "matcher"
    assert read_task(["run", "--images", "here"]).task == "magicpoint"  # as it was; it asks for labels then
    words = ["--task", "matcher", "--images", str(Path(__file__)), "--features", "superpoint"]
    assert main(["train", str(tmp_path), *words, "--print_config"]) == 0
    assert "features: superpoint" in capsys.readouterr().out


@pytest.mark.parametrize(("losses", "whose"), [((1.0, 2.0), "theirs"), ((2.0, 1.0), "own")])
def test_a_matcher_of_other_features_is_begun_with(settings, tmp_path, losses, whose):
    """What it does with the descriptors is kept; where they come in, what fits the new ones better."""
    run = dataclasses.replace(settings, steps=1)
    theirs = MatcherNetwork(MatcherSettings(32, 2, 2, 256, "others"))
    source = save_weights(tmp_path / "theirs.safetensors", theirs, {})
    task = open_task(run.task, run)
    network = task.build_network()
    entries = {"theirs": theirs.describe.weight.clone(), "own": network.describe.weight.clone()}
    assert 0 < task._loss_to_begin(network) < task._loss_to_begin(theirs)
    left = iter(losses)
    task._loss_to_begin = lambda network: next(left)
    task.start(network, str(source))
    assert torch.equal(network.selves[0].inputs.weight, theirs.selves[0].inputs.weight)
    assert torch.equal(network.describe.weight, entries[whose])
    assert network.settings.features != "others"
