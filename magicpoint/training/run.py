"""A network, its optimiser and how far they have come, kept in a folder from which the run goes on."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import yaml
from torch.optim import AdamW

from ..core.files import write_atomically
from ..core.going_on import check_goes_on
from ..core.machine import versions
from ..model.network import PointNetwork
from ..model.weights import BEST_WEIGHTS, load_weights, resolve, save_weights, weights_hash
from ..model.widen import widen
from .log import RunLog
from .settings import TrainSettings
from .tasks.base import ALIVE_BY_STEP, Task, TrainingError


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Writes the state of a run: tensors, numbers, strings, and lists and dicts of them."""
    write_atomically(path, lambda temporary: torch.save(dict(state), temporary))


def load_state(path: Path) -> dict[str, Any]:
    """Reads a file of ``save_state``.

    Raises:
        ValueError: the file is damaged; it is named.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        first_line = str(error).split("\n")[0]
        raise ValueError(f"{path} is damaged or no training state: {first_line}") from error
    return state


STATE_FILE = "last.state"
LAST_WEIGHTS = "last.safetensors"
SETTINGS_FILE = "settings.yaml"

CHANGEABLE = frozenset({"steps", "workers", "log_every", "validate_every", "checkpoint_every", "tensorboard"})
"""Settings that a resumed run may change: they leave the samples and the arithmetic of a step as they were.

Other ``steps`` move the fall of the learning rate, so a run on its plateau can be ended early or prolonged.
"""


def learning_rate(step: int, settings: TrainSettings) -> float:
    """Linear warm-up, a plateau, and a linear fall to zero over the last ``decay_fraction`` of the steps."""
    rise = (step + 1) / max(1, settings.warmup_steps)
    fall = (settings.steps - step) / max(1.0, settings.decay_fraction * settings.steps)
    return settings.learning_rate * min(1.0, rise, fall)


class TrainingRun:
    """A network, its optimiser and how far they have come, kept in a folder."""

    def __init__(self, settings: TrainSettings, device: torch.device, out: Path, task: Task) -> None:
        # A generator of its own would not reach the layers' initialisation; the caller's global one is left as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            model = PointNetwork(settings.model)
        self.settings, self.device, self.out, self.task = settings, device, out, task
        self.model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = AdamW(self.model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        self.step = 0
        self.best_score = -math.inf
        self.recent_losses: list[dict[str, float]] = []
        self.start_hash: str | None = None

    def open(self, resume: bool) -> None:
        """Starts the folder, or goes on from what it holds."""
        self.out.mkdir(parents=True, exist_ok=True)
        state_file = self.out / STATE_FILE
        if state_file.exists():
            if not resume:
                raise FileExistsError(f"{self.out} holds a run already: resume it, or choose another folder")
            state = load_state(state_file)
            old, new = json.loads(state["settings"]), _as_json(self.settings)
            advice = "go on with those, or choose another folder"
            # A setting that there is no longer, in a state of an earlier version, decides nothing.
            same = {name: value for name, value in old.items() if name in new}
            check_goes_on(f"{state_file} was made", same, new, advice, changeable=CHANGEABLE)
            self.step, self.best_score = state["step"], state["best_score"]
            self.recent_losses = list(state["recent_losses"])
            self.start_hash = state["start_hash"]
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        elif self.settings.start is not None:
            self.start_hash = start_from(self.model, self.settings.start)
        text = yaml.safe_dump(_as_json(self.settings), sort_keys=False)
        write_atomically(self.out / SETTINGS_FILE, lambda temporary: temporary.write_text(text))

    def advance(self, losses: dict[str, float], log: RunLog) -> None:
        """Counts a step that was taken and writes its metrics when their turn has come."""
        self.step += 1
        self.recent_losses.append(losses)
        log.advance()
        if self.step % self.settings.log_every == 0 or self.step == self.settings.steps:
            count = len(self.recent_losses)
            means = {name: math.fsum(taken[name] for taken in self.recent_losses) / count for name in losses}
            rate = learning_rate(self.step - 1, self.settings)
            log.training(self.step, {**means, "learning_rate": rate})
            self.recent_losses.clear()
            self.task.check(means, self.step)

    def validate(self, log: RunLog) -> None:
        """Measures the network and keeps its weights if it is the best so far."""
        measures = self.task.measure(self.model, self.device)
        log.validation(self.step, measures)
        if measures["keypoints_per_image"] == 0 and self.step >= ALIVE_BY_STEP:
            raise TrainingError(
                f"the detector is dead: no keypoint in any validation image after step {self.step} of {self.out}"
            )
        score = self.task.score(measures)
        if score > self.best_score or not (self.out / BEST_WEIGHTS).exists():
            self.best_score = score
            save_weights(self.out / BEST_WEIGHTS, self.model, self._provenance(measures))

    def save(self) -> None:
        """Writes a checkpoint."""
        save_weights(self.out / LAST_WEIGHTS, self.model, self._provenance({}))
        state = {
            "settings": json.dumps(_as_json(self.settings)),
            "step": self.step,
            "best_score": self.best_score,
            "recent_losses": self.recent_losses,
            "start_hash": self.start_hash,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        save_state(self.out / STATE_FILE, state)

    def _provenance(self, validation: dict[str, float]) -> dict[str, Any]:
        """What a weights file says of its making."""
        return {
            "settings": _without_folders(_as_json(self.settings)),
            "data_digest": self.task.digest,
            "start_hash": self.start_hash,
            "steps": self.step,
            "images_seen": self.step * self.settings.batch_size,
            "validation": validation,
            "versions": versions(),
        }


def _as_json(settings: TrainSettings) -> dict[str, Any]:
    """The settings with lists for tuples and strings for paths."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings), default=str))
    return plain


def _without_folders(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with the names of files in place of their paths, which are nobody's business in shipped weights."""
    named = dict(settings)
    named["images"] = [Path(path).name for path in settings["images"]]
    for name in ("labels", "dataset", "start"):
        named[name] = None if settings[name] is None else Path(settings[name]).name
    return named


def start_from(model: PointNetwork, weights: str) -> str:
    """Copies weights, a file, a run's folder or a shipped name, into a network; returns their hash.

    Layers that the weights lack keep their values, and layers that the network lacks are passed over. Weights of a
    narrower network are widened first (`widen`).

    Raises:
        ValueError: There are no such weights, or a layer has another shape.
    """
    source = load_weights(resolve(weights).path)[0]
    start = widen(source, model.settings.width) if source.settings.width < model.settings.width else source
    tensors, own = start.state_dict(), model.state_dict()
    unfit = [name for name in own if name in tensors and own[name].shape != tensors[name].shape]
    if unfit:
        raise ValueError(
            f"cannot start from {weights}: {unfit[0]} is {tuple(tensors[unfit[0]].shape)} there and "
            f"{tuple(own[unfit[0]].shape)} in a network of {model.settings}"
        )
    model.load_state_dict({name: tensors.get(name, own[name]) for name in own})
    return weights_hash(source.state_dict())
