"""HDF5 files of matches: which keypoints of which images belong together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath
from ..core.geometry import GeometryModel, TwoViewGeometry
from ..core.types import Matches
from .pairs import Pair
from .records import Layout, RecordFile, check_key, write_records

FORMAT = "magicpoint-matches-1"
"""The layout that this module writes; a reader refuses any other.

Each pair of images is a group KEY0/KEY1, where a slash of a key is written %2F and a per cent sign %25. It holds the
datasets matches01, int32 (K, 2), and scores, float32 (K,), as in `Matches`, and the attribute keypoint_counts, the
numbers of keypoints of both images. Where the matches agree on a `TwoViewGeometry`, there are the datasets model, the
letters of its name as uint8, inliers, uint8 (K,), matrix, float64 (3, 3), and of an essential matrix R and t. The file
has the attributes format, skipped and whatever says where the matches come from, and behind its end an index, as a file
of features.
"""


@dataclasses.dataclass(frozen=True, eq=False)
class PairMatches:
    """The matches of two images.

    Args:
        matches: Indices of keypoints of both, and scores.
        keypoint_counts: How many keypoints each image has.
        geometry: What the matches agree on; None where that was not asked, or too few agree.

    Raises:
        ValueError: A match is of a keypoint that there is not, or the inliers are not those of the matches.
    """

    matches: Matches
    keypoint_counts: tuple[int, int]
    geometry: TwoViewGeometry | None = None

    def __post_init__(self) -> None:
        indices = self.matches.matches01.cpu()
        if bool((indices < 0).any() or (indices >= torch.tensor(self.keypoint_counts)).any()):
            raise ValueError(f"matches do not fit {self.keypoint_counts[0]} and {self.keypoint_counts[1]} keypoints")
        if self.geometry is not None and self.geometry.inliers.shape != (len(self.matches),):
            raise ValueError(f"inliers of shape {self.geometry.inliers.shape} do not fit {len(self.matches)} matches")


def key_of(pair: Pair) -> str:
    """The path of a pair's group, see `FORMAT`.

    Raises:
        InputError: An image is paired with itself, or a key is unsafe, see `records.check_key`.
    """
    if pair[0] == pair[1]:
        raise InputError(f"an image is matched with itself: {pair[0]}")
    return "/".join(check_key(key).replace("%", "%25").replace("/", "%2F") for key in pair)


def pair_of(key: str) -> Pair:
    """The pair whose group has this path."""
    first, _, second = key.partition("/")
    pair = first.replace("%2F", "/").replace("%25", "%"), second.replace("%2F", "/").replace("%25", "%")
    if key_of(pair) != key:
        raise InputError(f"{key!r} is no pair of images")
    return pair


def _to_arrays(record: PairMatches) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "matches01": record.matches.matches01.cpu().numpy().astype(np.int32),
        "scores": record.matches.scores.cpu().numpy(),
    }
    geometry = record.geometry
    if geometry is not None:
        arrays["model"] = np.frombuffer(geometry.model.encode(), np.uint8)
        arrays["inliers"] = geometry.inliers.astype(np.uint8)
        matrices = {name: getattr(geometry, name) for name in ("matrix", "R", "t")}
        arrays |= {name: np.asarray(values, np.float64) for name, values in matrices.items() if values is not None}
    return arrays


def _of_arrays(arrays: Mapping[str, NDArray[Any]], counts: tuple[int, int]) -> PairMatches:
    matches = Matches(*(torch.from_numpy(arrays[name]) for name in ("matches01", "scores")))
    matches = Matches(matches.matches01.long(), matches.scores)
    if matches.matches01.shape != (len(matches), 2) or matches.scores.shape != (len(matches),):
        raise ValueError(f"matches {tuple(matches.matches01.shape)} have scores {tuple(matches.scores.shape)}")
    return PairMatches(matches, counts, _geometry_of(arrays) if "model" in arrays else None)


def _geometry_of(arrays: Mapping[str, NDArray[Any]]) -> TwoViewGeometry:
    model = arrays["model"].tobytes().decode()
    if model not in get_args(GeometryModel):
        raise ValueError(f"unknown model {model!r}")
    inliers = arrays["inliers"].astype(np.bool_)
    return TwoViewGeometry(model, arrays["matrix"], inliers, arrays.get("R"), arrays.get("t"))  # type: ignore[arg-type]


MATCHES = Layout(
    FORMAT,
    (),
    "match file",
    ("matches01", "scores", "model", "inliers", "matrix", "R", "t"),
    _to_arrays,
    _of_arrays,
    size="keypoint_counts",
)


def write_matches(
    path: AnyPath, matches: Mapping[Pair, PairMatches], provenance: Mapping[str, str] | None = None
) -> Path:
    """Write the matches of image pairs, in full or not at all; see `records.write_records`."""
    return write_records(path, MATCHES, {key_of(pair): record for pair, record in matches.items()}, provenance)


class MatchFile(Mapping[Pair, PairMatches]):
    """The matches of a file by the keys of image 0 and image 1, each read when it is asked for; see `read_matches`."""

    def __init__(self, path: AnyPath) -> None:
        self._records = RecordFile(path, MATCHES)
        self._keys = {pair_of(key): key for key in self._records}
        self.path, self.provenance = self._records.path, self._records.provenance

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._keys)

    def __getitem__(self, pair: Pair) -> PairMatches:
        return self._records[self._keys[pair]]


def read_matches(path: AnyPath) -> MatchFile:
    """Open a file of `write_matches`, or of `magicpoint match FEATURES.h5`, as a mapping from pairs to matches.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: It is damaged, of another layout, or holds an unsafe key; the message names it.

    Examples:
        >>> import tempfile
        >>> one = PairMatches(Matches(torch.tensor([[4, 1]]), torch.tensor([0.9])), (5, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = read_matches(write_matches(Path(folder, "matches.h5"), {("a/1.png", "b.png"): one}))
        ...     list(found), found["a/1.png", "b.png"].matches.matches01.tolist()
        ([('a/1.png', 'b.png')], [[4, 1]])
    """
    return MatchFile(path)


def is_match_file(path: Path) -> bool:
    """Whether `read_matches` opens a file."""
    try:
        read_matches(path)
    except (OSError, InputError):
        return False
    return True
