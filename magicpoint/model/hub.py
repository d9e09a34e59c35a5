"""Weights in repositories of the Hugging Face hub, where a name asks for them."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import InputError
from ..core.extras import require

PREFIX = "hf:"
"""What a name begins with that asks for a repository: without it nothing is ever looked for elsewhere, so that a path
with a slip of the pen opens no connection."""

HUB_WEIGHTS = "model.safetensors"
"""The weights in a repository."""


def is_hub_name(name: str) -> bool:
    """Whether a name of weights asks for a repository."""
    return name.startswith(PREFIX)


def hub_weights(name: str) -> Path:
    """The weights file of a repository, in the hub's cache on this machine; it is downloaded where it is not there.

    Args:
        name: `hf:USER/REPOSITORY`, or `hf:USER/REPOSITORY@REVISION` for a branch, a tag or a commit.

    Raises:
        MissingPackageError: huggingface_hub is not installed.
        InputError: There is no such repository, revision or file, or it is not in the cache and the hub out of reach.
    """
    hub = require("huggingface_hub", "hub")
    repository, _, revision = name.removeprefix(PREFIX).partition("@")
    try:
        return Path(hub.hf_hub_download(repository, HUB_WEIGHTS, revision=revision or None))
    except (OSError, ValueError) as error:  # all of the hub's errors are one of these
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"no weights {name}: {reason}") from error
