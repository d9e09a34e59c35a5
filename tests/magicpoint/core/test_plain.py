import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from magicpoint.core.plain import as_plain, json_text


@dataclasses.dataclass(frozen=True)
class Inner:
    size: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner
    path: Path
    means: dict[int, float]
    points: np.ndarray


def test_a_value_becomes_what_json_has():
    value = Outer(Inner((4, 3)), Path("a") / "b.h5", {4: 0.5, 8: math.nan}, np.array([[1.5, math.inf]], np.float32))
    expected = {
        "inner": {"size": [4, 3]},
        "path": str(Path("a") / "b.h5"),
        "means": {"4": 0.5, "8": None},
        "points": [[1.5, None]],
    }
    assert as_plain(value) == expected
    assert json.loads(json_text(value)) == expected
    assert json_text(None) == "null\n"


def test_numbers_of_numpy_are_numbers():
    plain = as_plain([np.float64(0.25), np.int64(3), np.bool_(True), -math.inf, True, None, "x"])
    assert plain == [0.25, 3, True, None, True, None, "x"]
    assert [type(value) for value in plain[:3]] == [float, int, bool]


def test_what_has_no_plain_form_is_refused():
    with pytest.raises(TypeError, match="a object has no plain form"):
        as_plain({"a": [object()]})
