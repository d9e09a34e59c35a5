"""Files of settings that are no YAML, no settings, or ask for much."""

import os

import pytest

SETTINGS = {
    "a list": "- 1\n",
    "text": "word",
    "no YAML": "steps: [",
    "a tab": "\tsteps: 1",
    "steps are null": "steps: null",
    "steps are text": "steps: many",
    "steps are too long": f"steps: {'9' * 5000}",
    "steps are a list": "steps: [1]",
    "steps are NaN": "steps: .nan",
    "steps are infinite": "steps: .inf",
    "an unknown setting": "stepz: 3",
    "a setting of no group": "model: 5",
    "a group is null": "model: null",
    "a setting of a group is null": "model: {width: null}",
    "a setting of a group is unknown": "model: {weight: 1}",
    "a key is a number": "1: 2",
    "a key is null": "null: 2",
    "a key is a list": "? [a, b]\n: 2",
    "a class": "steps: !!python/object/apply:os.mkdir [made]",
    "an unknown tag": "steps: !thing 3",
    "a binary": "steps: !!binary aGVsbG8=",
    "an anchor to nothing": "steps: *nowhere",
    "an anchor to itself": "model: &a {width: *a}",
    "an anchor to itself in a list": "model: &a [*a]",
    "nested deeply": "model: " + "[" * 50_000,
    "two documents": "steps: 3\n---\nsteps: 4\n",
    "a name twice": "steps: 3\nsteps: 4\n",
    "a name twice in a group": "model: {width: 1, width: 0.5}",
    "a megabyte": "#" * 2**21,
    "a NUL": "steps: \0",
    "aliases that multiply": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_file_of_settings_that_cannot_be_is_named(attack, name):
    (attack.folder / "s.yaml").write_text(SETTINGS[name])
    attack(["train", "new", "--config", "s.yaml"], named="s.yaml", code=2)
    assert not (attack.folder / "made").exists()
    assert not (attack.folder / "new").exists()


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(
    "words", [["train", "run", "--resume"], ["finetune", "a.png", "--out", "run"]], ids=lambda w: w[0]
)
def test_settings_of_a_run_that_cannot_be_are_named(attack, material, words, name):
    (attack.folder / "run").mkdir()
    (attack.folder / "a.png").write_bytes(material.png)
    (attack.folder / "run" / "settings.yaml").write_text(SETTINGS[name])
    attack(words, named="settings.yaml", code=2)
    assert not (attack.folder / "made").exists()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"steps: \xff", "steps: 3".encode("utf-16"), b"\x89PNG"], ids=repr)
def test_settings_that_are_no_text_are_named(attack, content):
    (attack.folder / "s.yaml").write_bytes(content)
    attack(["train", "new", "--config", "s.yaml"], named="s.yaml", code=2)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files there")
def test_settings_are_read_from_ordinary_files_alone(attack):
    os.mkfifo(attack.folder / "s.yaml")
    attack(["train", "new", "--config", "s.yaml"], named="s.yaml", code=2)
    attack(["train", "new", "--config", "/dev/zero"], named="/dev/zero", code=2)
    attack(["train", "new", "--model", "s.yaml"], named="s.yaml", code=2)
    attack(["train", "new", "--augmentation.homographic", "s.yaml"], named="s.yaml", code=2)
    (attack.folder / "t.yaml").write_text("augmentation:\n  homographic: s.yaml\n")
    attack(["train", "new", "--config", "t.yaml"], named="s.yaml", code=2)


GROUPS = {"no text": b"\xff\xfe", "no YAML": b"width: [", "a name twice": b"width: 1\nwidth: 2\n"}
GROUPS["aliases that multiply"] = SETTINGS["aliases that multiply"].encode()


@pytest.mark.parametrize("name", GROUPS)
def test_a_file_of_a_group_of_settings_that_cannot_be_is_named(attack, name):
    (attack.folder / "sub").mkdir()
    (attack.folder / "sub" / "group.yaml").write_bytes(GROUPS[name])
    (attack.folder / "sub" / "s.yaml").write_text("model: group.yaml")
    attack(["train", "new", "--model", "sub/group.yaml"], named="sub/group.yaml", code=2)
    attack(["train", "new", "--model=sub/group.yaml"], named="sub/group.yaml", code=2)
    attack(["train", "new", "--config", "sub/s.yaml"], named=["sub/group.yaml", "sub/s.yaml"], code=2)


@pytest.mark.parametrize("content", ["", "null", "# nothing\n", "&a {}", "x: &a 1\ny: *a\n"])
def test_what_a_file_of_settings_may_hold(attack, content):
    from magicpoint.cli.settings_files import read_settings_file

    (attack.folder / "s.yaml").write_text(content)
    assert read_settings_file(attack.folder / "s.yaml") in ({}, {"x": 1, "y": 1})
