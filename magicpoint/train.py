"""The training loop."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn
from torch.optim import AdamW, Optimizer

from synthetic_shapes import ShapesDataset

from .checkpoint import load_state, save_state, save_weights, versions, write_atomically
from .config import TrainSettings
from .data import Batch, RenderedSource, Source, StoredSource, TrainingBatches, load_batches, to_batch
from .labels import draw_keypoint_map, labels2Dto3D, mask_to_cells
from .losses import detector_loss
from .model import PointNetwork
from .run_log import RunLog
from .runtime import default_device, resolve_precision, stop_requests
from .validation import Validator

STATE_FILE = "last.state"
LAST_WEIGHTS = "last.safetensors"
BEST_WEIGHTS = "best.safetensors"
SETTINGS_FILE = "settings.yaml"

ALIVE_BY_STEP = 1000
"""From this step on a detector that finds nothing is taken for dead; one that learns finds corners after some 200."""

CHANGEABLE = frozenset({"steps", "workers", "log_every", "validate_every", "checkpoint_every", "tensorboard"})
"""Settings that a resumed run may change: they leave the samples and the arithmetic of a step as they were.

Other ``steps`` move the fall of the learning rate, so a run on its plateau can be ended early or prolonged.
"""


class TrainingError(RuntimeError):
    """The run cannot go on: the loss is not a number, or the detector is dead."""


def learning_rate(step: int, settings: TrainSettings) -> float:
    """Linear warm-up, a plateau, and a linear fall to zero over the last ``decay_fraction`` of the steps."""
    rise = (step + 1) / max(1, settings.warmup_steps)
    fall = (settings.steps - step) / max(1.0, settings.decay_fraction * settings.steps)
    return settings.learning_rate * min(1.0, rise, fall)


def train_step(
    model: nn.Module, optimizer: Optimizer, batch: Batch, settings: TrainSettings, step: int
) -> tuple[float, float]:
    """Optimiser step number ``step``; returns the loss and the norm of its gradient before clipping."""
    device = batch.image.device
    height, width = batch.image.shape[-2:]
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, settings)
    target = labels2Dto3D(draw_keypoint_map(batch.keypoints, (height, width), settings.label_sigma))
    with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        logits = model(batch.image.contiguous(memory_format=torch.channels_last)).logits
    loss = detector_loss(logits, target, mask_to_cells(batch.valid_mask), settings.loss)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
    optimizer.step()
    return loss.item(), norm.item()


class TrainingRun:
    """A network, its optimiser and how far they have come, kept in a folder."""

    def __init__(self, settings: TrainSettings, device: torch.device, out: Path, data_digest: str) -> None:
        # A generator of its own would not reach the layers' initialisation; the caller's global one is left as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            model = PointNetwork(settings.model)
        self.settings, self.device, self.out, self.data_digest = settings, device, out, data_digest
        self.model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = AdamW(self.model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        self.step = 0
        self.best_score = -math.inf
        self.recent_losses: list[float] = []
        self._validator = Validator(settings.shapes.size)

    def open(self, resume: bool) -> None:
        """Starts the folder, or goes on from what it holds."""
        self.out.mkdir(parents=True, exist_ok=True)
        state_file = self.out / STATE_FILE
        if state_file.exists():
            if not resume:
                raise FileExistsError(f"{self.out} holds a run already: resume it, or choose another folder")
            state = load_state(state_file)
            _check_same_run(json.loads(state["settings"]), _as_json(self.settings), state_file)
            self.step, self.best_score = state["step"], state["best_score"]
            self.recent_losses = list(state["recent_losses"])
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        text = yaml.safe_dump(_as_json(self.settings), sort_keys=False)
        write_atomically(self.out / SETTINGS_FILE, lambda temporary: temporary.write_text(text))

    def advance(self, loss: float, norm: float, log: RunLog) -> None:
        """Counts a step that was taken and writes its metrics when their turn has come."""
        self.step += 1
        self.recent_losses.append(loss)
        log.advance()
        if self.step % self.settings.log_every == 0 or self.step == self.settings.steps:
            rate = learning_rate(self.step - 1, self.settings)
            mean = math.fsum(self.recent_losses) / len(self.recent_losses)
            log.training(self.step, {"loss": mean, "gradient_norm": norm, "learning_rate": rate})
            self.recent_losses.clear()

    def validate(self, log: RunLog) -> None:
        """Measures the detector and keeps its weights if it is the best so far."""
        scores = self._validator.measure(self.model, self.device)
        log.validation(self.step, scores)
        if scores["keypoints_per_image"] == 0 and self.step >= ALIVE_BY_STEP:
            raise TrainingError(
                f"the detector is dead: no keypoint in any validation image after step {self.step} of {self.out}"
            )
        score = 0.5 * (scores["ap_clean"] + scores["ap_noise"])
        if score > self.best_score:
            self.best_score = score
            save_weights(self.out / BEST_WEIGHTS, self.model, self._provenance(scores))

    def save(self) -> None:
        """Writes a checkpoint."""
        save_weights(self.out / LAST_WEIGHTS, self.model, self._provenance({}))
        state = {
            "settings": json.dumps(_as_json(self.settings)),
            "step": self.step,
            "best_score": self.best_score,
            "recent_losses": self.recent_losses,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        save_state(self.out / STATE_FILE, state)

    def _provenance(self, validation: dict[str, float]) -> dict[str, Any]:
        """What a weights file says of its making."""
        return {
            "settings": _as_json(self.settings),
            "data_digest": self.data_digest,
            "steps": self.step,
            "images_seen": self.step * self.settings.batch_size,
            "validation": validation,
            "versions": versions(),
        }


def _as_json(settings: TrainSettings) -> dict[str, Any]:
    """The settings with lists for tuples and strings for paths."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings), default=str))
    return plain


