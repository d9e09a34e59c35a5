"""Homographic adaptation: a detector labels an image from many views of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from homography import adapt, sample_views

from ..core.grid import CELL_SIZE
from ..core.machine import resolve_precision
from ..core.types import Labels
from ..decoding.decode import decode, logits_to_heatmap
from ..decoding.settings import DecodeSettings
from ..inference.extractor import Extractor
from ..io.images import shrink
from ..io.masks import shrink_mask, well_inside
from ..model.fold import fold_batch_norm
from ..model.tensors import check_output
from .settings import AdaptationSettings

_PIXEL_AND_NEIGHBOURS = np.ones((3, 3), np.uint8)
_OF_EXTRACTION = ("decode", "network")  # of the provenance, what labelling does in its own way


class Labeller:
    """Labels images with a detector.

    The network is copied without its descriptor head and with BatchNorm folded into its convolutions.

    Args:
        extractor: Its network and device are used; its settings, which are those of single views, are not.
        settings: None stands for `AdaptationSettings()`.
        begun: The provenance of labels that are to be gone on with. What the precision auto stands for is taken from
            it: that is measured, and two measurements may differ.
    """

    def __init__(
        self, extractor: Extractor, settings: AdaptationSettings | None = None, begun: Mapping[str, str] | None = None
    ) -> None:
        self.settings = settings or AdaptationSettings()
        self.device = extractor.device
        precision: str = self.settings.precision
        before = (begun or {}).get("precision")
        if precision == "auto":
            precision = before if before in ("float32", "bfloat16") else resolve_precision("auto", self.device)
        self.dtype = getattr(torch, precision)
        model = fold_batch_norm(extractor.model, descriptors=False).to(self.device, self.dtype)
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.provenance = {name: text for name, text in extractor.provenance.items() if name not in _OF_EXTRACTION}
        self.provenance["precision"] = precision
        self.provenance["adaptation"] = json.dumps(dataclasses.asdict(self.settings))

    def label(self, grey: NDArray[np.float32], key: str, mask: NDArray[np.bool_] | None = None) -> Labels:
        """The labels of one image, the same whatever was labelled before.

        Args:
            grey: (H, W) in [0, 1].
            key: The name of the image, which with the seed decides its views.
            mask: (H, W), False where nothing is wanted; None wants all.

        Returns:
            Positions and mask in pixels of `grey`, on the CPU. The mask's True pixels were seen, with their neighbours,
            by at least one view, and are more than `io.masks.MARGIN` pixels away from what the given mask leaves out.
        """
        settings = self.settings
        shrunk = grey if settings.longest_side is None else shrink(grey, settings.longest_side)
        height, width = shrunk.shape
        adapted = adapt(
            self.heatmap,
            torch.from_numpy(shrunk).to(self.device),
            self._views((width, height), key),
            aggregation=settings.aggregation,
            erosion=settings.erosion,
            chunk_size=max(1, settings.chunk_pixels // (width * height)),
            tolerance=settings.tolerance,
        )
        heatmap = adapted.heatmap / (adapted.view_count if settings.aggregation == "sum" else 1)
        check_output(heatmap, self.provenance["weights"])
        known = adapted.valid_mask.cpu().numpy()
        if mask is not None:
            known = known & well_inside(shrink_mask(mask, (height, width)))
        decoding = DecodeSettings(settings.nms_radius, settings.threshold, border=0)
        [(keypoints, scores)] = decode(heatmap[None], decoding, valid_mask=torch.from_numpy(known)[None, None])
        return self._in_pixels_of(grey, keypoints.cpu(), scores.cpu(), known)

    @torch.inference_mode()
    def heatmap(self, views: Tensor) -> Tensor:
        """The detector alone: views (B, 1, H, W) of any size to heatmaps (B, H, W)."""
        height, width = views.shape[-2:]
        padded = F.pad(views, (0, -width % CELL_SIZE, 0, -height % CELL_SIZE), mode="replicate")
        output = self.model(padded.to(self.dtype).contiguous(memory_format=torch.channels_last))
        return logits_to_heatmap(output.logits)[:, :height, :width]

    def _views(self, image_size: tuple[int, int], key: str) -> NDArray[np.float64]:
        if min(image_size) < 2:  # A line of pixels has no views but itself.
            return np.eye(3)[None]
        digest = hashlib.sha256(f"{self.settings.seed} {key}".encode()).digest()
        generator = np.random.default_rng(int.from_bytes(digest, "little"))
        return sample_views(image_size, generator, self.settings.homographies, count=self.settings.count)

    def _in_pixels_of(
        self, grey: NDArray[np.float32], keypoints: Tensor, scores: Tensor, valid: NDArray[np.bool_]
    ) -> Labels:
        """Labels in the image as it was, the best of them, without what lies on the edge of the mask."""
        height, width = grey.shape
        # A peak on the edge of the mask may be the shoulder of one beyond it.
        inner = cv2.erode(valid.astype(np.uint8), _PIXEL_AND_NEIGHBOURS)
        if valid.shape != grey.shape:
            scale = torch.tensor([width / valid.shape[1], height / valid.shape[0]])
            keypoints = (keypoints + 0.5) * scale - 0.5
            inner = cv2.resize(inner, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        mask = torch.from_numpy(np.asarray(inner, bool))
        kept = _look_up(mask, keypoints).nonzero()[: self.settings.max_keypoints, 0]
        return Labels(keypoints[kept], scores[kept], None, (width, height), mask)


def _look_up(mask: Tensor, keypoints: Tensor) -> Tensor:
    """The values, bool (N,), of a mask (H, W) at the pixels that hold the keypoints."""
    column, row = keypoints.round().long().unbind(1)
    return mask[row.clamp(0, mask.shape[0] - 1), column.clamp(0, mask.shape[1] - 1)]
