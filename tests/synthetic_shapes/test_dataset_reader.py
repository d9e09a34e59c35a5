import json
import os
import pickle
import zlib

import cv2
import numpy as np
import pytest

from synthetic_shapes import DatasetError
from synthetic_shapes.array_files import read_npy, read_png
from synthetic_shapes.dataset import DatasetSettings, ShapesDataset, generate_dataset
from synthetic_shapes.sample import ShapeSettings, render_sample
from synthetic_shapes.sample_files import inside_image

SMALL = ShapeSettings(size_hw=(48, 64))


@pytest.fixture
def small(tmp_path):
    """A dataset of four samples to be damaged."""
    generate_dataset(tmp_path / "small", DatasetSettings(3, 1, 0, shapes=SMALL), workers=1, progress=False)
    return tmp_path / "small"


def test_reader_is_a_sequence(small):
    dataset = ShapesDataset(small, "training")
    samples = list(dataset)
    assert len(samples) == len(dataset) == 3
    assert dataset.settings == DatasetSettings(3, 1, 0, shapes=SMALL)
    assert dataset.size_hw == (48, 64)
    for index, (image, keypoints) in enumerate(samples):
        expected_image, expected_keypoints = render_sample(0, index, SMALL, "training")
        np.testing.assert_array_equal(image, expected_image)
        np.testing.assert_array_equal(keypoints, expected_keypoints)
        assert keypoints.dtype == np.float32
    np.testing.assert_array_equal(dataset[-1][0], samples[2][0])
    np.testing.assert_array_equal(dataset[np.int64(1)][0], samples[1][0])
    with pytest.raises(IndexError, match="sample 3 of split 'training', which has 3"):
        dataset[3]


def test_reader_can_be_pickled(small):
    copy = pickle.loads(pickle.dumps(ShapesDataset(small, "training")))
    np.testing.assert_array_equal(copy[2][0], ShapesDataset(small, "training")[2][0])


def test_digest_is_of_the_pixels_not_of_the_file(small):
    image = small / "training/images/000001.png"
    pixels = cv2.imread(str(image), cv2.IMREAD_UNCHANGED)
    old = image.read_bytes()
    cv2.imwrite(str(image), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    assert image.read_bytes() != old
    ShapesDataset(small, "training").verify(workers=1)
    pixels[0, 0] ^= 1
    cv2.imwrite(str(image), pixels)
    with pytest.raises(ValueError, match="samples have changed"):
        ShapesDataset(small, "training").verify(workers=1)


def test_missing_dataset(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no dataset: it has no dataset\.json"):
        ShapesDataset(tmp_path, "training")


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}', '{"format": 1}'])
def test_damaged_manifest(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(ValueError, match=r"dataset\.json"):
        ShapesDataset(tmp_path, "training")


def test_unknown_setting_in_manifest(small):
    path = small / "dataset.json"
    manifest = json.loads(path.read_text())
    manifest["settings"]["colour"] = "red"
    path.write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"dataset\.json: unusable settings: .*colour"):
        ShapesDataset(small, "training")


def test_unknown_split(small):
    with pytest.raises(ValueError, match="no split 'test': choose from training, validation"):
        ShapesDataset(small, "test")


@pytest.mark.parametrize("damage", [lambda data: data[:-30], lambda data: data[:60] + b"?" + data[61:], lambda _: b""])
def test_damaged_image(small, damage):
    path = small / "training/images/000002.png"
    path.write_bytes(damage(path.read_bytes()))
    dataset = ShapesDataset(small, "training")
    with pytest.raises(ValueError, match=r"000002\.png is truncated, damaged"):
        dataset[2]
    with pytest.raises(ValueError, match=r"000002\.png is truncated, damaged"):
        dataset.verify(workers=1)


def test_wrong_image(small):
    path = small / "training/images/000002.png"
    cv2.imwrite(str(path), np.zeros((48, 60), np.uint8))
    with pytest.raises(ValueError, match=r"000002\.png: expected .* \(48, 64\), got \(48, 60\)"):
        ShapesDataset(small, "training")[2]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((3, 3), np.float32), r"expected float32 \(N, 2\), got float32 \(3, 3\)"),
        (np.zeros((3, 2), np.float64), r"expected float32 \(N, 2\), got float64 \(3, 2\)"),
        (np.array([{}], object), "no NumPy array"),
    ],
)
def test_wrong_points(small, points, message):
    np.save(small / "training/points/000001.npy", points)
    with pytest.raises(ValueError, match=rf"000001\.npy.*{message}"):
        ShapesDataset(small, "training")[1]


