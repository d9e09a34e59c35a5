"""The wheel, in an environment of its own: every file is in it, every module imports, the command runs."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PACKAGES = ("homography", "synthetic_shapes", "magicpoint")
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in PACKAGES
    for path in (ROOT / package).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
)
MODULES = [
    name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    for name in SOURCES
    if name.endswith(".py") and not name.endswith("__main__.py")
]


def run(*words):
    """What a program prints that knows nothing of this checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that neither a build of an earlier layout gets into it nor this one into the checkout."""
    pytest.importorskip("setuptools", "77")
    folder = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder / "dist", folder)
    [path] = (folder / "dist").iterdir()
    return path


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory):
    """The folder of the programs of an environment that has the wheel, and of all else what runs this test."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    here = {name: sysconfig.get_path(name, "venv", {"base": str(folder)}) for name in ("scripts", "purelib")}
    python = Path(here["scripts"]) / Path(sys.executable).name
    options = ("--no-deps", "--no-index", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel)
    # Not as folders of packages, whose own .pth files would be read, among them that of an editable install.
    others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (Path(here["purelib"]) / "others.pth").write_text("\n".join(others) + "\n", encoding="utf-8")
    return Path(here["scripts"])


def test_every_file_of_the_packages_is_in_the_wheel_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        metadata = [name for name in archive.namelist() if ".dist-info/" in name]
    assert sorted(names) == SOURCES
    assert {".safetensors", ".md", ".yaml", ".typed", ".pyi"} <= {
        Path(name).suffix or Path(name).name for name in names
    }
    assert any(name.endswith("LICENSE") for name in metadata)


def test_every_module_imports_from_it(programs):
    code = (
        "import importlib.util, magicpoint, homography, synthetic_shapes\n"
        "from magicpoint.core.errors import MissingPackageError\n"
        f"for name in {MODULES!r}:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "    except MissingPackageError:\n"  # a bridge to a program that is not installed
        "        assert name.startswith('magicpoint.interop.')\n"
        "    print(name, importlib.util.find_spec(name).origin)\n"
    )
    lines = run(programs / "python", "-I", "-W", "ignore", "-c", code).splitlines()
    assert [line.split()[0] for line in lines] == MODULES
    for line in lines:
        assert Path(line.split(maxsplit=1)[1]).resolve().is_relative_to(programs.parent.resolve())


def test_the_command_finds_keypoints_with_weights_that_are_in_it(programs, tmp_path):
    image = np.zeros((64, 80), np.uint8)
    cv2.rectangle(image, (20, 16), (55, 45), 200, -1)
    assert cv2.imwrite(str(tmp_path / "a.png"), image)
    assert "extract" in run(programs / "magicpoint", "--help")
    words = ("extract", tmp_path / "a.png", "--out", tmp_path / "f.h5", "--weights", "superpoint-tiny")
    assert "keypoints in 1 images" in run(programs / "magicpoint", *words)
    code = f"from magicpoint import read_features\nprint(len(read_features({str(tmp_path / 'f.h5')!r})['a.png']))"
    assert int(run(programs / "python", "-I", "-c", code)) >= 4
