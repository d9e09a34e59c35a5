import io
import json
import tarfile

import cv2
import numpy as np
import pytest

from synthetic_shapes import DatasetError, legacy
from synthetic_shapes.dataset import DatasetSettings, ShapesDataset, generate_dataset
from synthetic_shapes.legacy import convert_legacy_dataset


def write_legacy(folder, split, number, points, size=(24, 32), grey=100):
    """A sample in the older layout; its image has one white pixel at row 3, column 5."""
    for kind in ("images", "points"):
        (folder / kind / split).mkdir(parents=True, exist_ok=True)
    image = np.full(size, grey, np.uint8)
    image[3, 5] = 255
    cv2.imwrite(str(folder / "images" / split / f"{number}.png"), image)
    np.save(folder / "points" / split / f"{number}.npy", points)


def pack(folder, archive):
    with tarfile.open(archive, "w:gz") as members:
        members.add(folder, arcname=folder.name)


def convert(source, out, **arguments):
    return convert_legacy_dataset(source, out, workers=1, progress=False, **arguments)


def test_rows_and_columns_are_swapped(tmp_path):
    source = tmp_path / "source"
    write_legacy(source / "draw_star", "training", 0, np.array([[3.0, 5.0], [10.25, 20.5]]))
    path = convert(source, tmp_path / "out")
    assert path == tmp_path / "out" / "dataset.json"
    dataset = ShapesDataset(tmp_path / "out", "training")
    image, keypoints = dataset[0]
    np.testing.assert_array_equal(keypoints, np.array([[5, 3], [20.5, 10.25]], np.float32))
    assert keypoints.dtype == np.float32
    x, y = keypoints[0].astype(int)
    assert image[y, x] == 255
    assert (dataset.settings, dataset.size_hw) == (None, (24, 32))
    dataset.verify(workers=1)


def test_order_splits_and_empty_labels(tmp_path):
    source = tmp_path / "source"
    for number in (0, 2, 10):
        write_legacy(source / "draw_lines", "training", number, np.array([[number, 1]], np.float32))
    write_legacy(source / "draw_lines", "test", 0, np.array([[7, 1]], np.int64))
    write_legacy(source / "gaussian_noise", "training", 0, np.empty((0, 2), np.int64))
    write_legacy(source / "draw_ellipses", "training", 0, np.array([]))
    convert(source, tmp_path / "out")
    training = [keypoints.tolist() for _, keypoints in ShapesDataset(tmp_path / "out", "training")]
    assert training == [[], [[1, 0]], [[1, 2]], [[1, 10]], []]
    assert ShapesDataset(tmp_path / "out", "test")[0][1].tolist() == [[1, 7]]
    manifest = json.loads((tmp_path / "out/dataset.json").read_text())
    assert manifest["splits"] == {"training": 5, "test": 1}
    assert manifest["source"]["shapes"] == {"draw_ellipses": 1, "draw_lines": 4, "gaussian_noise": 1}


def test_labels_outside_are_dropped_and_counted(tmp_path):
    source = tmp_path / "source"
    write_legacy(source / "draw_cube", "training", 0, np.array([[23.0, 31.0], [24.0, 3.0], [3.0, -1.0]]))
    with pytest.warns(UserWarning, match="2 labels outside"):
        convert(source, tmp_path / "out")
    assert ShapesDataset(tmp_path / "out", "training")[0][1].tolist() == [[31, 23]]
    assert json.loads((tmp_path / "out/dataset.json").read_text())["source"]["dropped"] == 2


def test_labels_of_shrunk_images_are_moved_to_their_pixels(tmp_path):
    # Drawn at four times the height and twice the width: pixel (row 10, column 20) was stored as (2.5, 10) and lies at
    # ((10 + .5) / 4 - .5, (20 + .5) / 2 - .5) = (2.125, 9.75).
    source = tmp_path / "source"
    write_legacy(source / "draw_cube", "training", 0, np.array([[2.5, 10.0]]))
    convert(source, tmp_path / "out", drawn_at=(96, 64))
    assert ShapesDataset(tmp_path / "out", "training")[0][1].tolist() == [[9.75, 2.125]]
    with pytest.raises(ValueError, match=r"drawn_at .* got \(0, 64\)"):
        convert(source, tmp_path / "other", drawn_at=(0, 64))


def test_archives_equal_folders_and_the_source_is_unchanged(tmp_path):
    folders, archives = tmp_path / "source", tmp_path / "archives" / "source"
    archives.mkdir(parents=True)
    for shape in ("draw_star", "draw_cube"):
        write_legacy(folders / shape, "validation", 0, np.array([[3.0, len(shape)]]), grey=10 * len(shape))
        pack(folders / shape, archives / f"{shape}.tar.gz")
    before = {path.name: path.read_bytes() for path in archives.iterdir()}
    convert(folders, tmp_path / "from_folders")
    convert(archives, tmp_path / "from_archives")
    one = ShapesDataset(tmp_path / "from_folders", "validation")
    assert len(one) == 2
    assert one.digest == ShapesDataset(tmp_path / "from_archives", "validation").digest
    convert(archives / "draw_star.tar.gz", tmp_path / "single")
    assert len(ShapesDataset(tmp_path / "single", "validation")) == 1
    assert {path.name: path.read_bytes() for path in archives.iterdir()} == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", ["path", "link"])
