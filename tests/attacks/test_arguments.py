"""Options with values that they cannot have, and words that belong together in no way."""

import os

import pytest

from magicpoint.cli.parser import Parser
from magicpoint.cli.verbs import VERBS

BASES = {
    "generate": ["new", "--count", "1", "--validation_count", "0", "--test_count", "0", "--workers", "1"],
    "generate-scenes": ["new", "--count", "1"],
    "convert": ["absent", "new"],
    "train": ["run", "--dataset", "absent"],
    "adapt": ["a.png", "--out", "l.h5", "--weights", "detector.safetensors"],
    "labels": ["a.png", "--points", "absent", "--out", "l.h5"],
    "evaluate": ["--out", "e", "--weights", "tiny.safetensors"],
    "extract": ["a.png", "--out", "f.h5", "--weights", "tiny.safetensors"],
    "match": ["a.png", "a.png", "--out", "m.png", "--weights", "tiny.safetensors"],
    "colmap": ["images", "--out", "sfm", "--weights", "tiny.safetensors"],
    "track": ["a.png", "--out", "t", "--weights", "tiny.safetensors"],
    "locate": ["a.png", "--templates", "a.png", "--out", "l", "--weights", "tiny.safetensors"],
    "finetune": ["a.png", "--out", "f", "--weights", "tiny.safetensors"],
    "soup": ["tiny.safetensors", "tiny.safetensors", "--out", "s.safetensors"],
    "import": ["a.png", "--out", "w.safetensors", "--source", "s", "--licence", "l"],
    "merge": ["absent.h5", "--out", "m.h5"],
    "check": ["absent.h5"],
    "info": ["tiny.safetensors"],
    "export": ["--out", "w.onnx", "--weights", "tiny.safetensors"],
}
"""Words with which a verb works, or fails soon."""

DATASETS = {"rooms": ["pairs", "--dataset", "interiors"], "photographs": ["pairs", "--dataset", "robustness"]}
DATASETS |= {
    "pairs": ["--dataset", "verify"],
    "scenes": ["--dataset", "scenes"],
    "keypoints": ["pairs", "--dataset", "homography"],
}
"""What an option is read with."""

NEGATIVE_IS_RIGHT = {"min_similarity"}


def numeric_options(name):
    """The options of a verb whose values are numbers, each with whether they are whole."""
    parser = Parser(prog=name)
    VERBS[name].add(parser)
    if parser._add is not None:
        parser._add(["run"])
    for action in parser._actions:
        kind = str(getattr(action, "_typehint", None) or action.type)
        if action.option_strings and any(number in kind for number in ("'int'", "'float'", "int |", "float |")):
            yield action.option_strings[0], "int" in kind


OPTIONS = [(verb, option, whole) for verb in VERBS for option, whole in numeric_options(verb)]


def values(verb, option, whole):
    """What must be refused; of verbs with many options the values that differ most."""
    name = option.rpartition(".")[2].lstrip("-")
    negative = [] if name in NEGATIVE_IS_RIGHT else ["-2"]
    if verb in ("train", "finetune"):
        return ["nan", *negative]
    return ["nan", *negative, "word", "", "[1]", "{a: 1}", *(["1.5", "inf", "1e400"] if whole else ["-inf"])]


@pytest.mark.parametrize(("verb", "option", "whole"), OPTIONS, ids=[f"{verb}{option}" for verb, option, _ in OPTIONS])
def test_a_number_that_an_option_cannot_have_is_refused_by_its_name(tiny, material, verb, option, whole):
    material.lay(material.pairs, tiny.folder / "pairs")
    name = option.lstrip("-")
    for value in values(verb, option, whole):
        words = [verb, *DATASETS.get(name, []), *BASES[verb], f"{option}={value}"]
        tiny(words, named=name.rpartition(".")[2])


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--no_such_option", "1"], "--no_such_option"),
        (["--no-such-option"], "such"),
        (["-x"], "-x"),
        (["--weights"], ""),
    ],
    ids=["unknown", "hyphens", "short", "without a value"],
)
def test_an_option_that_there_is_not_is_named(tiny, verb, words, named):
    tiny([verb, *BASES[verb], *words], code=2, named=named)


