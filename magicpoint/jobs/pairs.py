"""A file of features, and a file of the matches between its images."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from ..core.errors import InputError
from ..core.files import AnyPath, check_not_replaced, remove_leftovers_of, target_of
from ..core.locks import locked
from ..core.machine import versions
from ..core.outputs import ADVICE
from ..core.types import Features
from ..interop.hloc import HLOC_MATCHES, hloc_names, read_hloc_features
from ..io.features import read_features
from ..io.layouts import FileLayout
from ..io.matches import MATCHES, PairMatches, key_of
from ..io.pairs import Pair
from ..io.records import RecordFile
from ..io.unfinished import UnfinishedRecords
from ..matching.geometry import estimate_geometry
from ..matching.nearest import Matching, match_features, provenance_of
from ..matching.settings import GeometrySettings

_REMEMBERED = 32
"""Features of so many images are kept: with 10,000 keypoints each 320 MB."""


@dataclasses.dataclass(frozen=True)
class MatchPairsResult:
    """What matching many images came to.

    Args:
        path: The file of matches.
        images: Number of images that are in a pair.
        pairs: Number of pairs.
        kept: Number of those whose matches were there before.
        matches: Number of matches of all pairs.
        without: Number of pairs without a match.
        agreeing: Number of pairs whose matches agree on a geometry; None where that was not asked.
    """

    path: Path
    images: int
    pairs: int
    kept: int
    matches: int
    without: int
    agreeing: int | None


def format_match_pairs(result: MatchPairsResult) -> str:
    """The result in one line."""
    text = f"{result.path}: {result.matches} matches of {result.pairs} pairs of {result.images} images"
    if result.without:
        text += f", {result.without} pairs without any"
    return text if result.agreeing is None else f"{text}; {result.agreeing} pairs agree on a geometry"


def open_features(path: AnyPath) -> RecordFile[Features]:
    """A file of features in this project's layout or in hloc's, as `magicpoint extract` writes both.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: It is damaged or neither.
    """
    try:
        return read_features(path)
    except InputError as error:
        try:
            return read_hloc_features(path)
        except InputError:
            raise error from None


def match_pairs(
    features: AnyPath,
    pairs: Iterable[Pair],
    out: AnyPath,
    settings: Matching | None = None,
    geometry: GeometrySettings | None = None,
    intrinsics: Mapping[str, ArrayLike] | None = None,
    layout: FileLayout = "magicpoint",
    progress: bool = True,
) -> MatchPairsResult:
    """Match pairs of images by their features, and write the matches to one HDF5 file.

    A run that was stopped, even killed, goes on where it was when it is started again with the same arguments. An older
    `out` stays until the new one is complete, and for good where it is of other features, settings or versions.

    Args:
        features: A file of `extract_images`, in either layout.
        pairs: Keys of images in it, each pair once in whichever order; see `io.pairs` for pairs from a file, each with
            each, and each with those after it.
        out: The file to write; see `io.matches.FORMAT`, or with the layout hloc the groups that hloc reads.
        settings: None stands for `MatchSettings()`; a `LearnedMatcher` matches in its own way.
        geometry: What the matches of each pair have to agree on; all matches are written, and which agree. None asks
            for nothing.
        intrinsics: The matrix (3, 3) of each image, for an essential matrix; see `io.intrinsics.read_intrinsics`.
        layout: hloc's files have no place for a geometry.
        progress: Show a progress bar on the standard error.

    Raises:
        FileNotFoundError: There is no file of features.
        KeyboardInterrupt: The message says how to go on.
        OSError: The file cannot be written.
        InputError: The features are damaged or have no descriptors; a pair is of an image that is not there, of one
            with itself, or there twice; intrinsics are missing; hloc cannot tell two pairs apart; or the file, finished
            or not, of other features, settings or versions is there.
    """
    check_not_replaced((features,), Path(out), "file of features")
    records, pairs = open_features(features), list(pairs)
    _check_pairs(pairs, records)
    _check_intrinsics(pairs, geometry, intrinsics)
    matcher = _Matcher(records, settings, geometry, intrinsics or {})
    if layout == "hloc" and geometry is not None:
        raise InputError(f"hloc's file of matches has no place for a geometry, and {geometry.model} was asked for")
    names = hloc_names(pairs) if layout == "hloc" else {pair: key_of(pair) for pair in pairs}
    with locked(out):
        remove_leftovers_of(target_of(Path(out)))
        unfinished = UnfinishedRecords(out, HLOC_MATCHES if layout == "hloc" else MATCHES, matcher.provenance)
        _check_earlier(unfinished.earlier, names.values())
        return _match_all(unfinished, names, matcher, progress)


def _check_earlier(earlier: RecordFile[PairMatches] | None, names: Iterable[str]) -> None:
    """Refuses to drop the matches of pairs that are not asked for now."""
    lost = sorted(set(earlier or ()) - set(names))
    if earlier is not None and lost:
        raise InputError(f"{earlier.path} holds {len(lost)} pairs not asked for now, for instance {lost[0]}: {ADVICE}")


def _match_all(
    unfinished: UnfinishedRecords[PairMatches], names: Mapping[Pair, str], matcher: _Matcher, progress: bool
) -> MatchPairsResult:
    kept = matches = without = agreeing = 0
    try:
        for pair, name in tqdm(names.items(), unit="pair", disable=not progress):
            digest = matcher.digest(pair)
            found = unfinished.get(name, digest)
            kept += found is not None
            if found is None:
                found = matcher.match(pair)
                unfinished.add(name, found, digest)
            matches, without = matches + len(found.matches), without + (not len(found.matches))
            agreeing += found.geometry is not None
    except KeyboardInterrupt:
        unfinished.save()
        raise KeyboardInterrupt(f"interrupted; the same command goes on with {unfinished.folder}") from None
    images = len({key for pair in names for key in pair})
    agree = agreeing if matcher.has_geometry else None
    return MatchPairsResult(
        unfinished.finish(list(names.values()), {}), images, len(names), kept, matches, without, agree
    )


def _check_pairs(pairs: Sequence[Pair], records: Collection[str]) -> None:
    """Refuses none, those of images that are not there or twice the same; before the work, not in its midst."""
    if not pairs:
        raise InputError("there is no pair to match: two images are needed")
    once: set[frozenset[str]] = set()
    for pair in pairs:
        missing = [key for key in pair if key not in records]
        if missing:
            raise InputError(f"no features of {missing[0]}, which is in the pair {pair}")
        if frozenset(pair) in once:
            raise InputError(f"the pair {pair} is there twice")
        once.add(frozenset(pair))


def _check_intrinsics(
    pairs: Sequence[Pair], geometry: GeometrySettings | None, intrinsics: Mapping[str, ArrayLike] | None
) -> None:
    if (intrinsics is not None) != (geometry is not None and geometry.model == "essential"):
        raise InputError("an essential matrix needs intrinsics, and nothing else takes them")
    missing = [key for pair in pairs for key in pair if intrinsics is not None and key not in intrinsics]
    if missing:
        raise InputError(f"the intrinsics of {missing[0]} are missing")


class _Matcher:
    """Matches pairs of a file of features, and knows what their matches depend on."""

    def __init__(
        self,
        records: RecordFile[Features],
        settings: Matching | None,
        geometry: GeometrySettings | None,
        intrinsics: Mapping[str, ArrayLike],
    ) -> None:
        self._settings, self._geometry, self._intrinsics = settings, geometry, intrinsics
        self._features = functools.lru_cache(_REMEMBERED)(records.__getitem__)
        self._digests: dict[str, str] = {}
        self.provenance = {
            "features": json.dumps(records.provenance),
            "match": json.dumps(provenance_of(settings)),
            "geometry": json.dumps(None if geometry is None else dataclasses.asdict(geometry)),
            "versions": json.dumps(versions()),
        }

    @property
    def has_geometry(self) -> bool:
        """Whether the matches have to agree on something."""
        return self._geometry is not None

    def match(self, pair: Pair) -> PairMatches:
        features0, features1 = map(self._features, pair)
        matches = match_features(features0, features1, self._settings)
        found = None
        if self._geometry is not None:
            index0, index1 = matches.matches01.T
            cameras = [self._intrinsics.get(key) for key in pair]
            places = features0.keypoints[index0], features1.keypoints[index1]
            found = estimate_geometry(*places, self._geometry, *cameras)
        return PairMatches(matches, (len(features0), len(features1)), found)

    def digest(self, pair: Pair) -> str:
        """SHA-256 of what the matches of a pair are made from."""
        for key in pair:
            if key not in self._digests:
                self._digests[key] = self._digest_of_image(key)
        return hashlib.sha256(" ".join(self._digests[key] for key in pair).encode()).hexdigest()

    def _digest_of_image(self, key: str) -> str:
        features, hashed = self._features(key), hashlib.sha256()
        for tensor in (features.keypoints, features.descriptors):
            if tensor is not None:
                hashed.update(tensor.numpy().tobytes())
        hashed.update(repr(features.image_size).encode())
        if key in self._intrinsics:
            hashed.update(np.asarray(self._intrinsics[key], np.float64).tobytes())
        return hashed.hexdigest()
