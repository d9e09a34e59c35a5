"""Packages that only some uses need; the extras of `pyproject.toml` install them."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import MissingPackageError


def require(module: str, extra: str | None = None, source: str | None = None) -> ModuleType:
    """A package that only some uses need.

    Args:
        module: Its name, or that of a part of it.
        extra: Which installs it.
        source: Where it comes from, if no extra does.

    Raises:
        MissingPackageError: It is not there; the message says how to get it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        how = f"pip install 'magicpoint[{extra}]'" if source is None else f"install it from {source}"
        raise MissingPackageError(f"this needs {module.split('.')[0]}: {how}") from error
