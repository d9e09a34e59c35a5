"""The weights file that a verb writes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError
from ..core.files import check_not_replaced
from ..core.outputs import claimed

if TYPE_CHECKING:
    from ..model.network import PointNetwork


def write_weights(
    out: Path, sources: Sequence[Path], kind: str, make: Callable[[], tuple[PointNetwork, dict[str, Any]]]
) -> Path:
    """Writes what is made, and replaces only what says that it was made of the same.

    Args:
        out: The file, .safetensors.
        sources: Files that it is made from, and must not replace.
        kind: What is written, for a message.
        make: Gives the network and its provenance.

    Raises:
        InputError: The file cannot be written; it is named.
    """
    from ..model.weights import load_weights, save_weights

    if out.suffix != ".safetensors":
        raise InputError(f"the name of a weights file must end in .safetensors, got {out}")
    check_not_replaced(sources, out, "weights")
    made = functools.cache(make)

    def is_own(path: Path) -> bool:
        try:
            return load_weights(path)[1] == made()[1]
        except (OSError, InputError):
            return False

    with claimed(out, kind, is_own):
        return save_weights(out, *made())
