"""`--help`: every verb lists each of its options with a sentence."""

import re
import subprocess
import sys

import pytest

import magicpoint
from magicpoint.cli import main
from magicpoint.cli.verbs import VERBS
from magicpoint.evaluation.methods.opencv import ON_PAIRS, ON_SHAPES
from magicpoint.export.formats import FORMATS


def printed_by(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def explanations(text):
    """What a help says of a name: an indented line begins with it, and after a gap or an end of line comes the text."""
    found = {}
    for entry in re.split(r"\n {2,4}(?=\S)", text)[1:]:
        names, _, explanation = re.sub(r" {2,}|\n *", "\v", entry.split("\n\n")[0]).partition("\v")
        for name in re.findall(r"--[\w.]+|^[\w-]+", names):
            found[name] = " ".join(explanation.split())
    return found


def is_a_sentence(text):
    """Whether it ends as one and has some words, without the type and the default that are added to it."""
    said = re.sub(r" ?\((?:required|default|type).*$", "", text)
    return said.endswith((".", ":")) and len(said.split()) >= 2


def test_without_a_verb_all_of_them_are_listed_with_a_sentence(capsys):
    listed = explanations(printed_by(["--help"], capsys))
    assert {name: listed.get(name) for name in VERBS} == {name: verb.SUMMARY for name, verb in VERBS.items()}
    assert all(is_a_sentence(verb.SUMMARY) for verb in VERBS.values())


def test_the_version_is_that_of_the_package(capsys):
    assert printed_by(["--version"], capsys) == f"magicpoint {magicpoint.__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_each_argument_of_a_verb_has_a_sentence(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = printed_by([verb, "--help"], capsys)
    assert VERBS[verb].SUMMARY in text
    usage, explained = text.split("\n\n")[0], explanations(text)
    named = {*re.findall(r"--[\w.]+", usage), *explained}
    assert named > {"--help"}
    assert {name: explained.get(name, "") for name in named if not is_a_sentence(explained.get(name, ""))} == {}


def test_the_help_names_what_the_tables_hold_that_it_does_not_load(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    help_of = {verb: explanations(printed_by([verb, "--help"], capsys)) for verb in ("evaluate", "export")}
    words = {name: set(re.findall(r"[\w-]+", text)) for verb in help_of.values() for name, text in verb.items()}
    assert {*ON_PAIRS, *ON_SHAPES} - {"akaze"} <= words["--methods"]
    assert set(FORMATS) <= words["--format"]
    assert {kind for format in FORMATS.values() for kind in format.kinds} <= words["--kind"]
    assert {name for format in FORMATS.values() for name in format.precisions} <= words["--precision"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "onx"], "--format must be onnx or transformers or magicleap, got onx"),
        (["--kind", "sparse"], "weights, got sparse"),
        (["--precision", "int4"], "--precision must be float32 or int8, got int4"),
    ],
)
def test_export_refuses_what_is_in_no_table(words, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["export", "--out", str(tmp_path / "n.onnx"), *words])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_comes_without_torch(words):
    code = (
        "import sys\nfrom magicpoint.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as stopped:\n    assert stopped.code == 0\n"
        "assert not {'torch', 'cv2', 'scipy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
