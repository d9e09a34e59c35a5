"""Completion of the words in a shell, by argcomplete where it is installed.

`eval "$(register-python-argcomplete magicpoint)"` makes the shell ask this program, with what was typed in its
environment.
"""

from __future__ import annotations

import argparse
import os

from ..core.extras import require
from .verbs import VERBS, verb_parser

ASKED = "_ARGCOMPLETE"
"""The variable by which a shell asks; its value is how many words of the line name the program."""


def is_asked() -> bool:
    """Whether a shell asks for words, and not for a run."""
    return ASKED in os.environ


def complete(verbs: argparse.ArgumentParser) -> None:
    """Says how the word at the cursor may go on, as argcomplete's shell function reads it, and ends the process.

    Args:
        verbs: The parser of the verb alone.
    """
    line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
    typed = line.split()
    if not line.endswith(" "):
        typed = typed[:-1]  # the word that goes on
    if len(typed) < 2 or typed[1] not in VERBS:
        argcomplete = require("argcomplete", "completion")
        argcomplete.autocomplete(verbs)
        return
    parser = verb_parser(typed[1])
    parser.add_options_of(typed[2:])
    os.environ[ASKED] = "2"  # program and verb
    parser.parse_args([])  # where a shell asks, jsonargparse lets argcomplete answer instead
