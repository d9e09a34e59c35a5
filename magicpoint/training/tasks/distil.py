"""Distillation: a network learns another one's detector from what that says of two views of images without labels."""

from __future__ import annotations

import hashlib
from typing import ClassVar

import torch
from torch import Tensor

from ...core.machine import autocast
from ...data.batches import ViewBatch
from ...data.image_files import ImageFiles, ImageSource
from ...data.labelled_images import split_in_two
from ...decoding.cornerness import weigh
from ...decoding.decode import decode, logits_to_heatmap
from ...decoding.settings import DecodeSettings
from ...model.fold import fold_batch_norm
from ...model.weights import load_weights, resolve, weights_hash
from ..targets import labels2Dto3D
from ..validation.superpoint import ViewValidator
from .base import RunSettings
from .settings import DistilSettings
from .views import ViewTask

POINTS = DecodeSettings(max_keypoints=256)
"""Of the teacher's keypoints those at which descriptors are compared."""


class DistilTask(ViewTask):
    """The heatmap of a teacher in two views of an image, and descriptors by which these match.

    What a cell of the teacher's says of its 64 pixels and of there being no keypoint is learnt as it is, not the few
    keypoints that are above a threshold: a weak one is learnt as a weak one (arXiv 1503.02531, section 2). The
    descriptors are the network's own; where the views show the same is known exactly, and no teacher knows it better.

    The teacher sees the views in the image's own light, the network in the changed light: it learns to find under
    noise, blur and shade what the teacher finds without them. Weighed by cornerness the teacher's heatmap says in which
    order keypoints come back, and where exactly, better than it does by itself.
    """

    wants_own_light: ClassVar[bool] = True

    def __init__(self, settings: DistilSettings, run: RunSettings) -> None:
        images = ImageFiles(settings.images)
        training, held_out = split_in_two(len(images))
        validator = ViewValidator(images, held_out, settings.views)
        super().__init__(settings, run, ImageSource(images, training, run.seed), validator)
        teacher = load_weights(resolve(settings.teacher).path)[0]
        self.digest = hashlib.sha256(f"{images.digest} {weights_hash(teacher.state_dict())}".encode()).hexdigest()
        self._weighs = settings.cornerness
        self._teacher = fold_batch_norm(teacher, descriptors=False).requires_grad_(False)

    @torch.no_grad()
    def _taught(self, batch: ViewBatch) -> tuple[ViewBatch, Tensor]:
        assert batch.own_light is not None
        images = batch.own_light.contiguous(memory_format=torch.channels_last)
        with autocast(images.device, self._run.precision):
            logits = self._teacher.to(images.device)(images).logits.float()
        heatmap, target = logits_to_heatmap(logits), logits.softmax(dim=1)
        if self._weighs:
            shown = torch.cat((batch.view0.valid_mask, batch.view1.valid_mask))[:, 0]
            heatmap = weigh(heatmap, images[:, 0], shown)
            target = labels2Dto3D(heatmap)
        found = decode(heatmap[: len(batch.view0.image)], POINTS, valid_mask=batch.view0.valid_mask)
        view0 = batch.view0._replace(keypoints=[keypoints for keypoints, _ in found])
        return batch._replace(view0=view0), target
