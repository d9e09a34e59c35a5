"""A network, its optimiser and how far they have come, kept in a folder from which the run goes on."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch.amp import GradScaler
from torch.optim import AdamW

from ..core.errors import InputError
from ..core.files import remove_leftovers, write_text
from ..core.going_on import check_goes_on
from ..core.machine import versions
from ..model.named import NamedNetwork
from ..model.tensors import take_weights
from ..model.weights import BEST_WEIGHTS, save_weights
from .averaging import AveragedNetwork
from .distributed import launch
from .log import METRICS_FILE, RunLog
from .settings import TrainSettings, flat_settings
from .state import STATE_FILE, load_state, read_settings, save_state, take_moments, take_scale
from .tasks.base import Task, TrainingError

LAST_WEIGHTS = "last.safetensors"
SETTINGS_FILE = "settings.yaml"
RUN_FILES = (BEST_WEIGHTS, LAST_WEIGHTS, STATE_FILE, SETTINGS_FILE, METRICS_FILE)
"""What a run writes, beside TensorBoard's files."""

CHANGEABLE = frozenset(
    {"steps", "workers", "log_every", "validate_every", "checkpoint_every", "tensorboard", "accumulate"}
)
"""Settings that a resumed run may change: they leave the samples of a step as they were, and all but BatchNorm's share
of its arithmetic, as do the number of processes.

Other `steps` move the fall of the learning rate, so a run on its plateau can be ended early or prolonged.
"""

NEWER = frozenset({"accumulate", "cornerness", "sync_batch_norm"})
"""Settings that earlier versions did not have: a state of theirs was made with the defaults."""

_LOG = logging.getLogger(__name__)


class Reached(NamedTuple):
    """How far a run has come: steps taken, and the states of optimiser and scaler after them."""

    step: int
    optimizer: dict[str, Any]
    scaler: dict[str, Any]


def learning_rate(step: int, settings: TrainSettings) -> float:
    """Linear warm-up, a plateau, and a linear fall to zero over the last `decay_fraction` of the steps."""
    rise = (step + 1) / max(1, settings.warmup)
    fall = (settings.steps - step) / max(1.0, settings.decay_fraction * settings.steps)
    return settings.learning_rate * min(1.0, rise, fall)