def test_missing_file(small):
    (small / "training/points/000001.npy").unlink()
    with pytest.raises(DatasetError, match=r"points has 2 files \*\.npy, dataset\.json says 3: 000001\.npy is missing"):
        ShapesDataset(small, "training")


def test_points_outside_are_left_out_and_counted(small):
    points = np.array([[3, 4], [63.4, 47.4], [63.6, 4], [3, -0.6]], np.float32)
    np.save(small / "training/points/000001.npy", points)
    dataset = ShapesDataset(small, "training")
    with pytest.warns(UserWarning, match=r"000001\.npy: 2 keypoints outside") as caught:
        (_, keypoints), _ = dataset[1], dataset[1]
    assert len(caught) == 1
    np.testing.assert_array_equal(keypoints, points[:2])
    assert [dataset.read(index)[2] for index in range(3)] == [0, 2, 0]


def test_inside_is_the_area_of_the_pixels():
    x = np.array([-0.6, -0.5, 0.0, 63.0, 63.4, 63.5])
    np.testing.assert_array_equal(
        inside_image(np.stack((x, 0 * x), 1), (48, 64)), [False, True, True, True, True, False]
    )
    assert inside_image(np.empty((0, 2)), (48, 64)).shape == (0,)


def test_a_dataset_of_format_1_is_still_read(tmp_path):
    """Which said size for size_hw, and is gone on with as it is."""
    settings = DatasetSettings(3, 0, 0, seed=5, shapes=SMALL)
    generate_dataset(tmp_path, settings, workers=1, progress=False)
    written = json.loads((tmp_path / "dataset.json").read_text())
    before = json.loads(json.dumps(written).replace('"size_hw"', '"size"')) | {"format": 1}
    (tmp_path / "dataset.json").write_text(json.dumps(before))
    dataset = ShapesDataset(tmp_path, "training")
    assert (dataset.size_hw, dataset.settings, dataset.digest) == ((48, 64), settings, written["digest"])
    assert dataset[2].image.shape == (48, 64)
    dataset.verify(workers=1)
    generate_dataset(tmp_path, settings, workers=1, progress=False)
    (tmp_path / "dataset.json").write_text(json.dumps(before | {"digest": None}))
    generate_dataset(tmp_path, settings, workers=1, progress=False)
    assert json.loads((tmp_path / "dataset.json").read_text()) == written
    with pytest.raises(ValueError, match=r"shapes\.size_hw is \[48, 64\] there and \[56, 64\] here"):
        generate_dataset(tmp_path, DatasetSettings(3, 0, 0, seed=5, shapes=ShapeSettings((56, 64))), progress=False)


@pytest.mark.parametrize("form", [0, 3, "2", None])
def test_other_formats_are_refused(tmp_path, form):
    (tmp_path / "dataset.json").write_text(json.dumps({"format": form}))
    with pytest.raises(ValueError, match=r"dataset\.json: no dataset description of format 1 or 2"):
        ShapesDataset(tmp_path, "training")


def changed(*names, to):
    """A change of an entry of dataset.json."""

    def change(manifest):
        for name in names[:-1]:
            manifest = manifest[name]
        manifest[names[-1]] = to

    return change


CONTRADICTIONS = {
    "a count too many": (changed("splits", "training", to=4), "not those of the settings"),
    "a count too many everywhere": (
        lambda manifest: (manifest["splits"].update(training=4), manifest["settings"].update(count=4)),
        r"images has 3 files \*\.png, dataset\.json says 4: 000003\.png is missing",
    ),
    "a split that is not there": (
        lambda manifest: (manifest["splits"].update(test=2), manifest["settings"].update(test_count=2)),
        None,
    ),
    "another size": (changed("size_hw", to=[48, 72]), "not those of the settings"),
    "a size of three": (changed("size_hw", to=[48, 64, 1]), r"size_hw must be \[height, width\]"),
    "a size of text": (changed("size_hw", to=["48", "64"]), "size_hw must be"),
    "a size of truth values": (changed("size_hw", to=[True, True]), "size_hw must be"),
    "a negative size": (changed("size_hw", to=[-48, 64]), "size_hw must be"),
    "a negative count": (changed("splits", "training", to=-1), "splits must be the numbers"),
    "a count of text": (changed("splits", "training", to="3"), "splits must be the numbers"),
    "a huge count": (changed("splits", "training", to=10**12), "splits must be the numbers"),
    "splits in a list": (changed("splits", to=[3, 1]), "splits must be the numbers"),
    "no splits": (changed("splits", to={}), "splits must be the numbers"),
    "a split outside the folder": (changed("splits", "../other", to=1), r"splits must have names .* got '\.\./other'"),
    "settings of text": (changed("settings", to="small"), "settings must be an object"),
    "other shapes": (changed("settings", "shapes", "shapes", to=["circle"]), "unusable settings: shapes must be"),
    "shapes of a number": (changed("settings", "shapes", to=3), "unusable settings"),
    "a seed of text": (changed("settings", "seed", to="0"), "unusable settings: seed must be a whole number"),
    "a digest of a number": (changed("digest", to=1), "digest must be text"),
    "a format that is true": (changed("format", to=True), "no dataset description of format"),
    "an entry more": (changed("colour", to=1), "unknown entries: colour"),
}


