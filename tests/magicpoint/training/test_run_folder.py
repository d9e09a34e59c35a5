"""What a run finds in its folder: a whole run of the same is gone on with, all else is refused by name."""

import dataclasses
import io
import json
import math
import shutil
import zipfile

import numpy as np
import pytest
import torch

from magicpoint.core.errors import InputError
from magicpoint.core.locks import locked_folder
from magicpoint.jobs.train import read_training
from magicpoint.model.settings import ModelSettings
from magicpoint.model.weights import load_weights
from magicpoint.training.log import RunLog
from magicpoint.training.loop import train_model
from magicpoint.training.settings import TrainSettings
from magicpoint.training.state import load_state
from magicpoint.training.tasks import magicpoint as tasks_module
from magicpoint.training.tasks.base import TrainingError
from magicpoint.training.tasks.settings import MagicPointSettings
from synthetic_shapes import ShapeSettings

SETTINGS = TrainSettings(
    task=MagicPointSettings(model=ModelSettings(width=0.125), shapes=ShapeSettings(size_hw=(48, 64))),
    steps=2,
    batch_size=2,
    warmup_steps=0,
    averaging=0.5,
    workers=0,
    precision="float32",
)
LONGER = dataclasses.replace(SETTINGS, steps=3)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(tasks_module, "Validator", NoValidation)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run of two steps."""
    folder = tmp_path_factory.mktemp("done") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks_module, "Validator", NoValidation)
        train_model(folder, SETTINGS, progress=False)
    return folder


@pytest.fixture
def run(done, tmp_path):
    return shutil.copytree(done, tmp_path / "run")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refuse(folder, said, settings=LONGER, resume=True, error=InputError):
    """A training in the folder is refused, and changes nothing in it."""
    before = contents(folder)
    with pytest.raises(error, match=said) as raised:
        train_model(folder, settings, resume=resume, progress=False)
    assert "\n" not in str(raised.value)
    assert contents(folder) == before


def replaced(name, value):
    def change(state):
        *groups, last = name.split("/")
        for group in groups:
            state = state[int(group) if group.isdecimal() else group]
        state[int(last) if last.isdecimal() else last] = value

    return change


def removed(name):
    def change(state):
        *groups, last = name.split("/")
        for group in groups:
            state = state[int(group) if group.isdecimal() else group]
        del state[int(last) if last.isdecimal() else last]

    return change


class NoValidation:
    def __init__(self, size_hw):
        pass

    def measure(self, model, device):
        return {"ap_clean": 0.5, "ap_noise": 0.5, "keypoints_per_image": 1.0}


def first_layer(state):
    return next(iter(state["model"]))


def in_model(make):
    def change(state):
        state["model"][first_layer(state)] = make(state["model"][first_layer(state)])

    return change


def in_moments(name, make):
    def change(state):
        state["optimizer"]["state"][0][name] = make(state["optimizer"]["state"][0][name])

    return change


def with_nan(tensor):
    tensor = tensor.clone()
    tensor.view(-1)[0] = math.nan
    return tensor


TAMPERED = {
    "no settings": (removed("settings"), "lacks settings"),
    "no step": (removed("step"), "lacks step"),
    "no model": (removed("model"), "lacks model"),
    "no optimizer": (removed("optimizer"), "lacks optimizer"),
    "settings of no JSON": (replaced("settings", "{"), "settings are no JSON"),
    "settings that are a list": (replaced("settings", "[1]"), "settings must be an object"),
    "settings that are a number": (replaced("settings", 3), "settings are no JSON"),
    "settings nested deeply": (replaced("settings", "[" * 100_000), "settings are no JSON"),
    "a step below 0": (replaced("step", -1), "step must be a whole number from 0 to the 2 of the run, got -1"),
    "a step beyond the end": (replaced("step", 10**9), "step must be .*got 1000000000"),
    "a step that is a truth value": (replaced("step", True), "step must be .*got True"),
    "a step that is no number": (replaced("step", "2"), "step must be .*got '2'"),
    "a fraction of a step": (replaced("step", 1.5), "step must be .*got 1.5"),
    "a best score that is NaN": (replaced("best_score", math.nan), "best_score must be a number, got nan"),
    "a best score that is text": (replaced("best_score", "high"), "best_score must be a number, got 'high'"),
    "losses of no list": (replaced("recent_losses", {"loss": 1.0}), "recent_losses must be"),
    "losses that are NaN": (replaced("recent_losses", [{"loss": math.nan}]), "recent_losses must be"),
    "more losses than steps": (replaced("recent_losses", [{"loss": 1.0}] * 3), "recent_losses must be"),
    "a hash that is a number": (replaced("start_hash", 3), "start_hash must be text, got 3"),
    "other data": (replaced("data_digest", "0" * 64), "other images, labels or shapes"),
    "a model that is a list": (replaced("model", []), "model holds other layers than the network: list"),
    "a layer more": (replaced("model/more", torch.zeros(1)), "other layers than the network: more"),
    "a layer that is NaN": (in_model(with_nan), "model.* has a value that is not a number"),
    "a layer of another shape": (in_model(lambda t: t[:1]), r"model\..* must be torch.float32 .* got .*\(1,"),
    "a layer of another format": (in_model(lambda t: t.double()), "must be torch.float32 .* got torch.float64"),
    "a layer that is no tensor": (in_model(lambda t: 1.0), "must be torch.float32 .* got float"),
    "a sparse layer": (in_model(lambda t: t.to_sparse()), "model"),
    "no average": (removed("average"), "average holds other layers"),
    "an optimizer that is a number": (replaced("optimizer", 3), "optimizer must hold the moments"),
    "no moments": (replaced("optimizer/state", {}), "optimizer must hold the moments of the parameters"),
    "moments of one parameter too few": (removed("optimizer/state/0"), "optimizer must hold the moments"),
    "moments of a parameter that is not": (
        lambda state: (state["optimizer"]["state"].update({999: {}}), state["trained"].append(999)),
        "optimizer must hold the moments",
    ),
    "no mean square": (removed("optimizer/state/0/exp_avg_sq"), "optimizer.0 must hold step, exp_avg, exp_avg_sq"),
    "a mean that is NaN": (in_moments("exp_avg", with_nan), "optimizer.0.exp_avg has a value that is not a number"),
    "a negative mean square": (in_moments("exp_avg_sq", lambda t: t - 1e6), "negative mean square"),
    "a mean of another shape": (in_moments("exp_avg", lambda t: t[:1]), "optimizer.0.exp_avg must be"),
    "moments of later steps": (in_moments("step", lambda t: t + 5), "another step than 1 to 2"),
}


@pytest.mark.parametrize(("change", "said"), TAMPERED.values(), ids=TAMPERED)
def test_a_state_that_no_run_writes_is_refused(run, change, said):
    state = torch.load(run / "last.state", weights_only=True)
    change(state)
    torch.save(state, run / "last.state")
    refuse(run, rf"last\.state .*{said}")


def test_losses_of_other_names_are_refused_when_the_first_come(run):
    state = torch.load(run / "last.state", weights_only=True)
    torch.save({**state, "recent_losses": [{"cost": 1.0}]}, run / "last.state")
    with pytest.raises(InputError, match=r"last\.state is damaged: recent_losses are not loss, gradient_norm"):
        train_model(run, LONGER, resume=True, progress=False)


def with_changed_bit(content, name):
    """The last bit of the middle byte of a member of the archive is another."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        [member] = [archive.read(each) for each in archive.namelist() if each.endswith(name)]
    middle = content.index(member) + len(member) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


