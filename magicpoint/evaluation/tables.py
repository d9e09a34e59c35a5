"""The parts of which reports are made."""

from __future__ import annotations

import math
from collections.abc import Sequence


def as_text(value: float | None, digits: int = 3) -> str:
    """A number with so many digits behind the point; a dash for what is not defined: None, nan or infinite."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up as they are: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])
