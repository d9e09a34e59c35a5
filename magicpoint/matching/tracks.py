"""Tracks: keypoints of one frame linked to those of the next, each track with an id that stays."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..core.types import Features
from .nearest import Matcher
from .settings import TrackSettings

Indices = NDArray[np.int64]

_AT_ONCE = 1024  # pairs of descriptors: 2 MB, where all pairs of a frame are written to memory four times as slowly


@dataclasses.dataclass(frozen=True, eq=False)
class Tracks:
    """The tracks that are seen in one frame; every keypoint of the frame belongs to one.

    Args:
        keypoints: float32 (N, 2), (x, y) in pixels of the frame, in the order of its features.
        ids: int64 (N,), counted from 0; no other track of the video ever has the same.
        lengths: int64 (N,): in how many frames the track was seen, this one included; 1 for a new one.
        ended: int64 (M,): ids of the tracks that end, since they were lost for too long.
    """

    keypoints: NDArray[np.float32]
    ids: Indices
    lengths: Indices
    ended: Indices

    def __len__(self) -> int:
        return len(self.ids)


class Tracker:
    """Links the keypoints of each frame to the tracks so far.

    A link is between a keypoint and a track that are each other's nearest among all that are close enough: nearest by
    the cosine of their descriptors, or by their distance in pixels where the network gives no descriptors. A track is
    where, and looks as, it did when it was seen last. Among equals the older track and the better keypoint are nearest.

    Args:
        settings: None stands for `TrackSettings()`.
        matcher: Says in place of the cosine which keypoint is which track, among those that are close enough.

    Examples:
        >>> import torch
        >>> def frame(x):
        ...     return Features(torch.tensor([[x, 10.0]]), torch.ones(1), None, (64, 48))
        >>> tracker = Tracker()
        >>> tracker.update(frame(20.0)).ids.tolist()
        [0]
        >>> tracks = tracker.update(frame(22.0))
        >>> tracks.ids.tolist(), tracks.lengths.tolist()
        ([0], [2])
    """

    def __init__(self, settings: TrackSettings | None = None, matcher: Matcher | None = None) -> None:
        self.settings = settings or TrackSettings()
        self._matcher = matcher
        self.started = 0
        """How many tracks there have been: their ids are those below."""
        self._keypoints = np.zeros((0, 2), np.float32)
        self._descriptors: NDArray[np.float32] | None = None
        self._ids, self._lengths, self._missed = (np.zeros(0, np.int64) for _ in range(3))

    def update(self, features: Features) -> Tracks:
        """The tracks in the next frame, from its features, which are on any device."""
        features = features.to("cpu")
        keypoints = features.keypoints.numpy()
        descriptors = None if features.descriptors is None else features.descriptors.numpy()
        if self._matcher is None or descriptors is None:
            linked, found = self._link(keypoints, descriptors)
        else:
            linked, found = self._link_by(self._matcher, features)
        ids, lengths = np.full(len(keypoints), -1), np.ones(len(keypoints), np.int64)
        ids[found], lengths[found] = self._ids[linked], self._lengths[linked] + 1
        new = ids < 0
        ids[new] = self.started + np.arange(new.sum())
        self.started += int(new.sum())

        missed = self._missed + 1
        unseen = np.ones(len(missed), np.bool_)
        unseen[linked] = False
        waiting = unseen & (missed < self.settings.lost_after)
        ended = self._ids[unseen & ~waiting]
        self._keep(waiting, missed, keypoints, descriptors, ids, lengths)
        return Tracks(keypoints, ids, lengths, ended)

    def _keep(
        self,
        waiting: NDArray[np.bool_],
        missed: Indices,
        keypoints: NDArray[np.float32],
        descriptors: NDArray[np.float32] | None,
        ids: Indices,
        lengths: Indices,
    ) -> None:
        """Remember the tracks that wait to be seen again and those seen now, in the order of their ids."""
        all_ids = np.concatenate((self._ids[waiting], ids))
        order = all_ids.argsort()
        self._ids = all_ids[order]
        self._keypoints = np.concatenate((self._keypoints[waiting], keypoints))[order]
        self._lengths = np.concatenate((self._lengths[waiting], lengths))[order]
        self._missed = np.concatenate((missed[waiting], np.zeros(len(ids), np.int64)))[order]
        if descriptors is not None and self._descriptors is not None:
            descriptors = np.concatenate((self._descriptors[waiting], descriptors))
        self._descriptors = None if descriptors is None else descriptors[order]

    def _link(self, keypoints: NDArray[np.float32], descriptors: NDArray[np.float32] | None) -> tuple[Indices, Indices]:
        """Links as indices of tracks and, in the same order, of keypoints."""
        if not len(self._ids) or not len(keypoints):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        limit = self.settings.radius if descriptors is None else self.settings.reach
        near = KDTree(self._keypoints).sparse_distance_matrix(KDTree(keypoints), limit, output_type="ndarray")
        track, keypoint, distance = near["i"], near["j"], near["v"]
        if descriptors is None or self._descriptors is None:
            return _mutual(track, keypoint, distance)
        similarity = _cosines(self._descriptors, descriptors, track, keypoint)
        alike = similarity >= self.settings.min_similarity
        return _mutual(track[alike], keypoint[alike], -similarity[alike])

    def _link_by(self, matcher: Matcher, features: Features) -> tuple[Indices, Indices]:
        """Links as the matcher sees them, the tracks as the keypoints of an image."""
        if not len(self._ids) or self._descriptors is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        places, descriptors = torch.from_numpy(self._keypoints), torch.from_numpy(self._descriptors)
        tracks = dataclasses.replace(
            features,
            keypoints=places,
            keypoint_scores=torch.ones(len(places)),
            descriptors=descriptors,
            keypoint_scales=None,
        )
        track, keypoint = matcher.match(tracks, features).matches01.numpy().T
        moved = np.linalg.norm(self._keypoints[track] - features.keypoints.numpy()[keypoint], axis=1)
        near = moved <= self.settings.reach
        return track[near], keypoint[near]


def _cosines(
    descriptors0: NDArray[np.float32], descriptors1: NDArray[np.float32], index0: Indices, index1: Indices
) -> NDArray[np.float32]:
    """The cosines of pairs of descriptors, as many as fit into a processor's cache at a time."""
    cosines = np.empty(len(index0), np.float32)
    for start in range(0, len(index0), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        np.einsum("ij,ij->i", descriptors0[index0[part]], descriptors1[index1[part]], out=cosines[part])
    return cosines


def _mutual(track: Indices, keypoint: Indices, cost: NDArray[np.floating]) -> tuple[Indices, Indices]:
    """The pairs that are the cheapest of their track and of their keypoint, in the order of the tracks."""
    by_track = np.lexsort((keypoint, cost, track))
    of_track = by_track[np.unique(track[by_track], return_index=True)[1]]
    by_keypoint = np.lexsort((track, cost, keypoint))
    of_keypoint = by_keypoint[np.unique(keypoint[by_keypoint], return_index=True)[1]]
    mutual = np.intersect1d(of_track, of_keypoint)
    mutual = mutual[track[mutual].argsort()]
    return track[mutual], keypoint[mutual]
