"""What benchmarks of several variants share: a process for each, and a folder for the results."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from magicpoint.core.plain import json_text

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def run_apart(
    name: str, measure: Callable[Arguments, Result], *arguments: Arguments.args, **options: Arguments.kwargs
) -> Result | None:
    """What a function of a module returns in a process of its own, which has imported nothing but that module.

    None where it fails, as on a processor that lacks the instructions of a number format; the error is reported.
    """
    print(name, file=sys.stderr)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(measure, *arguments, **options).result()
        except Exception as error:
            print(f"{name}: {error}", file=sys.stderr)
            return None


def save_results(found: Result, out: Path, name: str, plot: Callable[[Result, Path], None]) -> None:
    """Writes NAME.json and NAME.png into a folder, which is made."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json_text(found))
    plot(found, out / f"{name}.png")
