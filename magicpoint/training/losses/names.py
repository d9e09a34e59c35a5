"""The names of the losses, for settings, which load no torch."""

from __future__ import annotations

from typing import Literal

DetectorLoss = Literal["softmax_bce", "cross_entropy", "l2"]

DescriptorLoss = Literal["dual_softmax", "sparse", "dense_hinge"]
