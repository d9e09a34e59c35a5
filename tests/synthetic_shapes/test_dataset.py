import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from synthetic_shapes import DatasetError
from synthetic_shapes.dataset import DatasetSettings, ShapesDataset, generate_dataset
from synthetic_shapes.manifest import read_manifest
from synthetic_shapes.sample import ShapeSettings, render_sample
from synthetic_shapes.sample_files import sample_digest

SMALL = ShapeSettings(size_hw=(48, 64))
SETTINGS = DatasetSettings(count=36, validation_count=9, test_count=9, seed=5, shapes=SMALL)


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """The settings' dataset, made in this process; tests must not change it."""
    root = tmp_path_factory.mktemp("generated") / "dataset"
    generate_dataset(root, SETTINGS, workers=1, progress=False)
    return root


@pytest.fixture
def small(tmp_path):
    """A dataset of four samples to be damaged."""
    generate_dataset(tmp_path / "small", DatasetSettings(3, 1, 0, shapes=SMALL), workers=1, progress=False)
    return tmp_path / "small"


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_layout_and_types(generated):
    manifest = json.loads((generated / "dataset.json").read_text())
    assert manifest["splits"] == {"training": 36, "validation": 9, "test": 9}
    assert (manifest["size_hw"], manifest["settings"]["seed"], len(manifest["digest"])) == ([48, 64], 5, 64)
    assert set(manifest["versions"]) == {"magicpoint", "numpy", "opencv"}
    image = cv2.imread(str(generated / "training" / "images" / "000035.png"), cv2.IMREAD_UNCHANGED)
    points = np.load(generated / "training" / "points" / "000035.npy", allow_pickle=False)
    expected_image, expected_points = render_sample(5, 35, SMALL, "training")
    np.testing.assert_array_equal(image, expected_image)
    np.testing.assert_array_equal(points, expected_points)
    assert (image.shape, image.dtype, points.dtype) == ((48, 64), np.uint8, np.float32)
    assert len(files(generated)) == 2 * 54 + 1


def test_same_files_from_two_workers(generated, tmp_path):
    generate_dataset(tmp_path / "two", SETTINGS, workers=2, progress=False)
    assert files(tmp_path / "two") == files(generated)
    ShapesDataset(tmp_path / "two", "training").verify(workers=1)


def test_splits_share_no_sample(generated):
    digests = [
        {sample_digest(*sample) for sample in ShapesDataset(generated, split)}
        for split in ("training", "validation", "test")
    ]
    assert [len(part) for part in digests] == [36, 9, 9]
    assert len(set.union(*digests)) == 54


def test_a_larger_count_keeps_the_samples(generated, tmp_path):
    settings = DatasetSettings(count=2, validation_count=0, test_count=0, seed=5, shapes=SMALL)
    generate_dataset(tmp_path / "fewer", settings, workers=1, progress=False)
    assert (tmp_path / "fewer/training/images/000001.png").read_bytes() == (
        generated / "training/images/000001.png"
    ).read_bytes()
    assert not (tmp_path / "fewer" / "test").exists()


def test_rerun_repairs(small):
    before = files(small)
    (small / "training/images/000000.png").unlink()
    (small / "training/points/000001.npy").unlink()
    image = small / "training/images/000002.png"
    image.write_bytes(image.read_bytes()[:-20])
    (small / "validation/points/000000.npy").write_bytes(b"")
    (small / "validation/points/.000000.npy.123.tmp").write_bytes(b"half")
    (small / ".dataset.json.123.tmp").write_bytes(b"half")
    generate_dataset(small, DatasetSettings(3, 1, 0, shapes=SMALL), workers=1, progress=False)
    assert files(small) == before


def test_rerun_reports_changed_samples(small):
    image = small / "training/images/000001.png"
    cv2.imwrite(str(image), 255 - cv2.imread(str(image), cv2.IMREAD_UNCHANGED))
    before = files(small)
    with pytest.raises(ValueError, match="samples have changed"):
        generate_dataset(small, DatasetSettings(3, 1, 0, shapes=SMALL), workers=1, progress=False)
    assert files(small) == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (DatasetSettings(3, 1, 0, seed=8, shapes=SMALL), "seed is 0 there and 8 here"),
        (DatasetSettings(4, 1, 0, shapes=SMALL), "count is 3 there and 4 here"),
        (
            DatasetSettings(3, 1, 0, shapes=ShapeSettings(size_hw=(56, 64))),
            r"shapes.size_hw is \[48, 64\] there and \[56, 64\] here",
        ),
    ],
)
def test_other_settings_are_refused(small, settings, message):
    before = files(small)
    with pytest.raises(ValueError, match=message):
        generate_dataset(small, settings, workers=1, progress=False)
    assert files(small) == before


def test_other_version_is_refused_while_unfinished(small):
    path = small / "dataset.json"
    manifest = json.loads(path.read_text())
    manifest["versions"]["opencv"] = "3.0.0"
    path.write_text(json.dumps(manifest))
    generate_dataset(small, DatasetSettings(3, 1, 0, shapes=SMALL), workers=1, progress=False)
    path.write_text(json.dumps({**manifest, "digest": None}))
    with pytest.raises(ValueError, match=r"version of opencv is 3\.0\.0 there"):
        generate_dataset(small, DatasetSettings(3, 1, 0, shapes=SMALL), workers=1, progress=False)


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("hello")
    with pytest.raises(FileExistsError, match="not empty"):
        generate_dataset(tmp_path, SETTINGS, workers=1, progress=False)
    with pytest.raises(FileExistsError, match=r"letter\.txt is a file"):
        generate_dataset(tmp_path / "letter.txt", SETTINGS, workers=1, progress=False)
    assert files(tmp_path) == {"letter.txt": b"hello"}


