"""What is promised of every attack, held for each case, and valid material to spoil."""

import contextlib
import dataclasses
import multiprocessing
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from magicpoint.cli import main
from magicpoint.core import machine
from magicpoint.core.errors import MagicpointError
from magicpoint.core.types import Features, Labels
from magicpoint.io.features import write_features
from magicpoint.io.labels import LABELS
from magicpoint.io.records import write_records
from magicpoint.model.network import PointNetwork
from magicpoint.model.settings import ModelSettings
from magicpoint.model.weights import save_weights
from synthetic_shapes import DatasetError, DatasetSettings, ShapeSettings, generate_dataset

LONGEST_LINE = 400
"""Of what is said of a mistake, without the paths of the test's own folder."""

SECONDS = 60
"""No quick case may take longer, on a machine that does other things besides."""


@contextlib.contextmanager
def at_most(seconds):
    """Ends what takes longer, where the system has alarms."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def end(number, frame):
        raise AssertionError(f"not over after {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


WORDS_OF_A_BUG = ("Traceback", "this is a bug", 'File "')


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a verb returned and said; `line` is the last of the standard error."""

    code: int
    out: str
    err: str
    line: str


def files_of(folder):
    """The bytes of each file in a folder, without opening what is no ordinary file."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def temporaries(folder):
    """What looks as if it had been left over."""
    return sorted(
        path.name for path in folder.rglob("*") if path.name.endswith((".tmp", ".partial")) or path.name.startswith(".")
    )


def check_said(line, named):
    """One line that names what is meant."""
    assert line.strip(), "nothing was said"
    assert len(line.splitlines()) == 1, line
    assert not any(word in line for word in WORDS_OF_A_BUG), line
    assert len(line) <= LONGEST_LINE, f"{len(line)} characters: {line}"
    for word in [named] if isinstance(named, str) else named:
        assert word in line, f"{word!r} is not named: {line}"


class Attack:
    """Runs a verb in a folder and holds what is promised of each."""

    def __init__(self, folder, capsys):
        self.folder, self._capsys = folder, capsys

    @staticmethod
    def status(words):
        """Runs a verb and returns its exit status, with nothing held."""
        try:
            return main([str(word) for word in words])
        except SystemExit as exit:
            return exit.code

    def __call__(self, words, *, named=(), code=(1, 2), changes=(), seconds=SECONDS):
        """Runs a verb.

        Args:
            words: The verb and its arguments.
            named: What the line must name, a word or several, when the verb fails.
            code: The exit statuses that are right.
            changes: The files that were there before and may have other bytes afterwards, and folders of such, with
                a slash.
            seconds: No longer.
        """
        before, left_over = files_of(self.folder), temporaries(self.folder)
        self._capsys.readouterr()
        with at_most(seconds):
            status = self.status(words)
        printed = self._capsys.readouterr()
        err = printed.err.replace(f"{self.folder}/", "")
        lines = [line.rpartition("\r")[2] for line in err.splitlines() if line.strip()]
        outcome = Outcome(status, printed.out, err, lines[-1] if lines else "")
        expected = (code,) if isinstance(code, int) else code
        assert status in expected, f"exit status {status}: {err[-3000:]}"
        assert not any(word in err for word in WORDS_OF_A_BUG), err[-3000:]
        if status:
            assert outcome.line.startswith("magicpoint"), err
            check_said(outcome.line, named)
        after = files_of(self.folder)
        for name, content in before.items():
            if not any(name == changed or (changed.endswith("/") and name.startswith(changed)) for changed in changes):
                assert after.get(name) == content, f"{name} was {'changed' if name in after else 'removed'}"
        assert temporaries(self.folder) == left_over
        assert not multiprocessing.active_children()
        return outcome


@pytest.fixture
def attack(tmp_path, monkeypatch, capsys):
    """Runs a verb in the test's folder, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "_seconds", lambda *_, **__: 1.0)  # no number format is measured to be faster
    return Attack(tmp_path, capsys)


@pytest.fixture
def refused():
    """Calls a reader and holds that it refuses, in one line that names what is meant."""

    def call(function, *arguments, named=(), kinds=(MagicpointError, DatasetError, OSError), **options):
        with at_most(SECONDS), pytest.raises(kinds) as raised:
            function(*arguments, **options)
        folders = {str(Path(value).parent) for value in arguments if isinstance(value, Path)}
        said = str(raised.value)
        for folder in folders:
            said = said.replace(f"{folder}/", "")
        check_said(said, named)
        return said

    return call


def grey_image(height=48, width=64, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def encoded(image, suffix=".png", *options):
    done, data = cv2.imencode(suffix, image, list(options))
    assert done
    return data.tobytes()


class Material:
    """Whole files of each kind, made once."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        self.png, self.jpeg = encoded(grey_image()), encoded(grey_image(), ".jpg")
        rng = np.random.default_rng(0)
        features, labels = {}, {}
        for key in ("a.png", "b/c.png"):
            keypoints = torch.from_numpy(rng.uniform(0, 47, (20, 2)).astype(np.float32))
            scores = torch.from_numpy(np.sort(rng.uniform(0.1, 0.9, 20).astype(np.float32))[::-1].copy())
            descriptors = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(20, 32)).astype(np.float32)))
            features[key] = Features(keypoints, scores, descriptors, (64, 48))
            labels[key] = Labels(keypoints, scores, None, (64, 48), torch.ones(48, 64, dtype=torch.bool))
        self.features = write_features(folder / "features.h5", features, {"weights": "w"}).read_bytes()
        self.labels = write_records(folder / "labels.h5", LABELS, labels, {"weights": "w"}).read_bytes()
        torch.manual_seed(0)
        model = PointNetwork(ModelSettings(width=0.125, descriptor_dim=32))
        self.weights = save_weights(folder / "weights.safetensors", model, {"steps": 1}).read_bytes()
        detector = PointNetwork(ModelSettings(width=0.125))
        self.detector = save_weights(folder / "detector.safetensors", detector, {"steps": 1}).read_bytes()
        settings = DatasetSettings(4, 1, 1, shapes=ShapeSettings(size_hw=(48, 64)))
        generate_dataset(folder / "dataset", settings, workers=1, progress=False)
        self.dataset = files_of(folder / "dataset")
        self.points = self.dataset["training/points/000000.npy"]
        pairs = folder / "pairs" / "v_one"
        pairs.mkdir(parents=True)
        (pairs / "1.png").write_bytes(self.png)
        (pairs / "2.png").write_bytes(encoded(np.roll(grey_image(), 5, 1)))
        (pairs / "H_1_2").write_text("1 0 5\n0 1 0\n0 0 1\n")
        self.pairs = files_of(folder / "pairs")

    def lay(self, files, folder):
        """Writes files into a new folder."""
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    return Material(tmp_path_factory.mktemp("material") / "whole")


@pytest.fixture
def tiny(attack, material):
    """An attack with `tiny.safetensors`, `detector.safetensors` and `a.png` in its folder."""
    (attack.folder / "tiny.safetensors").write_bytes(material.weights)
    (attack.folder / "detector.safetensors").write_bytes(material.detector)
    (attack.folder / "a.png").write_bytes(material.png)
    return attack
