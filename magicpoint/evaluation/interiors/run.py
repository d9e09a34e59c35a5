"""Methods on pairs of views of rendered rooms, in the same run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from synthetic_shapes.seeding import sample_generator

from ...core.errors import InputError
from ...core.machine import versions
from ...core.types import Features
from ...data.scenes3d.interior import draw_view_pair
from ...data.scenes3d.render import RenderedView, transfer
from ...matching.nearest import Matching, match_features
from ...matching.pose import estimate_pose
from ...measures.matches import area_under_recall
from ...measures.pose import pose_error, relative_pose
from ...measures.repeatability import compare_places
from ...measures.statistics import mean_of_defined
from ..methods.base import Detect, PairsMethod, Selection
from ..methods.matched import finder_of, matching_of
from .results import InteriorsEvaluation, InteriorsMethodResult, InteriorsProtocol, RoomResult


def evaluate_on_interiors(
    photographs: Sequence[NDArray[np.uint8]],
    methods: Mapping[str, PairsMethod],
    protocol: InteriorsProtocol | None = None,
    progress: bool = False,
) -> InteriorsEvaluation:
    """Evaluates methods, by name, that have descriptors; rooms are rendered one at a time.

    Args:
        photographs: uint8 (h, w), for walls and things; their order counts.
        methods: By the name under which their results appear.
        protocol: None stands for `InteriorsProtocol()`.
        progress: Show a progress bar on the standard error.

    Raises:
        InputError: There is no photograph, or a method has no descriptors.
    """
    protocol = protocol or InteriorsProtocol()
    if not len(photographs):
        raise InputError("rooms need photographs for their walls")
    silent = [name for name, method in methods.items() if not method.has_descriptors]
    if silent:
        raise InputError(f"rooms are for methods with descriptors, which {', '.join(silent)} lacks")
    selection = Selection(protocol.nms_radius, protocol.border, protocol.max_keypoints, descriptors=True)
    prepared = {id(finder): finder.prepare(selection) for finder in map(finder_of, methods.values())}
    detectors = {name: prepared[id(finder_of(method))] for name, method in methods.items()}
    found: dict[str, list[RoomResult]] = {name: [] for name in methods}
    digest = hashlib.sha256()
    for number in tqdm(range(protocol.rooms), unit="room", disable=not progress):
        rng = sample_generator(protocol.seed, "evaluation interior", number)
        view0, view1 = draw_view_pair(photographs, rng, protocol.interior)
        for view in (view0, view1):
            digest.update(view.image.tobytes())
            digest.update(np.concatenate((view.camera.K, view.camera.R, view.camera.t[None])).astype("<f8").tobytes())
        seen: dict[Detect, tuple[Features, Features]] = {}
        for name, detect in detectors.items():
            if detect not in seen:
                seen[detect] = detect(view0.image), detect(view1.image)
            found[name].append(measure_room(view0, view1, *seen[detect], protocol, matching_of(methods[name])))
    return InteriorsEvaluation(
        protocol=protocol,
        photographs=len(photographs),
        digest=digest.hexdigest(),
        methods={name: method.settings() for name, method in methods.items()},
        versions=versions(),
        results={name: _summarize(rooms, protocol) for name, rooms in found.items()},
    )


def measure_room(
    view0: RenderedView,
    view1: RenderedView,
    features0: Features,
    features1: Features,
    protocol: InteriorsProtocol,
    matching: Matching | None = None,
) -> RoomResult:
    """All measures of the features of two views.

    A match is right where view 1 shows the keypoint of view 0, view 0 that of view 1, and they are within the tolerance
    in view 1.
    """
    keypoints0, keypoints1 = (f.keypoints.cpu().numpy().astype(np.float64) for f in (features0, features1))
    places0, shown0 = transfer(keypoints0, view0, view1)
    _, shown1 = transfer(keypoints1, view1, view0)
    repeated = compare_places(places0[shown0], keypoints1[shown1], protocol.tolerance)
    matches = match_features(features0, features1, matching)
    index0, index1 = matches.matches01.cpu().numpy().T
    with np.errstate(invalid="ignore"):
        near = np.hypot(*(places0[index0] - keypoints1[index1]).T) <= protocol.tolerance
    right = int((near & shown0[index0] & shown1[index1]).sum())
    shares = [right / int(shown.sum()) for shown in (shown0, shown1) if shown.any()]
    K0, K1 = view0.camera.K, view1.camera.K
    estimate = estimate_pose(keypoints0[index0], keypoints1[index1], K0, K1, protocol.inlier_threshold)
    truth = relative_pose(view0.camera.R, view0.camera.t, view1.camera.R, view1.camera.t)
    return RoomResult(
        keypoints=(len(features0) + len(features1)) / 2,
        repeatability=repeated.one_to_one,
        localization_error=repeated.localization_error,
        matches=len(matches),
        matching_accuracy=right / len(matches) if len(matches) else 0.0,
        matching_score=float(np.mean(shares)) if shares else float("nan"),
        pose_error=pose_error(None if estimate is None else (estimate.R, estimate.t), truth),
    )


def _summarize(rooms: Sequence[RoomResult], protocol: InteriorsProtocol) -> InteriorsMethodResult:
    errors = np.array([room.pose_error for room in rooms])

    def mean(name: str) -> float:
        return mean_of_defined([getattr(room, name) for room in rooms])

    return InteriorsMethodResult(
        keypoints=mean("keypoints"),
        repeatability=mean("repeatability"),
        localization_error=mean("localization_error"),
        matching_accuracy=mean("matching_accuracy"),
        matching_score=mean("matching_score"),
        pose_accuracy={t: float((errors <= t).mean()) for t in protocol.pose_thresholds},
        pose_auc={t: float(area_under_recall(errors, t).mean()) for t in protocol.pose_thresholds},
        pose_error_median=float(np.median(errors)),
        rooms=tuple(rooms),
    )
