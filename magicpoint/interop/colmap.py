"""Features and matches in COLMAP's database, from which its mapper goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.extras import require
from ..core.files import AnyPath, write_atomically
from ..core.origins import check_one_origin
from ..core.types import Features, Matches
from ..io.reading import Orientation
from ..io.records import RecordFile, check_key
from .camera_mode import CameraMode
from .pairs import check_pairs

SEED = 0
"""Of COLMAP's random choices; its threads still bring about small differences."""

_UPRIGHT = 1  # of the EXIF tag Orientation


def import_pycolmap() -> Any:
    """COLMAP, or a `MissingPackageError` that says how to get it."""
    # Both bring a zlib, and OpenCV must find its own: loaded after pycolmap it crashes where it writes a PNG file.
    import cv2  # noqa: F401

    return require("pycolmap", "colmap")


def write_database(
    path: AnyPath,
    images: AnyPath,
    features: Mapping[str, Features],
    matches: Mapping[tuple[str, str], Matches],
    camera_mode: CameraMode = "auto",
    orientation: Orientation | None = None,
    verify: bool = False,
) -> Path:
    """Write keypoints and matches as a new COLMAP database, in full or not at all.

    COLMAP counts pixels from the corner of the image: each keypoint gets half a pixel in x and in y, here and nowhere
    else. COLMAP reads the images as they are stored and turns none as its EXIF orientation says, so features of turned
    images are refused.

    Args:
        path: The database; there must be none.
        images: The folder of the image files, for their cameras.
        features: By the image's path relative to that folder.
        matches: Of pairs of those images, each pair once in whichever order.
        camera_mode: Which images share a camera; as in COLMAP's feature extractor.
        orientation: How the images were read, see `io.reading.ImageReading`; None is as the file says from which the
            features are, or exif.
        verify: Have COLMAP verify the matches, by a geometry of each pair, as its mapper needs it; otherwise
            `pycolmap.geometric_verification(path)` comes next.

    Returns:
        `path`.

    Raises:
        FileExistsError: There is such a file.
        FileNotFoundError: An image is not there.
        MissingPackageError: pycolmap is not installed; the message says how to get it.
        KeyError: The features of an image of a pair are not there.
        OSError: The file cannot be written.
        InputError: The size of an image is not that in its features, or it is turned; COLMAP cannot read it, or not
            with such a camera; or a pair is there twice.
        ValueError: A key is unsafe, or matches do not fit the features, see `pairs.check_pairs`.
    """
    pycolmap = import_pycolmap()
    path, images = Path(path), Path(images)
    if path.exists():
        raise FileExistsError(f"{path} is there, and a database is not written over: choose another")
    if orientation is None:
        said = features.provenance.get("orientation") if isinstance(features, RecordFile) else None
        orientation = "stored" if said == "stored" else "exif"
    names = {key: check_key(key) for key in features}
    counts: dict[str, int] = {}
    first = None
    for key, found in features.items():
        first = first or found
        check_one_origin((first, found))
        _check_image(pycolmap, images / names[key], found.image_size, orientation)
        counts[key] = len(found)
    check_pairs(matches, counts)
    if len({frozenset(pair) for pair in matches}) < len(matches):
        raise InputError("a pair of images is there in both orders, and COLMAP keeps the matches of each pair once")

    def write(temporary: Path) -> None:
        database = pycolmap.Database.open(temporary)
        database.close()
        mode = getattr(pycolmap.CameraMode, camera_mode.upper())
        pycolmap.import_images(temporary, images, mode, list(names.values()))
        database = pycolmap.Database.open(temporary)
        try:
            ids = {image.name: image.image_id for image in database.read_all_images()}
            left_out = [name for name in names.values() if name not in ids]
            if left_out:
                raise InputError(f"COLMAP takes no {camera_mode} camera for {left_out[0]} and {len(left_out) - 1} more")
            for key, found in features.items():
                database.write_keypoints(ids[names[key]], _from_corner(found))
            for (key0, key1), pairs in matches.items():
                indices = pairs.matches01.cpu().numpy().astype(np.uint32)
                database.write_matches(ids[names[key0]], ids[names[key1]], indices)
        finally:
            database.close()
        if verify:
            options = pycolmap.TwoViewGeometryOptions()
            options.ransac.random_seed = SEED
            pycolmap.geometric_verification(temporary, two_view_geometry_options=options)

    write_atomically(path, write)
    return path


def _from_corner(features: Features) -> Any:
    """Keypoints (N, 2) where the corner of the top-left pixel is (0, 0)."""
    return features.keypoints.detach().cpu().numpy() + np.float32(0.5)


def _check_image(pycolmap: Any, path: Path, image_size: tuple[int, int], orientation: Orientation) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"no image {path}")
    bitmap = pycolmap.Bitmap.read(path, as_rgb=False)
    if bitmap is None:
        raise InputError(f"COLMAP cannot read {path}")
    stored = (bitmap.width, bitmap.height)
    if stored != image_size:
        raise InputError(
            f"{path} is stored as {stored[0]}x{stored[1]} and its features are of {image_size[0]}x{image_size[1]}: "
            "COLMAP neither resizes nor turns an image: extract them with orientation stored"
        )
    # Upside down, mirrored, or square, its size does not tell that it was turned.
    if orientation == "exif" and bitmap.exif_orientation() not in (None, _UPRIGHT):
        raise InputError(
            f"{path} has EXIF orientation {bitmap.exif_orientation()}, which COLMAP passes over: extract it with "
            "orientation stored"
        )
