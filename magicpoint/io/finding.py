"""Images looked for in files and folders, under the keys by which they are stored."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2

from ..core.errors import InputError
from ..core.files import AnyPath, check_regular
from .remote import address_of

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
"""Of images that OpenCV reads everywhere."""

SOME_IMAGE_SUFFIXES = frozenset(
    {".avif", ".dib", ".gif", ".hdr", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jpe", ".jxl", ".pam", ".pbm", ".pfm"}
    | {".pic", ".pnm", ".ras", ".sr"}
)
"""Of images that OpenCV reads where it is built with their libraries."""

LIST_SUFFIXES = frozenset({".txt", ".lst", ".list"})
"""Of text files with the path of an image in each line."""

TAR_SUFFIX = ".tar"
"""Of files with any number of images in them, see `io.tars`."""

MASK_ENDING = ".mask.png"
"""The end of the name of a mask beside its image."""

_NUMBERS = re.compile(r"\{([0-9]+)\.\.([0-9]+)\}")

_LOG = logging.getLogger(__name__)


def find_images(
    paths: Sequence[AnyPath],
    skip: Iterable[AnyPath | None] = (),
    say_passed_over: bool = False,
    root: AnyPath | None = None,
    tars: bool = False,
) -> dict[str, Path]:
    """List images under the names by which they are stored, their keys.

    A key is the path, with forward slashes, from the deepest folder that holds everything asked for: the folder itself
    where one is given, the folder in common where there are several paths. So two images never share a key.

    Args:
        paths: Image files, taken whatever their suffix; folders, searched with all folders in them for files with
            `IMAGE_SUFFIXES` and those of `SOME_IMAGE_SUFFIXES` that OpenCV can read here; patterns of both, such as
            `photos/*.jpg` or `photos-{000..031}.tar`; and addresses, see `io.remote`. Names that begin with a dot and
            masks, which end in `MASK_ENDING`, are passed over. A file with one of `LIST_SUFFIXES` is a list: the path
            of an image in each line, as it is or from the list's folder, or an address; a line that comes again, and an
            empty one, says nothing.
        skip: Folders inside those that are not searched.
        say_passed_over: Say in the log how many files of which other types the folders hold.
        root: The folder from which the keys are paths, where it is another.
        tars: A folder that has tar files and no image gives the tar files.

    Returns:
        Keys and paths, in the order of the keys, of a tar file its own. What stands in a folder under the name of an
        image but is no file, a pipe for instance, is among them, and reading it is refused. Whether something is at an
        address is not asked.

    Raises:
        FileNotFoundError: A path does not exist.
        OSError: A folder cannot be read.
        InputError: There is no image, a path is neither file nor folder, the paths are on several drives, an image is
            not in `root`, or a line of a list is no file; it is named with its number.
    """
    # Not resolved: a link keeps its own name.
    roots = [_absolute(place) for path in paths for place in _expand(path)]
    left_out = {Path(os.path.abspath(folder)) for folder in skip if folder is not None}
    found: set[Path] = set()
    folders: set[Path] = set()
    others: Counter[str] = Counter()
    for place in roots:
        if address_of(place) is not None:
            images, places = [place], {place.parent}
        elif place.is_dir():
            images, places = _search(place, left_out, others, tars), {place}
        elif is_list(place):
            images = read_list(place)
            places = {image.parent for image in images}
        else:
            check_regular(place)
            images, places = [place], {place.parent}
        found.update(images)
        folders |= places
    if any(map(_is_mask, found)):
        found -= _masks_of(found)  # a shell expands *.png to images and their masks
    if others and say_passed_over:
        listed = ", ".join(f"{suffix or 'without a suffix'} {count}" for suffix, count in others.most_common())
        _LOG.warning("passed over, of other types: %s", listed)
    if not found:
        listed = ", ".join(f"{suffix or 'no suffix'} {count}" for suffix, count in others.most_common())
        others_there = f" (files of other types: {listed})" if listed else ""
        raise InputError(f"no images in {', '.join(map(str, paths)) or 'an empty list of paths'}{others_there}")
    try:
        base = os.path.commonpath(folders)
    except ValueError as error:
        raise InputError(f"images on several drives or machines have no folder in common: {error}") from error
    if root is not None:
        outside = next((image for image in sorted(found) if not image.is_relative_to(_absolute(root))), None)
        if outside is not None:
            raise InputError(f"{address_of(outside) or outside} is not in the root {root}")
        base = str(_absolute(root))
    keys = {image.relative_to(base).as_posix(): image for image in found}
    return dict(sorted(keys.items()))


def _absolute(path: AnyPath) -> Path:
    return Path(os.path.abspath(path)) if address_of(path) is None else Path(path)


def is_tar(path: Path) -> bool:
    """Whether a path is that of a tar file."""
    return path.suffix.lower() == TAR_SUFFIX


def is_list(path: Path) -> bool:
    """Whether a path is that of a list of images."""
    return path.suffix.lower() in LIST_SUFFIXES and not path.is_dir()


def read_list(path: Path) -> list[Path]:
    """The images of a list, each once, in their order.

    Raises:
        OSError: The list cannot be read.
        InputError: A line is no file, or the list no text.
    """
    check_regular(path)
    folder, images = os.path.dirname(os.path.abspath(path)), {}
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                name = line.rstrip("\r\n")
                is_elsewhere = address_of(name) is not None
                place = name if is_elsewhere else os.path.normpath(os.path.join(folder, name))
                if name and place not in images:
                    if not is_elsewhere and not os.path.isfile(place):
                        raise InputError(f"{path}, line {number}: no file {place}")
                    images[place] = Path(place)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no list of images in UTF-8: {error}") from error
    return list(images.values())


def is_image_name(path: Path) -> bool:
    """Whether a file is taken for an image where a folder is searched."""
    suffix = path.suffix.lower()
    if _is_mask(path):
        return False
    return suffix in IMAGE_SUFFIXES or (
        suffix in SOME_IMAGE_SUFFIXES and path.is_file() and bool(cv2.haveImageReader(str(path)))
    )


def _is_mask(path: Path) -> bool:
    return path.name.lower().endswith(MASK_ENDING)


def _masks_of(paths: Iterable[Path]) -> set[Path]:
    """The names that masks of images would have beside these."""
    names = ((path, name) for path in paths if not _is_mask(path) for name in (path.name, path.stem))
    return {path.with_name(f"{name}{MASK_ENDING}") for path, name in names}


def _expand(path: AnyPath) -> list[AnyPath]:
    """A path that is there, or what it is a pattern of: not every shell expands them."""
    if os.path.lexists(path):
        return [path]
    text, found = os.fspath(path), []
    numbers = _NUMBERS.search(text)
    if numbers is not None:
        first, last = numbers.groups()
        for number in range(int(first), int(last) + 1):
            one = f"{number:0{len(first) if first.startswith('0') else 0}d}"
            found += _expand(text[: numbers.start()] + one + text[numbers.end() :])
    elif address_of(path) is not None:
        return [path]
    else:
        found += sorted(glob.glob(text, recursive=True))
    if not found:
        raise FileNotFoundError(f"no file or folder {path}")
    return found


def _search(root: Path, left_out: set[Path], others: Counter[str], tars: bool) -> list[Path]:
    images, archives = [], []
    for folder, inner, names in os.walk(root, onerror=_refuse):
        inner[:] = [name for name in inner if not name.startswith(".") and Path(folder, name) not in left_out]
        paths = [Path(folder, name) for name in names if not name.startswith(".")]
        masks = _masks_of(paths) if any(map(_is_mask, paths)) else set()
        for path in paths:
            if is_image_name(path):
                images.append(path)
            elif tars and is_tar(path):
                archives.append(path)
            elif not _is_mask(path):
                others[path.suffix.lower()] += 1
            elif path not in masks:
                others[f"{MASK_ENDING} without an image"] += 1
    if images and archives:
        others[TAR_SUFFIX] += len(archives)
    return images or archives


def _refuse(error: OSError) -> None:
    raise error
