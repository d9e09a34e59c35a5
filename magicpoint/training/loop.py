"""The training loop."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast, get_args

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from ..core.files import AnyPath
from ..core.interrupts import stop_requests
from ..core.locks import locked_folder
from ..core.machine import default_device, resolve_precision
from ..core.precision import Precision
from ..data.loading import Parts, prepared_batches
from ..model.named import NamedNetwork
from ..model.weights import BEST_WEIGHTS
from .distributed import Processes, is_restarted, launch, process_group
from .log import RunLog
from .run import TrainingRun, learning_rate
from .settings import TrainSettings
from .state import STATE_FILE, load_state, read_settings
from .tasks.base import Task, TrainingError, open_task

LEAST_SCALE = 2.0**-10
"""Where gradients overflow float16 below this scale none helps: the first is 65536, and each overflow halves it."""


class StepLosses(nn.Module):
    """A task's losses as a module, which processes can share: the task may call what it likes of its network."""

    def __init__(self, task: Task[Any, Any, Any], network: NamedNetwork) -> None:
        super().__init__()
        self.task, self.network = task, network

    def forward(self, batch: Any, step: int) -> dict[str, Tensor]:
        return self.task.losses(self.network, batch, step)


def train_step(
    task: Task[Any, Any, Any],
    losses_of: nn.Module,
    optimizer: Optimizer,
    parts: Sequence[Any],
    settings: TrainSettings,
    step: int,
    scaler: GradScaler | None = None,
) -> dict[str, float]:
    """Optimiser step number `step`; returns the task's losses and the norm of the gradient before clipping.

    With a scaler also `skipped`: 1 where the gradient overflowed, so that nothing was learnt and its norm counts as 0.

    Args:
        task: What is learnt.
        losses_of: `StepLosses` of the network, as `Processes.wrap` gives it.
        optimizer: Of its parameters.
        parts: The items of this process; the losses are the mean of theirs.
        settings: Of the run.
        step: Counted from 0.
        scaler: Keeps the gradients within float16; None leaves them as they are.

    Raises:
        TrainingError: The gradients overflow however small their scale.
    """
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, settings)
    optimizer.zero_grad(set_to_none=True)
    device, found = next(losses_of.parameters()).device, []
    scaler = scaler or GradScaler(device.type, enabled=False)
    for part, item in enumerate(parts, 1):
        is_last = part == len(parts) or not isinstance(losses_of, DistributedDataParallel)
        with nullcontext() if is_last else cast(DistributedDataParallel, losses_of).no_sync():
            losses = losses_of(task.to_device(item, device), step)
            scaler.scale(losses["loss"] / len(parts)).backward()
        found.append(losses)
    scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(losses_of.parameters(), settings.gradient_clip).item()
    scale = scaler.get_scale()
    scaler.step(optimizer)
    scaler.update()
    means = {name: math.fsum(losses[name].item() for losses in found) / len(found) for name in found[0]}
    if not scaler.is_enabled():
        return {**means, "gradient_norm": norm}
    is_skipped = scaler.get_scale() < scale
    if is_skipped and scaler.get_scale() < LEAST_SCALE:
        raise TrainingError(
            f"the gradients of step {step} overflow float16 at the scale {scale:g}: take precision bfloat16, or a "
            "lower learning rate"
        )
    return {**means, "gradient_norm": 0.0 if is_skipped else norm, "skipped": float(is_skipped)}


def train_model(
    out: AnyPath,
    settings: TrainSettings | None = None,
    resume: bool = False,
    device: torch.device | None = None,
    progress: bool = True,
) -> Path:
    """Trains a network and writes weights, state and metrics into the folder `out`.

    Under `torchrun` this is one of several processes that do it together: each takes its share of every batch, and the
    first alone writes, validates and shows progress. One that is started anew goes on.

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
        MachineError: another process of the run has ended; the message names it, and the last checkpoint is whole.
        TrainingError: the loss is not a number, the detector is dead, or the descriptors have collapsed.
        KeyboardInterrupt: after Ctrl-C; a checkpoint is written first.
    """
    out, device = Path(out), device or default_device()
    asked = settings or TrainSettings()
    with process_group(device) as processes:
        resume = processes.from_first(lambda: resume or _is_begun(out))
        precision = processes.from_first(lambda: _precision(out, asked, resume, device))
        settings = dataclasses.replace(asked, precision=precision)
        task = open_task(settings.task, settings)
        run = TrainingRun(settings, device, out, task)
        with locked_folder(out) if processes.is_first else nullcontext():
            run.go_on_as(processes.from_first(lambda: run.open(resume)))
            _train(run, processes, progress)
    return out / BEST_WEIGHTS


def _is_begun(out: Path) -> bool:
    """Whether `torchrun` starts anew what it has begun, after a process has ended or a machine has come."""
    name = launch()
    if name is None:
        return is_restarted()
    return (out / STATE_FILE).is_file() and load_state(out / STATE_FILE).get("launch") == name


def _precision(out: Path, settings: TrainSettings, resume: bool, device: torch.device) -> Precision:
    """The number format of a run, which is measured once, when it begins."""
    if settings.precision == "auto" and resume and (out / STATE_FILE).is_file():
        kept = read_settings(load_state(out / STATE_FILE)).get("precision")
        if kept in get_args(Precision):
            return cast(Precision, kept)
    return resolve_precision(settings.precision, device)


def _train(run: TrainingRun, processes: Processes, progress: bool) -> None:
    """The steps that are left."""
    settings, task, out = run.settings, run.task, run.out
    count = settings.accumulate
    shares = [task.batches(processes.rank * count + part, processes.count * count) for part in range(count)]
    prepared = prepared_batches(Parts(shares), run.step * count, settings.steps * count, settings.workers)
    losses_of = processes.wrap(StepLosses(task, run.network), settings.sync_batch_norm, task.leaves_unused)
    log = RunLog(out, run.step, settings, progress) if processes.is_first else None
    with log or nullcontext(), stop_requests() as stop, prepared as items:
        # Weights to start from are judged before they change: training has to do better, and shows by how much it does.
        begins = run.step == 0 and settings.start is not None
        if log is not None and (begins or (run.finished and not (out / BEST_WEIGHTS).exists())):
            run.validate(log)
        while not run.finished:
            parts = list(itertools.islice(items, count))
            try:
                losses = train_step(task, losses_of.train(), run.optimizer, parts, settings, run.step, run.scaler)
                losses, stops = processes.agree(losses, stop.requested)
            except RuntimeError as error:
                raise processes.explain(error, run.step) from error
            if not all(math.isfinite(value) for value in losses.values()):
                raise TrainingError(f"not a number at step {run.step} of {out}: {losses}; try a lower learning rate")
            run.advance(losses, log)
            if log is not None:
                if run.step % settings.validate_every == 0 or run.finished:
                    run.validate(log)
                if run.step % settings.checkpoint_every == 0 or run.finished or stops:
                    run.save()
            if stops and not run.finished:
                raise KeyboardInterrupt(f"stopped after step {run.step}; --resume goes on from there")
