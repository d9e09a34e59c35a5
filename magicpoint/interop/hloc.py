"""Features and matches in hloc's files, so that its pipelines go on from here.

Its feature file has a group for each image with `keypoints` (N, 2), whose attribute `uncertainty` is in pixels,
`scores` (N,), `descriptors` (D, N) and `image_size` (W, H); its match file a group for each pair with `matches0` (N,),
the index in the second image or -1, and `matching_scores0` (N,). In both programs the centre of the top-left pixel is
(0, 0); hloc itself adds the half pixel when it writes for COLMAP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath
from ..core.origins import check_one_origin
from ..core.types import Features, Matches
from ..io.features import features_to_arrays
from ..io.images import read_image
from ..io.matches import PairMatches
from ..io.pairs import Pair
from ..io.record_shards import open_records
from ..io.records import Layout, RecordFile, check_key, write_records
from .pairs import check_pairs

UNCERTAINTY = 1.0
"""How many pixels a keypoint may be off: hloc multiplies its thresholds in pixels with it, and 1 leaves them."""


def _to_arrays(features: Features) -> dict[str, NDArray[Any]]:
    # hloc's own keypoints are float16, which beyond x = 1024 knows whole pixels alone; it reads float32 as well.
    arrays = features_to_arrays(features)
    arrays["scores"] = arrays.pop("keypoint_scores")
    if "keypoint_scales" in arrays:
        arrays["scales"] = arrays.pop("keypoint_scales")
    if "descriptors" in arrays:
        arrays["descriptors"] = arrays["descriptors"].T.astype(np.float16)
    return arrays | {"image_size": np.array(features.image_size, np.int64)}


def _of_arrays(arrays: Mapping[str, NDArray[Any]], image_size: tuple[int, int]) -> Features:
    keypoints, scores = (torch.from_numpy(arrays[name]) for name in ("keypoints", "scores"))
    descriptors = None
    if "descriptors" in arrays:
        descriptors = torch.from_numpy(np.ascontiguousarray(arrays["descriptors"].T)).float()
    scales = torch.from_numpy(arrays["scales"]) if "scales" in arrays else None
    return Features(keypoints, scores, descriptors, image_size, keypoint_scales=scales)


HLOC_FEATURES = Layout(
    "hloc-features-2",
    ("hloc-features-1",),
    "hloc feature file",
    ("keypoints", "scores", "descriptors", "scales", "image_size"),
    _to_arrays,
    _of_arrays,
    attributes={"keypoints": {"uncertainty": UNCERTAINTY}},
)
"""hloc's layout of features, written and read as `io.features.FEATURES` is; descriptors are rounded to float16."""


def write_hloc_features(
    path: AnyPath,
    features: Mapping[str, Features],
    provenance: Mapping[str, str] | None = None,
    images: AnyPath | None = None,
) -> Path:
    """Write the features of images for hloc, in full or not at all.

    hloc sees images as they are stored: features of images that were turned as their EXIF orientation says lie
    elsewhere for it.

    Args:
        path: The HDF5 file; one that is there is replaced when the new one is complete.
        features: By the image's path relative to hloc's image folder.
        provenance: Where they come from; attributes of the file, which hloc does not read.
        images: That folder, to check that hloc sees the images so, too; None trusts.

    Returns:
        `path`.

    Raises:
        FileNotFoundError: An image is not in the folder.
        OSError: The file cannot be written.
        InputError: An image is stored in another size than its features have, or was turned.
        ValueError: A key is unsafe, see `io.records.write_records`.
    """
    if images is not None:
        turned = not isinstance(features, RecordFile) or features.provenance.get("orientation") != "stored"
        for key, found in features.items():
            _check_stored(Path(images) / check_key(key), found.image_size, turned)
    return write_records(Path(path), HLOC_FEATURES, features, provenance)


