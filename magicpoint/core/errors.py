"""What a user can mend. Every other error is a bug."""

from __future__ import annotations


class MagicpointError(Exception):
    """Something that whoever called can mend: another file, another setting, another package.

    The message says what is wrong with which file or value, so the command line shows it alone, in one line, and keeps
    the traceback for all that is not of this class.
    """


class InputError(MagicpointError, ValueError):
    """A file or a setting is not what it has to be."""


class MissingPackageError(MagicpointError, ImportError):
    """A package that only some parts of this one need is not installed; the message says how to get it."""


class MachineError(MagicpointError, RuntimeError):
    """This machine cannot do it; the message says what it lacks."""