@pytest.mark.parametrize(("change", "said"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_manifest_that_contradicts_itself_or_the_files_is_refused(small, change, said):
    path = small / "dataset.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    if said is None:  # of what is not asked for
        with pytest.raises(DatasetError, match=r"images has 0 files .* says 2"):
            ShapesDataset(small, "test")
        return
    with pytest.raises(DatasetError, match=rf"(dataset\.json: .*)?{said}") as raised:
        ShapesDataset(small, "training")
    assert "\n" not in str(raised.value)
    assert str(small) in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [b"null", b"3", b'"text"', b"\xff\xfe", b"[" * 10**5, b'{"format": 2, "splits": ' + b"9" * 5000 + b"}", b"{} {}"],
)
def test_a_manifest_of_another_form_is_refused(tmp_path, content):
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(DatasetError, match=r"dataset\.json"):
        ShapesDataset(tmp_path, "training")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
def test_pipes_are_not_opened(small):
    for path in (small / "training/points/000001.npy", small / "dataset.json"):
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(DatasetError, match=rf"{path.name} is no regular file"):
            ShapesDataset(small, "training")[1]


def npy(header, data=b"", version=b"\x01\x00"):
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little") + text + data


ARRAYS = {
    "a huge shape": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 2)}"),
    "a negative shape": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2)}"),
    "a shape of fractions": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1.5, 2)}"),
    "a shape of truth values": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2)}", bytes(4)),
    "fewer numbers than it says": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", bytes(20)),
    "more numbers than it says": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", bytes(28)),
    "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\nsystem\n"),
    "text": npy("{'descr': '<U4', 'fortran_order': False, 'shape': (1,)}", bytes(16)),
    "records": npy("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,)}", bytes(4)),
    "version 3": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2)}", version=b"\x03\x00"),
    "version 9": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2)}", version=b"\x09\x00"),
    "a header that is no dict": npy("[1, 2]"),
    "a header that is code": npy("__import__('os').mkdir('owned')"),
    "a header nested deeply": npy("(" * 5000),
    "no array": b"text",
    "nothing": b"",
}


@pytest.mark.parametrize("content", ARRAYS.values(), ids=ARRAYS)
def test_an_array_that_is_not_what_it_says_is_refused(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DatasetError, match=r"a\.npy is truncated, damaged or no NumPy array: ."):
        read_npy(tmp_path / "a.npy")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", "|u1", "|b1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_any_order_and_kind_come_back(tmp_path, dtype, order):
    wanted = np.array([[1, 0, 1], [0, 1, 1]], dtype, order=order)
    np.save(tmp_path / "a.npy", wanted)
    found = read_npy(tmp_path / "a.npy")
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def test_a_keypoint_that_is_no_number_is_refused(small):
    np.save(small / "training/points/000001.npy", np.array([[1, 2], [np.nan, 3]], np.float32))
    with pytest.raises(DatasetError, match=r"000001\.npy: a keypoint is not a number"):
        ShapesDataset(small, "training")[1]


def test_an_image_that_claims_to_be_huge_is_not_decoded(tmp_path):
    chunk = b"IHDR" + (2**15).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    parts = [chunk, b"IDAT", b"IEND"]
    chunks = [(len(p) - 4).to_bytes(4, "big") + p + zlib.crc32(p).to_bytes(4, "big") for p in parts]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    with pytest.raises(DatasetError, match=r"a\.png has 32768x32768 pixels, more than"):
        read_png(tmp_path / "a.png")