def _check_stored(path: Path, image_size: tuple[int, int], turned: bool) -> None:
    """Refuses an image that hloc would see otherwise than it was extracted, turned by its EXIF orientation or not."""
    stored = read_image(path, orientation="stored")
    height, width = stored.shape
    if (width, height) != image_size:
        raise InputError(
            f"{path} is stored as {width}x{height} and its features are of {image_size[0]}x{image_size[1]}: hloc "
            "neither resizes nor turns an image, extract them with orientation stored"
        )
    if turned and not np.array_equal(stored, read_image(path, orientation="exif")):
        raise InputError(f"{path} is turned by its EXIF orientation, which hloc passes over: extract it as stored")


def read_hloc_features(path: AnyPath) -> RecordFile[Features]:
    """Open a file of `write_hloc_features` as a mapping from keys to features; see `io.features.read_features`."""
    return open_records(path, HLOC_FEATURES)


def write_hloc_matches(
    path: AnyPath, matches: Mapping[tuple[str, str], Matches], features: Mapping[str, Features]
) -> Path:
    """Write the matches of image pairs for hloc, in full or not at all.

    Args:
        path: The HDF5 file; one that is there is replaced when the new one is complete.
        matches: By the keys of image 0 and image 1.
        features: Of the images of these pairs, by key, as they were matched: hloc finds keypoints by their place.

    Returns:
        `path`.

    Raises:
        KeyError: The features of an image are not there.
        OSError: The file cannot be written.
        InputError: Two pairs have one name in hloc, which writes a slash of a key as a hyphen; or the features are of
            two networks.
        ValueError: A key is unsafe, or matches do not fit the features, see `pairs.check_pairs`.
    """
    names = hloc_names(matches)
    counts, first = {}, None
    for key in dict.fromkeys(key for pair in matches for key in pair):
        found = features[key]
        first = first or found
        check_one_origin((first, found))
        counts[key] = len(found)
    check_pairs(matches, counts)
    records = {name: PairMatches(matches[pair], (counts[pair[0]], counts[pair[1]])) for pair, name in names.items()}
    return write_records(path, HLOC_MATCHES, records)


def hloc_names(pairs: Iterable[Pair]) -> dict[Pair, str]:
    """The path of the group that each pair has in hloc's file of matches.

    Raises:
        InputError: Two pairs have one name, since hloc writes a slash of a key as a hyphen, or a key is unsafe.
    """
    names: dict[Pair, str] = {}
    taken: dict[str, Pair] = {}
    for pair in pairs:
        names[pair] = "/".join(check_key(key).replace("/", "-") for key in pair)
        if taken.setdefault(names[pair], pair) != pair:
            raise InputError(f"hloc gives the pairs {taken[names[pair]]} and {pair} the same name {names[pair]!r}")
    return names


def _matches_to_arrays(record: PairMatches) -> dict[str, NDArray[Any]]:
    partners, scores = _by_keypoint(record.matches, *record.keypoint_counts)
    return {"matches0": partners, "matching_scores0": scores}


def _matches_of_arrays(arrays: Mapping[str, NDArray[Any]], counts: tuple[int, int]) -> PairMatches:
    partners, scores = arrays["matches0"].astype(np.int64), arrays["matching_scores0"].astype(np.float32)
    index0 = np.flatnonzero(partners >= 0)
    indices = torch.from_numpy(np.stack((index0, partners[index0]), 1))
    return PairMatches(Matches(indices, torch.from_numpy(scores[index0])), counts)


HLOC_MATCHES = Layout(
    "hloc-matches-2",
    (),
    "hloc match file",
    ("matches0", "matching_scores0"),
    _matches_to_arrays,
    _matches_of_arrays,
    size="keypoint_counts",
)
"""hloc's layout of matches, written and read as `io.matches.MATCHES` is, under `hloc_names`."""


def _by_keypoint(matches: Matches, count0: int, count1: int) -> tuple[NDArray[Any], NDArray[np.float16]]:
    """For each keypoint of image 0 its match in image 1, or -1, and the score of that, or 0."""
    index0, index1 = matches.matches01.cpu().numpy().T
    partners = np.full(count0, -1, np.int16 if count1 - 1 <= np.iinfo(np.int16).max else np.int32)
    scores = np.zeros(count0, np.float16)
    partners[index0], scores[index0] = index1, matches.scores.cpu().numpy()
    return partners, scores
