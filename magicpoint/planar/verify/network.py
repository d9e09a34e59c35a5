"""The network that says whether two squares show the same thing in the same orientation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...model.encoder import Encoder
from ...model.named import NamedNetwork
from .settings import Fusion, VerifierModelSettings

HIDDEN = 32
"""Channels of the head."""

_LEAST_SPREAD = 0.02  # of grey values: below it a square is taken for plain
_SPREAD = 0.2  # of the grey values that the encoder sees: about that of the images on which it was trained


def fuse(query: Tensor, template: Tensor, fusion: Fusion) -> Tensor:
    """The features (N, C, ...) of two as one.

    Whether two are equal is an XNOR of each feature: their product says it where features are of both signs, while no
    sum of a function of one and a function of the other does, which is all that a linear layer makes of them side by
    side.

    Returns:
        (N, C, ...) of a product, (N, 2 C, ...) of a concatenation.
    """
    return query * template if fusion == "product" else torch.cat((query, template), dim=1)


class VerifierNetwork(NamedNetwork):
    """An encoder that sees both, the fusion of what it gives, and a head.

    The features of a template are computed once by `describe`, and compared with those of any number of queries.
    """

    architecture = "verifier"
    settings_type = VerifierModelSettings
    settings: VerifierModelSettings

    def __init__(self, settings: VerifierModelSettings) -> None:
        super().__init__(settings)
        self.encoder = Encoder(settings.width)
        self.project = nn.Sequential(
            nn.Conv2d(self.encoder.channels, settings.channels, 3, padding=1, bias=False),
            # Around 0: of features that all are positive the product is large for any two.
            nn.BatchNorm2d(settings.channels, affine=False),
        )
        inputs = settings.channels * (1 if settings.fusion == "product" else 2)
        self.head = nn.Sequential(
            nn.Conv2d(inputs, HIDDEN, 3, padding=1), nn.ReLU(), nn.Conv2d(HIDDEN, HIDDEN, 1), nn.ReLU()
        )
        self.decide = nn.Linear(2 * HIDDEN, 1)

    def describe(self, squares: Tensor) -> Tensor:
        """Features (N, C, side / 8, side / 8) of squares (N, 1, side, side) in [0, 1].

        Those of a cell are a vector of length sqrt(C). Brightness and contrast of a square as a whole are taken out.
        """
        if squares.ndim != 4 or squares.shape[1:] != (1, self.settings.side, self.settings.side):
            raise ValueError(
                f"squares must be (N, 1, {self.settings.side}, {self.settings.side}), got {tuple(squares.shape)}"
            )
        spread, mean = torch.std_mean(squares, dim=(1, 2, 3), keepdim=True, correction=0)
        even = 0.5 + _SPREAD * (squares - mean) / spread.clamp(min=_LEAST_SPREAD)
        seen: Tensor = self.project(self.encoder(even.contiguous(memory_format=torch.channels_last)))
        return F.normalize(seen.float(), dim=1) * math.sqrt(self.settings.channels)

    def compare(self, queries: Tensor, templates: Tensor) -> Tensor:
        """Logits (N,) that a query shows the template of the same number, of the features of both."""
        judged = self.head(fuse(queries, templates, self.settings.fusion))
        pooled = torch.cat((judged.mean(dim=(2, 3)), judged.amax(dim=(2, 3))), dim=1)
        logits: Tensor = self.decide(pooled)[:, 0]
        return logits.float()

    def compare_all(self, queries: Tensor, templates: Tensor) -> Tensor:
        """Logits (Q, T) of each of Q with each of T, of their features."""
        rows = [self.compare(queries, one[None].expand(len(queries), -1, -1, -1)) for one in templates]
        return torch.stack(rows, dim=1) if rows else queries.new_zeros(len(queries), 0)

    def compare_likely(self, queries: Tensor, templates: Tensor, most: int) -> Tensor:
        """Logits (Q, T) of each of Q with those of T that are most like it, -inf of the others.

        How alike two are is said by the inner product of their features, one matrix product for all; the head, which
        takes nearly all of the time, judges the best `most` of each query alone.
        """
        count = min(most, len(templates))
        logits = queries.new_full((len(queries), len(templates)), -torch.inf)
        if not len(queries) or not count:
            return logits
        chosen = (queries.flatten(1) @ templates.flatten(1).T).topk(count, dim=1).indices
        rows = torch.arange(len(queries), device=chosen.device)
        for column in chosen.T:
            logits[rows, column] = self.compare(queries, templates[column])
        return logits

    def forward(self, query: Tensor, template: Tensor) -> Tensor:
        """Logits (N,) of squares (N, 1, side, side) of both.

        Both go through the encoder as one batch, so that in training BatchNorm treats them alike.
        """
        features = self.describe(torch.cat((query, template)))
        return self.compare(features[: len(query)], features[len(query) :])
