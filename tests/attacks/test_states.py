"""A run's folder whose state, settings or weights were damaged, changed or removed."""

import pytest
import torch

from magicpoint.model.settings import ModelSettings
from magicpoint.training.loop import train_model
from magicpoint.training.settings import TrainSettings
from magicpoint.training.tasks import magicpoint as tasks_module
from magicpoint.training.tasks.settings import MagicPointSettings
from synthetic_shapes import ShapeSettings

TINY = TrainSettings(
    task=MagicPointSettings(model=ModelSettings(width=0.125), shapes=ShapeSettings(size_hw=(48, 64))),
    steps=2,
    batch_size=2,
    warmup_steps=1,
    log_every=1,
    validate_every=100,
    checkpoint_every=1,
    workers=0,
    precision="float32",
)


class NoValidation:
    def __init__(self, size_hw):
        self.size_hw = size_hw

    def measure(self, model, device):
        return {"ap_clean": 0.5, "ap_noise": 0.5, "keypoints_per_image": 1.0}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The files of a run of two steps."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks_module, "Validator", NoValidation)
        train_model(folder, TINY, progress=False)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def run(trained, attack, material, monkeypatch):
    monkeypatch.setattr(tasks_module, "Validator", NoValidation)
    material.lay(trained, attack.folder / "run")
    return attack


def change(**values):
    return lambda state: {**state, **values}


def without(name):
    return lambda state: {key: value for key, value in state.items() if key != name}


def in_model(function):
    def changed(state):
        first = next(iter(state["model"]))
        return {**state, "model": {**state["model"], first: function(state["model"][first])}}

    return changed


def in_optimizer(function):
    def changed(state):
        optimizer = {**state["optimizer"], "state": dict(state["optimizer"]["state"])}
        optimizer["state"][0] = function(dict(optimizer["state"][0]))
        return {**state, "optimizer": optimizer}

    return changed


STATES = {
    **{
        f"no {name}": without(name)
        for name in ("settings", "step", "best_score", "recent_losses", "model", "optimizer")
    },
    "a list": lambda state: [state],
    "a tensor": lambda state: torch.zeros(2),
    "nothing": lambda state: {},
    "step is text": change(step="2"),
    "step is a tensor": change(step=torch.tensor(2)),
    "step is NaN": change(step=float("nan")),
    "step is fractional": change(step=1.5),
    "step is negative": change(step=-1),
    "step is beyond the end": change(step=10**9),
    "step is true": change(step=True),
    "best_score is text": change(best_score="high"),
    "best_score is NaN": change(best_score=float("nan")),
    "best_score is null": change(best_score=None),
    "recent_losses are a number": change(recent_losses=3),
    "recent_losses are texts": change(recent_losses=["a"]),
    "recent_losses are NaN": change(recent_losses=[{"loss": float("nan")}]),
    "recent_losses are too many": change(recent_losses=[{"loss": 1.0}] * 100),
    "start_hash is a number": change(start_hash=5),
    "settings are no JSON": change(settings="{"),
    "settings are a list": change(settings="[]"),
    "settings are a number": change(settings=1),
    "settings are nested deeply": change(settings="[" * 100_000),
    "settings have a long number": change(settings='{"steps": ' + "9" * 5000 + "}"),
    "the model is null": change(model=None),
    "the model is a list": change(model=[]),
    "the model is empty": change(model={}),
    "a weight is NaN": in_model(lambda value: torch.full_like(value, torch.nan)),
    "a weight is larger": in_model(lambda value: torch.zeros(*value.shape[:-1], value.shape[-1] + 1)),
    "a weight is a number": in_model(lambda value: 1.0),
    "a weight is whole": in_model(lambda value: value.long()),
    "a weight is sparse": in_model(lambda value: value.to_sparse()),
    "the optimizer is null": change(optimizer=None),
    "the optimizer is empty": change(optimizer={}),
    "the optimizer has no state": lambda state: {**state, "optimizer": {**state["optimizer"], "state": {}}},
    "a moment is NaN": in_optimizer(lambda entry: {**entry, "exp_avg": entry["exp_avg"] * torch.nan}),
    "a moment is missing": in_optimizer(lambda entry: {"step": entry["step"]}),
    "a moment has another shape": in_optimizer(lambda entry: {**entry, "exp_avg": torch.zeros(3)}),
    "a mean square is negative": in_optimizer(lambda entry: {**entry, "exp_avg_sq": entry["exp_avg_sq"] - 1}),
    "a moment's step is another": in_optimizer(lambda entry: {**entry, "step": torch.tensor(99.0)}),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_that_no_run_writes_is_refused_by_its_name(run, name):
    path = run.folder / "run" / "last.state"
    state = torch.load(path, weights_only=True)
    torch.save(STATES[name](state), path)
    run(["train", "run", "--resume", "--steps", "3"], named="last.state")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_state_that_is_cut_is_refused_by_its_name(run, trained, share):
    data = trained["last.state"]
    (run.folder / "run" / "last.state").write_bytes(data[: int(len(data) * share)])
    run(["train", "run", "--resume", "--steps", "3"], named="last.state")


@pytest.mark.parametrize(
    "content", [b"text", bytes(1000), b"PK\x03\x04" + bytes(100), b"\x80\x02c", b"\x80\x04."], ids=repr
)
def test_what_is_no_state_is_refused_by_its_name(run, content):
    (run.folder / "run" / "last.state").write_bytes(content)
    run(["train", "run", "--resume", "--steps", "3"], named="last.state")


@pytest.mark.parametrize("words", [[], ["--resume"]], ids=["new", "resumed"])
@pytest.mark.parametrize("kind", ["removed", "a folder", "foreign"])
def test_a_run_without_its_state_is_never_begun_anew(run, words, kind):
    state = run.folder / "run" / "last.state"
    if kind == "foreign":
        for path in (run.folder / "run").iterdir():
            path.unlink()
        (run.folder / "run" / "notes.txt").write_text("mine")
    else:
        state.unlink()
    if kind == "a folder":
        state.mkdir()
    run(["train", "run", *words, "--steps", "3"], named="run")
