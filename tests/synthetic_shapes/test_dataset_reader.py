import json
import pickle

import cv2
import numpy as np
import pytest

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
    with pytest.raises(FileNotFoundError, match=r"000001\.npy"):
        ShapesDataset(small, "training")[1]


def test_points_outside_are_left_out_and_counted(small):
    points = np.array([[3, 4], [63.4, 47.4], [63.6, 4], [3, -0.6], [np.nan, 1]], np.float32)
    np.save(small / "training/points/000001.npy", points)
    dataset = ShapesDataset(small, "training")
    with pytest.warns(UserWarning, match=r"000001\.npy: 3 keypoints outside") as caught:
        (_, keypoints), _ = dataset[1], dataset[1]
    assert len(caught) == 1
    np.testing.assert_array_equal(keypoints, points[:2])
    assert [dataset.read(index)[2] for index in range(3)] == [0, 3, 0]


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
    with pytest.raises(ValueError, match="not a dataset description of format 1 or 2"):
        ShapesDataset(tmp_path, "training")
