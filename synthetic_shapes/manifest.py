"""What a dataset says of itself: `dataset.json`, written, and read with doubt."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .array_files import read_whole
from .errors import DatasetError

MANIFEST = "dataset.json"
FORMAT = 2
"""Number of the layout that this module writes. It reads 1, too, which said `size` for `size_hw`, and no other."""


@dataclass(frozen=True)
class Manifest:
    """What `dataset.json` says.

    Args:
        size_hw: Height and width of every image, in pixels.
        splits: Number of samples of each split, in the order in which the digest takes them.
        settings: The settings of a generated dataset, nested; None for a converted one.
        source: What a converted dataset was made from; None for a generated one.
        versions: The versions of the packages that wrote it.
        digest: See `sample_files.dataset_digest`; None while the dataset is unfinished.
    """

    size_hw: tuple[int, int]
    splits: Mapping[str, int]
    settings: Mapping[str, Any] | None = None
    source: Mapping[str, Any] | None = None
    versions: Mapping[str, str] | None = None
    digest: str | None = None


def installed_versions() -> dict[str, str]:
    """The versions that decide an image's bytes, by package."""
    try:
        own = metadata.version("magicpoint")
    except metadata.PackageNotFoundError:
        own = "source tree"
    return {"magicpoint": own, "numpy": np.__version__, "opencv": cv2.__version__}


def manifest_text(manifest: Manifest) -> str:
    """The content of `dataset.json`."""
    return json.dumps({"format": FORMAT, **asdict(manifest)}, indent=2) + "\n"


def read_manifest(root: Path) -> Manifest:
    """Reads `dataset.json`.

    Raises:
        FileNotFoundError: There is none in `root`.
        DatasetError: It is not a manifest of this layout.
    """
    path = root / MANIFEST
    if not os.path.lexists(path):
        raise FileNotFoundError(f"{root} is no dataset: it has no {MANIFEST}")
    try:
        content = json.loads(read_whole(path))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DatasetError(f"{path} is not JSON: {error}") from error
    except DatasetError:
        raise
    except ValueError as error:  # a number of more digits than Python reads
        raise DatasetError(f"{path} cannot be read: {error}") from error
    try:
        return _parse(content)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error


def _parse(content: Any) -> Manifest:
    form = content.pop("format", None) if isinstance(content, dict) else None
    if form not in (1, FORMAT) or isinstance(form, bool):
        raise DatasetError(f"no dataset description of format 1 or {FORMAT}")
    if form == 1:
        _rename_sizes(content)
    names = {field.name for field in fields(Manifest)}
    if content.keys() != names:
        raise DatasetError(f"missing or unknown entries: {', '.join(sorted(content.keys() ^ names)):.200}")
    size_hw, splits = content["size_hw"], content["splits"]
    if not (isinstance(size_hw, list) and len(size_hw) == 2 and all(_is_count(side) and side > 0 for side in size_hw)):
        raise DatasetError(f"size_hw must be [height, width] in pixels, got {size_hw!r:.80}")
    if not (isinstance(splits, dict) and splits and all(map(_is_count, splits.values()))):
        raise DatasetError(f"splits must be the numbers of samples by split, got {splits!r:.80}")
    for split in splits:
        if split in ("", ".", "..") or any(character in split for character in "/\\:\0"):
            raise DatasetError(f"splits must have names that are those of folders, got {split!r:.80}")
    for name in ("settings", "source", "versions"):
        if not isinstance(content[name], dict | None):
            raise DatasetError(f"{name} must be an object, got {content[name]!r:.80}")
    if not isinstance(content["digest"], str | None):
        raise DatasetError(f"digest must be text, got {content['digest']!r:.80}")
    return Manifest(**{**content, "size_hw": tuple(size_hw)})


def _is_count(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**31


def _rename_sizes(content: dict[str, Any]) -> None:
    """Turns the content of format 1 into that of today."""
    settings = content.get("settings")
    shapes = settings.get("shapes") if isinstance(settings, dict) else None
    for group in (content, shapes):
        if isinstance(group, dict) and "size" in group:
            group["size_hw"] = group.pop("size")
