"""Keypoints of images: the network and its decoding behind one call."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, Self, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..core.errors import InputError
from ..core.grid import CELL_SIZE
from ..core.machine import find_device, versions
from ..core.settings import check_whole
from ..core.side_by_side import workers_on
from ..core.switches import HEATMAP_SWITCHES
from ..core.types import Features
from ..decoding.cornerness import WINDOW, weigh
from ..decoding.decode import decode
from ..decoding.settings import DecodeSettings
from ..io.grey import pad_to_multiple
from ..io.images import Image, open_image, shrink
from ..io.masks import MARGIN, both_masks, shrink_mask, well_inside
from ..io.reading import ImageReading
from ..model.network import PointNetwork
from ..model.tensors import check_output
from ..model.weights import WeightsFile, load_weights, resolve, shipped_weights, weights_at, weights_hash
from .averaging import AVERAGED, Look, mean_descriptors, mean_over_sizes
from .backends import open_network, preferred_device
from .fastest import fastest_precision
from .pyramid import check_scales, find_at_scales
from .settings import NetworkPrecision
from .tiles import needs_tiles, run_in_tiles, sample_map


def as_input(grey: NDArray[np.float32], multiple: int) -> Tensor:
    """A grey (H, W) as the network's input (1, 1, H', W'), padded as `pad_to_multiple` does."""
    return torch.from_numpy(pad_to_multiple(grey, multiple))[None, None]


class ExtractorOptions(TypedDict, total=False):
    """What `Extractor` takes by name; what each is stands there."""

    backend: str
    precision: NetworkPrecision
    calibration: Iterable[Image] | None
    reading: ImageReading | None
    longest_side: int | None
    scales: Sequence[float]
    averaged: bool
    cornerness: bool


