"""The examples in docstrings give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in ("homography", "synthetic_shapes", "magicpoint")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "\n    >>> " in (text := path.read_text(encoding="utf-8")) or "\n        >>> " in text
}


def test_there_are_examples():
    assert len(MODULES) >= 15


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module(module):
    done = doctest.testmod(importlib.import_module(module))
    assert done.attempted > 0
    assert done.failed == 0
