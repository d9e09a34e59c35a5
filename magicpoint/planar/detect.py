"""Quadrilaterals of images: both stages of the detector, and the decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ..core.settings import check_kinds, check_range, check_whole
from .model import FirstStage, Proposals, QuadNetwork
from .polygons import suppress_quads

LOOKS = 2
"""A second look from where the first one saw the corners sees them better."""


@dataclass(frozen=True)
class QuadSettings:
    """Which quadrilaterals are taken.

    Args:
        threshold: A quadrilateral is kept where its score, in [0, 1], is larger than this.
        largest_iou: Of two that overlap by more than this the better is kept.
        max_quads: At most this many of an image are kept, the best by score.
        proposals: So many of an image, the best of the first stage, are looked at again.
    """

    threshold: float = 0.3
    largest_iou: float = 0.5
    max_quads: int = 50
    proposals: int = 32

    def __post_init__(self) -> None:
        check_kinds(self)
        check_range(self, "[0, 1)", "threshold")
        check_range(self, "(0, 1]", "largest_iou")
        check_whole(self, 1, "max_quads", "proposals")


Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Quads:
    """The quadrilaterals of one image.

    Args:
        corners: float32 (N, 4, 2), (x, y) in pixels, in the template's own order: its top-left corner first.
        scores: float32 (N,) in [0, 1], the largest first.
        image_size: (W, H).
    """

    corners: NDArray[np.float32]
    scores: NDArray[np.float32]
    image_size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.scores)


@torch.inference_mode()
def detect_quads(model: QuadNetwork, image: Tensor, settings: QuadSettings | None = None) -> list[Quads]:
    """The quadrilaterals of each image of a batch.

    Args:
        model: In evaluation mode, on the device of the image.
        image: (B, 1, H, W) in [0, 1], H and W multiples of 8.
        settings: None stands for `QuadSettings()`.
    """
    settings = settings or QuadSettings()
    seen, size = look_at(model, image, settings), (image.shape[3], image.shape[2])
    found = []
    for number in range(len(image)):
        of_image = seen.image == number
        corners, scores = (values[of_image].cpu().numpy() for values in seen[1:])
        found.append(choose(corners, scores, settings, size))
    return found


@torch.inference_mode()
def look_at(model: QuadNetwork, image: Tensor, settings: QuadSettings) -> Proposals:
    """What is proposed in a batch, after all looks; arguments are those of `detect_quads`."""
    first = model(image)
    proposals = model.propose(first, settings.proposals)
    return refine(model, first, proposals, settings.threshold) if model.settings.stages == 2 else proposals


def refine(model: QuadNetwork, first: FirstStage, proposals: Proposals, threshold: float = 0.0) -> Proposals:
    """The proposals after `LOOKS` further looks, each in the frame of what the one before said.

    Their scores are the geometric means of all looks', their order of the corners that of the last. What cannot come
    above the threshold any more, whatever the next look says, is looked at no further, and left out.
    """
    logs = torch.zeros_like(proposals.scores)
    turns = torch.zeros(len(logs), dtype=torch.int64, device=logs.device)
    for _ in range(LOOKS):
        if not len(proposals.scores):
            break
        proposals, verdict = model.second(first, proposals)
        logs, turns = logs + F.logsigmoid(verdict.logits) / LOOKS, verdict.turns.argmax(dim=1)
        kept = logs.exp() > threshold
        proposals, logs, turns = Proposals(*(part[kept] for part in proposals)), logs[kept], turns[kept]
    order = (torch.arange(4, device=logs.device) + turns[:, None]) % 4
    corners = proposals.corners.gather(1, order[:, :, None].expand(-1, -1, 2))
    return Proposals(proposals.image, corners, logs.exp())


def in_frame(corners: Tensor, frames: Tensor) -> Tensor:
    """Places (N, 4, 2) in pixels as places in the frames (N, 3, 3), whose units are the sides of their squares."""
    inverse = torch.linalg.inv(frames.double())
    homogeneous = torch.cat((corners.double(), torch.ones_like(corners[..., :1], dtype=torch.float64)), dim=2)
    placed = homogeneous @ inverse.transpose(1, 2)
    depth = placed[..., 2:]
    # What lies on the horizon is infinitely far; the limit keeps it finite, and on its side.
    depth = torch.where(depth.abs() < 1e-6, torch.full_like(depth, 1e-6), depth)
    places: Tensor = (placed[..., :2] / depth).clamp(-100.0, 100.0).to(corners.dtype)
    return places


def choose(corners: Floats, scores: Floats, settings: QuadSettings, image_size: tuple[int, int]) -> Quads:
    """Those of the quadrilaterals (N, 4, 2) of an image (W, H) that are found, by their scores (N,)."""
    sure = scores > settings.threshold
    corners, scores = corners[sure].astype(np.float32), scores[sure].astype(np.float32)
    kept = suppress_quads(corners, scores, settings.largest_iou, settings.max_quads)
    return Quads(corners[kept], scores[kept], image_size)
