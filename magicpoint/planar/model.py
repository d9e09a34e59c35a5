"""The detector of quadrilaterals: proposals at anchors, and a second look at each of the best."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from homography import warp_points

from ..core.grid import CELL_SIZE
from ..model.encoder import Encoder
from ..model.named import NamedNetwork
from .frames import FRAMES, UNIT_SQUARE, pool
from .look import SecondLook, Verdict, corners_of
from .neck import Pyramid
from .polybox import decode, encode, from_corners, to_corners
from .polygons import suppress_quads
from .settings import QuadModelSettings

OBJECT_SHARE = 0.01
"""Share of the anchors with an object that an untrained network expects (Focal Loss, arXiv 1708.02002, section 4.1)."""

FINE_CELL = 2
"""Pixels of a cell of the features of the second look: in cells of 8 pixels a side of 24 is three, and where in it
a corner lies is told in the image's axes, not in those of a turned quadrilateral."""

_CANDIDATES = 4  # times as many quadrilaterals as are proposed enter the suppression


class FirstStage(NamedTuple):
    """What the network says at the anchors of images: cells in raster order, the anchors of a cell one after another.

    `logits` (B, A) of an object; `codes` (B, A, 10), see `polybox.encode`; `anchors` (A, 4), (xc, yc, w, h) in
    pixels; `fine` (B, C, H/2, W/2) and `coarse` (B, C', H/8, W/8), features for the second look.
    """

    logits: Tensor
    codes: Tensor
    anchors: Tensor
    fine: Tensor
    coarse: Tensor


class Proposals(NamedTuple):
    """Quadrilaterals of a batch: `image` int64 (N,), `corners` (N, 4, 2), `scores` (N,) in (0, 1)."""

    image: Tensor
    corners: Tensor
    scores: Tensor


class QuadNetwork(NamedNetwork):
    """Encoder, a neck that widens what a cell sees, and two stages.

    The first says where quadrilaterals are, their corners in any of the four orders that go around; which corner is the
    template's first is for the second, which looks at what is on it.
    """

    architecture = "quads"
    settings_type = QuadModelSettings
    settings: QuadModelSettings

    def __init__(self, settings: QuadModelSettings) -> None:
        super().__init__(settings)
        self.encoder = Encoder(settings.width)
        channels = settings.neck
        self.neck = Pyramid(self.encoder.channels, channels)
        per_cell = len(settings.anchor_sides) * len(settings.anchor_aspects)
        self.objectness = nn.Conv2d(channels, per_cell, 1)
        self.codes = nn.Conv2d(channels, 10 * per_cell, 1)
        nn.init.normal_(self.codes.weight, std=0.01)
        assert self.codes.bias is not None
        self.codes.bias.data.copy_(self._upright_codes())
        assert self.objectness.bias is not None
        nn.init.constant_(self.objectness.bias, _logit(OBJECT_SHARE))
        self.look = SecondLook(self.encoder.fine_channels, channels, settings.pooled_side)

    def forward(self, image: Tensor) -> FirstStage:
        """Image (B, 1, H, W) in [0, 1], H and W multiples of 8."""
        if image.ndim != 4 or image.shape[1] != 1 or image.shape[2] % CELL_SIZE or image.shape[3] % CELL_SIZE:
            raise ValueError(f"image must be (B, 1, H, W), multiples of {CELL_SIZE}, got {tuple(image.shape)}")
        fine, coarse = self.encoder.two_scales(image)
        seen = self.neck(coarse)
        batch, _, rows, columns = seen.shape
        logits = self.objectness(seen).permute(0, 2, 3, 1).reshape(batch, -1)
        codes = self.codes(seen).permute(0, 2, 3, 1).reshape(batch, -1, 10)
        anchors = self.anchors(rows, columns).to(image.device)
        return FirstStage(logits.float(), codes.float(), anchors, fine, self.look.lateral(seen))

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
    def propose(self, first: FirstStage, most: int | None = None) -> Proposals:
        """The best of each image that do not overlap a better one too much; no gradient flows through the choice.

        Args:
            first: What the first stage says.
            most: So many of an image; None stands for the settings' number.
        """
        found = []
        most = self.settings.proposals if most is None else most
        candidates = min(_CANDIDATES * most, first.logits.shape[1])
        for number, (logits, codes) in enumerate(zip(first.logits, first.codes, strict=True)):
            best = logits.topk(candidates).indices
            corners = to_corners(decode(codes[best], first.anchors[best]))
            scores = logits[best].sigmoid()
            kept = suppress_quads(corners.cpu(), scores.cpu(), self.settings.proposal_iou, most)
            chosen = torch.from_numpy(kept).to(logits.device)
            image = torch.full((len(kept),), number, device=logits.device)
            found.append(Proposals(image, corners[chosen], scores[chosen]))
        return Proposals(*map(torch.cat, zip(*found, strict=True)))

    def frames(self, corners: Tensor) -> Tensor:
        """(N, 3, 3), the frames of quadrilaterals (N, 4, 2), as the settings' pooling has them."""
        return FRAMES[self.settings.pooling](corners)

    def pooled(self, first: FirstStage, image: Tensor, frames: Tensor) -> Tensor:
        """What the second look sees of quadrilaterals by their frames, (N, C, side, side); see `frames.pool`."""
        side = self.settings.pooled_side
        fine = pool(first.fine, image, frames, side, FINE_CELL)
        coarse = pool(first.coarse, image, frames, side, CELL_SIZE)
        seen: Tensor = self.look.trunk(torch.cat((fine, coarse), dim=1))
        return seen

    def second(self, first: FirstStage, proposals: Proposals) -> tuple[Proposals, Verdict]:
        """The proposals with the corners and the scores of the second look, in their own order, and its verdict."""
        frames = self.frames(proposals.corners)
        seen = self.pooled(first, proposals.image, frames)
        verdict = self.look.judge(seen)
        corners = warp_points(corners_of(self.look.corner_maps(seen)).double(), frames.double())
        # A corner beyond the horizon of its frame stays where it was.
        corners = torch.where(corners.isfinite().all(dim=2, keepdim=True), corners.to(seen.dtype), proposals.corners)
        return Proposals(proposals.image, corners, verdict.logits.sigmoid()), verdict

    def _upright_codes(self) -> Tensor:
        """The codes of a cell's anchors themselves: an untrained network says upright boxes, top-left corner first."""
        anchors = self.anchors(1, 1)
        corners = anchors[:, None, :2] + (torch.tensor(UNIT_SQUARE) - 0.5) * anchors[:, None, 2:]
        return encode(from_corners(corners), anchors).flatten()


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def folded(network: QuadNetwork) -> QuadNetwork:
    """A copy in evaluation mode that gives what the network gives, with BatchNorm folded into the convolutions."""
    fused = copy.deepcopy(network).eval()
    for part in fused.modules():
        if isinstance(part, nn.Sequential) and isinstance(part[0], nn.Conv2d) and isinstance(part[1], nn.BatchNorm2d):
            part[0] = fuse_conv_bn_eval(part[0], part[1])
            del part[1]
    return fused
