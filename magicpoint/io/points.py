"""Points of images as other tools write them: NumPy files beside the images, a table, COCO's keypoints."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from synthetic_shapes.array_files import read_npy, read_whole

from ..core.errors import InputError
from ..core.files import AnyPath

_VISIBLE = 2  # COCO: 0 is not labelled, 1 is labelled but hidden, 2 is seen
_SEPARATORS = ",;\t"


class ImagePoints(NamedTuple):
    """What is said of an image: float64 (N, 2), (x, y), and where it is said its (W, H)."""

    keypoints: NDArray[np.float64]
    image_size: tuple[int, int] | None = None


def read_points(source: AnyPath, images: Iterable[str]) -> dict[str, ImagePoints]:
    """Read the points of images; what kind of source it is is told by its content.

    - A folder of NumPy files: that of the image `sub/a.jpg` is `sub/a.jpg.npy` or `sub/a.npy`, (N, 2) numbers, (x, y).
    - A table, one point a line, with a header that names the columns `image`, `x` and `y`, separated by commas,
      semicolons or tabulators. A line without x and y says that the image has no point.
    - COCO's JSON of keypoints: the points that are visible (2) of all annotations of an image.

    Args:
        source: The folder, or the file.
        images: The keys of the images. A table and COCO may name them by their file names alone, where those differ.

    Returns:
        By key; images of which nothing is said are not among them.

    Raises:
        FileNotFoundError: There is no such file or folder.
        OSError: A file cannot be read.
        InputError: It is of none of these kinds, has a value that is no finite number, names an image that there is
            not, names none of them or one by two names, or a NumPy file is that of several. The message has the file
            and the line or the image.
    """
    source, keys = Path(source), list(images)
    if source.is_dir():
        found = _read_folder(source, keys)
    else:
        text = _read_text(source)
        named = _parse_coco(source, text) if text.lstrip()[:1] in ("{", "[") else _parse_table(source, text)
        found = _of_images(source, named, keys)
    if not found:
        raise InputError(f"{source} has points of none of the {len(keys)} images, such as {next(iter(keys), 'none')}")
    for key, points in found.items():
        if not np.isfinite(points.keypoints).all():
            raise InputError(f"{source}: a point of {key} is not a finite number")
    return found


def _read_folder(folder: Path, keys: Iterable[str]) -> dict[str, ImagePoints]:
    found, image_of = {}, dict[Path, str]()
    for key in keys:
        candidates = (folder / f"{key}.npy", (folder / key).with_suffix(".npy"))
        path = next((path for path in candidates if path.exists()), None)
        if path is None:
            continue
        if path in image_of:
            raise InputError(f"{path} could be of {image_of[path]} or of {key}: name it with that ending, {key}.npy")
        image_of[path] = key
        points = read_npy(path)
        if points.size and (points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind not in "fiu"):
            raise InputError(f"{path}: expected numbers (N, 2), (x, y), got {points.dtype} {points.shape}")
        found[key] = ImagePoints(points.astype(np.float64).reshape(-1, 2))
    return found


def _read_text(path: Path) -> str:
    try:
        return read_whole(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is neither a table nor JSON: it is not in UTF-8") from error


def _parse_table(path: Path, text: str) -> dict[str, ImagePoints]:
    lines = text.splitlines()
    header = lines[0] if lines else ""
    separator = max(_SEPARATORS, key=header.count)
    try:
        rows = list(csv.reader(lines, delimiter=separator))
    except csv.Error as error:
        raise InputError(f"{path} is no table: {error}") from error
    columns = [name.strip().lower() for name in rows[0]] if rows else []
    if any(columns.count(name) != 1 for name in ("image", "x", "y")):
        raise InputError(f"{path}: a header with the columns image, x and y is needed, got {header:.80}")
    of_image, of_x, of_y = (columns.index(name) for name in ("image", "x", "y"))
    points: dict[str, list[tuple[float, float]]] = {}
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) <= max(of_image, of_x, of_y):
            raise InputError(f"{path}, line {number}: {len(row)} columns of {len(columns)}")
        of_this = points.setdefault(row[of_image].strip(), [])
        x, y = row[of_x].strip(), row[of_y].strip()
        if x or y:
            try:
                of_this.append((float(x), float(y)))
            except ValueError:
                raise InputError(f"{path}, line {number}: x and y must be numbers, got {x!r:.40}, {y!r:.40}") from None
    return {name: ImagePoints(np.array(of, np.float64).reshape(-1, 2)) for name, of in points.items()}


def _parse_coco(path: Path, text: str) -> dict[str, ImagePoints]:
    try:
        content = json.loads(text)
        images = {image["id"]: image for image in content["images"]}
        if len(images) < len(content["images"]):
            raise InputError(f"{path} has an id twice among its images")
        points: dict[Any, list[NDArray[np.float64]]] = {number: [] for number in images}
        for annotation in content["annotations"]:
            triples = np.asarray(annotation.get("keypoints", []), np.float64).reshape(-1, 3)
            points[annotation["image_id"]].append(triples[triples[:, 2] == _VISIBLE, :2])
        sizes = {number: _coco_size(image) for number, image in images.items()}
        names = Counter(str(image["file_name"]) for image in images.values())
        if names and (twice := names.most_common(1)[0])[1] > 1:
            raise InputError(f"{path} has {twice[0]} twice among its images")
        return {
            str(image["file_name"]): ImagePoints(np.concatenate([np.zeros((0, 2)), *points[number]]), sizes[number])
            for number, image in images.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no JSON of COCO's keypoints: {error!r:.200}") from error


def _coco_size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    return (int(image["width"]), int(image["height"])) if "width" in image and "height" in image else None


def _of_images(source: Path, named: Mapping[str, ImagePoints], keys: list[str]) -> dict[str, ImagePoints]:
    found, name_of = {}, dict[str, str]()
    for name, points in named.items():
        key = _key_of(source, name, keys)
        if key in name_of:
            raise InputError(f"{source}: {name_of[key]!r:.80} and {name!r:.80} are both the image {key}")
        found[key], name_of[key] = points, name
    return found


def _key_of(source: Path, name: str, keys: list[str]) -> str:
    """The key of the image that a name stands for: the name itself, or the only key that ends with it."""
    name = name.replace("\\", "/")
    if name in keys:
        return name
    ending = [key for key in keys if key.endswith(f"/{name.rpartition('/')[2]}") or key == name.rpartition("/")[2]]
    if len(ending) != 1:
        why = "is none of the images" if not ending else f"is several of the images, {', '.join(ending):.200}"
        raise InputError(f"{source}: {name!r:.80} {why}")
    return ending[0]