def test_archive_that_leaves_its_folder_is_refused(tmp_path, kind):
    archive = tmp_path / "draw_star.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        member = tarfile.TarInfo("../../escaped.png" if kind == "path" else "draw_star/link")
        if kind == "path":
            member.size = 4
        else:
            member.type, member.linkname = tarfile.SYMTYPE, "../../../etc"
        members.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(ValueError, match=r"draw_star\.tar\.gz is damaged or unsafe"):
        convert(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["draw_star.tar.gz"]


def test_truncated_archive_is_refused(tmp_path):
    write_legacy(tmp_path / "draw_star", "training", 0, np.array([[3.0, 5.0]]))
    pack(tmp_path / "draw_star", tmp_path / "whole.tar.gz")
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes((tmp_path / "whole.tar.gz").read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"broken\.tar\.gz is damaged"):
        convert(broken, tmp_path / "out")


@pytest.mark.parametrize(
    ("points", "message"),
    [(np.zeros((2, 3)), r"0\.npy: expected numbers"), (np.array([{}], object), r"0\.npy is truncated, damaged")],
)
def test_failure_leaves_nothing_behind(tmp_path, points, message):
    source = tmp_path / "source"
    write_legacy(source / "draw_cube", "training", 0, points)
    with pytest.raises(ValueError, match=message):
        convert(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_images_of_two_sizes_are_refused(tmp_path):
    write_legacy(tmp_path / "source/draw_cube", "training", 0, np.empty((0, 2)))
    write_legacy(tmp_path / "source/draw_star", "training", 0, np.empty((0, 2)), size=(48, 64))
    with pytest.raises(ValueError, match=r"0\.png is \(48, 64\) pixels, the first image is \(24, 32\)"):
        convert(tmp_path / "source", tmp_path / "out")


def test_image_without_points_is_refused(tmp_path):
    write_legacy(tmp_path / "source/draw_cube", "training", 4, np.empty((0, 2)))
    (tmp_path / "source/draw_cube/points/training/4.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"4\.npy"):
        convert(tmp_path / "source", tmp_path / "out")


def test_unusable_folders_are_refused(tmp_path):
    source = tmp_path / "source"
    with pytest.raises(FileNotFoundError, match="source does not exist"):
        convert(source, tmp_path / "out")
    source.mkdir()
    with pytest.raises(ValueError, match="holds no <shape>"):
        convert(source, tmp_path / "out")
    write_legacy(source / "draw_cube", "training", 0, np.empty((0, 2)))
    with pytest.raises(ValueError, match="lies inside the source"):
        convert(source, source / "out")
    with pytest.raises(FileExistsError, match="source exists"):
        convert(source / "draw_cube", source)


def test_a_converted_dataset_is_not_generated_over(tmp_path):
    write_legacy(tmp_path / "source/draw_cube", "training", 0, np.empty((0, 2)))
    convert(tmp_path / "source", tmp_path / "out")
    with pytest.raises(ValueError, match="converted dataset"):
        generate_dataset(tmp_path / "out", DatasetSettings(), workers=1, progress=False)


@pytest.mark.parametrize("time", [-1.0, 1e30, 2.0**63])
def test_a_time_that_no_system_can_set_is_passed_over(tmp_path, time):
    write_legacy(tmp_path / "draw_lines", "training", 0, np.array([[1.0, 2.0]]))

    def timed(member):
        member.mtime = time
        return member

    with tarfile.open(tmp_path / "draw_lines.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as members:
        members.add(tmp_path / "draw_lines", "draw_lines", filter=timed)
    convert(tmp_path / "draw_lines.tar.gz", tmp_path / "out")
    assert len(ShapesDataset(tmp_path / "out", "training")) == 1


def test_an_archive_that_the_disk_has_no_room_for_is_refused(tmp_path, monkeypatch):
    write_legacy(tmp_path / "draw_lines", "training", 0, np.array([[1.0, 2.0]]))
    pack(tmp_path / "draw_lines", tmp_path / "draw_lines.tar.gz")
    usage = legacy.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(legacy.shutil, "disk_usage", lambda path: usage._replace(free=100))
    with pytest.raises(DatasetError, match=r"has \d+ bytes, and the disk 100"):
        convert(tmp_path / "draw_lines.tar.gz", tmp_path / "out")
    assert not (tmp_path / ".out.unfinished").exists()


def test_a_folder_that_is_in_the_way_is_not_removed(tmp_path):
    write_legacy(tmp_path / "draw_lines", "training", 0, np.array([[1.0, 2.0]]))
    unfinished = tmp_path / ".out.unfinished"
    unfinished.mkdir()
    (unfinished / "mine.txt").write_text("kept")
    with pytest.raises(FileExistsError, match=r"\.out\.unfinished is in the way"):
        convert(tmp_path / "draw_lines", tmp_path / "out")
    assert (unfinished / "mine.txt").read_text() == "kept"
    (unfinished / ".magicpoint-conversion").touch()  # as a killed conversion leaves it
    convert(tmp_path / "draw_lines", tmp_path / "out")
    assert not unfinished.exists()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"dataset.json", "training"}
