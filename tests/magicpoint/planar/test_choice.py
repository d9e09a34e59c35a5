"""Which candidates are finds, by inliers and by a verifier."""

import math

import numpy as np
import pytest

from magicpoint.planar.choice import best_of_each_place, best_of_each_template, evidence, is_found
from magicpoint.planar.located import Located, LocateSettings

SQUARE = np.array([[0, 0], [40, 0], [40, 40], [0, 40]], np.float32)
SETTINGS = LocateSettings()


def candidate(name="a", inliers=20, probability=None, correlation=None, turn=0, shift=0):
    corners = np.roll(SQUARE, turn, axis=0) + np.float32(shift)
    return Located(name, corners, np.eye(3), inliers, inliers, probability, correlation)


@pytest.mark.parametrize(
    ("inliers", "probability", "correlation", "expected"),
    [
        (12, None, None, True),
        (11, None, None, False),
        (12, 0.5, None, True),
        (12, 0.02, None, True),
        (12, 0.001, None, False),  # barely enough agree, and the verifier is sure of the contrary
        (23, 0.001, None, False),
        (24, 0.001, None, True),
        (11, 0.95, None, False),  # few matches place nothing well
        (11, 0.95, 0.8, True),
        (0, 0.95, 0.8, True),
        (0, 0.85, 0.8, False),
        (0, None, 0.8, False),
    ],
)
def test_a_candidate_counts_by_its_inliers_or_by_the_verifier(inliers, probability, correlation, expected):
    assert is_found(candidate("a", inliers, probability, correlation), SETTINGS) is expected


def test_evidence_is_the_logarithm_of_the_odds_and_half_a_unit_for_each_inlier():
    assert evidence(candidate(inliers=8, probability=0.9)) == pytest.approx(math.log(9))
    assert evidence(candidate(inliers=18, probability=0.5)) == pytest.approx(5)
    assert evidence(candidate(inliers=8, probability=0.0)) == pytest.approx(-math.log(999))
    assert evidence(candidate(inliers=7)) == 7


@pytest.mark.parametrize(
    ("more", "sure", "wins"),
    [
        ((20, 0.02), (16, 0.98), "b"),  # the verifier decides between those that are close
        ((80, 0.02), (16, 0.98), "a"),
        ((20, None), (16, None), "a"),
        ((20, 0.5), (16, 0.5), "a"),
    ],
)
def test_of_two_in_one_place_the_one_for_which_most_speaks_is_kept(more, sure, wins):
    found = [candidate("a", *more), candidate("b", *sure), candidate("c", 12, 0.5, shift=100)]
    assert [each.template for each in best_of_each_place(found, SETTINGS)][:1] == [wins]
    assert {each.template for each in best_of_each_place(found, SETTINGS)} == {wins, "c"}


def test_a_template_in_two_turns_is_one_and_two_templates_are_two():
    upright, upside_down = candidate(inliers=20, probability=0.99), candidate(inliers=22, probability=0.01, turn=2)
    other, beside = candidate("b", 20, 0.5), candidate(inliers=13, probability=0.9, shift=60)
    assert best_of_each_template([upside_down, upright, other, beside], SETTINGS) == [upright, beside, other]
    assert best_of_each_template([], SETTINGS) == []
