"""The metrics of a run: JSON lines, a progress bar and, if wanted, TensorBoard."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from ..core.extras import require
from ..core.files import check_regular, write_text
from ..core.plain import as_plain
from .settings import TrainSettings

METRICS_FILE = "metrics.jsonl"

_LOG = logging.getLogger(__name__)


class RunLog:
    """Appends to `metrics.jsonl` in a run's folder and moves its progress bar.

    A metric that is not defined, such as the error where no keypoint came back, is null in it.

    Lines of steps after `start_step` are dropped first: a resumed run goes through these steps again. One that has
    taken no step begins with none.
    """

    def __init__(self, out: Path, start_step: int, settings: TrainSettings, progress: bool) -> None:
        path = out / METRICS_FILE
        if path.exists():
            check_regular(path)
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
            write_text(path, "".join(line for line in lines if _is_kept(line, start_step)))
        self._file = path.open("a", buffering=1, encoding="utf-8")
        self._bar = tqdm(
            total=settings.steps * settings.batch_size,
            initial=start_step * settings.batch_size,
            unit=" images",
            unit_scale=True,
            disable=not progress,
            smoothing=0.05,
            dynamic_ncols=True,
        )
        self._batch_size = settings.batch_size
        self._last = (time.perf_counter(), start_step)
        self._writer: Any = None
        if settings.tensorboard:
            require("tensorboard", "tensorboard")
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(out), purge_step=start_step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        self._file.close()
        if self._writer is not None:
            self._writer.close()

    def advance(self) -> None:
        """One step is done."""
        self._bar.update(self._batch_size)

    def training(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes the training metrics up to `step`, and the images per second since the last call."""
        now = time.perf_counter()
        rate = (step - self._last[1]) * self._batch_size / max(now - self._last[0], 1e-9)
        self._last = (now, step)
        self._write("train", step, {**metrics, "images_per_second": round(rate, 1)})
        self._bar.set_postfix(loss=f"{metrics['loss']:.4f}", refresh=False)

    def validation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes the validation metrics at `step` and tells them in the log."""
        self._write("validation", step, metrics)
        _LOG.info("step %d: %s", step, "  ".join(f"{name} {value:.3f}" for name, value in metrics.items()))

    def _write(self, kind: str, step: int, metrics: Mapping[str, float]) -> None:
        line = as_plain({"kind": kind, "step": step, "images": step * self._batch_size, **metrics})
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        if self._writer is not None:
            for name, value in metrics.items():
                self._writer.add_scalar(f"{kind}/{name}", value, step)


def _is_kept(line: str, start_step: int) -> bool:
    """Whether a line is whole and of a step that is not repeated."""
    try:
        found = json.loads(line)
        return found["kind"] in ("train", "validation") and bool(0 < start_step >= found["step"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
