"""The command line: parsing only. What a verb does stands in `jobs`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from jsonargparse import ArgumentParser

from .options import expand_words
from .verbs import VERBS


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit status: 0 done, 1 failed (it says why), 2 unusable arguments, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = ArgumentParser(prog="magicpoint", description="Learned keypoints, the whole way.")
    parser.add_argument("--version", action="version", version=_version())
    verbs = parser.add_subcommands(required=True, dest="verb", metavar="VERB")
    named = next((word for word in arguments if not word.startswith("-")), None)
    for name, verb in VERBS.items():
        of_verb = ArgumentParser(prog=f"magicpoint {name}", description=verb.SUMMARY)
        if name == named:
            verb.add(of_verb, arguments)
        verbs.add_subcommand(name, of_verb, help=verb.SUMMARY)
    parsed = parser.parse_args(expand_words(arguments))
    try:
        VERBS[parsed.verb].run(parser.instantiate_classes(parsed)[parsed.verb])
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
