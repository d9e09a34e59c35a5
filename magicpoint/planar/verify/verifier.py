"""Whether quadrilaterals of an image show templates: weights and templates, opened once."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ...core.machine import find_device
from ...io.images import Image, open_image
from ...io.reading import ImageReading
from ...model.weights import load_weights, resolve_planar
from ..frames import rectified_frames
from ..located import Located
from ..templates import check_templates
from .crops import SQUARE, Floats, frame_of, rectify
from .network import VerifierNetwork

Grey = NDArray[np.float32]

LIKELY = 3
"""So many templates are judged of each quadrilateral and order of its corners."""


class Verifier:
    """Says how probable it is that quadrilaterals show templates, each in its own orientation.

    The features of the templates are computed once.

    Args:
        templates: By name pictures, as for `Extractor.extract`.
        network: It is copied, and the copy never trained.
        device: None takes the CPU.
        reading: How image files are read; None stands for `ImageReading()`.

    Raises:
        InputError: There is no template.
        TypeError: They are not given by name.
    """

    def __init__(
        self,
        templates: Mapping[str, Image],
        network: VerifierNetwork,
        device: torch.device | str | None = None,
        reading: ImageReading | None = None,
    ) -> None:
        check_templates(templates)
        self.names, self.reading = tuple(templates), reading or ImageReading()
        self.device = find_device(device or "cpu")
        self.network = copy.deepcopy(network).eval().requires_grad_(False).to(self.device)
        pictures = [open_image(image, self.reading).grey for image in templates.values()]
        frames = [frame_of(SQUARE * picture.shape[::-1] - 0.5) for picture in pictures]
        self._templates = self._describe(zip(pictures, frames, strict=True))

    @classmethod
    def from_pretrained(
        cls,
        templates: Mapping[str, Image],
        weights: str | os.PathLike[str] = "verifier",
        device: torch.device | str | None = None,
    ) -> Self:
        """Take weights by the name under which they ship, else by their path.

        Args:
            templates: As for the class.
            weights: `verifier`, a file, or the folder of a run of `magicpoint train --task verify`.
            device: As for the class.

        Raises:
            InputError: There are no such weights, or the file is damaged or holds something else; it is named.
        """
        return cls(templates, load_weights(resolve_planar(weights).path, VerifierNetwork)[0], device)

    @torch.inference_mode()
    def verify(self, image: Image, corners: ArrayLike) -> NDArray[np.float32]:
        """The probabilities (N, T) that quadrilaterals show the T templates, in the order of `names`.

        Args:
            image: The scene, as for `Extractor.extract`.
            corners: (N, 4, 2), (x, y) in pixels of the scene: of each quadrilateral the corner first that would be the
                template's top-left one, then clockwise as one looks at it. N may be 0. What is not convex is taken for
                the box around it.

        Raises:
            ValueError: The corners have another shape, or are not finite.
        """
        quads = _checked(corners)
        if not len(quads):
            return np.zeros((0, len(self.names)), np.float32)
        queries = self._seen(open_image(image, self.reading).grey, quads)
        return self.network.compare_all(queries, self._templates).sigmoid().cpu().numpy()

    @torch.inference_mode()
    def recognise(self, image: Image, corners: ArrayLike) -> NDArray[np.float32]:
        """The probabilities (N, 4, T) that quadrilaterals show the T templates in each of four orders of the corners.

        In order `k` it is corner `k` that would be the template's top-left one. Of each quadrilateral and order only
        the `LIKELY` templates that are most like what is seen are judged; the others are taken for impossible.

        Args:
            image: As for `verify`.
            corners: As there.

        Raises:
            ValueError: As there.
        """
        quads = _checked(corners)
        orders = np.stack([np.roll(quads, -turn, axis=1) for turn in range(4)], axis=1).reshape(-1, 4, 2)
        if not len(quads):
            return np.zeros((0, 4, len(self.names)), np.float32)
        queries = self._seen(open_image(image, self.reading).grey, orders)
        logits = self.network.compare_likely(queries, self._templates, LIKELY)
        return logits.sigmoid().cpu().numpy().reshape(len(quads), 4, len(self.names))

    @torch.inference_mode()
    def judge(self, image: Image, found: Sequence[Located]) -> list[Located]:
        """What a `Locator` found in a scene, each with the probability that it is there.

        Args:
            image: The scene.
            found: Of templates that are among `names`.
        """
        if not found:
            return []
        quads = np.stack([located.corners for located in found]).astype(np.float64)
        queries = self._seen(open_image(image, self.reading).grey, quads)
        chosen = [self.names.index(located.template) for located in found]
        said = self.network.compare(queries, self._templates[chosen]).sigmoid().cpu().tolist()
        return [
            dataclasses.replace(located, probability=probability)
            for located, probability in zip(found, said, strict=True)
        ]

    def _seen(self, grey: Grey, quads: Floats) -> Tensor:
        """Features of what a scene shows under quadrilaterals."""
        return self._describe((grey, frame) for frame in rectified_frames(torch.from_numpy(quads)).numpy())

    @torch.inference_mode()
    def _describe(self, seen: Iterable[tuple[Grey, Floats]]) -> Tensor:
        """Features of what pictures show under frames."""
        side = self.network.settings.side
        squares = np.stack([rectify(picture, frame, side) for picture, frame in seen])[:, None]
        return self.network.describe(torch.from_numpy(squares.astype(np.float32)).to(self.device))


def _checked(corners: ArrayLike) -> Floats:
    quads = np.asarray(corners, np.float64)
    if quads.ndim != 3 or quads.shape[1:] != (4, 2) or not np.isfinite(quads).all():
        raise ValueError(f"corners must be finite and of shape (N, 4, 2), got {quads.shape}")
    return quads
