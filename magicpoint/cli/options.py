"""What the verbs of the command line share."""

from __future__ import annotations

import re
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

if TYPE_CHECKING:
    from ..decoding.decode import DecodeSettings
    from ..inference.extractor import Extractor


def presets() -> list[str]:
    """The names of the settings that ship with the package."""
    folder = resources.files("magicpoint") / "configs"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def expand_words(arguments: list[str]) -> list[str]:
    """Replaces the name of a preset behind --config by its path, and a size HxW behind an option by [H, W]."""
    folder = resources.files("magicpoint") / "configs"
    plain = list(arguments)
    for place, (option, word) in enumerate(pairwise(arguments), 1):
        if option == "--config" and word in presets():
            plain[place] = str(folder / f"{word}.yaml")
        elif option.endswith("size") and re.fullmatch(r"\d+x\d+", word):
            plain[place] = f"[{word.replace('x', ', ')}]"
    return plain


def add_weights(parser: ArgumentParser, default: str) -> None:
    """The option that `open_extractor` reads."""
    parser.add_argument("--weights", type=str, default=default, help="Weights file, run folder, or shipped name.")


def add_engine(parser: ArgumentParser) -> None:
    """The options of the engine that `open_extractor` reads."""
    from ..inference.backends.base import Backend, NetworkPrecision

    parser.add_argument("--backend", type=Backend, default="torch", help="What runs the network.")
    parser.add_argument(
        "--precision",
        type=NetworkPrecision,
        default="float32",
        help="Number format of the network's layers; auto takes bfloat16 where it is measured to be faster. float16 is "
        "for GPUs, int8 for CPUs.",
    )


def open_extractor(arguments: Namespace, settings: DecodeSettings | None = None) -> Extractor:
    """The weights that ship under the name, else those of the file or the run's folder at the path, on the engine."""
    from ..inference.extractor import Extractor
    from ..model.weights import find_weights, pretrained_names

    engine = {name: arguments[name] for name in ("backend", "precision") if name in arguments}
    if arguments.weights in pretrained_names():
        return Extractor.from_pretrained(arguments.weights, settings, **engine)
    return Extractor.from_checkpoint(find_weights(arguments.weights), settings, **engine)


def fields(arguments: Namespace, settings: type) -> dict[str, Any]:
    """The arguments that are fields of a dataclass."""
    return {name: arguments[name] for name in settings.__dataclass_fields__}  # type: ignore[attr-defined]