PROGRAM = """
import signal
import sys
from pathlib import Path
from synthetic_shapes import DatasetError
from synthetic_shapes.dataset import DatasetSettings, generate_dataset
from synthetic_shapes.sample import ShapeSettings

if __name__ == "__main__":
    # Whoever runs the tests in the background of a shell has the signal ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings = DatasetSettings(count=int(sys.argv[2]), shapes=ShapeSettings(size_hw=(48, 64)))
    try:
        generate_dataset(Path(sys.argv[1]), settings, workers=2, progress=False)
    except KeyboardInterrupt:
        sys.exit("stopped")
"""


@contextmanager
def generating(tmp_path, out, count):
    """A run of `count` training images in a process group of its own that has written 40; killed at the end."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, str(program), str(out), str(count)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while len(list(out.glob("training/images/*.png"))) < 40:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        yield process
    finally:
        process.kill()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_can_be_continued(tmp_path, how):
    # So many that no machine finishes before the signal; the manifest is then cut down to what both runs have.
    with generating(tmp_path, tmp_path / "stopped", 1_000_000) as process:
        if how == signal.SIGKILL:
            process.kill()
        else:
            os.killpg(process.pid, how)
        # Ends when nobody holds the standard error any more: the workers end with their parent, however it ended.
        _, errors = process.communicate(timeout=60)
    assert read_manifest(tmp_path / "stopped").digest is None
    with pytest.raises(ValueError, match="unfinished"):
        ShapesDataset(tmp_path / "stopped", "training")
    if how == signal.SIGINT:
        assert errors == "stopped\n"
        assert not list(tmp_path.rglob(".*.tmp"))

    settings = DatasetSettings(count=80, validation_count=5, test_count=0, shapes=SMALL)
    path = tmp_path / "stopped" / "dataset.json"
    manifest = json.loads(path.read_text())
    manifest["settings"] |= {"count": 80, "validation_count": 5, "test_count": 0}
    path.write_text(json.dumps({**manifest, "splits": settings.splits}))
    generate_dataset(tmp_path / "stopped", settings, workers=1, progress=False)
    generate_dataset(tmp_path / "undisturbed", settings, workers=1, progress=False)
    stopped, undisturbed = files(tmp_path / "stopped"), files(tmp_path / "undisturbed")
    assert {name: stopped[name] for name in undisturbed} == undisturbed


def test_full_disk(tmp_path, monkeypatch):
    settings = DatasetSettings(count=3, validation_count=0, test_count=0, shapes=SMALL)
    write_bytes = Path.write_bytes

    def fill_up(path, data):
        if "000001.npy" in path.name:
            write_bytes(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill_up)
        with pytest.raises(OSError, match=r"No space left on device.*000001\.npy"):
            generate_dataset(tmp_path / "full", settings, workers=1, progress=False)
    assert set(files(tmp_path / "full")) == {
        "dataset.json",
        "training/images/000000.png",
        "training/points/000000.npy",
        "training/images/000001.png",
    }
    generate_dataset(tmp_path / "full", settings, workers=1, progress=False)
    assert len(ShapesDataset(tmp_path / "full", "training")) == 3


def test_error_in_a_worker_reaches_the_caller(tmp_path):
    settings = DatasetSettings(count=100, validation_count=0, test_count=0, shapes=SMALL)
    generate_dataset(tmp_path / "out", settings, workers=1, progress=False)
    image = tmp_path / "out/training/images/000070.png"
    image.unlink()
    image.mkdir()  # the worker cannot put its file there
    with pytest.raises(OSError, match=r"000070\.png"):
        generate_dataset(tmp_path / "out", settings, workers=2, progress=False)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"count": -1}, ValueError, "count must be from 0 to 100000000, got -1"),
        ({"seed": 1.5}, TypeError, "seed must be a whole number, got 1.5"),
        ({"test_count": True}, TypeError, "test_count must be a whole number, got True"),
        ({"count": 0, "validation_count": 0, "test_count": 0}, ValueError, "nothing to generate"),
    ],
)
def test_settings_are_checked(arguments, error, message):
    with pytest.raises(error, match=message):
        DatasetSettings(**arguments)


def test_progress_counts_the_samples(tmp_path, capsys):
    generate_dataset(tmp_path / "out", DatasetSettings(3, 1, 0, shapes=SMALL), workers=1)
    assert "4/4" in capsys.readouterr().err


def test_workers_are_checked(tmp_path):
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        generate_dataset(tmp_path / "out", SETTINGS, workers=0, progress=False)


def test_a_dataset_that_no_disk_holds_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(total=10**11))
    with pytest.raises(
        DatasetError, match=r"100000000 images take \d+ GB or more, and the whole disk of .* has 100 GB"
    ):
        generate_dataset(tmp_path / "out", DatasetSettings(count=10**8, validation_count=0, test_count=0))
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="count must be from 0 to 100000000, got 10000000000"):
        DatasetSettings(count=10**10)
