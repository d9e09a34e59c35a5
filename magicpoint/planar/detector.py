"""From an image to its quadrilaterals: the weights that ship, a file or a run's folder, opened once."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from homography import warp_points
from homography.warp import resizing

from ..core.grid import CELL_SIZE
from ..core.machine import find_device
from ..inference.extractor import as_input
from ..io.images import Image, open_image, shrink
from ..io.reading import ImageReading
from ..model.tensors import check_output
from ..model.weights import load_weights, resolve_planar
from .detect import Floats, Quads, QuadSettings, choose, look_at
from .model import QuadNetwork, folded

LONGEST_SIDE = 640
"""Larger images are shrunk to this: the anchors are of things up to about 300 pixels."""

SCALES = (1.0, 0.6)
"""An image is looked at at its size and at this share of it, at which what is large is as large as most that was
learnt."""


class QuadDetector:
    """Finds quadrilaterals: posters, signs, covers, boards, cards, whatever hangs or lies there as a picture does.

    Args:
        network: It is copied, and the copy never trained.
        settings: None stands for `QuadSettings()`.
        device: None takes the CPU.
        weights: The name of the weights, for messages.
        longest_side: Images with a longer side are shrunk to this many pixels before.
        scales: At these shares of that size an image is looked at, with as large a share of the proposals.
        reading: How image files are read; None stands for `ImageReading()`.
    """

    def __init__(
        self,
        network: QuadNetwork,
        settings: QuadSettings | None = None,
        device: torch.device | str | None = None,
        weights: str = "unnamed",
        longest_side: int = LONGEST_SIDE,
        scales: Sequence[float] = SCALES,
        reading: ImageReading | None = None,
    ) -> None:
        if not scales or not all(0 < scale <= 1 for scale in scales):
            raise ValueError(f"scales must be at least one, in (0, 1], got {scales}")
        self.settings, self.weights, self.longest_side = settings or QuadSettings(), weights, longest_side
        self.scales = tuple(scales)
        self.reading = reading or ImageReading()
        self.device = find_device(device or "cpu")
        self.network = copy.deepcopy(network).eval().requires_grad_(False).to(self.device)
        self._fast = folded(self.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def from_pretrained(
        cls,
        weights: str | os.PathLike[str] = "quads",
        settings: QuadSettings | None = None,
        device: torch.device | str | None = None,
        longest_side: int = LONGEST_SIDE,
        scales: Sequence[float] = SCALES,
    ) -> Self:
        """Take weights by the name under which they ship, else by their path.

        Args:
            weights: `quads`, a file, or the folder of a run of `magicpoint train --task quads`.
            settings: As for the class; so are the device and the longest side.
            device: See there.
            longest_side: See there.
            scales: See there.

        Raises:
            InputError: There are no such weights, or the file is damaged or holds something else; it is named.
        """
        file = resolve_planar(weights)
        return cls(load_weights(file.path, QuadNetwork)[0], settings, device, file.name, longest_side, scales)

    def detect(self, image: Image) -> Quads:
        """Find the quadrilaterals of one image of any size.

        Args:
            image: A path, an array, a tensor or an image of Pillow, as `Extractor.extract` takes them.

        Returns:
            In pixels of that image; corners of what is cut by the border lie outside.

        Raises:
            OSError: The file cannot be read.
            TypeError: The image is neither path, array nor tensor, or holds numbers of a type that is not supported.
            ValueError: The array has another shape, no pixel, or values out of range, or the file is no intact image,
                which is an `InputError`.
        """
        grey = open_image(image, self.reading).grey
        height, width = grey.shape
        longest = min(self.longest_side, max(grey.shape))
        corners, scores = zip(*(self._look_at(grey, longest, scale) for scale in self.scales), strict=True)
        found = choose(np.concatenate(corners), np.concatenate(scores), self.settings, (width, height))
        check_output(torch.from_numpy(found.corners), self.weights)
        return found

    def _look_at(self, grey: NDArray[np.float32], longest: int, scale: float) -> tuple[Floats, Floats]:
        """Corners (N, 4, 2) in pixels of an image, and scores (N,), as it looks at a share of so many pixels of its
        longer side; it takes as large a share of the proposals, since less is seen."""
        small = shrink(grey, max(1, round(longest * scale)))
        tensor = as_input(small, CELL_SIZE).to(self.device).contiguous(memory_format=torch.channels_last)
        proposals = max(1, round(self.settings.proposals * scale))
        seen = look_at(self._fast, tensor, dataclasses.replace(self.settings, proposals=proposals))
        corners = seen.corners.cpu().double().reshape(-1, 2).numpy()
        in_image = warp_points(corners, resizing(small.shape[::-1], grey.shape[::-1]))
        return in_image.reshape(-1, 4, 2), seen.scores.cpu().numpy()
