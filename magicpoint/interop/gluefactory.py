"""This project's network as an extractor of glue-factory, by the name `magicpoint.interop.gluefactory`.

There the corner of the top-left pixel is (0, 0): keypoints leave this project with half a pixel more, here and nowhere
else. The class, `MagicPoint`, is made when it is asked for, since its base class is glue-factory's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..core.errors import InputError
from ..core.extras import require
from ..decoding.settings import DecodeSettings
from ..inference.extractor import Extractor

_CLASS = "MagicPoint"
_SOURCE = "https://github.com/cvg/glue-factory"

_DEFAULTS = {
    "weights": "superpoint",
    "nms_radius": 4,
    "max_num_keypoints": None,
    "force_num_keypoints": False,
    "detection_threshold": 0.015,
    "remove_borders": 4,
    "trainable": False,
}
"""Settings; but for the weights their names are those of glue-factory's own SuperPoint."""


def __dir__() -> list[str]:
    return [*globals(), _CLASS]  # glue-factory looks for the class in the list of names


def __getattr__(name: str) -> Any:
    if name != _CLASS:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    members = {
        "__module__": __name__,
        "__doc__": "An `Extractor` as glue-factory calls it. It is not trained: no gradient goes through it.",
        "default_conf": _DEFAULTS,
        "required_data_keys": ["image"],
        "_init": _init,
        "_forward": _forward,
        "loss": _loss,
    }
    base = require("gluefactory.models.base_model", source=_SOURCE).BaseModel
    globals()[_CLASS] = made = type(base)(_CLASS, (base,), members)
    return made


def _init(self: Any, conf: Any) -> None:
    if conf.force_num_keypoints and conf.max_num_keypoints is None:
        raise InputError("force_num_keypoints needs max_num_keypoints, the number")
    settings = DecodeSettings(conf.nms_radius, conf.detection_threshold, conf.remove_borders, conf.max_num_keypoints)
    self.extractor = Extractor.load(conf.weights, settings)
    self.extractor.check_describes()
    self.set_initialized()


@torch.no_grad()
def _forward(self: Any, data: dict[str, Any]) -> dict[str, Tensor]:
    """Of images (B, C, H, W) in [0, 1], where `image_size` (B, 2) as (W, H) says how much of each is no padding.

    Returns:
        `keypoints` (B, N, 2), `keypoint_scores` (B, N) and `descriptors` (B, N, D).
    """
    images, most = data["image"], self.conf.max_num_keypoints if self.conf.force_num_keypoints else None
    found = [_extract(self.extractor, image, _size_of(data, number), most) for number, image in enumerate(images)]
    if len({len(one["keypoints"]) for one in found}) > 1:
        raise InputError("the images of a batch have different numbers of keypoints: set force_num_keypoints")
    return {name: torch.stack([one[name] for one in found]).to(images.device) for name in found[0]}


def _extract(extractor: Extractor, image: Tensor, image_size: tuple[int, int], most: int | None) -> dict[str, Tensor]:
    width, height = image_size
    image = image[:, :height, :width]
    found = extractor.extract(image)
    assert found.descriptors is not None
    keypoints, scores, descriptors = found.keypoints, found.keypoint_scores, found.descriptors
    if most is not None:
        # As glue-factory does it: places at random between those that there are, of score 0.
        fill = require("gluefactory.models.utils.misc", source=_SOURCE).pad_to_length
        keypoints = fill(keypoints, most, -2, "random_c", (0, min(image_size) - 1))
        scores = fill(scores, most, -1)
        descriptors = torch.cat((descriptors, extractor.describe(image, keypoints[len(found) :])))
    return {"keypoints": keypoints + 0.5, "keypoint_scores": scores, "descriptors": descriptors}


def _size_of(data: dict[str, Any], number: int) -> tuple[int, int]:
    height, width = data["image"].shape[-2:]
    if data.get("image_size") is None:
        return width, height
    known_width, known_height = data["image_size"][number].long().tolist()
    return min(width, known_width), min(height, known_height)


def _loss(self: Any, pred: Any, data: Any) -> Any:
    raise NotImplementedError
