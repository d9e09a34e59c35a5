"""How a verb's arguments are read: options, files of settings, the settings of a folder that was begun."""

from __future__ import annotations

import argparse
import contextlib
import glob
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ActionConfigFile, ArgumentParser, Namespace  # type: ignore[attr-defined]

from ..core.errors import InputError
from .settings_files import read_settings_file
from .wording import plain, with_underscores


def presets() -> list[str]:
    """The names of the settings that ship with the package."""
    folder = resources.files("magicpoint") / "configs"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def find_settings(name: str) -> Path | None:
    """The file of the settings that ship under a name, else that at a path, if there is one."""
    if name in presets():
        return Path(str(resources.files("magicpoint") / "configs" / f"{name}.yaml"))
    return Path(name) if Path(name).exists() and not Path(name).is_dir() else None


class SettingsFile(ActionConfigFile):
    """The action of an option that reads a YAML file, or the settings that ship under a name."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        path = find_settings(values)
        if path is None:
            raise argparse.ArgumentError(self, f"no file {values}, nor one of the shipped: {', '.join(presets())}")
        parser.check_file(path)
        super().__call__(parser, cfg, str(path), option_string)  # type: ignore[no-untyped-call]


class Parser(ArgumentParser):
    """A parser of options and of files of settings."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, print_config=None, **kwargs)
        self._begun: Callable[[Namespace], Path | None] | None = None
        self._add: Callable[[Sequence[str]], None] | None = None
        self._files: list[Path] = []

    def go_on_with(self, begun: Callable[[Namespace], Path | None]) -> None:
        """Lets a file of settings, where there is one, give the values of the options that are not given.

        Args:
            begun: Says which file by the arguments, or None.
        """
        self._begun = begun

    def add_by_words(self, add: Callable[[Sequence[str]], None]) -> None:
        """Lets options be added that depend on the words, as soon as these are there."""
        self._add = add

    def add_options_of(self, words: Sequence[str]) -> None:
        """Adds those options, where there are any; `read` does it, too."""
        if self._add is not None:
            self._add(words)

    def read(self, words: Sequence[str]) -> Namespace:
        """The values of all options: of the words, else of `go_on_with`, else their defaults.

        Args:
            words: An option may be written with hyphens for its underscores. Files of settings give way to all other
                options, wherever they stand among these.
        """
        words = _files_first([with_underscores(word) for word in words])
        self.add_options_of(words)
        self._check_groups(words)
        arguments = self.parse_args(words)
        file = None if self._begun is None else self._begun(arguments)
        if file is None or not file.is_file():
            return arguments
        self.take_defaults_of(file)
        return self.parse_args(words)

    def take_defaults_of(self, file: Path) -> None:
        """Takes the values of a file of settings, where there is one, as defaults."""
        if file.exists():
            self.check_file(file)
        self.default_config_files = [glob.escape(str(file))]

    def check_file(self, file: Path) -> None:
        """Refuses a file that holds no settings; of another one it is said in messages that it was read."""
        if file in self._files:
            return
        try:
            settings = read_settings_file(file)
        except (OSError, InputError) as error:
            self.error(str(error))
        self._files.append(file)
        groups = {action.dest.rpartition(".")[2] for action in self._actions if _is_group(action)}
        for name, value in _strings(settings):
            if name in groups:
                self._check_group(str(file.parent / value))  # where the library looks for it

    def _check_groups(self, words: Sequence[str]) -> None:
        """Refuses files of a group of settings that are none, before the library reads them."""
        for word, following in itertools.pairwise([*words, ""]):
            name, equals, value = word.partition("=")
            if name in self._option_string_actions and _is_group(self._option_string_actions[name]):
                self._check_group(value if equals else following)

    def _check_group(self, value: str) -> None:
        path = Path(value)
        with contextlib.suppress(OSError, ValueError):  # a group that is written out is no name of a file
            if path.exists() and not path.is_dir():
                self.check_file(path)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Says in one line what is wrong with the words, and exits with status 2."""
        if not self.exit_on_error:  # inside another parser, which tells it
            super().error(message, ex)
        said = plain(message, self._option_string_actions)
        read = "".join(f" (with the settings of {file})" for file in self._files)
        self.exit(2, f"{self.prog}: {said}{read} (see {self.prog} --help)\n")


def _files_first(words: Sequence[str]) -> list[str]:
    """The words with each --config before all others: the library lets the last of several values count."""
    files: list[str] = []
    others: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--config":
            files += [word, *itertools.islice(left, 1)]
        else:
            (files if word.startswith("--config=") else others).append(word)
    return [*files, *others]


def _is_group(action: argparse.Action) -> bool:
    return action.metavar == "CONFIG" and not isinstance(action, SettingsFile)


def _strings(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The texts in settings, with the name of each."""
    for name, value in settings.items():
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, dict):
            yield from _strings(value)
