"""Packages that only some uses need; the extras of `pyproject.toml` install them."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import MissingPackageError


def require(module: str, extra: str) -> ModuleType:
    """A package that an extra installs.

    Raises:
        MissingPackageError: It is not there; the message says how to get it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(f"this needs {module}: pip install 'magicpoint[{extra}]'") from error
