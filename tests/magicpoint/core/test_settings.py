from magicpoint.core.settings import differences


def test_each_value_that_differs_has_its_full_name():
    old = {"steps": 3, "joint": {"weight": 0.1, "pairs": {"size": [8, 16]}}, "same": None}
    new = {"steps": 4, "joint": {"weight": 0.1, "pairs": {"size": [8, 24]}}, "same": None}
    assert differences(old, new) == {"joint.pairs.size": ([8, 16], [8, 24]), "steps": (3, 4)}
    assert differences(old, old) == {}


def test_a_value_that_is_lacking_is_told_from_null_where_that_is_wanted():
    assert differences({}, {"a": None}) == {}
    assert differences({}, {"a": None}, unset="unset") == {"a": ("unset", None)}
    assert differences({"group": {}}, {"group": {"a": 1}}) == {"group": ({}, None), "group.a": (None, 1)}
