"""What `run_all.py` collects: figures with their spread, how they are taken, and how two runs are compared."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

NOISE = 0.05
"""What two runs of the same program on a quiet machine may differ by, beyond what each has seen of itself."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """What was measured several times.

    Args:
        value: The median.
        low: The smallest.
        high: The largest.
        unit: ms, MB, images/s and so on.
        better: Whether less or more is better.
    """

    value: float
    low: float
    high: float
    unit: str
    better: Literal["lower", "higher"] = "lower"


Figures = Mapping[str, Figure]


def taken_in_turns(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Figure]:
    """Milliseconds of each call, one after the other in every round, so that a change of the machine meets all.

    A first round is not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: of([1000 * value for value in values[1:]], "ms") for name, values in seconds.items()}


def of(values: list[float], unit: str, better: Literal["lower", "higher"] = "lower") -> Figure:
    """The figure of several measurements."""
    return Figure(statistics.median(values), min(values), max(values), unit, better)


def compare(earlier: Figures, now: Figures) -> dict[str, float]:
    """By name, how many times worse a figure has become, of those for which that is more than the noise.

    It is where not even the best of the later measurements comes within `NOISE` of the worst of the earlier ones.
    """
    worse = {}
    for name, figure in now.items():
        before = earlier.get(name)
        if before is None or before.value <= 0 or figure.value <= 0:
            continue
        if figure.better == "lower" and figure.low > before.high * (1 + NOISE):
            worse[name] = figure.value / before.value
        if figure.better == "higher" and figure.high < before.low * (1 - NOISE):
            worse[name] = before.value / figure.value
    return worse


def save(path: Path, figures: Figures, **more: Any) -> None:
    """Writes figures, and what else is to be known, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: dataclasses.asdict(figure) for name, figure in figures.items()}
    path.write_text(json.dumps({**more, "figures": plain}, indent=1))


def load(path: Path) -> tuple[dict[str, Figure], dict[str, Any]]:
    """What `save` wrote: the figures, and the rest."""
    values = json.loads(path.read_text())
    return {name: Figure(**figure) for name, figure in values.pop("figures").items()}, values
