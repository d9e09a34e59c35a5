"""What training sees of a scene: a row of pictures for looking into a detector that does not learn."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .assignment import FreeAnchor, IouRule, bag_anchors
from .detect import refine
from .drawing import FALSE_ALARM, FOUND, HIT, draw_quads
from .frames import UNIT_SQUARE
from .model import QuadNetwork
from .polybox import decode, from_corners, to_corners
from .scenes import Scene

_SURE = 24  # of the candidates before the suppression that are drawn
_INK = (255, 255, 255)


@torch.inference_mode()
def draw_sight(network: QuadNetwork, scene: Scene) -> NDArray[np.uint8]:
    """The scene six times, from left to right with what a step of training makes of it.

    These are the anchors of its middle cell; those that learn an object by the rule of IoU; the bags of FreeAnchor; the
    surest quadrilaterals before the suppression, and after it; and those after the second look.

    Args:
        network: In evaluation mode, on the CPU.
        scene: Its height and width are multiples of 8. Its templates are green.

    Returns:
        uint8 (H, 6 W, 3).
    """
    image = torch.from_numpy(scene.image)[None, None].float() / 255
    first = network(image)
    objects = from_corners(torch.from_numpy(scene.corners))
    per_cell = len(network.settings.anchor_sides) * len(network.settings.anchor_aspects)
    rows, columns = image.shape[2] // 8, image.shape[3] // 8
    middle = (rows // 2 * columns + columns // 2) * per_cell
    learning = IouRule().assign(first.anchors, objects) >= 0
    bags = torch.unique(bag_anchors(first.anchors, objects, FreeAnchor().bag_size))
    surest = first.logits[0].topk(min(_SURE, first.logits.shape[1])).indices
    proposals = network.propose(first)
    refined = refine(network, first, proposals) if network.settings.stages == 2 else proposals
    views = {
        "anchors of a cell": _boxes(first.anchors[middle : middle + per_cell]),
        f"learn by IoU: {int(learning.sum())}": _boxes(first.anchors[learning]),
        f"in FreeAnchor's bags: {len(bags)}": _boxes(first.anchors[bags]),
        "before suppression": to_corners(decode(first.codes[0][surest], first.anchors[surest])),
        f"proposals: {len(proposals.scores)}": proposals.corners,
        "after the second look": refined.corners[refined.scores.argsort(descending=True)[: max(1, len(objects))]],
    }
    return np.concatenate([_titled(scene, corners, title) for title, corners in views.items()], axis=1)


def _titled(scene: Scene, corners: Tensor, title: str) -> NDArray[np.uint8]:
    colour = FOUND if title.startswith("after") else FALSE_ALARM
    picture = draw_quads(draw_quads(scene.image, corners.numpy(), colour), scene.corners, HIT)
    cv2.putText(picture, title, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.38, _INK, 1, cv2.LINE_AA)
    return picture


def _boxes(anchors: Tensor) -> Tensor:
    """Anchors (A, 4) as quadrilaterals."""
    return anchors[:, None, :2] + (torch.tensor(UNIT_SQUARE) - 0.5) * anchors[:, None, 2:]
