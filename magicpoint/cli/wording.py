"""What jsonargparse says of wrong words, in the words of a user: options and what they take, no types of Python."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable

_KEY = re.compile(r'Parser key "([\w.]+)": (.*)', re.DOTALL)
_EXPECTED = re.compile(r"Expected an? (.+?)\. Got value: (.*)", re.DOTALL)
_UNION = re.compile(
    r"Does not validate against any of the Union subtypes Subtypes: \[(.*?)\] Errors:.*Given value: (.*)", re.DOTALL
)
_NOT_OF_TYPE = re.compile(r"Not of type \w+: (.*)", re.DOTALL)
_CONFIG = re.compile(r"Unable to load config '(.*?)' - .*", re.DOTALL)
_MISSING = re.compile(r"(the following arguments are required: )(.+)")
_CHOICE = re.compile(r"argument (\S+): invalid choice: '(.*?)' \(choose from (.*)\)", re.DOTALL)
_UNRECOGNISED = re.compile(r"unrecognized arguments: (.*)", re.IGNORECASE | re.DOTALL)
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "NoneType": "null",
    "pathlib.Path": "a path",
    "pathlib._local.Path": "a path",
}


def plain(message: str, options: Iterable[str]) -> str:
    """A message in one line; what is not known stays as it is.

    Args:
        message: Of jsonargparse or argparse.
        options: All that the parser has, such as `--threshold`.
    """
    message = " ".join(message.split())
    if unrecognised := _UNRECOGNISED.fullmatch(message):
        return message + _suggestion(unrecognised[1], list(options))
    if missing := _MISSING.fullmatch(message):
        known = set(options)
        names = [f"--{name}" if f"--{name}" in known else name for name in missing[2].split(", ")]
        return f"{missing[1]}{', '.join(names)}"
    if choice := _CHOICE.fullmatch(message):
        choices = re.findall(r"'?([^',\s]+)'?(?:, |$)", choice[3])
        return f"{choice[1]} must be {_any_of(choices)}, got {choice[2]}{_suggestion(choice[2], choices)}"
    if keyed := _KEY.fullmatch(message):
        return f"--{keyed[1]} {_reason(keyed[2])}"
    return message


def with_underscores(word: str) -> str:
    """An option as it is called here, where it is written with hyphens: --max-keypoints=5 as --max_keypoints=5."""
    name, equals, value = word.partition("=")
    if not re.fullmatch(r"--[A-Za-z][\w.-]*", name):
        return word
    return f"--{name[2:].replace('-', '_')}{equals}{value}"


def _reason(reason: str) -> str:
    if expected := _EXPECTED.fullmatch(reason):
        return f"must be {_type(expected[1])}, got {_value(expected[2])}"
    if union := _UNION.fullmatch(reason):
        types = re.findall(r"<class '[^']+'>|typing\.Literal\[[^\]]*\]", union[1])
        return f"must be {' or '.join(map(_type, types))}, got {_value(union[2])}"
    if other := _NOT_OF_TYPE.fullmatch(reason):
        return f"cannot be read: {other[1]}"
    if config := _CONFIG.fullmatch(reason):
        return f"must be a group of settings or a YAML file with one, got {config[1]}"
    return reason[:1].lower() + reason[1:]


def _type(written: str) -> str:
    if literal := re.fullmatch(r"typing\.Literal\[(.*)\]", written):
        return _any_of([str(choice) for choice in ast.literal_eval(f"[{literal[1]}]")])
    name = re.sub(r"<class '([^']+)'>", r"\1", written)
    return _TYPES.get(name, written)


def _value(written: str) -> str:
    return "null" if written == "None" else written


def _any_of(choices: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))


def _suggestion(words: str, known: list[str]) -> str:
    """The known word that the first wrong one is most like, if it is like one."""
    wrong = [word.partition("=")[0] for word in words.split()]
    near = difflib.get_close_matches(next(iter(wrong), ""), known, n=1, cutoff=0.7)
    return f": did you mean {near[0]}?" if near else ""


LONGEST_LINE = 1000
"""Characters of a message; the paths of most systems fit in several times."""


def in_one_line(message: str) -> str:
    """A message without line breaks and what else a terminal would obey, its middle left out where it is very long.

    Files can have such names, and libraries quote what they have read.
    """
    line = " ".join(message.split())
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} ... {line[-half:]}"
