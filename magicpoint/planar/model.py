"""The detector of quadrilaterals: proposals at anchors, and a second look at each of the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..core.errors import InputError
from ..core.grid import CELL_SIZE
from ..core.settings import check_kinds, check_range, check_whole
from ..model.encoder import Encoder, conv_block
from .frames import box_frames, pool, rectified_frames
from .polybox import decode, to_corners
from .polygons import suppress_quads

Pooling = Literal["rectified", "upright"]

OBJECT_SHARE = 0.01
"""Share of the anchors with an object that an untrained network expects (Focal Loss, arXiv 1708.02002, section 4.1)."""

_DILATIONS = (1, 2, 4)


@dataclass(frozen=True)
class QuadModelSettings:
    """The form of the detector.

    Args:
        width: Factor on the channels of the encoder; 1 is the paper's network.
        anchor_sides: Square roots of the anchors' areas, in pixels.
        anchor_aspects: Width over height of the anchors.
        proposals: Quadrilaterals of an image that the second stage looks at.
        proposal_iou: Of two proposals that overlap by more than this the better is kept.
        pooling: Whether a proposal's features are pooled in its own frame or in that of the box around it.
        pooled_side: Samples each way.
        stages: 1 leaves the second stage out.
    """

    width: float = 0.5
    anchor_sides: tuple[float, ...] = (24.0, 48.0, 96.0, 160.0)
    anchor_aspects: tuple[float, ...] = (0.5, 1.0, 2.0)
    proposals: int = 32
    proposal_iou: float = 0.7
    pooling: Pooling = "rectified"
    pooled_side: int = 7
    stages: Literal[1, 2] = 2

    def __post_init__(self) -> None:
        check_kinds(self)
        check_range(self, "(0, 4]", "width")
        check_range(self, "(0, 1]", "proposal_iou")
        check_whole(self, 1, "proposals", "pooled_side")
        for name in ("anchor_sides", "anchor_aspects"):
            values = getattr(self, name)
            if not values or not all(0.0 < value < float("inf") for value in values):
                raise InputError(f"{name} must be positive numbers, at least one, got {values}")


class FirstStage(NamedTuple):
    """What the network says at the anchors of images: cells in raster order, the anchors of a cell one after another.

    `logits` (B, A) of an object; `codes` (B, A, 10), see `polybox.encode`; `anchors` (A, 4), (xc, yc, w, h) in
    pixels; `features` (B, C, Hc, Wc).
    """

    logits: Tensor
    codes: Tensor
    anchors: Tensor
    features: Tensor


class Proposals(NamedTuple):
    """Quadrilaterals of a batch: `image` int64 (N,), `corners` (N, 4, 2), `scores` (N,) in (0, 1)."""

    image: Tensor
    corners: Tensor
    scores: Tensor


class SecondStage(NamedTuple):
    """What the second look says: `logits` (N,) of an object, `offsets` (N, 4, 2) of the corners in its frame."""

    logits: Tensor
    offsets: Tensor


class QuadNetwork(nn.Module):
    """Encoder, a neck that widens what a cell sees, and two stages."""

    def __init__(self, settings: QuadModelSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(settings.width)
        channels = self.encoder.channels
        self.neck = nn.Sequential(*(_dilated(conv_block(channels, channels, "before_relu"), d) for d in _DILATIONS))
        per_cell = len(settings.anchor_sides) * len(settings.anchor_aspects)
        self.objectness = nn.Conv2d(channels, per_cell, 1)
        self.codes = nn.Conv2d(channels, 10 * per_cell, 1)
        nn.init.normal_(self.codes.weight, std=0.01)
        assert self.objectness.bias is not None
        nn.init.constant_(self.objectness.bias, _logit(OBJECT_SHARE))
        hidden = 4 * channels
        self.look = nn.Sequential(
            conv_block(channels, channels, "before_relu"),
            nn.Flatten(),
            nn.Linear(channels * settings.pooled_side**2, hidden),
            nn.ReLU(inplace=True),
        )
        self.decision = nn.Linear(hidden, 1)
        self.refinement = nn.Linear(hidden, 8)
        nn.init.normal_(self.refinement.weight, std=0.001)

    def forward(self, image: Tensor) -> FirstStage:
        """Image (B, 1, H, W) in [0, 1], H and W multiples of 8."""
        if image.ndim != 4 or image.shape[1] != 1 or image.shape[2] % CELL_SIZE or image.shape[3] % CELL_SIZE:
            raise ValueError(f"image must be (B, 1, H, W), multiples of {CELL_SIZE}, got {tuple(image.shape)}")
        features = self.neck(self.encoder(image))
        batch, _, rows, columns = features.shape
        logits = self.objectness(features).permute(0, 2, 3, 1).reshape(batch, -1)
        codes = self.codes(features).permute(0, 2, 3, 1).reshape(batch, -1, 10)
        return FirstStage(logits.float(), codes.float(), self.anchors(rows, columns).to(image.device), features)

    def anchors(self, rows: int, columns: int) -> Tensor:
        """The anchors of a map of so many cells, (A, 4), (xc, yc, w, h), around the cells' centres."""
        sides = torch.tensor(self.settings.anchor_sides).repeat_interleave(len(self.settings.anchor_aspects))
        roots = torch.tensor(self.settings.anchor_aspects).sqrt().repeat(len(self.settings.anchor_sides))
        forms = torch.stack((sides * roots, sides / roots), dim=1)
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        centres = torch.stack((x, y), dim=2).view(-1, 1, 2) * float(CELL_SIZE) + (CELL_SIZE - 1) / 2
        centres = centres.expand(-1, len(forms), -1)
        return torch.cat((centres, forms.expand(len(centres), -1, -1)), dim=2).reshape(-1, 4)

    @torch.no_grad()
    def propose(self, first: FirstStage) -> Proposals:
        """The best of each image that do not overlap a better one too much; no gradient flows through the choice."""
        found = []
        candidates = min(4 * self.settings.proposals, first.logits.shape[1])
        for number, (logits, codes) in enumerate(zip(first.logits, first.codes, strict=True)):
            best = logits.topk(candidates).indices
            corners = to_corners(decode(codes[best], first.anchors[best]))
            scores = logits[best].sigmoid()
            kept = suppress_quads(corners.cpu(), scores.cpu(), self.settings.proposal_iou)[: self.settings.proposals]
            chosen = torch.from_numpy(kept).to(logits.device)
            image = torch.full((len(kept),), number, device=logits.device)
            found.append(Proposals(image, corners[chosen], scores[chosen]))
        return Proposals(*map(torch.cat, zip(*found, strict=True)))

    def frames(self, corners: Tensor) -> Tensor:
        """(N, 3, 3), the frames of quadrilaterals (N, 4, 2), as the settings' pooling has them."""
        return rectified_frames(corners) if self.settings.pooling == "rectified" else box_frames(corners)

    def second(self, features: Tensor, image: Tensor, frames: Tensor) -> SecondStage:
        """The second look at quadrilaterals by their frames; see `frames.pool` for the arguments."""
        if not len(frames):
            return SecondStage(features.new_zeros(0), features.new_zeros(0, 4, 2))
        seen = self.look(pool(features, image, frames, self.settings.pooled_side))
        return SecondStage(self.decision(seen)[:, 0].float(), self.refinement(seen).float().view(-1, 4, 2))


def _dilated(block: nn.Sequential, dilation: int) -> nn.Sequential:
    """The block with steps between the samples of its convolution, its output as large as its input."""
    convolution = block[0]
    assert isinstance(convolution, nn.Conv2d)
    convolution.dilation = (dilation, dilation)
    convolution.padding = (dilation, dilation)
    return block


def _logit(share: float) -> float:
    return float(torch.logit(torch.tensor(share)))
