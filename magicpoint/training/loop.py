"""The training loop."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ..core.files import AnyPath
from ..core.interrupts import stop_requests
from ..core.locks import locked_folder
from ..core.machine import default_device, resolve_precision
from ..data.loading import prepared_batches
from ..model.weights import BEST_WEIGHTS
from .distributed import rank_and_world_size
from .log import RunLog
from .run import TrainingRun, learning_rate
from .settings import TrainSettings
from .tasks.base import Task, TrainingError, open_task


def train_step(
    task: Task[Any, Any, Any],
    network: nn.Module,
    optimizer: Optimizer,
    item: Any,
    settings: TrainSettings,
    step: int,
) -> dict[str, float]:
    """Optimiser step number `step`; returns the task's losses and the norm of the gradient before clipping."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, settings)
    batch = task.to_device(item, next(network.parameters()).device)
    losses = task.losses(network, batch, step)
    optimizer.zero_grad(set_to_none=True)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(network.parameters(), settings.gradient_clip)
    optimizer.step()
    return {**{name: value.item() for name, value in losses.items()}, "gradient_norm": norm.item()}


def train_model(
    out: AnyPath,
    settings: TrainSettings | None = None,
    resume: bool = False,
    device: torch.device | None = None,
    progress: bool = True,
) -> Path:
    """Trains a network and writes weights, state and metrics into the folder `out`.

    Args:
        out: Holds afterwards `best.safetensors` (by validation), `last.safetensors`, `last.state` (to resume
            from), `settings.yaml` and `metrics.jsonl`.
        settings: The run; None: the defaults.
        resume: Go on from `last.state`, if there is one. The settings must be those of the run, but for `steps` and
            those that do not change the result (`CHANGEABLE`).
        device: Where to compute; None: CUDA where there is one.
        progress: Show a progress bar.

    Returns:
        The path of the best weights.

    Raises:
        FileExistsError: `out` holds a run already and `resume` is False.
        InputError: `out` holds something else than a run, or another process trains in it; the run that is resumed is
            damaged or had other settings or data; or the labels or the weights to start from are unusable.
        TrainingError: the loss is not a number, the detector is dead, or the descriptors have collapsed.
        KeyboardInterrupt: after Ctrl-C; a checkpoint is written first.
    """
    out, device = Path(out), device or default_device()
    settings = settings or TrainSettings()
    settings = dataclasses.replace(settings, precision=resolve_precision(settings.precision, device))
    task = open_task(settings.task, settings)
    run = TrainingRun(settings, device, out, task)
    with locked_folder(out):
        run.open(resume)
        _train(run, progress)
    return out / BEST_WEIGHTS


def _train(run: TrainingRun, progress: bool) -> None:
    """The steps that are left."""
    settings, task, out = run.settings, run.task, run.out
    batches = task.batches(*rank_and_world_size())
    log = RunLog(out, run.step, settings.steps, settings.batch_size, progress, settings.tensorboard)
    prepared = prepared_batches(batches, run.step, settings.steps, settings.workers)
    with log, stop_requests() as stop, prepared as items:
        # Weights to start from are judged before they change: training has to do better, and shows by how much it does.
        begins = run.step == 0 and settings.start is not None
        if begins or (run.finished and not (out / BEST_WEIGHTS).exists()):
            run.validate(log)
        for item in items:
            losses = train_step(task, run.network.train(), run.optimizer, item, settings, run.step)
            if not all(math.isfinite(value) for value in losses.values()):
                raise TrainingError(f"not a number at step {run.step} of {out}: {losses}; try a lower learning rate")
            run.advance(losses, log)
            done = run.finished
            if run.step % settings.validate_every == 0 or done:
                run.validate(log)
            if run.step % settings.checkpoint_every == 0 or done or stop.requested:
                run.save()
            if stop.requested and not done:
                raise KeyboardInterrupt(f"stopped after step {run.step}; --resume goes on from there")
