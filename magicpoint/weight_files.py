"""Where weights are: shipped with the package, in a file, or in the folder of a run."""

from __future__ import annotations

import os
from pathlib import Path

BEST_WEIGHTS = "best.safetensors"
"""The best weights of a run, in its folder."""

_SHIPPED = Path(__file__).parent / "weights"
_SUFFIX = ".safetensors"


def pretrained_names() -> list[str]:
    """The names of the weights that ship with the package."""
    return sorted(path.stem for path in _SHIPPED.glob(f"*{_SUFFIX}"))


def pretrained_weights(name: str) -> Path:
    """The file of weights that ship with the package; nothing is downloaded.

    Raises:
        ValueError: There are none of that name; the message lists those that there are.
    """
    if name not in pretrained_names():
        raise ValueError(f"no pretrained weights {name!r}: choose from {', '.join(pretrained_names()) or 'none'}")
    return _SHIPPED / f"{name}{_SUFFIX}"


def weights_at(path: str | os.PathLike[str]) -> Path:
    """A weights file itself, or the best weights in the folder of a run."""
    path = Path(path)
    return path / BEST_WEIGHTS if path.is_dir() else path


def find_weights(weights: str) -> Path:
    """The file of the weights that ship under this name, else of those at this path.

    Raises:
        ValueError: There are none.
    """
    if weights in pretrained_names():
        return pretrained_weights(weights)
    if not Path(weights).exists():
        raise ValueError(
            f"no weights {weights}: neither a file, nor a folder, nor one of {', '.join(pretrained_names())}"
        )
    return weights_at(weights)
