"""The features of two views of an image or a room, as the weights find them that they are learnt to be matched of."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from homography import warp_points
from homography.warp import inverse_homography
from synthetic_shapes.sample import sample_generator

from ..core.errors import InputError
from ..core.files import AnyPath, write_atomically
from ..core.grid import DescriptorSampling
from ..core.types import Features
from ..decoding.decode import decode, logits_to_heatmap
from ..decoding.descriptors import sample_descriptors
from ..decoding.settings import DecodeSettings
from ..model.fold import fold_batch_norm
from ..model.network import PointNetwork
from ..model.weights import load_weights, resolve, weights_hash
from .image_files import ImageFiles
from .samples import TrainingSample
from .scenes3d.interior import InteriorSettings
from .scenes3d.render import RenderedView, transfer
from .scenes3d.views import make_room_views
from .settings import ViewSettings
from .sources import ShuffledIndices
from .views import make_views

LOWEST_SCORE = 0.005
"""Of a keypoint: below what an extractor takes, since whoever asks for many gets weak ones, too."""


ROOM = InteriorSettings(baseline=(0.3, 2.5), least_overlap=0.2, roll=0.6)
"""Farther apart, and turned farther, than the rooms on which methods are evaluated."""

PICTURES = 12
"""Of a room, at most: fewer than it has surfaces, so that the same stands in it again."""


class FeaturePair(NamedTuple):
    """The features of two views, and where each shows the keypoints of the other.

    `places0` float32 (N, 2) are the places in view 1, in pixels, of the keypoints of view 0; nan where they have none:
    behind the horizon, or hidden. `places1` float32 (M, 2) as much of view 1.
    """

    features0: Features
    features1: Features
    places0: Tensor
    places1: Tensor


@torch.inference_mode()
def features_of_view(
    model: PointNetwork,
    view: TrainingSample,
    settings: DecodeSettings,
    device: torch.device,
    sampling: DescriptorSampling = "centres",
) -> Features:
    """The keypoints of a view, none so near to what it does not show that its edge can be what was found.

    Args:
        model: In evaluation mode, with descriptors, on the device.
        view: Its sides are multiples of 8.
        settings: The decoding; its border is also that of the valid pixels.
        device: Where to compute.
        sampling: As the network's settings have it.

    Returns:
        On the CPU.
    """
    tensor = torch.from_numpy(view.image)[None, None].to(device).float() / 255.0
    output = model(tensor.contiguous(memory_format=torch.channels_last))
    assert output.descriptors is not None
    valid = torch.from_numpy(view.valid_mask)[None, None].to(device)
    heatmap = logits_to_heatmap(output.logits)
    [(keypoints, scores)] = decode(heatmap, settings, valid_mask=_eroded(valid, settings.border))
    [descriptors] = sample_descriptors(output.descriptors, [keypoints], sampling)
    return Features(keypoints.cpu(), scores.cpu(), descriptors.cpu(), (view.image.shape[1], view.image.shape[0]))


def _eroded(valid_mask: Tensor, radius: int) -> Tensor:
    """Without the pixels within `radius` of an invalid one: the edge of the image in the view is no keypoint."""
    invalid = F.max_pool2d((~valid_mask).float(), 2 * radius + 1, 1, radius)
    return invalid == 0


@dataclass(frozen=True)
class PairRecipe:
    """How pairs of features come to be.

    Args:
        weights: What finds the features: a weights file, a run's folder or a shipped name.
        views: How the two views are made.
        most_keypoints: So many of the best keypoints of each view are kept.
        seed: Decides the views.
        rooms_share: Of the pairs that are views of a rendered room, the images its walls and things.
    """

    weights: str
    views: ViewSettings
    most_keypoints: int
    seed: int
    rooms_share: float = 0.0


class FeaturePairs:
    """Pairs of views of images with their features: pair i is the same whoever asks for it, and when.

    Args:
        images: The images.
        indices: Those of them to take.
        settings: How the pairs are made.
        name: Tells these pairs from others of the same settings.
        cache: A folder in which pairs are kept, so that each is made once; None makes a pair when it is asked for.

    Raises:
        InputError: The weights are none, or give no descriptors.
    """

    def __init__(
        self, images: ImageFiles, indices: Sequence[int], settings: PairRecipe, name: str, cache: AnyPath | None
    ) -> None:
        self._images, self._settings, self._name = images, settings, name
        self._indices = indices
        self._order = ShuffledIndices(indices, settings.seed)
        self.weights_hash = weights_hash(self._network.state_dict())
        self.descriptor_dim = self._network.settings.descriptor_dim
        if not self.descriptor_dim:
            raise InputError(f"the weights {settings.weights} give no descriptors: there is nothing to match by")
        told = json.dumps([asdict(settings), self.weights_hash, images.digest, LOWEST_SCORE, list(indices), name])
        self.digest = hashlib.sha256(told.encode()).hexdigest()
        self._cache = None if cache is None else Path(cache, self.digest[:16])

    @cached_property
    def _network(self) -> PointNetwork:
        return load_weights(resolve(self._settings.weights).path)[0]

    @cached_property
    def _folded(self) -> PointNetwork:
        folded = fold_batch_norm(self._network)
        return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_network", "_folded")}

    def __getitem__(self, index: int) -> FeaturePair:
        path = None if self._cache is None else self._cache / f"{index:06d}.safetensors"
        if path is not None:
            # What is damaged is made anew, as if it were not there.
            with contextlib.suppress(OSError, SafetensorError, KeyError, ValueError, TypeError):
                return _unpacked(load(path.read_bytes()), self._settings.views.size_hw)
        # What was kept is less exact than what was made: either is given as it will be kept.
        content = save(_packed(self._make(index)))
        if path is not None:
            write_atomically(path, lambda temporary: temporary.write_bytes(content))
        return _unpacked(load(content), self._settings.views.size_hw)

    def _make(self, index: int) -> FeaturePair:
        settings = self._settings
        rng = sample_generator(settings.seed, f"{self._name} pair", index)
        # Of its own, so that a pair of one image is the same whatever the share of rooms.
        if sample_generator(settings.seed, f"{self._name} kind", index).random() < settings.rooms_share:
            return self._room(rng)
        view0, view1, H_0to1 = make_views(self._images[self._order[index]], settings.views, rng)
        features0, features1 = self._features(view0), self._features(view1)
        places0 = warp_points(features0.keypoints.double(), torch.from_numpy(H_0to1))
        places1 = warp_points(features1.keypoints.double(), torch.from_numpy(inverse_homography(H_0to1)))
        return FeaturePair(features0, features1, places0.float(), places1.float())

    def _room(self, rng: np.random.Generator) -> FeaturePair:
        views = self._settings.views
        drawn = rng.integers(len(self._indices), size=PICTURES)
        pictures = [self._images[self._indices[number]].image for number in drawn.tolist()]
        room = replace(ROOM, image_size=views.size_hw[::-1])
        (view0, rendered0), (view1, rendered1) = make_room_views(pictures, room, views.photometric, rng)
        features0, features1 = self._features(view0), self._features(view1)
        return FeaturePair(
            features0,
            features1,
            _seen_places(features0, rendered0, rendered1),
            _seen_places(features1, rendered1, rendered0),
        )

    def _features(self, view: TrainingSample) -> Features:
        decoding = DecodeSettings(threshold=LOWEST_SCORE, max_keypoints=self._settings.most_keypoints)
        sampling = self._network.settings.descriptor_sampling
        return features_of_view(self._folded, view, decoding, torch.device("cpu"), sampling)


def _seen_places(features: Features, own: RenderedView, other: RenderedView) -> Tensor:
    places, shown = transfer(features.keypoints.double().numpy(), own, other)
    places[~shown] = np.nan
    return torch.from_numpy(places).float()


def _packed(pair: FeaturePair) -> dict[str, Tensor]:
    packed = {"places0": pair.places0, "places1": pair.places1}
    for side, features in (("0", pair.features0), ("1", pair.features1)):
        assert features.descriptors is not None
        packed |= {f"keypoints{side}": features.keypoints, f"scores{side}": features.keypoint_scores}
        packed[f"descriptors{side}"] = features.descriptors.half()
    return {name: values.contiguous() for name, values in packed.items()}


def _unpacked(packed: dict[str, Tensor], size_hw: tuple[int, int]) -> FeaturePair:
    sides = [
        Features(
            packed[f"keypoints{side}"],
            packed[f"scores{side}"],
            packed[f"descriptors{side}"].float(),
            (size_hw[1], size_hw[0]),
        )
        for side in "01"
    ]
    return FeaturePair(sides[0], sides[1], packed["places0"], packed["places1"])
