"""Files whose names hold line breaks, what a terminal obeys, or bytes that are no text: what is said stays one line."""

import os
import sys

import pytest

from magicpoint.cli.wording import LONGEST_LINE, in_one_line
from magicpoint.io.features import read_features

NAMES = {
    "a line break": "a\nb.png",
    "a carriage return": "a\rb.png",
    "an escape": "a\x1b[31mb\x07.png",
    "a mark of direction": "a\u202eb.png",
    "a line separator": "a\u2028b.png",
    "letters of the world": "é図.png",
    "no text": os.fsdecode(b"a\xffb.png"),
    "an option": "--out.png",
    "a pattern": "[ab]*?.png",
    "spaces": " a .png",
    "long": "x" * 200 + ".png",
}
WEIGHTS = ["--weights", "tiny.safetensors"]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such names there")


def write(folder, name, content):
    try:
        (folder / name).write_bytes(content)
    except (OSError, UnicodeError):
        pytest.skip("no such name on this disk")


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_of_such_a_name_is_refused_in_one_line(tiny, name):
    write(tiny.folder, NAMES[name], b"damaged")
    for words in (["match", f"./{NAMES[name]}", "a.png"], ["extract", f"./{NAMES[name]}", "--out", "f.h5"]):
        outcome = tiny([*words, *WEIGHTS])
        assert all(letter.isprintable() for letter in outcome.line)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_of_such_a_name_is_extracted_or_skipped_with_a_word(tiny, material, name):
    (tiny.folder / "in").mkdir()
    write(tiny.folder / "in", NAMES[name], material.png)
    write(tiny.folder / "in", "b.png", material.png)
    tiny(["extract", "in", "--out", "f.h5", *WEIGHTS], code=0)
    found = read_features(tiny.folder / "f.h5")
    assert set(found) | set(found.skipped) == {NAMES[name], "b.png"} or name == "no text"
    assert "b.png" in found


def test_a_message_is_one_line_of_letters():
    assert in_one_line("a\n b\x1b[2J\tc\x85d") == "a b\\x1b[2J c d"
    assert len(in_one_line("x" * 10**6)) <= LONGEST_LINE + 5
