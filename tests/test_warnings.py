"""Warnings are errors in the project's own code: a verb runs where Python makes them so."""

import os
import subprocess
import sys

import pytest

RUNS = [
    ["extract", "--help"],
    ["train", "--help", "--task", "superpoint"],
    ["train", "run", "--config", "superpoint-small", "--images", "a", "--labels", "l.h5", "--print_config"],
    ["generate", "new", "--count", "1", "--validation_count", "0", "--test_count", "0", "--size_hw", "48x64"],
]


@pytest.mark.slow
@pytest.mark.parametrize("words", RUNS, ids=lambda words: " ".join(words[:2]))
def test_a_verb_runs_where_warnings_are_errors(tmp_path, words):
    command = [sys.executable, "-W", "error", "-m", "magicpoint", *words]
    environment = {**os.environ, "PYTHONWARNINGS": "error"}  # for the processes that it starts
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