class TrainingRun:
    """A network, its optimiser and how far they have come, kept in a folder."""

    def __init__(self, settings: TrainSettings, device: torch.device, out: Path, task: Task[Any, Any, Any]) -> None:
        # A generator of its own would not reach the layers' initialisation; the caller's global one is left as it was.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(settings.seed)  # networks are built on the CPU
            network: NamedNetwork = task.build_network()
        self.settings, self.device, self.out, self.task = settings, device, out, task
        self.network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: AveragedNetwork | None = None
        self.optimizer = AdamW(self.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        self.scaler = GradScaler(device.type, enabled=settings.precision == "float16")
        self.step = 0
        self.best_score = -math.inf
        self.recent_losses: list[dict[str, float]] = []
        self.start_hash: str | None = None

    @property
    def result(self) -> NamedNetwork:
        """What is validated and written: the average of the weights, or where none is taken the weights."""
        return self.network if self.average is None else self.average.network

    @property
    def finished(self) -> bool:
        """Whether all steps were taken."""
        return self.step >= self.settings.steps

    def open(self, resume: bool) -> Reached:
        """Starts the folder, or goes on from what it holds; returns what other processes of the run need of it.

        A folder with a run has a state from its beginning on, so that one without a state is somebody else's.
        """
        file = self.out / STATE_FILE
        state = load_state(file) if os.path.lexists(file) else None
        if state is None:
            self._check_empty()
        elif not resume:
            if state["step"] or (self.out / BEST_WEIGHTS).exists():
                raise FileExistsError(f"{self.out} holds a run already: resume it, or choose another folder")
            state = None  # of a run that came to nothing
        if state is None and self.settings.start is not None:
            self.start_hash = self.task.start(self.network, self.settings.start)
        if self.settings.averaging > 0.0:
            self.average = AveragedNetwork(self.network, self.settings.averaging)
        if state is not None:
            self._go_on(file, state)
        remove_leftovers(self.out, RUN_FILES)
        if state is None:
            self._save_state()
        write_text(self.out / SETTINGS_FILE, yaml.safe_dump(flat_settings(self.settings), sort_keys=False))
        return Reached(self.step, self.optimizer.state_dict(), self.scaler.state_dict())

    def go_on_as(self, reached: Reached) -> None:
        """Takes over how far the first process has come; its weights are taken over when the network is wrapped."""
        if self.step != reached.step:
            self.step = reached.step
            self.optimizer.load_state_dict(reached.optimizer)
            take_scale(self.scaler, reached.scaler)

    def _check_empty(self) -> None:
        for path in sorted(self.out.iterdir()) if self.out.exists() else ():
            if not path.name.startswith("."):  # the lock, what a killed process left, what a file manager keeps
                raise InputError(
                    f"{self.out} holds {path.name}, but no {STATE_FILE} from which a run could go on: choose another "
                    "folder, or, to begin from its weights, give them as start"
                )

    def _go_on(self, file: Path, state: dict[str, Any]) -> None:
        old, new = read_settings(state), flat_settings(self.settings)
        advice = "go on with those, or choose another folder"
        # A setting that there is no longer, in a state of an earlier version, decides nothing.
        same = {name: value for name, value in old.items() if name in new}
        # One that there was not yet then is as it has been all along.
        fields = (*dataclasses.fields(TrainSettings), *dataclasses.fields(self.settings.task))
        same = {field.name: field.default for field in fields if field.name in NEWER & new.keys()} | same
        check_goes_on(f"{file} was made", same, new, advice, changeable=CHANGEABLE)
        digest = state.get("data_digest")
        if digest is not None and not self.task.is_of(digest):
            raise InputError(f"{file} was made with other images, labels or shapes than those of now: {advice}")
        try:
            take_weights(self.network, state["model"], "model")
            take_moments(self.optimizer, state["optimizer"], state.get("trained"), state["step"])
            take_scale(self.scaler, state.get("scaler"))
            if self.average is not None:
                take_weights(self.average.network, state.get("average"), "average")
        except InputError as error:
            raise InputError(f"{file} is damaged: {error}") from error
        self.step, self.best_score = state["step"], state["best_score"]
        self.recent_losses, self.start_hash = list(state["recent_losses"]), state["start_hash"]
        if self.finished:
            _LOG.info("%s: finished already, after %d steps; more steps prolong it", self.out, self.step)

    def advance(self, losses: dict[str, float], log: RunLog | None) -> None:
        """Counts a step that was taken and, with a log, writes its metrics when their turn has come."""
        if log is None:
            self.step += 1
            return
        if self.average is not None:
            self.average.update(self.network, self.step)
        self.step += 1
        if self.recent_losses and self.recent_losses[-1].keys() != losses.keys():
            raise InputError(f"{self.out / STATE_FILE} is damaged: recent_losses are not {', '.join(losses)}")
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
        self._check_finite()
        measures = self.task.measure(self.result, self.device)
        log.validation(self.step, measures)
        self.task.check_measures(measures, self.step)
        score = self.task.score(measures)
        if score > self.best_score or not (self.out / BEST_WEIGHTS).exists():
            self.best_score = score
            save_weights(self.out / BEST_WEIGHTS, self.result, self._provenance(measures))

    def save(self) -> None:
        """Writes a checkpoint."""
        self._check_finite()
        save_weights(self.out / LAST_WEIGHTS, self.result, self._provenance({}))
        self._save_state()

    def _check_finite(self) -> None:
        """Better an end and the earlier checkpoint than one from which nothing can go on."""
        for name, values in self.network.state_dict().items():
            if not torch.isfinite(values).all():
                raise TrainingError(
                    f"{name} is not a number after step {self.step} of {self.out}; try a lower learning rate"
                )

    def _save_state(self) -> None:
        optimizer = self.optimizer.state_dict()
        state = {
            "settings": json.dumps(flat_settings(self.settings)),
            "step": self.step,
            "best_score": self.best_score,
            "recent_losses": self.recent_losses,
            "start_hash": self.start_hash,
            "data_digest": self.task.digest,
            "launch": launch(),
            "model": self.network.state_dict(),
            "optimizer": optimizer,
            "trained": list(optimizer["state"]),
        }
        if self.scaler.is_enabled():
            state["scaler"] = self.scaler.state_dict()
        if self.average is not None:
            state["average"] = self.average.network.state_dict()
        save_state(self.out / STATE_FILE, state)

    def _provenance(self, validation: dict[str, float]) -> dict[str, Any]:
        """What a weights file says of its making."""
        return {
            "settings": _without_folders(flat_settings(self.settings)),
            "data_digest": self.task.digest,
            "start_hash": self.start_hash,
            "steps": self.step,
            "images_seen": self.step * self.settings.batch_size,
            "validation": validation,
            "versions": versions(),
        }


def _without_folders(value: Any) -> Any:
    """Settings with the names of files in place of their paths, which are nobody's business in shipped weights."""
    if isinstance(value, dict):
        return {name: _without_folders(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_folders(each) for each in value]
    return Path(value).name if isinstance(value, str) else value
