"""What the command line says when something goes wrong: one line of what a user can mend, everything of a bug."""

from importlib import metadata

import cv2
import numpy as np
import pytest
import torch

from magicpoint.cli import VERBS, main
from magicpoint.core.errors import InputError, MachineError, MissingPackageError
from magicpoint.io.video import SourceEnded
from magicpoint.training.tasks.base import TrainingError
from synthetic_shapes import DatasetError

EXPORT = ["export", "--out", "w.onnx"]


def raising(monkeypatch, error):
    def run(arguments):
        raise error

    monkeypatch.setattr(VERBS["export"], "run", run)


@pytest.mark.parametrize(
    "kind", [InputError, MissingPackageError, MachineError, TrainingError, SourceEnded, DatasetError, OSError]
)
def test_what_a_user_can_mend_is_one_line(monkeypatch, capsys, kind):
    raising(monkeypatch, kind("f.png is damaged"))
    assert main(EXPORT) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "magicpoint: f.png is damaged\n")


def test_a_bug_keeps_its_traceback(monkeypatch, capsys):
    def run(arguments):
        return np.zeros(3) + np.zeros(2)

    monkeypatch.setattr(VERBS["export"], "run", run)
    assert main(EXPORT) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "return np.zeros(3) + np.zeros(2)" in lines[-3] + lines[-4]
    assert lines[-2].startswith("ValueError: operands could not be broadcast together")
    assert lines[-1].startswith("magicpoint: this is a bug of version ")


@pytest.mark.parametrize("error", [RuntimeError("shape"), ValueError("shape"), KeyError("a"), ImportError("no name b")])
def test_errors_of_no_class_of_ours_are_bugs(monkeypatch, capsys, error):
    raising(monkeypatch, error)
    assert main(EXPORT) == 1
    assert "Traceback" in (said := capsys.readouterr().err)
    assert "this is a bug" in said


@pytest.mark.parametrize("error", [MemoryError("9 GB"), torch.OutOfMemoryError("9 GB")])
def test_too_little_memory_is_no_bug(monkeypatch, capsys, error):
    raising(monkeypatch, error)
    assert main(EXPORT) == 1
    assert capsys.readouterr().err == "magicpoint: out of memory: 9 GB\n"


def test_an_interruption_says_how_to_go_on(monkeypatch, capsys):
    raising(monkeypatch, KeyboardInterrupt("the same command goes on"))
    assert main(EXPORT) == 130
    assert capsys.readouterr().err == "\nmagicpoint: the same command goes on\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["match", "a.png", "a.png", "--weights", "magicpoint"], "matching needs descriptors"),
        (["extract", "a.png", "--out", "f.h5", "--backend", "onnxruntime", "--precision", "int8"], "onnxruntime"),
        (["extract", "b.txt", "--out", "f.h5"], "b.txt, line 1: no file"),
        (["track", "b.txt", "--out", "t"], "no video"),
        (["generate", "a.png", "--count", "1"], "a file, not a folder"),
        (["generate", "d", "--count", "1", "--workers", "0"], "workers must be at least 1"),
        (["convert", "b.txt", "d"], "damaged"),
        (["train", "run", "--start", "b.txt"], "b.txt is damaged"),
        (["train", "begun", "--resume"], "last.state is damaged"),
        (["evaluate", ".", "--dataset", "homography", "--out", "e"], "no sequences"),
        (["evaluate", "--images_per_shape", "0", "--out", "e"], "images_per_shape must be from 1"),
        (["adapt", ".", "--out", "b.txt"], "b.txt is damaged or no label file"),
        (["finetune", "a.png", "--out", "f"], "two are needed"),
    ],
)
def test_mistakes_are_no_bugs(tmp_path, monkeypatch, capsys, words, said):
    import cv2

    monkeypatch.chdir(tmp_path)
    assert cv2.imwrite("a.png", np.random.default_rng(0).integers(0, 256, (48, 64)).astype(np.uint8))
    (tmp_path / "b.txt").write_text("no image")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "last.state").write_text("no state")
    assert main(words) == 1
    err = capsys.readouterr().err
    assert said in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize("second", ["opencv-python", "opencv-contrib-python-headless", None])
def test_two_flavours_of_opencv_are_warned_of(monkeypatch, capsys, second):
    def version(name):
        if name in ("opencv-python-headless", second):
            return "4.12"
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(VERBS["export"], "run", lambda arguments: None)
    assert main(EXPORT) == 0
    printed = capsys.readouterr().err
    if second is None:
        assert not printed
    else:
        assert printed.startswith("several flavours of OpenCV are installed (")
        assert f"{second} 4.12" in printed
        assert printed.count("\n") == 1


@pytest.mark.parametrize("quiet", [False, True])
def test_quiet_leaves_warnings_alone(tmp_path, capsys, quiet):
    image = np.zeros((40, 48), np.uint8)
    image[10:30, 10:30] = 255
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.png"), image)
    (tmp_path / "in" / "b.png").write_bytes(b"none")
    words = ["extract", str(tmp_path / "in"), "--weights", "superpoint-tiny", "--out", str(tmp_path / "f.h5")]
    assert main([*words, *(["--quiet"] if quiet else [])]) == 0
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 1
    assert "skipped b.png" in printed.err
    assert ("image/s" in printed.err) == (not quiet)
