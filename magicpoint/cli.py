"""The command line: parsing only. What a verb needs is imported when the verb is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from jsonargparse import ArgumentParser, Namespace

from . import cli_train, cli_use
from .cli_shared import expand_words

Adder = Callable[[ArgumentParser, Sequence[str]], None]
"""Gives a verb's parser its arguments; sees the words of the command line."""

Runner = Callable[[Namespace], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit status: 0 done, 1 failed (it says why), 2 unusable arguments, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = ArgumentParser(prog="magicpoint", description="Learned keypoints, the whole way.")
    parser.add_argument("--version", action="version", version=_version())
    verbs = parser.add_subcommands(required=True, dest="verb", metavar="VERB")
    named = next((word for word in arguments if not word.startswith("-")), None)
    for name, (summary, add, _) in VERBS.items():
        verb = ArgumentParser(prog=f"magicpoint {name}", description=summary)
        if name == named:
            add(verb, arguments)
        verbs.add_subcommand(name, verb, help=summary)
    parsed = parser.parse_args(expand_words(arguments))
    try:
        VERBS[parsed.verb][2](parser.instantiate_classes(parsed)[parsed.verb])
    except KeyboardInterrupt as error:
        print(f"\nmagicpoint: {error or 'interrupted'}", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        print(f"magicpoint: {error}", file=sys.stderr)
        return 1
    return 0


def _version() -> str:
    from importlib.metadata import version

    return f"magicpoint {version('magicpoint')}"


VERBS: dict[str, tuple[str, Adder, Runner]] = {
    "generate": (
        "Write a dataset of synthetic shapes with sub-pixel labels.",
        cli_train.add_generate,
        cli_train.generate,
    ),
    "convert": (
        "Convert a dataset of the older trainers, whose labels are (row, column).",
        cli_train.add_convert,
        cli_train.convert,
    ),
    "train": (
        "Train a detector on shapes, or a detector and descriptors on labelled images.",
        cli_train.add_train,
        cli_train.train,
    ),
    "adapt": ("Label images with a detector by homographic adaptation.", cli_train.add_adapt, cli_train.adapt),
    "evaluate": (
        "Measure a network beside classical methods, on unseen shapes or on image pairs.",
        cli_use.add_evaluate,
        cli_use.evaluate,
    ),
    "extract": ("Find the keypoints of images; write them to an HDF5 file.", cli_use.add_extract, cli_use.extract),
    "match": ("Match two images, find the homography between them, draw both.", cli_use.add_match, cli_use.match),
    "track": (
        "Follow the keypoints of a video or camera; write the video with their tracks.",
        cli_use.add_track,
        cli_use.track,
    ),
    "finetune": (
        "Train a SuperPoint on a folder of images, label to report, in one go.",
        cli_train.add_finetune,
        cli_train.finetune,
    ),
    "export": ("Write a network for another program (ONNX).", cli_use.add_export, cli_use.export),
}
