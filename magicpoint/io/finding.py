"""Images looked for in files and folders, under the keys by which they are stored."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import InputError
from ..core.files import AnyPath

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})


def find_images(paths: Sequence[AnyPath], skip: AnyPath | None = None) -> dict[str, Path]:
    """List images under the names by which they are stored, their keys.

    A key is the path, with forward slashes, from the deepest folder that holds everything asked for: the folder itself
    where one is given, the folder in common where there are several paths. So two images never share a key.

    Args:
        paths: Image files, taken whatever their suffix, and folders, searched with all folders in them for files with
            `IMAGE_SUFFIXES`; names that begin with a dot are passed over.
        skip: A folder inside those that is not searched.

    Returns:
        Keys and paths, in the order of the keys.

    Raises:
        FileNotFoundError: A path does not exist.
        OSError: A folder cannot be read.
        InputError: There is no image, or the paths are on several drives.
    """
    # Not resolved: a link keeps its own name.
    roots = [Path(os.path.abspath(path)) for path in paths]
    for path, root in zip(paths, roots, strict=True):
        if not root.exists():
            raise FileNotFoundError(f"no file or folder {path}")
    left_out = None if skip is None else Path(os.path.abspath(skip))
    found = {image for root in roots for image in ([root] if root.is_file() else _search(root, left_out))}
    if not found:
        raise InputError(f"no images in {', '.join(map(str, paths)) or 'an empty list of paths'}")
    try:
        base = os.path.commonpath([root if root.is_dir() else root.parent for root in roots])
    except ValueError as error:
        raise InputError(f"images on several drives have no folder in common: {error}") from error
    images = {image.relative_to(base).as_posix(): image for image in found}
    return dict(sorted(images.items()))


def _search(root: Path, left_out: Path | None) -> list[Path]:
    images = []
    for folder, inner, names in os.walk(root, onerror=_refuse):
        inner[:] = [name for name in inner if not name.startswith(".") and Path(folder, name) != left_out]
        paths = (Path(folder, name) for name in names if not name.startswith("."))
        images += [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
    return images


def _refuse(error: OSError) -> None:
    raise error
