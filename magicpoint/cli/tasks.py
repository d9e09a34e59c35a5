"""The tasks that `magicpoint train` can be asked for, and which one the words ask for."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, get_type_hints

from docstring_parser import parse

from ..core.errors import InputError
from .parser import find_settings
from .settings_files import read_settings_file

if TYPE_CHECKING:
    from ..training.tasks.settings import TaskSettings


def tasks() -> dict[str, type[TaskSettings]]:
    """The settings of each task by its name; the first is what is trained where nothing says otherwise.

    A new task is a row here.
    """
    from ..planar.settings import QuadTaskSettings
    from ..planar.verify.settings import VerifyTaskSettings
    from ..training.tasks.settings import DistilSettings, MagicPointSettings, MatcherTaskSettings, SuperPointSettings

    learnt_of_points = (MagicPointSettings, SuperPointSettings, DistilSettings, MatcherTaskSettings)
    known = (*learnt_of_points, QuadTaskSettings, VerifyTaskSettings)
    return {task.name: task for task in known}


class Asked(NamedTuple):
    """What the words ask for: a task, and the file with the settings of the run that is gone on with, if one is."""

    task: str
    begun: Path | None


def read_task(words: Sequence[str]) -> Asked:
    """Which task the words ask for, before there is a parser for its options.

    The last --task, else --config whose file has a task, decides; without one the run that is gone on with, else the
    first task that has all the options that are given, and needs most of them. What is wrong with the words is left to
    the parser.
    """
    known = {name: {option.split(".")[0] for option in _options(task)} for name, task in tasks().items()}
    given = _scan(words)
    begun = Path(given.out) / "settings.yaml" if given.resume and given.out is not None else None
    files = [{"task": word} if option == "task" else _read(find_settings(word)) for option, word in given.sayings]
    if begun is not None:
        files.insert(0, _read(begun))
    said = [name for file in files if (name := str(file.get("task"))) in known]
    if said:
        return Asked(said[-1], begun)
    options = {name.split(".")[0] for name, value in vars(given).items() if value is not None}.union(*files)
    wanted = options & set().union(*known.values())
    # Of several that have them all the one that needs most of them: images and labels are superpoint's, above all.
    needed = {name: {field.name for field in required_fields(task)} for name, task in tasks().items()}
    fitting = [name for name, own in known.items() if wanted <= own] or list(known)
    return Asked(max(fitting, key=lambda name: len(needed[name]) * (needed[name] <= options)), begun)


def required_fields(settings: type[TaskSettings]) -> list[dataclasses.Field[Any]]:
    """The fields without a default."""
    missing = dataclasses.MISSING
    return [each for each in dataclasses.fields(settings) if each.default is each.default_factory is missing]


def path_lists(settings: type[TaskSettings]) -> dict[str, str]:
    """The fields that are any number of paths, each an option of as many words, with their sentences."""
    documented = [parse(kind.__doc__ or "").params for kind in reversed(settings.__mro__)]
    sentences = {argument.arg_name: argument.description or "" for arguments in documented for argument in arguments}
    return {name: sentences[name] for name, hint in get_type_hints(settings).items() if hint == tuple[Path, ...]}


def summaries() -> str:
    """What each task is, in a sentence."""
    return " ".join(f"{name}: {parse(task.__doc__ or '').short_description}" for name, task in tasks().items())


class _Scanner(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _scan(words: Sequence[str]) -> argparse.Namespace:
    """The folder of the run, and what was given of all tasks' options, unread; nothing where the words are wrong."""
    from ..training.settings import TrainSettings

    scanner = _Scanner(add_help=False, allow_abbrev=False, argument_default=None)
    scanner.add_argument("out", nargs="?")
    scanner.add_argument("--resume", action="store_true")
    for option in ("task", "config"):
        scanner.add_argument(f"--{option}", dest="sayings", action="append", default=[], type=_tagged(option))
    lists = {name for task in tasks().values() for name in path_lists(task)}
    names = {name for settings in (TrainSettings, *tasks().values()) for name in _options(settings)}
    for name in sorted(names - {"task"}):
        scanner.add_argument(f"--{name}", dest=name, nargs="*" if name in lists else None)
    try:
        return scanner.parse_known_args(words)[0]
    except ValueError:
        return scanner.parse_args([])


def _tagged(option: str) -> Any:
    return lambda word: (option, word)


def _options(settings: Any, group: str = "") -> Iterator[str]:
    hints = get_type_hints(settings)
    for field in dataclasses.fields(settings):
        yield group + field.name
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _options(hints[field.name], f"{group}{field.name}.")


def _read(file: Path | None) -> dict[str, Any]:
    """The settings in a file; none where it cannot be read."""
    try:
        return {} if file is None else read_settings_file(file)
    except (OSError, InputError):
        return {}
