"""How well scores tell two kinds apart."""

import math

import numpy as np
import pytest

from magicpoint.measures.ranking import roc_auc


@pytest.mark.parametrize(
    ("scores", "positive", "expected"),
    [
        ([3, 2, 1, 0], [1, 1, 0, 0], 1.0),
        ([0, 1, 2, 3], [1, 1, 0, 0], 0.0),
        ([1, 1, 1, 1], [1, 0, 1, 0], 0.5),
        ([3, 1, 2, 0], [1, 1, 0, 0], 0.75),  # of the four pairs one is the wrong way round
    ],
)
def test_the_area_is_the_share_of_pairs_in_the_right_order(scores, positive, expected):
    assert roc_auc(scores, np.array(positive, bool)) == pytest.approx(expected)


def test_one_kind_alone_has_no_area_and_lengths_must_fit():
    assert math.isnan(roc_auc([1.0, 2.0], [True, True]))
    assert math.isnan(roc_auc([], np.zeros(0, bool)))
    with pytest.raises(ValueError, match="one bool for each"):
        roc_auc([1.0], [True, False])
