"""`magicpoint train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from ...core.shards import process_rank
from ..options import UnusableArgument, add_device, add_settings_file, build, device_of, shows_progress
from ..output import add_json, show
from ..parser import Parser
from ..tasks import path_lists, read_task, required_fields, summaries, tasks

SUMMARY = "Train a detector on shapes or on labelled images, or a detector and descriptors on such."


def add(parser: Parser) -> None:
    from ...training.settings import TrainSettings
    from ..sizes import register_sizes

    register_sizes()
    parser.add_argument("out", type=Path, help="Folder of the run: weights, state, settings, metrics.")
    parser.add_argument(
        "--resume", action="store_true", help="Go on from the run's last checkpoint, with its settings."
    )
    add_settings_file(parser)
    add_json(parser)
    add_device(parser)
    parser.add_class_arguments(TrainSettings, as_group=False, skip={"task"})
    parser.add_by_words(lambda words: _add_task(parser, words))


def _add_task(parser: Parser, words: Sequence[str]) -> None:
    """The options of the task that the words ask for."""
    asked = read_task(words)
    settings = tasks()[asked.task]
    parser.add_argument(
        "--task",
        choices=tuple(tasks()),
        default=asked.task,
        help=f"What is learnt. {summaries()} With --help, whose options are listed. Where it is not said, the other "
        "options tell.",
    )
    lists = path_lists(settings)
    parser.add_class_arguments(settings, as_group=False, skip=set(lists))
    required = {field.name for field in required_fields(settings)}
    for name, sentence in lists.items():
        needed: dict[str, Any] = {"required": True} if name in required else {"default": []}
        parser.add_argument(f"--{name}", nargs="*", type=Path, help=sentence, **needed)
    if asked.begun is not None:
        # What is not said anew is as the run was begun.
        parser.take_defaults_of(asked.begun)


def run(arguments: Namespace) -> None:
    from ...core.machine import keep_freed_memory
    from ...jobs.train import read_training
    from ...training.loop import train_model
    from ...training.settings import TrainSettings

    keep_freed_memory()
    if arguments.task is None:  # as a file of settings can have it
        raise UnusableArgument(f"--task must be {' or '.join(tasks())}, got null")
    settings = tasks()[arguments.task]
    lists = {name: tuple(arguments[name]) for name in path_lists(settings)}
    task = build(settings, arguments, **lists)
    weights = train_model(
        arguments.out,
        build(TrainSettings, arguments, task=task),
        resume=arguments.resume,
        device=device_of(arguments),
        progress=shows_progress(arguments),
    )
    if process_rank()[0] == 0:
        show(arguments, str(weights), read_training(arguments.out))
