"""The measures by which training of the verifier judges itself, on pairs of templates that it never trains on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...measures.detection import average_precision
from ...measures.ranking import roc_auc
from .batches import CollatedPairs, collate_pairs
from .leak import Leak, measure_leak
from .network import VerifierNetwork
from .pairs import ROUND, Kind, Pairs

PAIRS = 1200
BATCH_SIZE = 100
SOLIDS = "solids_"
"""Before the names of the measures of pairs of solids."""


class JudgedPairs(NamedTuple):
    """What a verifier says of pairs: `logits` float32 (N,), `same` bool (N,), `kinds` (N,), and its leak."""

    logits: NDArray[np.float32]
    same: NDArray[np.bool_]
    kinds: NDArray[np.str_]
    leak: Leak


@torch.inference_mode()
def judge(
    network: VerifierNetwork, pairs: CollatedPairs, device: torch.device, kinds: Sequence[Kind] = ROUND
) -> JudgedPairs:
    """What a network in evaluation mode says of pairs, of which kinds by turns."""
    parts = [_described(network, part, device) for part in (pairs.query, pairs.template)]
    queries, templates = parts
    logits = torch.cat(
        [
            network.compare(*(part[start : start + BATCH_SIZE] for part in parts))
            for start in range(0, len(queries), BATCH_SIZE)
        ]
    )
    same = pairs.same.numpy()
    of_each = np.array([kinds[index % len(kinds)] for index in range(len(same))])
    return JudgedPairs(logits.cpu().numpy(), same, of_each, measure_leak(network, queries, templates, same))


def _described(network: VerifierNetwork, squares: Tensor, device: torch.device) -> Tensor:
    return torch.cat([network.describe(part.to(device).float() / 255.0) for part in torch.split(squares, BATCH_SIZE)])


class PairValidator:
    """Measures a verifier on the same pairs each time, rendered when they are first needed.

    Args:
        held_out: Its first pairs are judged.
        learnt: Its first pairs, of the templates that are trained on, are looked at for a leak, too: who knows these by
            heart knows nothing of others.
        kinds: Of the pairs of both, by turns.
    """

    def __init__(self, held_out: Pairs, learnt: Pairs, kinds: Sequence[Kind] = ROUND) -> None:
        self._held_out, self._learnt, self._kinds = held_out, learnt, kinds

    @cached_property
    def _pairs(self) -> list[CollatedPairs]:
        return [collate_pairs([stream[index] for index in range(PAIRS)]) for stream in (self._held_out, self._learnt)]

    def measure(self, network: VerifierNetwork, device: torch.device) -> dict[str, float]:
        """Runs the network in evaluation mode and leaves it in the mode in which it was.

        Returns:
            `accuracy` at a probability of 0.5 over all pairs, half of which belong together, and over each kind; `ap`
            and `auc`; `leak_noise` and `leak_another`, see `leak.Leak`, of the held-out templates or of those trained
            on, whichever is farther from chance, and `leak_reach`, up to which they may differ from 0.5 by chance.
        """
        training = network.training
        network.eval()
        try:
            judged, learnt = (judge(network, pairs, device, self._kinds) for pairs in self._pairs)
        finally:
            network.train(training)
        return measures_of(judged._replace(leak=judged.leak.worse(learnt.leak)))


def joined(planar: Mapping[str, float], solids: Mapping[str, float]) -> dict[str, float]:
    """The measures of planar templates and, with `solids_` before their names, of solids."""
    return {**planar, **{f"{SOLIDS}{name}": value for name, value in solids.items()}}


def measures_of(judged: JudgedPairs) -> dict[str, float]:
    """See `PairValidator.measure`."""
    right = (judged.logits > 0) == judged.same
    leak = judged.leak
    return {
        "accuracy": float(right.mean()),
        **{f"accuracy_{kind}": float(right[judged.kinds == kind].mean()) for kind in dict.fromkeys(judged.kinds)},
        "ap": average_precision([(judged.logits, judged.same)], int(judged.same.sum())).ap,
        "auc": roc_auc(judged.logits, judged.same),
        "leak_noise": leak.noise,
        "leak_another": leak.another,
        "leak_reach": leak.reach,
    }
