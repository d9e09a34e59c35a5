"""The measures by which the training of a matcher judges itself, on two views of images that it never trains on."""

from __future__ import annotations

import torch

from ...data.match_batches import MatchBatch, collate_pairs
from ...data.view_features import FeaturePairs
from ...measures.statistics import mean_of_defined
from ...model.matcher import MatcherNetwork, counterparts, log_scores

LEAST_CHANCE = 0.1
"""Of a match."""


class MatchValidator:
    """Measures a matcher on the same pairs each time.

    Args:
        pairs: Of held-out images.
        count: How many of them.
    """

    def __init__(self, pairs: FeaturePairs, count: int) -> None:
        self._pairs, self._count = pairs, count

    def measure(self, network: MatcherNetwork, device: torch.device) -> dict[str, float]:
        """Runs the network in evaluation mode and leaves it in the mode in which it was.

        Returns:
            Means over the pairs in which they are defined: `precision`, the share of the matches that are right, of
            those of which that is known; `recall`, the share of the keypoints with a counterpart that get it.
        """
        training = network.training
        network.eval()
        try:
            batches = (collate_pairs([self._pairs[index]]) for index in range(self._count))
            measured = [_measure(network, batch.to(device)) for batch in batches]
        finally:
            network.train(training)
        return {name: mean_of_defined([figures[name] for figures in measured]) for name in measured[0]}


@torch.inference_mode()
def _measure(network: MatcherNetwork, batch: MatchBatch) -> dict[str, float]:
    found, _ = counterparts(log_scores(network(batch.side0, batch.side1)), LEAST_CHANCE)
    targets = batch.targets0
    right = (found == targets) & (targets >= 0)
    # Whose counterpart is not known, for it lies between near and far, neither is right nor wrong.
    judged = (found >= 0) & (targets >= -1)
    return {"precision": _share(right, judged), "recall": _share(right, targets >= 0)}


def _share(part: torch.Tensor, whole: torch.Tensor) -> float:
    count = int(whole.sum())
    return int(part.sum()) / count if count else float("nan")
