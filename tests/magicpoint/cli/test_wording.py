"""What is said of wrong words: the option, what it takes, and what was meant."""

import pytest

from magicpoint.cli import main
from magicpoint.cli.wording import plain, with_underscores

EXTRACT = ["extract", "a.png", "--out", "f.h5"]
TRAIN = ["train", "run"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*EXTRACT, "--threshold", "abc"], "--threshold must be a number, got abc"),
        ([*EXTRACT, "--max_keypoints", "x"], "--max_keypoints must be a whole number or null, got x"),
        ([*EXTRACT, "--subpixel", "3"], "--subpixel must be true or false, got 3"),
        ([*EXTRACT, "--treshold", "0.1"], "unrecognized arguments: --treshold 0.1: did you mean --threshold?"),
        ([*EXTRACT, "--zzz"], "unrecognized arguments: --zzz"),
        ([*EXTRACT, "--backend", "onnx"], "--backend must be torch or onnxruntime, got onnx"),
        ([*TRAIN, "--steps", "null"], "--steps must be a whole number, got null"),
        ([*TRAIN, "--precision", "x"], "--precision must be auto, float32, bfloat16 or float16, got x"),
        ([*TRAIN, "--model.widht=2"], "unrecognized arguments: --model.widht=2: did you mean --model.width?"),
        ([*TRAIN, "--augmentation", "3"], "--augmentation must be a group of settings or a YAML file with one, got 3"),
    ],
)
def test_an_option_is_named_with_what_it_takes(capsys, words, said):
    with pytest.raises(SystemExit) as exit_status:
        main(words)
    assert exit_status.value.code == 2
    verb = words[0]
    assert capsys.readouterr().err == f"magicpoint {verb}: {said} (see magicpoint {verb} --help)\n"


def test_a_verb_that_was_meant_is_named(capsys):
    with pytest.raises(SystemExit) as exit_status:
        main(["extrct", "a.png"])
    assert exit_status.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith("magicpoint: VERB must be generate, ")
    assert printed.endswith(", got extrct: did you mean extract? (see magicpoint --help)\n")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("--max-keypoints", "--max_keypoints"),
        ("--views.first-warp-probability=a-b", "--views.first_warp_probability=a-b"),
        ("--max_keypoints", "--max_keypoints"),
        ("a-b.png", "a-b.png"),
        ("-1e-3", "-1e-3"),
        ("--", "--"),
        ("--1-2", "--1-2"),
    ],
)
def test_hyphens_in_the_name_of_an_option_are_underscores(word, expected):
    assert with_underscores(word) == expected


def test_hyphens_are_read(capsys):
    assert main([*TRAIN, "--warmup-steps", "7", "--shapes.size-hw=48x64", "--print-config"]) == 0
    printed = capsys.readouterr().out
    assert "warmup_steps: 7" in printed
    assert "48x64" in printed


def test_what_is_not_known_stays_in_one_line():
    assert plain("something\n  else", ["--out"]) == "something else"
