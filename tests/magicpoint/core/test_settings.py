"""Groups of settings are compared and checked, and what is wrong is named."""

import dataclasses
import math
import re
from typing import Any

import pytest

from magicpoint.core.settings import check_choice, check_range, check_size_hw, check_whole, differences


def test_each_value_that_differs_has_its_full_name():
    old = {"steps": 3, "joint": {"weight": 0.1, "views": {"size_hw": [8, 16]}}, "same": None}
    new = {"steps": 4, "joint": {"weight": 0.1, "views": {"size_hw": [8, 24]}}, "same": None}
    assert differences(old, new) == {"joint.views.size_hw": ([8, 16], [8, 24]), "steps": (3, 4)}
    assert differences(old, old) == {}


def test_a_value_that_is_lacking_is_told_from_null_where_that_is_wanted():
    assert differences({}, {"a": None}) == {}
    assert differences({}, {"a": None}, unset="unset") == {"a": ("unset", None)}
    assert differences({"group": {}}, {"group": {"a": 1}}) == {"group": ({}, None), "group.a": (None, 1)}


@dataclasses.dataclass(frozen=True)
class Inner:
    size_hw: Any = (16, 24)


@dataclasses.dataclass(frozen=True)
class Group:
    value: Any = 0.5
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ("[0, 1]", (0, 0.0, 0.5, 1), (-1e-9, 1.0001, math.inf, -math.inf)),
        ("(0, 4]", (1e-9, 4), (0, 4.1)),
        ("[-1, 1)", (-1.0, 0.999), (1, -1.1)),
        ("[1, inf)", (1, 1e300), (0.999, math.inf)),
        ("(0, inf]", (math.inf,), (0,)),
    ],
)
def test_a_range_holds_its_ends_as_it_is_written(interval, inside, outside):
    for value in inside:
        check_range(Group(value), interval, "value")
    for value in (*outside, math.nan):
        with pytest.raises(ValueError, match=f"value must be in {re.escape(f'{interval}, got {value}')}"):
            check_range(Group(value), interval, "value")
    for value in (True, "0.5", None, [0.5]):
        with pytest.raises(TypeError, match="value must be a number, got"):
            check_range(Group(value), interval, "value")
    with pytest.raises(ValueError, match="no interval: '0 to 1'"):
        check_range(Group(), "0 to 1", "value")


def test_whole_numbers_are_whole_and_large_enough():
    check_whole(Group(3), 3, "value", most=3)
    for value, words in ((2, "at least 3, got 2"), (-1, "at least 3, got -1"), (10**30, f"at most 9, got {10**30}")):
        with pytest.raises(ValueError, match=f"value must be {words}"):
            check_whole(Group(value), 3, "value", most=9)
    for value in (3.0, True, math.nan, "3", None):
        with pytest.raises(TypeError, match="value must be a whole number, got"):
            check_whole(Group(value), 0, "value")


def test_choices_are_listed():
    check_choice(Group("b"), "value", ("a", "b"))
    with pytest.raises(ValueError, match="value must be a, b or c, got 'd'"):
        check_choice(Group("d"), "value", ("a", "b", "c"))
    with pytest.raises(ValueError, match="value must be a, got None"):
        check_choice(Group(None), "value", ("a",))


def test_sizes_are_two_multiples_and_their_group_is_named():
    check_size_hw(Group(), 8, "inner.size_hw")
    for size_hw in ((0, 8), (-8, 8), (8, 12), (8, 2**15 + 8)):
        with pytest.raises(ValueError, match=rf"inner\.size_hw must be positive multiples of 8 .*, got {size_hw[0]}x"):
            check_size_hw(Group(inner=Inner(size_hw)), 8, "inner.size_hw")
    for size_hw in ((8,), (8, 8, 8), (8.0, 8.0), 8, "8x8", None):
        with pytest.raises(TypeError, match=r"inner\.size_hw must be a height and a width in pixels"):
            check_size_hw(Group(inner=Inner(size_hw)), 8, "inner.size_hw")
