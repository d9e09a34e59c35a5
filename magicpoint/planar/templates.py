"""What is known of a template before any scene is seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.errors import InputError
from ..core.types import Features
from ..inference.extractor import Extractor
from ..inference.turns import extract_turned
from ..io.images import Image, open_image, shrink

TURNS = 4
LONGEST_SIDE, LARGEST_FACTOR = 640, 2.0
HALVINGS = 4
"""A template is known at the size at which its longer side has 640 pixels, or at twice its own, and at halves of it."""

PROBES = 64
"""Of each turn and size of a template so many of its best keypoints are compared with the scene to see whether it is
worth a closer look, and in which turn, see `votes`.
"""

LONGEST_PICTURE = 192
"""Pixels of the longer side of the picture by which a template is laid over what has too few keypoints."""


@dataclass(frozen=True, eq=False)
class Template:
    """What is known of a planar thing.

    Args:
        name: Under which it is found.
        image_size: (W, H) of its picture.
        turned: Its features in each of the four quarter turns, on the CPU, with positions in the picture as it is.
        probes: (TURNS, HALVINGS, PROBES, D), the descriptors of the best keypoints of each turn at each size, zeros
            where there are fewer.
        places: (TURNS, HALVINGS, PROBES, 2), where they lie, in pixels of the picture so turned and at that size, but
            for a shift of each turn.
        picture: float32 (h, w) in [0, 1], at most `LONGEST_PICTURE` pixels long.
    """

    name: str
    image_size: tuple[int, int]
    turned: tuple[Features, ...]
    probes: Tensor
    places: Tensor
    picture: NDArray[np.float32]

    @property
    def has_keypoints(self) -> bool:
        """Whether there is anything to match."""
        return any(len(features) for features in self.turned)


def check_templates(templates: object) -> None:
    """That there are templates, by their names.

    Raises:
        InputError: There is none.
        TypeError: They are no mapping.
    """
    if not isinstance(templates, Mapping):
        raise TypeError(f"templates must be a mapping of names to pictures, got {type(templates).__name__}")
    if not templates:
        raise InputError("there is no template to find")


def describe_template(name: str, image: Image, extractor: Extractor) -> Template:
    """What a `Locator` has to know of a template, to be shared by several.

    Args:
        name: Under which it is found.
        image: As for `Extractor.extract`.
        extractor: The scenes' own, or the same network with as many keypoints.

    Raises:
        OSError: See `Extractor.extract`, as for what follows.
        TypeError: As there.
        ValueError: As there.
    """
    opened = open_image(image, extractor.reading)
    height, width = opened.grey.shape
    largest = min(LONGEST_SIDE / max(width, height), LARGEST_FACTOR)
    scales = [largest / 2**halving for halving in range(HALVINGS)]
    seen = extractor.at_scales(scales)
    turned = tuple(extract_turned(seen, opened, turn).to("cpu") for turn in range(TURNS))
    best = [_best(features, turn, scale) for turn, features in enumerate(turned) for scale in scales]
    probes, places = (torch.stack(values).view(TURNS, HALVINGS, PROBES, -1) for values in zip(*best, strict=True))
    return Template(name, (width, height), turned, probes, places, shrink(opened.grey, LONGEST_PICTURE))


def _best(features: Features, turn: int, scale: float) -> tuple[Tensor, Tensor]:
    """Of the best `PROBES` keypoints that were found at a scale the descriptors, and the places in the turned picture
    at that scale; zeros behind them."""
    assert features.descriptors is not None
    assert features.keypoint_scales is not None
    of_scale = (features.keypoint_scales * scale).log2().abs() < 0.5
    places = scale * features.keypoints[of_scale][:PROBES]
    for _ in range(turn):
        places = torch.stack((places[:, 1], -places[:, 0]), dim=1)
    beyond = (0, 0, 0, PROBES - len(places))
    descriptors = features.descriptors[of_scale][:PROBES]
    return torch.nn.functional.pad(descriptors, beyond), torch.nn.functional.pad(places, beyond)