@pytest.mark.parametrize("verb", VERBS)
def test_without_arguments_a_verb_says_which_it_needs(attack, verb):
    outcome = attack([verb], code=2)
    assert "required" in outcome.line


@pytest.mark.parametrize("words", [[], ["no_such_verb"], ["--no_such_option"], ["extract\n"], [""]])
def test_without_a_verb_the_usage_is_shown(attack, words):
    assert attack.status(words) == 2


ABSENT = [
    (["extract", "absent.png", "--out", "f.h5"], "absent.png"),
    (["extract", "a.png", "absent", "--out", "f.h5"], "absent"),
    (["extract", "a.png", "--out", "f.h5", "--weights", "absent"], "absent"),
    (["extract", "a.png", "--out", "f.h5", "--weights", ""], "weights"),
    (["extract", "a.png", "--out", "f.h5", "--weights", "folder"], "folder"),
    (["extract", "a.png", "--out", "f.h5", "--weights", "a.png"], "a.png"),
    (["extract", "folder", "--out", "f.h5"], "folder"),
    (["extract", "a.png", "--out", "folder"], "folder"),
    (["extract", "a.png", "--out", "."], "."),
    (["extract", "a.png", "--out", ""], ""),
    (["extract", "a.png", "--out", "a.png/f.h5"], "a.png"),
    (["extract", "a.png", "--out", "a.png"], "a.png"),
    (["extract", "a.png", "--out", "f.h5", "--overlay", "a.png"], "a.png"),
    (["extract", "a.png", "--out", "f.h5", "--backend", "none"], "backend"),
    (["extract", "a.png", "--out", "f.h5", "--precision", "float8"], "precision"),
    (["extract", "a.png", "--out", "f.h5", "--device", "meta"], "device"),
    (["extract", "a.png", "--out", "f.h5", "--device", "xla:0"], "device"),
    (["train", "run", "--steps", "1", "--batch_size", "1000000000"], "batch_size"),
    (["finetune", "a.png", "--out", "f", "--batch_size", "65537"], "batch_size"),
    (["finetune", "a.png", "--out", "f", "--students", "0.5", "-1"], "students"),
    (["finetune", "a.png", "--out", "f", "--students", "nan"], "students"),
    (["evaluate", "--out", "e", "--images_per_shape", "1000000000"], "images_per_shape"),
    (["extract", "x" * 300, "--out", "f.h5"], ""),
    (["extract", "a.png", "--out", "x" * 300], ""),
    (["extract", "a.png", "--out", "f.h5", "--json=1"], "json"),
    (["extract", "a.png", "--out", "f.h5", "--subpixel", "maybe"], "subpixel"),
    (["adapt", "absent", "--out", "l.h5"], "absent"),
    (["adapt", "a.png", "--out", "folder"], "folder"),
    (["adapt", "a.png", "--out", "a.png"], "a.png"),
    (["adapt", "a.png", "--out", "l.h5", "--weights", "absent"], "absent"),
    (["adapt", "folder", "--out", "l.h5"], "folder"),
    (["adapt", "a.png", "--out", "l.h5", "--overlay", "a.png"], "a.png"),
    (["match", "absent.png", "a.png"], "absent.png"),
    (["match", "a.png", "absent.png"], "absent.png"),
    (["match", "a.png", "folder"], "folder"),
    (["match", "a.png", "a.png", "--out", "folder"], "folder"),
    (["match", "a.png", "a.png", "--out", "a.png"], "a.png"),
    (["match", "a.png", "a.png", "--out", "a.png/m.png"], "a.png"),
    (["match", "a.png", "a.png", "--weights", "detector.safetensors"], "descriptors"),
    (["match", "a.png"], "a second image"),
    (["match", "a.png", "a.png", "a.png"], "a.png"),
    (["locate", "absent", "--templates", "a.png", "--out", "l"], "absent"),
    (["locate", "a.png", "--templates", "absent", "--out", "l"], "absent"),
    (["locate", "a.png", "--templates", "folder", "--out", "l"], "folder"),
    (["locate", "a.png", "--templates", "a.png", "--out", "a.png"], "a.png"),
    (["locate", "a.png", "--templates", "a.png", "--out", "l", "--weights", "magicpoint"], "magicpoint"),
    (["track", "absent", "--out", "t"], "absent"),
    (["track", "absent.mp4", "--out", "t"], "absent.mp4"),
    (["track", "999", "--out", "t"], "999"),
    (["track", "-1", "--out", "t"], "-1"),
    (["track", "folder", "--out", "t"], "folder"),
    (["track", "*.jpg", "--out", "t"], "*.jpg"),
    (["track", "a.png", "--out", "a.png"], "a.png"),
    (["track", "a.png", "--out", "t", "--max_frames", "0"], "max_frames"),
    (["generate", "a.png", "--count", "1"], "a.png"),
    (["generate", "a.png/d", "--count", "1"], "a.png"),
    (["generate", "new", "--size_hw", "8x8"], "size_hw"),
    (["generate", "new", "--size_hw", "0x0"], "size"),
    (["generate", "new", "--size_hw", "-48x64"], "size"),
    (["generate", "new", "--size_hw", "word"], "size"),
    (["generate", "new", "--size_hw", "nanxnan"], "size"),
    (["generate", "new", "--shapes", "dragon"], "dragon"),
    (["generate", "new", "--count", "0", "--validation_count", "0", "--test_count", "0"], "count"),
    (["generate", "new", "--count", "100000000000", "--workers", "1"], "count"),
    (["generate", "new", "--count", "1", "--size_hw", "1000000x1000000", "--workers", "1"], "size_hw"),
    (["convert", "absent", "new"], "absent"),
    (["convert", "a.png", "new"], "a.png"),
    (["convert", "folder", "new"], "folder"),
    (["convert", "folder", "a.png"], ""),
    (["convert", "folder", "new", "--drawn_size", "0x0"], "size"),
    (["train", "a.png"], "a.png"),
    (["train", "run", "--dataset", "absent"], "absent"),
    (["train", "run", "--dataset", "folder"], "folder"),
    (["train", "run", "--dataset", "a.png"], "a.png"),
    (["train", "run", "--start", "absent"], "absent"),
    (["train", "run", "--start", "a.png"], "a.png"),
    (["train", "run", "--config", "absent"], "absent"),
    (["train", "run", "--config", "folder"], "folder"),
    (["train", "run", "--config", ""], "config"),
    (["train", "run", "--images", "a.png", "--labels", "absent.h5"], "absent.h5"),
    (["train", "run", "--images", "a.png", "--labels", "folder"], "folder"),
    (["train", "run", "--images", "a.png", "--labels", "a.png"], "a.png"),
    (["train", "run", "--detector_loss", "none"], "detector_loss"),
    (["train", "run", "--precision", "int8"], "precision"),
    (["train", "run", "--seed", "18446744073709551616"], "seed"),
    (["finetune", "absent", "--out", "f"], "absent"),
    (["finetune", "folder", "--out", "f"], "folder"),
    (["finetune", "a.png", "--out", "a.png"], "a.png"),
    (["finetune", "a.png", "--out", "f", "--weights", "absent"], "absent"),
    (["finetune", "a.png", "--out", "f", "--seed", "18446744073709551616"], "seed"),
    (["evaluate", "absent", "--dataset", "homography", "--out", "e"], "absent"),
    (["evaluate", "absent", "--out", "e"], "absent"),
    (["evaluate", "folder", "--out", "e"], "folder"),
    (["evaluate", "a.png", "--dataset", "homography", "--out", "e"], "a.png"),
    (["evaluate", "folder", "--dataset", "interiors", "--out", "e"], "folder"),
    (["evaluate", "folder", "--dataset", "robustness", "--out", "e"], "folder"),
    (["evaluate", "a.png", "--dataset", "robustness", "--changes", "fog", "--out", "e"], "fog"),
    (["evaluate", "folder", "--dataset", "synthetic", "--out", "e"], "folder"),
    (["evaluate", "--dataset", "homography", "--out", "e"], "homography"),
    (["evaluate", "--images_per_shape", "0", "--out", "e"], "images_per_shape"),
    (["evaluate", "--methods", "none", "--out", "e"], "none"),
    (["evaluate", "--out", "e", "--weights", "absent"], "absent"),
    (["evaluate", "--out", "a.png", "--images_per_shape", "1", "--methods"], "a.png"),
    (["soup", "absent", "absent", "--out", "s.safetensors"], "absent"),
    (["soup", "tiny.safetensors", "a.png", "--out", "s.safetensors"], "a.png"),
    (["soup", "tiny.safetensors", "--out", "s.safetensors"], "at least two"),
    (["import", "absent", "--out", "w.safetensors", "--source", "s", "--licence", "l"], "absent"),
    (["import", "folder", "--out", "w.safetensors", "--source", "s", "--licence", "l"], "folder"),
    (["import", "a.png", "--out", "w.safetensors", "--source", "s", "--licence", "l"], "a.png"),
    (["import", "a.png", "--out", "w.safetensors", "--source", " ", "--licence", "l"], "source"),
    (["import", "a.png", "--out", "w.safetensors", "--source", "s", "--licence", ""], "licence"),
    (["import", "a.png", "--out", "w.pth", "--source", "s", "--licence", "l"], ".safetensors"),
    (["export", "--out", "w.onnx", "--weights", "absent"], "absent"),
    (["export", "--out", "w.onnx", "--weights", "a.png"], "a.png"),
    (["export", "--out", "w.onnx", "--format", "word"], "format"),
    (["export", "--out", "w.onnx", "--kind", "word"], "kind"),
    (["export", "--out", "w.txt"], "w.txt"),
    (["export", "--out", "tiny.safetensors", "--weights", "tiny.safetensors"], "tiny.safetensors"),
]