WRITTEN = {
    "nothing": b"",
    "text": b"state",
    "the first half": lambda content: content[: len(content) // 2],
    "a changed bit of a weight": lambda content: with_changed_bit(content, "/data/0"),
    "a changed bit of what describes them": lambda content: with_changed_bit(content, "/data.pkl"),
    "a pickle of a list": lambda content: __import__("pickle").dumps([1]),
    "an array": lambda content: np.zeros(3).tobytes(),
}


@pytest.mark.parametrize("content", WRITTEN.values(), ids=WRITTEN)
def test_a_file_that_is_no_state_is_refused(run, content):
    file = run / "last.state"
    file.write_bytes(content(file.read_bytes()) if callable(content) else content)
    refuse(run, r"last\.state is damaged or no training state")


def test_a_run_whose_state_is_gone_is_not_begun_again(run):
    (run / "last.state").unlink()
    for resume in (False, True):
        refuse(run, r"run holds best\.safetensors, but no last\.state", resume=resume)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "settings.yaml").write_text("mine: 1")
    refuse(tmp_path, r"holds settings\.yaml, but no last\.state", resume=False)


def test_a_run_that_came_to_nothing_may_be_begun_again_with_other_settings(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("no image")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("magicpoint.training.loop.train_step", fail)
        with pytest.raises(OSError, match="no image"):
            train_model(tmp_path, SETTINGS, progress=False)
    assert {path.name for path in tmp_path.iterdir()} == {"last.state", "settings.yaml", "metrics.jsonl"}
    train_model(tmp_path, dataclasses.replace(SETTINGS, learning_rate=1e-3), progress=False)
    assert "learning_rate: 0.001" in (tmp_path / "settings.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "count", "goes_on"), [("job", "0", True), ("job", "1", True), ("other", "1", False), ("none", "1", True)]
)
def test_what_torchrun_began_it_goes_on_with(tmp_path, monkeypatch, name, count, goes_on):
    """By the name of the job: machines that come start it anew without a count, a refusal is counted like a fault."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    train_model(tmp_path / "job", SETTINGS, progress=False)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", name)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
    if goes_on:
        train_model(tmp_path / "job", LONGER, progress=False)
        assert load_state(tmp_path / "job" / "last.state")["step"] == 3
    else:
        refuse(tmp_path / "job", "holds a run already", resume=False, error=FileExistsError)


def test_what_a_file_manager_keeps_is_in_nobodys_way(tmp_path):
    (tmp_path / ".DS_Store").write_text("kept")
    train_model(tmp_path, SETTINGS, progress=False)
    assert (tmp_path / ".DS_Store").read_text() == "kept"


def test_a_second_process_is_refused(run):
    with locked_folder(run):
        refuse(run, "run is being written by another process")
    train_model(run, LONGER, resume=True, progress=False)


def test_what_a_killed_process_left_is_removed_and_nothing_else(run):
    ours = [run / ".best.safetensors.123.tmp", run / ".last.state.99.tmp"]
    others = [run / ".notes.txt.12.tmp", run / ".last.state.tmp", run / ".last.state.x.tmp", run / "last.state.1.tmp"]
    for path in (*ours, *others):
        path.write_text("half")
    train_model(run, LONGER, resume=True, progress=False)
    assert [path.exists() for path in (*ours, *others)] == [False] * 2 + [True] * 4
    assert not (run / ".lock").exists()


def test_a_finished_run_says_so_and_keeps_what_it_has(run, caplog):
    before = {name: content for name, content in contents(run).items() if name != "metrics.jsonl"}
    with caplog.at_level("INFO", "magicpoint"):
        train_model(run, SETTINGS, resume=True, progress=False)
    assert "run: finished already, after 2 steps" in caplog.text
    assert contents(run).items() >= before.items()
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [2, 2]


def test_a_finished_run_without_its_best_weights_gets_them_again(run):
    before = load_weights(run / "best.safetensors")[0].state_dict()
    (run / "best.safetensors").unlink()
    train_model(run, SETTINGS, resume=True, progress=False)
    after = load_weights(run / "best.safetensors")[0].state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_weights_that_are_no_numbers_are_not_written(run, monkeypatch):
    def spoil(task, network, *_):
        with torch.no_grad():
            next(network.parameters())[0] = math.inf
        return {"loss": 1.0, "gradient_norm": 1.0}

    before = {name: content for name, content in contents(run).items() if name.startswith(("best", "last"))}
    monkeypatch.setattr("magicpoint.training.loop.train_step", spoil)
    with pytest.raises(TrainingError, match=r"is not a number after step 3 of .*; try a lower learning rate"):
        train_model(run, LONGER, resume=True, progress=False)
    assert contents(run).items() >= before.items()


METRICS = {
    "a list": "[]",
    "a number": "3",
    "text for a step": '{"kind": "train", "step": "a", "images": 1}',
    "an infinite step": '{"kind": "train", "step": Infinity, "images": 1}',
    "another kind": '{"kind": "test", "step": 1, "images": 1}',
    "no step": '{"kind": "train"}',
    "deep": "[" * 10**5,
    "half a line": '{"kind": "tra',
    "bytes": b"\xff\xfe",
}


@pytest.mark.parametrize("content", METRICS.values(), ids=METRICS)
def test_metrics_that_are_none_are_named(tmp_path, content):
    (tmp_path / "metrics.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=r"metrics\.jsonl is damaged"):
        read_training(tmp_path)


@pytest.mark.parametrize("content", METRICS.values(), ids=METRICS)
def test_lines_that_are_no_metrics_do_not_stop_a_run(run, content):
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    train_model(run, LONGER, resume=True, progress=False)
    assert [step.step for step in read_training(run).validations] == [2, 3]


def test_what_is_not_defined_is_null_in_the_metrics_and_nan_when_read(tmp_path):
    with RunLog(tmp_path, 0, SETTINGS, progress=False) as log:
        log.validation(2, {"matching_score": 0.5, "localization_error": math.nan})
    line = json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=pytest.fail)
    assert (line["matching_score"], line["localization_error"]) == (0.5, None)
    (validation,) = read_training(tmp_path).validations
    assert validation.measures["matching_score"] == 0.5
    assert math.isnan(validation.measures["localization_error"])
