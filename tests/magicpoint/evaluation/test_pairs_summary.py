"""Means over the pairs of a split, on numbers that can be checked on paper."""

import math

import pytest

from magicpoint.evaluation.pairs.results import Mean, PairResult
from magicpoint.evaluation.pairs.score import summarize_pairs


def pair(sequence, view, **measures):
    return PairResult(sequence, {"i": "illumination", "v": "viewpoint"}[sequence[0]], view, measures)


PAIRS = [
    pair("i_a", 2, repeatability=0.5, corner_error=math.inf),
    pair("i_a", 3, repeatability=math.nan, corner_error=1.0),
    pair("v_b", 2, repeatability=0.8, corner_error=1.0),
]


def test_means_are_over_the_pairs_of_a_split_where_they_are_defined():
    assert summarize_pairs(PAIRS, "illumination") == {"repeatability": Mean(0.5, (0.5, 0.5), (0.5, 0.5), 1, 1)}
    everything = summarize_pairs(PAIRS, "all")["repeatability"]
    assert everything.mean == pytest.approx(0.65)
    assert everything.interval == (0.5, 0.8)
    assert (everything.count, everything.undefined) == (2, 1)


def test_a_split_without_pairs_has_measures_that_are_not_defined():
    nothing = summarize_pairs(PAIRS[:2], "viewpoint")["repeatability"]
    assert math.isnan(nothing.mean)
    assert all(map(math.isnan, nothing.interval + nothing.interval_sequences))
    assert (nothing.count, nothing.undefined) == (0, 0)


def test_there_is_nothing_to_summarize_without_a_pair():
    assert summarize_pairs([], "all") == {}
