"""The command line: parsing only. What a verb does stands in `jobs`."""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from ..core.errors import MagicpointError
from ..core.memory import is_out_of_memory
from ..core.shards import process_rank
from .completion import complete, is_asked
from .log import log_to_stderr, warn_of_two_flavours
from .options import UnusableArgument
from .streams import PatientStream, patient_streams
from .verbs import VERBS, verb_parser
from .wording import in_one_line, plain


def main(words: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit status: 0 done, 1 failed (it says why), 130 interrupted.

    Args:
        words: The verb and its arguments; None takes those of the process.

    Raises:
        SystemExit: With status 2, unusable arguments, which are named on the standard error; with 0, help was asked
            for.
    """
    with patient_streams():
        return _run(words)


def _run(words: Sequence[str] | None) -> int:
    if is_asked():
        complete(_parser_of_verbs())
    name, words_of_verb = _read_verb(words)
    verb, parser = VERBS[name], verb_parser(name)
    arguments = parser.read(words_of_verb)
    if arguments.pop("print_config", False):
        print(parser.dump(arguments, skip_validation=True), end="")
        return 0
    try:
        is_quiet = arguments.quiet or process_rank()[0] > 0  # of several processes the first one speaks
        with log_to_stderr(logging.WARNING if is_quiet else logging.INFO):
            warn_of_two_flavours()
            verb.run(arguments)
        if arguments.get("out") is None and isinstance(sys.stdout, PatientStream) and sys.stdout.is_full:
            return 1  # what it printed was all that it made
    except UnusableArgument as error:
        parser.error(str(error))
    except KeyboardInterrupt as error:
        print(f"\nmagicpoint: {error or 'interrupted'}", file=sys.stderr)
        return 130
    except Exception as error:
        return _report(error)
    return 0


def _report(error: Exception) -> int:
    """Says what went wrong: in one line what the user can mend, and of a bug all that helps to find it."""
    from synthetic_shapes import DatasetError  # only now: it takes time to import

    if isinstance(error, (MagicpointError, DatasetError, OSError)):
        print(f"magicpoint: {in_one_line(str(error))}", file=sys.stderr)
    elif is_out_of_memory(error):
        print(f"magicpoint: out of memory: {in_one_line(str(error))}", file=sys.stderr)
    else:
        traceback.print_exception(error)
        print(
            f"magicpoint: this is a bug of version {__version__}: please report it, with all of the above, as an issue "
            "of the project",
            file=sys.stderr,
        )
    return 1


class _VerbParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {plain(message, ())} (see {self.prog} --help)\n")


def _read_verb(words: Sequence[str] | None) -> tuple[str, list[str]]:
    """The verb, and the words after it."""
    read, rest = _parser_of_verbs().parse_known_args(words)
    return read.verb, rest


def _parser_of_verbs() -> argparse.ArgumentParser:
    parser = _VerbParser(prog="magicpoint", description="Learned keypoints, the whole way.")
    parser.add_argument("--version", action="version", version=f"magicpoint {__version__}")
    verbs = parser.add_subparsers(required=True, dest="verb", metavar="VERB", title="verbs")
    for name, verb in VERBS.items():
        verbs.add_parser(name, help=verb.SUMMARY, add_help=False)
    return parser
