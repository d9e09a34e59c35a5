"""The examples of docs/adding.md work as they are written."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
BLOCK = re.compile(r'^```(\w+)(?: title="(.*?)")?\n(.*?)^```', re.DOTALL | re.MULTILINE)
IGNORED = shutil.ignore_patterns("__pycache__", "*.safetensors")


def copy_of_the_packages(folder):
    for package in ("homography", "synthetic_shapes", "magicpoint"):
        shutil.copytree(ROOT / package, folder / package, ignore=IGNORED)
    tiny = Path("magicpoint", "weights", "superpoint-tiny.safetensors")
    shutil.copy(ROOT / tiny, folder / tiny)


def apply(path, change):
    """Puts what a diff adds where its other lines are; they must be there once."""
    lines = [line or " " for line in change.splitlines()]
    assert {line[0] for line in lines} <= {" ", "+", "-"}
    before, after = ("".join(f"{line[1:]}\n" for line in lines if line[0] in kinds) for kinds in (" -", " +"))
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"docs/adding.md: bring this diff up to date, {path} has not once:\n{before}"
    path.write_text(text.replace(before, after), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS)
def test_an_example_works_as_it_is_written(section, tmp_path):
    package, elsewhere = tmp_path / "package", tmp_path / "elsewhere"
    copy_of_the_packages(package)
    shutil.copytree(ROOT / "notebooks" / "images", elsewhere / "notebooks" / "images")
    environment = {**os.environ, "PYTHONPATH": str(package), "PYTHONWARNINGS": "ignore"}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    ran = 0
    for language, title, code in BLOCK.findall(SECTIONS[section]):
        if language == "diff":
            apply(package / title, code)
        elif title:
            (package / title).write_text(code, encoding="utf-8")
        elif language == "python":
            run("-c", code)
            ran += 1
        else:
            for line in code.splitlines():
                program, *words = shlex.split(line)
                assert program == "magicpoint"
                run("-m", "magicpoint", *words)
                ran += 1
    assert ran


def test_the_list_at_the_top_names_every_example():
    listed = re.findall(r"^\| \[(.*?)\]\(#(.*?)\)", PAGE, re.MULTILINE)
    assert [name.capitalize() for name, _ in listed] == list(SECTIONS)
    assert [anchor for _, anchor in listed] == [name.lower().replace(" ", "-") for name in SECTIONS]