class Extractor:
    """Finds the keypoints of images, and their descriptors if the network has that head.

    The network sees one image at a time: in a batch a convolution may add in another order, which changes the last bits
    of a result, and saves 3 % of the time on a CPU. So an image gives the same bits alone and among others.

    An image whose sides are no multiples of 8 gets its last row and column repeated at the bottom and right. No
    keypoint lies in what was added, but it is what the network sees beyond these two sides, as it sees zeros beyond
    the others.

    Args:
        model: It is copied, and the copy never trained: what becomes of the original does not matter.
        settings: None stands for `DecodeSettings()`.
        device: None and auto take CUDA where there is one and the engine runs on it, else the CPU.
        weights: The name of the weights, for the record.
        backend: The engine that runs the network; see `backends.open_network` for this and what it refuses.
        precision: Number format of the network's layers. auto takes the fastest that keeps 97 % of float32's keypoints
            within a pixel; it is measured once for a network on a machine, see `fastest`, and named in the provenance.
        calibration: For int8, images such as the extractor will see, from which the layers' ranges are measured; None
            takes rendered shapes.
        reading: How files are read; None stands for `ImageReading()`.
        longest_side: Larger images are shrunk to this many pixels on the longer side before the network sees them; the
            keypoints are in pixels of the image as it was. None takes all as they are.
        scales: Factors on that size at which the network sees each image. With (1, 0.5, 0.25), `pyramid.OCTAVES`,
            images match up to a factor of six in size; with 1 alone up to about two.
        averaged: Find the keypoints in the mean of the heatmaps at three sizes, see `averaging`, and describe each by
            the mean of its descriptors there: more are found again, placed exactly and matched rightly, for 3.5 times
            the work.
        cornerness: Weigh the heatmap by how much the image changes around each pixel, see `decoding.cornerness`: of the
            best keypoints, where not all are kept, more are found again, placed more exactly.

    Examples:
        >>> extractor = Extractor.load("superpoint-tiny", DecodeSettings(max_keypoints=10), device="cpu")
        >>> image = np.zeros((120, 160), np.uint8)
        >>> image[40:80, 50:110] = 255
        >>> features = extractor.extract(image)
        >>> features.image_size, features.descriptors.shape[1]
        ((160, 120), 256)
    """

    def __init__(
        self,
        model: PointNetwork,
        settings: DecodeSettings | None = None,
        device: torch.device | str | None = None,
        weights: str = "unnamed",
        *,
        backend: str = "torch",
        precision: NetworkPrecision = "float32",
        calibration: Iterable[Image] | None = None,
        reading: ImageReading | None = None,
        longest_side: int | None = None,
        scales: Sequence[float] = (1.0,),
        averaged: bool = False,
        cornerness: bool = False,
    ) -> None:
        self.settings = settings or DecodeSettings()
        self.scales = check_scales(scales)
        for name, switch in (("averaged", averaged), ("cornerness", cornerness)):
            if not isinstance(switch, bool):
                raise TypeError(f"{name} must be True or False, got {switch!r}")
        self.averaged, self.cornerness = averaged, cornerness
        self.longest_side = longest_side
        if longest_side is not None:
            check_whole(self, CELL_SIZE, "longest_side")
        self.device = (
            preferred_device(backend, precision) if device is None or device == "auto" else find_device(device)
        )
        self.model = copy.deepcopy(model).eval().to(self.device)
        self.weights = weights
        self.reading = reading or ImageReading()
        images = (
            None
            if calibration is None
            else [as_input(open_image(image, self.reading).grey, CELL_SIZE) for image in calibration]
        )
        if precision == "auto":
            precision = fastest_precision(self.model, self.device, backend)
        self.network = open_network(self.model, self.device, backend, precision, images)

    @classmethod
    def load(
        cls,
        weights: str | os.PathLike[str] = "superpoint",
        settings: DecodeSettings | None = None,
        device: torch.device | str | None = None,
        **options: Unpack[ExtractorOptions],
    ) -> Self:
        """Take weights by the name under which they ship, else by their path; nothing is downloaded unless asked for.

        Args:
            weights: A shipped name, a weights file, a training run's folder, of which the best weights are taken, or
                `hf:USER/REPOSITORY[@REVISION]` for the Hugging Face hub (see `model.hub.hub_weights`).
            settings: As for the class; so are all others.

        Raises:
            InputError: There are no such weights, or the file is damaged or holds others; it is named.
        """
        return cls._open(resolve(weights), settings, device, options)

    @classmethod
    def from_pretrained(
        cls,
        name: str = "superpoint",
        settings: DecodeSettings | None = None,
        device: torch.device | str | None = None,
        **options: Unpack[ExtractorOptions],
    ) -> Self:
        """`load` of shipped weights alone.

        Raises:
            InputError: There are none of that name; the message lists those that there are.
        """
        return cls._open(shipped_weights(name), settings, device, options)

    @classmethod
    def from_checkpoint(
        cls,
        path: str | os.PathLike[str],
        settings: DecodeSettings | None = None,
        device: torch.device | str | None = None,
        **options: Unpack[ExtractorOptions],
    ) -> Self:
        """`load` of a path alone, even if weights ship under such a name.

        Raises:
            FileNotFoundError: There is no such file.
            InputError: The file is damaged or holds no weights; it is named.
        """
        return cls._open(weights_at(path), settings, device, options)

    @classmethod
    def _open(
        cls,
        file: WeightsFile,
        settings: DecodeSettings | None,
        device: torch.device | str | None,
        options: ExtractorOptions,
    ) -> Self:
        model, _ = load_weights(file.path)
        return cls(model, settings, device, file.name, **options)

    def with_settings(self, settings: DecodeSettings) -> Self:
        """The same network with another decoding."""
        other = copy.copy(self)
        other.settings = settings
        return other

    def at_scales(self, scales: Sequence[float]) -> Self:
        """The same network at other scales."""
        other = copy.copy(self)
        other.scales = check_scales(scales)
        return other

    @property
    def provenance(self) -> dict[str, str]:
        """What a result depends on: the weights' name and hash, and as JSON the network's engine and number format, the
        decoding and the versions, how images are read and, if they were resized, how.
        """
        resized = {} if self.longest_side is None else {"longest_side": str(self.longest_side)}
        scaled = {} if self.scales == (1.0,) else {"scales": json.dumps(self.scales)}
        return {
            **resized,
            **scaled,
            "network": self.network.settings,
            **self._origin,
            "range": self.reading.range,
            "orientation": self.reading.orientation,
            "versions": json.dumps(versions()),
        }

    @property
    def workers(self) -> int:
        """How many images are extracted the fastest side by side, see `core.side_by_side`."""
        return workers_on(self.device, json.loads(self.network.settings)["backend"])

    @functools.cached_property
    def weights_hash(self) -> str:
        """Of the network's weights, see `model.weights.weights_hash`."""
        return weights_hash(self.model.state_dict())

    @property
    def _origin(self) -> dict[str, str]:
        """Of the provenance what decides whether features compare."""
        decode = json.dumps(dataclasses.asdict(self.settings))
        sampling = self.model.settings.descriptor_sampling
        sampled = {} if sampling == "centres" else {"descriptor_sampling": sampling}
        switched = {"averaged": AVERAGED, "cornerness": WINDOW}
        on = {name: switched[name] for name in HEATMAP_SWITCHES if getattr(self, name)}
        return {"weights": self.weights, "weights_hash": self.weights_hash, "decode": decode, **sampled, **on}

    def extract(self, image: Image, mask: NDArray[Any] | None = None, mask_margin: int = MARGIN) -> Features:
        """Find the keypoints of one image of any size.

        Args:
            image: The path of an image file (see `io.images.read_image`), an array or tensor (see `io.grey.to_grey`),
                an image of Pillow, or what `io.images.open_image` gives. What is transparent is masked.
            mask: (H, W), 0 where no keypoint is wanted; None wants them everywhere. The network sees all of the image,
                and the best keypoints are chosen among those that the mask leaves.
            mask_margin: Pixels beside what is masked in which no keypoint is found either, see `io.masks.MARGIN`.

        Returns:
            Positions in pixels of that image, on the extractor's device.

        Raises:
            OSError: The file cannot be read.
            TypeError: The image is neither path, array nor tensor, or holds numbers of a type that is not supported.
            ValueError: The array has another shape, no pixel, or values out of range, or the file is no intact image,
                which is an `InputError`.
        """
        opened = open_image(image, self.reading)
        grey = opened.grey
        height, width = grey.shape
        valid = both_masks(opened.mask, None if mask is None else _checked(mask, (height, width)))
        shrunk = grey if self.longest_side is None else shrink(grey, self.longest_side)
        valid = None if valid is None else shrink_mask(valid, shrunk.shape)

        def find(image: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> Features:
            return self._find(image, None if mask is None else well_inside(mask, mask_margin))

        if self.scales == (1.0,):
            found = find(shrunk, valid)
        else:
            found = find_at_scales(find, shrunk, valid, self.scales, self.settings.max_keypoints)
        return dataclasses.replace(found.at_size((width, height)), provenance=self._origin)

    def _find(self, grey: NDArray[np.float32], valid: NDArray[np.bool_] | None) -> Features:
        """The keypoints of a grey (H, W) where a mask (H, W) is True."""
        height, width = grey.shape
        heatmap, looks = self._look(grey)
        check_output(heatmap, self.weights)
        if self.cornerness:
            seen = torch.from_numpy(grey).to(heatmap.device)[None]
            among = None if valid is None else torch.from_numpy(valid).to(heatmap.device)[None]
            heatmap = weigh(heatmap[:, :height, :width], seen, among, smoothed=self.averaged)
        usable = None if valid is None else _padded(valid, heatmap)
        [(keypoints, scores)] = decode(heatmap, self.settings, [(width, height)], usable)
        descriptors = self._sample(looks, keypoints) if looks else None
        found = Features(keypoints, scores, descriptors, (width, height))
        return found.to(self.device) if needs_tiles(grey) else found

    def _look(self, grey: NDArray[np.float32]) -> tuple[Tensor, list[Look]]:
        """The heatmap of a grey (H, W), with its size at least, and its descriptors at each size that is looked at."""
        if self.averaged:
            return mean_over_sizes(self._run, grey)
        heatmap, dense = self._run(grey)
        return heatmap, [] if dense is None else [Look(dense, 1.0)]

    def _run(self, grey: NDArray[np.float32]) -> tuple[Tensor, Tensor | None]:
        """The heatmap (1, H', W'), with sides that are multiples of 8, and the descriptors of a grey (H, W)."""
        return run_in_tiles(self.network, grey) if needs_tiles(grey) else self.network(as_input(grey, CELL_SIZE))

    def _sample(self, looks: Sequence[Look], keypoints: Tensor) -> Tensor:
        """The descriptors (N, D) of keypoints (N, 2) of one image."""
        sample = functools.partial(sample_map, sampling=self.model.settings.descriptor_sampling)
        return check_output(mean_descriptors(sample, looks, keypoints), self.weights)

    def describe(self, image: Image, keypoints: ArrayLike | Tensor) -> Tensor:
        """The descriptors of given keypoints, of this or any other detector.

        Args:
            image: As for `extract`. Of several scales it is the whole image.
            keypoints: (N, 2) as (x, y) in pixels of the image.

        Returns:
            (N, D) float32 of unit length, on the extractor's device.

        Raises:
            OSError: The file cannot be read.
            TypeError: As from `extract`.
            ValueError: As from `extract`; or the keypoints have another shape, are not finite or not in the image; or,
                an `InputError`, the network has no descriptors.
        """
        self.check_describes()
        grey = open_image(image, self.reading).grey
        places = _places(keypoints, grey.shape)
        shrunk = grey if self.longest_side is None else shrink(grey, self.longest_side)
        ratio = places.new_tensor([small / large for small, large in zip(shrunk.shape, grey.shape, strict=True)][::-1])
        _, looks = self._look(shrunk)
        return self._sample(looks, (places + 0.5) * ratio - 0.5).to(self.device)

    def check_describes(self) -> None:
        """Refuses weights without descriptors.

        Raises:
            InputError: They have none.
        """
        if not self.model.settings.descriptor_dim:
            raise InputError(f"the weights {self.weights} give no descriptors: they are a detector's")

    def extract_batch(self, images: Iterable[Image]) -> list[Features]:
        """Find the keypoints of images of any sizes: for each, in their order, exactly what `extract` gives.

        Args:
            images: A list, or an array (N, H, W, C) or tensor (N, C, H, W).
        """
        return [self.extract(image) for image in images]


def _checked(mask: NDArray[Any], size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    if not isinstance(mask, np.ndarray) or mask.dtype not in (np.bool_, np.uint8) or mask.shape != size_hw:
        got = f"{mask.dtype} {tuple(mask.shape)}" if hasattr(mask, "shape") else type(mask).__name__
        raise ValueError(f"the mask must be a bool or uint8 array {size_hw} as the image, got {got}")
    return mask.astype(np.bool_)


def _places(keypoints: ArrayLike | Tensor, size_hw: tuple[int, ...]) -> Tensor:
    """Keypoints as float32 (N, 2); refuses those that are not in the image."""
    places = torch.as_tensor(keypoints if isinstance(keypoints, Tensor) else np.asarray(keypoints, np.float32)).float()
    if places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(f"keypoints must have shape (N, 2), got {tuple(places.shape)}")
    height, width = size_hw
    inside = ((places >= -0.5) & (places <= places.new_tensor([width - 0.5, height - 0.5]))).all(dim=1)  # NaN is not
    if not inside.all():
        raise ValueError(f"keypoints must be in the image of {width}x{height}, got {places[~inside][0].tolist()}")
    return places


def _padded(mask: NDArray[np.bool_], heatmap: Tensor) -> Tensor:
    """The mask (1, 1, H', W') of a heatmap (1, H', W'), False where that goes beyond the image."""
    valid = torch.zeros(1, *heatmap.shape, dtype=torch.bool)
    valid[0, 0, : mask.shape[0], : mask.shape[1]] = torch.from_numpy(mask)
    return valid
