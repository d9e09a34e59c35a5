"""The file from which a run goes on: written, and read with doubt."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.amp import GradScaler
from torch.optim import Optimizer

from ..core.errors import InputError
from ..core.files import write_atomically
from ..model.tensors import check_tensor, read_saved

STATE_FILE = "last.state"

_CONTENT = ("settings", "step", "best_score", "recent_losses", "start_hash", "model", "optimizer")
_MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Writes the state of a run: tensors, numbers, strings, and lists and dicts of them."""
    write_atomically(path, lambda temporary: torch.save(dict(state), temporary))


def load_state(path: Path) -> dict[str, Any]:
    """Reads a file of `save_state`, and checks what can be checked without a network.

    Raises:
        OSError: The file cannot be read.
        InputError: The file is damaged, or holds something that no run writes; it is named.
    """
    if not path.is_file():
        raise InputError(f"{path} is no regular file")
    try:
        _check_bytes(path)
    except InputError as error:
        raise InputError(f"{path} is damaged or no training state: {error}") from error
    state = read_saved(path, "training state")
    try:
        _check_form(state)
    except InputError as error:
        raise InputError(f"{path} is damaged or no training state: {error}") from error
    return dict(state)


def _check_bytes(path: Path) -> None:
    """torch does not look at the checksums that it writes: a changed weight would be gone on with."""
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [member.filename for member in archive.infolist() if member.compress_type != zipfile.ZIP_STORED]
            changed = packed[0] if packed else archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, RuntimeError, OSError) as error:
        raise InputError(str(error)) from error
    if changed is not None:
        raise InputError(f"{changed:.80} is not as it was written")


def _check_form(state: Any) -> None:
    lacking = [name for name in _CONTENT if not isinstance(state, dict) or name not in state]
    if lacking:
        raise InputError(f"it lacks {', '.join(lacking)}")
    steps = read_settings(state).get("steps")
    step, score, losses = state["step"], state["best_score"], state["recent_losses"]
    if not _is_whole(steps) or not _is_whole(step) or not 0 <= step <= steps:
        raise InputError(f"step must be a whole number from 0 to the {steps!r} of the run, got {step!r}")
    if not isinstance(score, float) or math.isnan(score):
        raise InputError(f"best_score must be a number, got {score!r}")
    if not isinstance(losses, list) or len(losses) > step or not all(map(_are_losses, losses)):
        raise InputError(f"recent_losses must be those of at most {step} steps, numbers by name, got {losses!s:.80}")
    for name in ("start_hash", "data_digest", "launch"):
        if not isinstance(state.get(name), str | None):
            raise InputError(f"{name} must be text, got {state[name]!r:.80}")


def read_settings(state: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with which a state was made, in plain values.

    Raises:
        InputError: They cannot be read.
    """
    try:
        settings = json.loads(state["settings"])
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"settings are no JSON: {error}") from error
    if not isinstance(settings, dict):
        raise InputError(f"settings must be an object, got {settings!r:.80}")
    return settings


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_losses(taken: Any) -> bool:
    return isinstance(taken, dict) and all(
        isinstance(name, str) and isinstance(loss, float) and math.isfinite(loss) for name, loss in taken.items()
    )


def take_moments(optimizer: Optimizer, content: Any, trained: Any, step: int) -> None:
    """Lets AdamW go on with the moments of a state; its rates are as the settings say.

    Args:
        optimizer: Its state is replaced.
        content: What the state holds of its `state_dict()`.
        trained: Numbers of the parameters that have moments; None, in a state of an earlier version: all.
        step: So many steps were taken.

    Raises:
        InputError: A parameter's moments are missing, or are no tensors of its shape, or not finite.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments = content.get("state") if isinstance(content, dict) else None
    expected = list(range(len(parameters) if step else 0)) if trained is None else trained
    if not isinstance(moments, dict) or list(moments) != expected or not set(moments) <= set(range(len(parameters))):
        raise InputError(f"optimizer must hold the moments of the parameters {expected!r:.80}")
    for number, entry in moments.items():
        parameter = parameters[number]
        if not isinstance(entry, dict) or entry.keys() != {"step", *_MOMENTS}:
            raise InputError(f"optimizer.{number} must hold step, {', '.join(_MOMENTS)}, got {entry!r:.80}")
        for name in _MOMENTS:
            check_tensor(f"optimizer.{number}.{name}", entry[name], parameter)
        check_tensor(f"optimizer.{number}.step", entry["step"], torch.zeros(()))
        if (entry["exp_avg_sq"] < 0).any() or not 1 <= entry["step"] <= step:
            raise InputError(f"optimizer.{number} holds a negative mean square, or another step than 1 to {step}")
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


def take_scale(scaler: GradScaler, content: Any) -> None:
    """Lets a scaler go on with the scale of a state; one that does nothing stays as it is.

    Raises:
        InputError: There is none, or it is no scale.
    """
    if not scaler.is_enabled():
        return
    scale: Any
    since: Any
    scale, since = map((content if isinstance(content, dict) else {}).get, ("scale", "_growth_tracker"))
    if not isinstance(scale, float) or not 0 < scale < math.inf or not _is_whole(since) or since < 0:
        raise InputError(f"scaler must hold a scale and the steps since it changed, got {content!r:.80}")
    scaler.load_state_dict({**scaler.state_dict(), "scale": scale, "_growth_tracker": since})