def _check_same_run(old: dict[str, Any], new: dict[str, Any], state_file: Path) -> None:
    for name in new:
        if name not in CHANGEABLE and old.get(name) != new[name]:
            raise ValueError(f"{state_file} was made with {name} {old.get(name)}, not {new[name]}")


def train_detector(
    out: Path,
    settings: TrainSettings | None = None,
    resume: bool = False,
    device: torch.device | None = None,
    progress: bool = True,
) -> Path:
    """Trains a detector and writes weights, state and metrics into the folder ``out``.

    Args:
        out: Holds afterwards ``best.safetensors`` (by validation), ``last.safetensors``, ``last.state`` (to resume
            from), ``settings.yaml`` and ``metrics.jsonl``.
        settings: The run; None: the defaults.
        resume: Go on from ``last.state``, if there is one. The settings must be those of the run, but for ``steps`` and
            those that do not change the result (``CHANGEABLE``).
        device: Where to compute; None: CUDA where there is one.
        progress: Show a progress bar.

    Returns:
        The path of the best weights.

    Raises:
        FileExistsError: ``out`` holds a run already and ``resume`` is False.
        ValueError: the run that is resumed had other settings.
        TrainingError: the loss is not a number, or the detector is dead.
        KeyboardInterrupt: after Ctrl-C; a checkpoint is written first.
    """
    device = device or default_device()
    settings = settings or TrainSettings()
    settings = dataclasses.replace(settings, precision=resolve_precision(settings.precision, device))
    source = open_source(settings)
    run = TrainingRun(settings, device, out, source.digest)
    run.open(resume)
    batches = TrainingBatches(source, settings.augmentation, settings.seed, settings.batch_size, *rank_and_world_size())
    loader = load_batches(batches, run.step, settings.steps, settings.workers, pin=device.type == "cuda")
    log = RunLog(out, run.step, settings.steps, settings.batch_size, progress, settings.tensorboard)
    with log, stop_requests() as stop:
        for collated in loader:
            loss, norm = train_step(run.model.train(), run.optimizer, to_batch(collated, device), settings, run.step)
            if not math.isfinite(loss + norm):
                raise TrainingError(f"loss {loss}, gradient norm {norm} at step {run.step} of {out}: try a lower rate")
            run.advance(loss, norm, log)
            done = run.step == settings.steps
            if run.step % settings.validate_every == 0 or done:
                run.validate(log)
            if run.step % settings.checkpoint_every == 0 or done or stop.requested:
                run.save()
            if stop.requested and not done:
                raise KeyboardInterrupt(f"stopped after step {run.step}; --resume goes on from there")
    return out / BEST_WEIGHTS


def open_source(settings: TrainSettings) -> Source:
    """Where the samples come from."""
    if settings.dataset is None:
        return RenderedSource(settings.seed, settings.shapes)
    return StoredSource(ShapesDataset(settings.dataset, "training"), settings.seed)


def rank_and_world_size() -> tuple[int, int]:
    """This process's number and how many there are."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
