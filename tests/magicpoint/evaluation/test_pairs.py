import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from homography import warp_image, warp_points
from magicpoint.data.hpatches import find_sequences
from magicpoint.decoding.decode import DecodeSettings
from magicpoint.evaluation.methods.for_pairs import METHODS
from magicpoint.evaluation.methods.network import Network
from magicpoint.evaluation.pairs.figures import draw_protocol
from magicpoint.evaluation.pairs.report import format_tables
from magicpoint.evaluation.pairs.run import HomographyProtocol, evaluate_methods, resize_homography, resize_image
from magicpoint.inference.extractor import Extractor
from magicpoint.jobs.evaluate import evaluate_pairs
from magicpoint.model.network import MagicPoint, SuperPoint

PAIRS = Path(__file__).parents[4] / "shared" / "data" / "pairs"

IDENTITY = np.eye(3)
SHIFT = np.array([[1.0, 0.0, 10.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def test_homography_follows_each_image_by_its_own_factors():
    both = resize_homography(SHIFT, ((100, 50), (50, 25)), ((100, 50), (50, 25)))
    np.testing.assert_allclose(both, [[1, 0, 5], [0, 1, 0], [0, 0, 1]], atol=1e-12)
    # Image 1 shows the same twice as wide: k -> (k + 0.5) * 2 - 0.5. Both resized to one size are the same.
    wide = np.array([[2.0, 0.0, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    same = resize_homography(wide, ((100, 80), (50, 60)), ((200, 80), (50, 60)))
    np.testing.assert_allclose(same / same[2, 2], IDENTITY, atol=1e-12)


@pytest.mark.parametrize("size", [(20, 30), (80, 60), (20, 120)])
def test_resized_image_and_resized_points_agree(size):
    # Of a ramp, away from the edges, a pixel of the new image has the value at its place in the old.
    x, y = np.meshgrid(np.arange(40), np.arange(60))
    resized = resize_image(((4 * x + y) / 255).astype(np.float32), size)
    points = np.array([[size[0] // 2, size[1] // 2], [size[0] // 4, size[1] // 3]], np.float64)
    back = np.linalg.inv(resize_homography(IDENTITY, ((1, 1), (1, 1)), ((40, 60), size)))
    expected = warp_points(points, back) @ [4, 1]
    values = [resized[int(row), int(column)] for column, row in points]
    np.testing.assert_allclose(values, expected, atol=0.51)
    assert resized.shape == size[::-1]


def test_an_image_of_full_size_is_only_rounded():
    grey = np.random.default_rng(0).random((5, 7)).astype(np.float32)
    np.testing.assert_array_equal(resize_image(grey, None), np.rint(grey * 255))


def texture(height=120, width=160, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.equalizeHist(cv2.GaussianBlur(noise, (0, 0), 2.0))


VIEW = np.array([[0.95, -0.1, 12.0], [0.08, 1.02, -6.0], [2e-4, 1e-4, 1.0]])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two sequences of one pair: a texture under a known homography, and the same darker and wider by a half."""
    folder = tmp_path_factory.mktemp("pairs")
    image = texture(160, 200)
    views = {"v_warp": (warp_image(image, VIEW), VIEW)}
    wide = np.asarray(cv2.resize(image, (300, 160), interpolation=cv2.INTER_LINEAR))
    views["i_dark"] = ((wide * 0.5).astype(np.uint8), np.array([[1.5, 0, 0.25], [0, 1, 0], [0, 0, 1]]))
    for name, (view, H_0to1) in views.items():
        (folder / name).mkdir()
        assert cv2.imwrite(str(folder / name / "1.png"), image)
        assert cv2.imwrite(str(folder / name / "2.png"), view)
        np.savetxt(folder / name / "H_1_2", H_0to1)
    return folder


SMALL = {"small": HomographyProtocol((160, 128), 100, (4,), matching=True)}


def test_a_known_warp_is_measured_as_known(dataset):
    methods = {name: METHODS[name]() for name in ("sift", "orb", "harris", "random")}
    full = {"full": HomographyProtocol(None, 300, (4,), matching=True)}
    result = evaluate_methods(find_sequences(dataset), methods, full)["results"]["full"]["nms 4"]
    for split in ("illumination", "viewpoint"):
        sift = {name: measure["mean"] for name, measure in result["sift"][split].items()}
        assert sift["homography_accuracy_1"] == 1
        assert sift["homography_auc_5"] > 0.9
        assert sift["matching_accuracy_3"] > 0.8
        assert sift["nn_map"] > 0.8
        harris, chance = (result[name][split]["repeatability"]["mean"] for name in ("harris", "random"))
        assert chance < 0.4
        assert harris > chance + 0.25
        assert "matching_score" not in result["harris"][split]
    assert result["orb"]["viewpoint"]["homography_accuracy_5"]["mean"] == 1


def test_resizing_leaves_the_truth_right(dataset):
    # The two images of i_dark have different sizes and are resized by different factors.
    result = evaluate_methods(find_sequences(dataset), {"harris": METHODS["harris"]()}, SMALL)
    harris = result["results"]["small"]["nms 4"]["harris"]["illumination"]
    assert harris["repeatability"]["mean"] > 0.8
    assert harris["localization_error"]["mean"] < 0.5


def networks():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        models = {"detector": MagicPoint(0.125), "superpoint": SuperPoint(0.125, descriptor_dim=16)}
    return {name: Extractor(model, DecodeSettings(threshold=0.0), "cpu", name) for name, model in models.items()}


@pytest.mark.slow
def test_results_are_the_same_again(dataset):
    def evaluate():
        methods = {name: METHODS[name]() for name in ("orb", "random")}
        methods |= {name: Network(extractor) for name, extractor in networks().items()}
        return evaluate_methods(find_sequences(dataset), methods, SMALL)

    first = evaluate()
    cv2.setRNGSeed(1)
    assert json.dumps(first, allow_nan=False) == json.dumps(evaluate(), allow_nan=False)


@pytest.mark.slow
def test_report_is_complete(dataset, tmp_path, capsys):
    kept = {"methods": ["orb", "fast"], "protocols": ["full"], "progress": False}
    path = evaluate_pairs(dataset, tmp_path / "a", networks(), **kept)
    assert path == tmp_path / "a" / "homography.json"
    names = ["homography.json", "homography.txt", "homography_full.png"]
    assert sorted(file.name for file in path.parent.iterdir()) == names
    assert cv2.imread(str(tmp_path / "a" / "homography_full.png")).std() > 0

    evaluation = json.loads(path.read_text())
    assert evaluation["sequences"] == {
        "i_dark": {"change": "illumination", "views": [2]},
        "v_warp": {"change": "viewpoint", "views": [2]},
    }
    assert evaluation["protocols"]["full"]["max_keypoints"] == 2048
    assert len(evaluation["methods"]["superpoint"]["weights_hash"]) == 16
    assert {"torch", "numpy", "python"} <= set(evaluation["versions"])
    methods = evaluation["results"]["full"]["nms 4"]
    assert list(methods) == ["detector", "superpoint", "orb", "fast"]
    assert "nn_map" in methods["superpoint"]["all"]
    assert "nn_map" not in methods["detector"]["all"]
    assert [pair["view"] for pair in methods["detector"]["pairs"]] == [2, 2]
    table = (tmp_path / "a" / "homography.txt").read_text()
    assert table == format_tables(evaluation) + "\n"
    assert table in capsys.readouterr().out
    assert "full, NMS 4, viewpoint: matching" in table


def test_a_kind_of_change_without_pairs_has_no_table_and_no_plots(dataset):
    methods = {"fast": METHODS["fast"]()}
    both, one = (
        evaluate_methods(sequences, methods, SMALL)
        for sequences in (find_sequences(dataset), find_sequences(dataset)[1:])
    )
    assert "viewpoint" in format_tables(one)
    assert "illumination" not in format_tables(one)
    assert draw_protocol(one, "small").shape[0] * 2 == draw_protocol(both, "small").shape[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": ["surf"]}, "surf"),
        ({"protocols": ["mine"]}, "mine"),
        ({"protocols": []}, "nothing to evaluate"),
        ({"methods": []}, "nothing to evaluate"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(dataset, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate_pairs(dataset, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_a_network_cannot_pass_for_another_method(dataset, tmp_path):
    with pytest.raises(ValueError, match="sift"):
        evaluate_pairs(dataset, tmp_path, {"sift": networks()["detector"]})


def test_a_damaged_image_is_named(dataset, tmp_path):
    (tmp_path / "v_x").mkdir()
    for name in ("1.png", "2.png"):
        (tmp_path / "v_x" / name).write_bytes(
            (dataset / "v_warp" / name).read_bytes()[: -40 if name[0] == "2" else None]
        )
    (tmp_path / "v_x" / "H_1_2").write_text("1 0 0\n0 1 0\n0 0 1")
    with pytest.raises(ValueError, match=r"v_x.2\.png"):
        evaluate_pairs(tmp_path, tmp_path / "out", methods=["fast"], protocols=["full"], progress=False)


@pytest.mark.skipif(not PAIRS.is_dir(), reason="needs the shared image pairs")
def test_sift_finds_the_homography_of_a_real_pair():
    [sequence] = [sequence for sequence in find_sequences(PAIRS) if sequence.name == "i_crownday"]
    one = dataclasses.replace(sequence, views=sequence.views[:1])
    full = {"full": HomographyProtocol(None, 500, (4,), matching=True)}
    result = evaluate_methods([one], {"sift": METHODS["sift"]()}, full)["results"]["full"]["nms 4"]
    assert result["sift"]["illumination"]["homography_accuracy_5"]["mean"] == 1
    assert result["sift"]["illumination"]["matching_accuracy_3"]["mean"] > 0.5