@pytest.mark.parametrize(("words", "named"), ABSENT, ids=[" ".join(words)[:70] for words, _ in ABSENT])
def test_a_path_or_a_word_that_cannot_be_is_named(tiny, words, named):
    (tiny.folder / "folder").mkdir()
    weights = {"extract": "tiny", "match": "tiny", "track": "tiny", "finetune": "tiny", "evaluate": "tiny"}
    verb = words[0]
    if verb in weights and "--weights" not in words:
        words = [*words, "--weights", f"{weights[verb]}.safetensors"]
    tiny(words, named=named)


PIPES = [
    (["match", "a.png", "a.png", "--model", "essential", "--intrinsics", "pipe"], "pipe"),
    (["match", "features.h5", "--pairs", "pipe", "--out", "m.h5"], "pipe"),
    (["evaluate", "pairs", "--out", "e", "--methods"], "H_1_2"),
    (["train", "run", "--config", "pipe"], "pipe"),
    (["labels", "a.png", "--points", "pipe", "--out", "l.h5"], "pipe"),
]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names there")
@pytest.mark.parametrize(("words", "named"), PIPES, ids=[" ".join(words)[:70] for words, _ in PIPES])
def test_a_pipe_in_the_place_of_a_text_is_refused_without_waiting(tiny, material, words, named):
    material.lay(material.pairs, tiny.folder / "pairs")
    (tiny.folder / "pairs/v_one/H_1_2").unlink()
    (tiny.folder / "features.h5").write_bytes(material.features)
    for name in ("pipe", "pairs/v_one/H_1_2"):
        os.mkfifo(tiny.folder / name)
    weights = ["--weights", "tiny.safetensors"] if words[0] in ("evaluate", "match") and "--pairs" not in words else []
    tiny([*words, *weights], named=named, seconds=20)
