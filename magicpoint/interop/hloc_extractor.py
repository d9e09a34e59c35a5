"""This project's network as an extractor of hloc, which finds its own by their names in its package."""

from __future__ import annotations

import dataclasses
import sys
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ..core.errors import InputError
from ..core.extras import require
from ..decoding.settings import DecodeSettings
from ..inference.extractor import Extractor

NAME = "magicpoint"
"""Under which hloc finds the extractor."""

_SOURCE = "https://github.com/cvg/Hierarchical-Localization"


def hloc_conf(
    weights: str = "superpoint", settings: DecodeSettings | None = None, resize_max: int | None = None
) -> dict[str, Any]:
    """A configuration for hloc's `extract_features.main`, which from then on finds the extractor in this process.

    Give that `as_half=False`: otherwise hloc rounds positions to float16, which beyond x = 1024 are whole pixels.

    Args:
        weights: As for `Extractor.load`.
        settings: None stands for `DecodeSettings()`.
        resize_max: The longer side to which hloc shrinks larger images; it enlarges the positions again.

    Raises:
        MissingPackageError: hloc is not installed.
    """
    _register()
    return {
        "output": f"feats-{NAME}",
        "model": {"name": NAME, "weights": weights, "decode": dataclasses.asdict(settings or DecodeSettings())},
        "preprocessing": {"grayscale": True, "resize_max": resize_max},
    }


def _register() -> None:
    """Puts a module with the class where hloc looks for it: `hloc.extractors.magicpoint`."""
    base = require("hloc.utils.base_model", source=_SOURCE).BaseModel
    module = ModuleType(f"hloc.extractors.{NAME}", __doc__)
    members = {
        "__module__": module.__name__,  # hloc takes classes of that module alone
        "__doc__": "An `Extractor` as hloc calls it.",
        "required_inputs": ["image"],
        "detection_noise": 1.0,
        "_init": _init,
        "_forward": _forward,
    }
    module.MagicPoint = type("MagicPoint", (base,), members)  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module


def _init(self: Any, conf: dict[str, Any]) -> None:
    self.extractor = Extractor.load(conf["weights"], DecodeSettings(**conf["decode"]))


@torch.no_grad()
def _forward(self: Any, data: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of an image (1, 1, H, W) in [0, 1]: keypoints (1, N, 2), scores (1, N) and, if any, descriptors (1, D, N)."""
    if len(data["image"]) != 1:
        raise InputError(f"one image at a time, as hloc gives them, got {len(data['image'])}")
    image = data["image"][0]
    found = self.extractor.extract(image).to(image.device)
    result = {"keypoints": found.keypoints[None], "scores": found.keypoint_scores[None]}
    return result if found.descriptors is None else result | {"descriptors": found.descriptors.T[None]}
