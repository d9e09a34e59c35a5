"""What benchmarks of several variants share: a process for each, and a folder for the results."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def run_apart(script: str, name: str, variant: Any) -> Any:
    """What a script prints as JSON when it gets ``--variant`` with a JSON value, in a process of its own.

    None where it fails, as on a processor that lacks the instructions of a number format; the error is reported.
    """
    print(name, file=sys.stderr)
    command = [sys.executable, script, "--variant", json.dumps(variant)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def save_results(found: dict[str, Any], out: Path, name: str, plot: Callable[[dict[str, Any], Path], None]) -> None:
    """Writes NAME.json and NAME.png into a folder, which is made."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(found, indent=1))
    plot(found, out / f"{name}.png")
