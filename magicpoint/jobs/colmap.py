"""A folder of images to COLMAP's database, its matches verified, and on to its models."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.files import AnyPath
from ..core.locks import locked_folder
from ..core.made import digest_of, keep_made
from ..inference.extractor import Extractor
from ..interop.camera_mode import CameraMode
from ..interop.colmap import SEED, import_pycolmap, write_database
from ..io.features import read_features
from ..io.matches import read_matches
from ..io.pairs import Pair, exhaustive_pairs
from ..matching.nearest import Matching
from .extract import extract_images
from .pairs import match_pairs

FEATURES, MATCHES, DATABASE, MODELS = "features.h5", "matches.h5", "database.db", "models"
"""The names of what is in the folder."""


@dataclasses.dataclass(frozen=True)
class Model:
    """What the mapper made of images that hang together.

    Args:
        path: Folder of COLMAP's binary files.
        images: Number of images with a pose.
        points: Number of points in space.
        reprojection: Mean error of the points in the images, in pixels.
    """

    path: Path
    images: int
    points: int
    reprojection: float


@dataclasses.dataclass(frozen=True)
class MapResult:
    """What became of a folder of images.

    Args:
        path: The database.
        images: Number of images.
        keypoints: Number of their keypoints.
        pairs: Number of pairs that were matched.
        matches: Number of their matches.
        verified: Number of pairs of which COLMAP found a geometry.
        skipped: Number of images that could not be read.
        models: Of the mapper, the one of most images first; None where it was not asked for.
    """

    path: Path
    images: int
    keypoints: int
    pairs: int
    matches: int
    verified: int
    skipped: int
    models: tuple[Model, ...] | None


def format_mapping(result: MapResult) -> str:
    """The result in a few lines."""
    lines = [
        f"{result.path}: {result.keypoints} keypoints in {result.images} images, {result.skipped} skipped",
        f"{result.matches} matches of {result.pairs} pairs, {result.verified} pairs verified",
    ]
    for model in result.models or ():
        lines.append(
            f"{model.path}: {model.images} of {result.images} images, {model.points} points, "
            f"mean reprojection error {model.reprojection:.2f} px"
        )
    if result.models == ():
        lines.append("no model: COLMAP found no two images to begin with")
    return "\n".join(lines)


def map_images(
    images: AnyPath,
    out: AnyPath,
    extractor: Extractor,
    pairs: Callable[[Iterable[str]], list[Pair]] = exhaustive_pairs,
    settings: Matching | None = None,
    camera_mode: CameraMode = "auto",
    mapper: bool = False,
    progress: bool = True,
) -> MapResult:
    """Extract, match, write COLMAP's database, have COLMAP verify the matches and, if asked for, make its models.

    The folder gets features.h5, matches.h5, database.db and models/. What is there of the same images and settings
    stays as it is, so a run that was stopped, even killed, goes on; what another program changed is not replaced.

    Args:
        images: Their folder; COLMAP names them by their paths in it.
        out: The folder to write.
        extractor: With descriptors; it reads images as they are stored, `ImageReading(orientation="stored")`, as
            COLMAP does.
        pairs: Makes the pairs to match of the keys of all images; see `io.pairs`.
        settings: None stands for `MatchSettings()`; a `LearnedMatcher` matches in its own way.
        camera_mode: Which images share a camera.
        mapper: Run COLMAP's incremental mapper.
        progress: Show progress bars on the standard error.

    Raises:
        FileNotFoundError: There is no such folder.
        KeyboardInterrupt: The message says how to go on.
        OSError: A file cannot be written.
        MissingPackageError: pycolmap is not installed; the message says how to get it.
        InputError: There is no image, or the extractor would turn them; COLMAP refuses one; or something in the folder
            is of other images or settings, was changed, or is being written by another process.
    """
    pycolmap = import_pycolmap()
    images, out = Path(images), Path(out)
    if not images.is_dir():
        raise FileNotFoundError(f"no folder of images {images}")
    if extractor.reading.orientation != "stored":
        raise InputError("COLMAP sees images as they are stored, and these would be turned: orientation must be stored")
    if out.resolve().is_relative_to(images.resolve()):
        raise InputError(f"{out} lies in the folder of the images: choose a folder beside it")
    with locked_folder(out), _quiet(pycolmap):
        extracted = extract_images([images], out / FEATURES, extractor, progress=progress, root=images)
        features = read_features(out / FEATURES)
        matched = match_pairs(out / FEATURES, pairs(features), out / MATCHES, settings, progress=progress)
        source = {
            "features": digest_of(out / FEATURES),
            "matches": digest_of(out / MATCHES),
            "camera_mode": camera_mode,
            "pycolmap": pycolmap.__version__,
        }

        def fill(path: Path) -> None:
            matches = {pair: found.matches for pair, found in read_matches(out / MATCHES).items()}
            write_database(path, images, features, matches, camera_mode, verify=True)

        keep_made(out / DATABASE, source, fill)
        verified, models = _count_verified(out / DATABASE), None
        if mapper:
            keep_made(out / MODELS, source, lambda folder: _make_models(pycolmap, out / DATABASE, images, folder))
            models = _read_models(pycolmap, out / MODELS)
    return MapResult(
        path=out / DATABASE,
        images=extracted.images,
        keypoints=extracted.keypoints,
        pairs=matched.pairs,
        matches=matched.matches,
        verified=verified,
        skipped=len(extracted.skipped),
        models=models,
    )


@contextlib.contextmanager
def _quiet(pycolmap: Any) -> Iterator[None]:
    """Lets COLMAP say errors alone: it tells every step of every image."""
    before = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = pycolmap.logging.Level.ERROR
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = before


def _make_models(pycolmap: Any, database: Path, images: Path, folder: Path) -> None:
    folder.mkdir()
    copy = folder / DATABASE  # the mapper opens it for writing, and ours stays as it is recorded
    shutil.copyfile(database, copy)
    options = pycolmap.IncrementalPipelineOptions()
    options.random_seed = SEED
    try:
        pycolmap.incremental_mapping(copy, images, folder, options)
    finally:
        for path in folder.glob(f"{DATABASE}*"):
            path.unlink()


def _read_models(pycolmap: Any, folder: Path) -> tuple[Model, ...]:
    models = []
    for path in folder.iterdir():
        found = pycolmap.Reconstruction(path)
        error = found.compute_mean_reprojection_error()
        models.append(Model(path, found.num_reg_images(), found.num_points3D(), error))
    return tuple(sorted(models, key=lambda model: (-model.images, model.path)))


def _count_verified(path: Path) -> int:
    """How many pairs have a geometry. COLMAP itself would write to a database that it opens."""
    database = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
    with contextlib.closing(database):
        try:
            [(count,)] = database.execute("SELECT COUNT(*) FROM two_view_geometries WHERE rows > 0")
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path} is no database of COLMAP: {error}") from error
    return int(count)
