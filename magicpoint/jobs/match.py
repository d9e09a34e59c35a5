"""Two image files, the matches between them, and what is written of that: a picture, or data."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import InputError
from ..core.files import AnyPath, check_not_replaced, write_text
from ..core.geometry import GeometryModel, TwoViewGeometry
from ..core.outputs import claimed
from ..core.plain import json_has, json_text
from ..core.types import Features, Matches
from ..inference.extractor import Extractor
from ..inference.turns import match_turns
from ..io.finding import find_images
from ..io.images import read_picture
from ..io.masks import open_masked
from ..io.matches import PairMatches, is_match_file, write_matches
from ..io.png_text import title_of
from ..io.reading import ImageReading
from ..matching.nearest import Matching, provenance_of
from ..matching.settings import GeometrySettings
from ..pictures.matches import MOST_LINES, TITLE, write_match_picture

Floats = NDArray[np.float64]

CHANCE: dict[GeometryModel, tuple[float, float]] = {
    "homography": (8.0, 0.3),
    "fundamental": (15.0, 0.05),
    "essential": (15.0, 0.05),
}
"""A geometry on which more than a + b n of n matches agree is right; one on which fewer agree may be.

For homographies from Brown and Lowe, Automatic Panoramic Image Stitching using Invariant Features, IJCV 2007, section
3.2. For the others above what was seen of random matches in 640x480: at most 12 of 50, 17 of 300, 28 of 1000.
"""


@dataclasses.dataclass(frozen=True, eq=False)
class MatchResult:
    """What matching two images came to.

    Args:
        path: What was written; None where nothing was.
        keypoint_count0: Number of keypoints of image 0.
        keypoint_count1: Number of keypoints of image 1.
        match_count: Number of matches, K.
        inlier_count: Number of those that agree with the model; 0 where too few do.
        model: What they have to agree on, see `core.geometry.TwoViewGeometry`.
        turns: How many quarter turns anticlockwise image 1 was turned for it.
        threshold: Largest distance in image 1, in pixels, of a match that agrees.
        doubtful: Whether as many matches would agree between two unrelated images, too.
        H_0to1: float64 (3, 3), maps (x, y, 1) of image 0 to image 1; None with another model, or where fewer than four
            matches agree on one.
        F_0to1: float64 (3, 3) with the model fundamental, likewise.
        E_0to1: float64 (3, 3) with the model essential, likewise.
        R: float64 (3, 3) with the model essential: turns directions of camera 0 into those of camera 1.
        t: float64 (3,) with the model essential: where camera 0 is for camera 1, of length 1.
        matched_keypoints0: float32 (K, 2), (x, y) of the matched keypoints in pixels of image 0.
        matched_keypoints1: float32 (K, 2) in image 1.
        match_scores: float32 (K,), the cosines of their descriptors.
        inliers: bool (K,), which match agrees.
        drawn: Number of matches in the picture; 0 without one.
    """

    path: Path | None
    keypoint_count0: int
    keypoint_count1: int
    match_count: int
    inlier_count: int
    model: GeometryModel
    turns: int
    threshold: float
    doubtful: bool
    H_0to1: Floats | None
    F_0to1: Floats | None
    E_0to1: Floats | None
    R: Floats | None
    t: Floats | None
    matched_keypoints0: NDArray[np.float32]
    matched_keypoints1: NDArray[np.float32]
    match_scores: NDArray[np.float32]
    inliers: NDArray[np.bool_]
    drawn: int


@dataclasses.dataclass(frozen=True, eq=False)
class _Found:
    """All that can be written of two images."""

    images: tuple[Path, Path]
    reading: ImageReading
    features: tuple[Features, Features]
    matches: Matches
    geometry: TwoViewGeometry | None
    provenance: dict[str, str]


def format_matching(result: MatchResult) -> str:
    """The result as text for a terminal; the path of what was written is its last line."""
    count = result.match_count
    lines = [f"{count} matches of {result.keypoint_count0} and {result.keypoint_count1} keypoints"]
    matrix = {"homography": result.H_0to1, "fundamental": result.F_0to1, "essential": result.E_0to1}[result.model]
    name = "homography" if result.model == "homography" else f"{result.model} matrix"
    if matrix is None:
        lines.append(f"no {name}: too few matches agree on one")
    else:
        within = f"{result.inlier_count} matches within {result.threshold:g} px"
        lines.append(f"{name} from image 0 to image 1, {within}:\n{matrix}")
    if result.turns:
        lines.append(f"image 1 turned by {90 * result.turns} degrees anticlockwise")
    if result.doubtful:
        lines.append(
            f"doubtful: {result.inlier_count} of {count} matches would agree on one of two unrelated images, too"
        )
    if result.path is None:
        return "\n".join(lines)
    if 0 < result.drawn < count:
        lines.append(f"{result.drawn} of {count} matches are drawn")
    return "\n".join([*lines, str(result.path)])


def match_images(
    image0: AnyPath,
    image1: AnyPath,
    extractor: Extractor,
    out: AnyPath | None = None,
    settings: Matching | None = None,
    geometry: GeometrySettings | None = None,
    intrinsics: tuple[ArrayLike, ArrayLike] | None = None,
    turns: bool = False,
) -> MatchResult:
    """Match two image files, find what ties them together, and write that where it is asked for.

    Args:
        image0: See `io.images.read_image`; the mask beside it is taken, see `io.masks.open_masked`.
        image1: Likewise; of any other size.
        extractor: With descriptors.
        out: The file to write, none of the images; its folder is made. Its suffix says what: .png the picture of
            `draw_matches`; .json this result; .csv a line for each match; .h5 a file as of `io.matches`, with the
            images under the keys of `io.finding.find_images`. None writes nothing.
        settings: None stands for `MatchSettings()`; a `LearnedMatcher` matches in its own way.
        geometry: What the matches have to agree on; None stands for `GeometrySettings()`, a homography.
        intrinsics: The matrices (3, 3) of both images, for an essential matrix alone.
        turns: Try image 1 in its four quarter turns, see `inference.turns.match_turns`.

    Raises:
        OSError: A file cannot be read or written.
        InputError: A file is no intact image; `out` is one of the images, of another suffix, there and no such result,
            or being written by another process; the extractor has no descriptors; or intrinsics are missing or too
            many.
    """
    geometry, images = geometry or GeometrySettings(), (Path(image0), Path(image1))
    if out is None:
        return _match(images, extractor, None, settings, geometry, intrinsics, turns)
    path = _check_out(Path(out), images)
    with claimed(path, "a result of matching", is_own_result):
        return _match(images, extractor, path, settings, geometry, intrinsics, turns)


def _match(
    images: tuple[Path, Path],
    extractor: Extractor,
    path: Path | None,
    settings: Matching | None,
    geometry: GeometrySettings,
    intrinsics: tuple[ArrayLike, ArrayLike] | None,
    turns: bool,
) -> MatchResult:
    opened0, opened1 = (open_masked(image, extractor.reading) for image in images)
    features0 = extractor.extract(opened0).to("cpu")
    tried = match_turns(features0, opened1, extractor, settings, geometry, intrinsics, range(4 if turns else 1))
    features, matches, found = (features0, tried.features1), tried.matches, tried.geometry
    index0, index1 = matches.matches01.T
    places = features[0].keypoints[index0].numpy(), features[1].keypoints[index1].numpy()
    result = _result(path, features, matches, *places, geometry, found, tried.turns)
    if path is not None:
        provenance = {**extractor.provenance, "match": json_text(provenance_of(settings))}
        everything = _Found(images, extractor.reading, features, matches, found, provenance)
        WRITERS[path.suffix.lower()](path, result, everything)
    return result


def _check_out(out: Path, images: tuple[Path, Path]) -> Path:
    if out.suffix.lower() not in WRITERS or out.is_dir():
        raise InputError(
            f"the output is a picture (.png) or data ({', '.join(list(WRITERS)[1:])}), as its name ends, got {out}"
        )
    check_not_replaced(images, out, "image")
    return out


def _result(
    path: Path | None,
    features: tuple[Features, Features],
    matches: Matches,
    places0: NDArray[np.float32],
    places1: NDArray[np.float32],
    geometry: GeometrySettings,
    found: TwoViewGeometry | None,
    turns: int,
) -> MatchResult:
    inliers = np.zeros(len(matches), np.bool_) if found is None else found.inliers
    few, share = CHANCE[geometry.model]
    matrices = dict.fromkeys(CHANCE) | ({} if found is None else {found.model: found.matrix})
    return MatchResult(
        path=path,
        keypoint_count0=len(features[0]),
        keypoint_count1=len(features[1]),
        match_count=len(matches),
        inlier_count=int(inliers.sum()),
        model=geometry.model,
        turns=turns,
        threshold=geometry.pixels,
        doubtful=found is not None and bool(inliers.sum() <= few + share * len(matches)),
        H_0to1=matrices["homography"],
        F_0to1=matrices["fundamental"],
        E_0to1=matrices["essential"],
        R=None if found is None else found.R,
        t=None if found is None else found.t,
        matched_keypoints0=places0,
        matched_keypoints1=places1,
        match_scores=matches.scores.numpy(),
        inliers=inliers,
        drawn=0 if path is None or path.suffix.lower() != ".png" else min(len(matches), MOST_LINES),
    )


def _write_picture(path: Path, result: MatchResult, found: _Found) -> None:
    image0, image1 = (read_picture(image, found.reading) for image in found.images)
    write_match_picture(path, image0, image1, *found.features, found.matches, result.inliers)


def _write_json(path: Path, result: MatchResult, found: _Found) -> None:
    write_text(path, json_text(result))


def _write_csv(path: Path, result: MatchResult, found: _Found) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    columns = (result.matched_keypoints0, result.matched_keypoints1, result.match_scores[:, None])
    for numbers, inlier in zip(np.concatenate(columns, axis=1), result.inliers.tolist(), strict=True):
        rows.writerow((*map(str, numbers), int(inlier)))  # the shortest digits that give the same float32
    write_text(path, text.getvalue())


def _write_hdf5(path: Path, result: MatchResult, found: _Found) -> None:
    keys = {image.resolve(): key for key, image in find_images(found.images).items()}
    pair = keys[found.images[0].resolve()], keys[found.images[1].resolve()]
    record = PairMatches(found.matches, (result.keypoint_count0, result.keypoint_count1), found.geometry)
    write_matches(path, {pair: record}, found.provenance)


WRITERS: dict[str, Callable[[Path, MatchResult, _Found], None]] = {
    ".png": _write_picture,
    ".json": _write_json,
    ".csv": _write_csv,
    ".h5": _write_hdf5,
}
"""What is written, by the suffix of the file."""

_COLUMNS = ("x0", "y0", "x1", "y1", "score", "inlier")


def is_own_result(path: Path) -> bool:
    """Whether a file is one of those that `WRITERS` write, which another may replace."""
    suffix = path.suffix.lower()
    if suffix == ".png":
        return title_of(path) == TITLE
    if suffix == ".h5":
        return is_match_file(path)
    start = path.read_bytes()[:4096] if suffix == ".csv" else path.read_bytes()
    if suffix == ".csv":
        return start.startswith(",".join(_COLUMNS).encode() + b"\n")
    return json_has(start, "match_count", "matched_keypoints0", "inliers")
