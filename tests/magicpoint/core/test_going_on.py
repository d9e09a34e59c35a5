import pytest

from magicpoint.core.errors import InputError
from magicpoint.core.going_on import check_goes_on

OLD = {"seed": 0, "steps": 10, "pairs": {"scale": 0.5, "turn": None}, "gone": 1}


def test_what_is_the_same_or_may_change_goes_on():
    check_goes_on("run was begun", OLD, dict(OLD), "choose another")
    check_goes_on("run was begun", OLD, {**OLD, "steps": 20, "gone": 2}, "choose another", changeable={"steps", "gone"})


def test_every_other_setting_is_named_with_both_values():
    new = {"seed": 1, "steps": 20, "pairs": {"scale": 0.25, "turn": None}, "more": "a"}
    with pytest.raises(InputError) as error:
        check_goes_on("run was begun", OLD, new, "choose another", "words", {"steps"})
    changes = "gone 1, now unset, more unset, now a, pairs.scale 0.5, now 0.25, seed 0, now 1"
    assert str(error.value) == f"run was begun with other words ({changes}): choose another"
