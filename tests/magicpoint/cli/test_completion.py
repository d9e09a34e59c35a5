"""What a shell is told when it asks how a word may go on."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("argcomplete")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("magicpoint ex", {"export", "extract"}),
        ("magicpoint extract photographs --max_k", {"--max_keypoints"}),
        ("magicpoint extract --backend o", {"onnxruntime"}),
        ("magicpoint train run --task superpoint --descriptor_t", {"--descriptor_temperature"}),
        ("magicpoint train run --task magicpoint --descriptor_t", set()),
    ],
)
def test_words_go_on(tmp_path, line, expected):
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "|"}
    said = {"_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "said")}
    words = [sys.executable, "-m", "magicpoint"]
    done = subprocess.run(words, env={**os.environ, **asked, **said}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    words = (tmp_path / "said").read_text().split("|")
    assert {word.strip() for word in words} - {""} == expected
