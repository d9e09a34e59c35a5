import dataclasses
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from homography import warp_image, warp_points
from magicpoint.core.plain import json_text
from magicpoint.data.hpatches import find_sequences
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.evaluation.methods.network import NetworkOnPairs
from magicpoint.evaluation.methods.opencv import ON_PAIRS
from magicpoint.evaluation.pairs.figures import draw_protocol
from magicpoint.evaluation.pairs.json_file import pairs_as_plain, read_pairs_evaluation
from magicpoint.evaluation.pairs.report import format_pairs
from magicpoint.evaluation.pairs.results import PairsMethodResult, PairsProtocol
from magicpoint.evaluation.pairs.run import evaluate_on_pairs, resize_homography, resize_image
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


SMALL = {"small": PairsProtocol((160, 128), 100, (4,), matching=True)}


def test_a_known_warp_is_measured_as_known(dataset):
    methods = {name: ON_PAIRS[name] for name in ("sift", "orb", "harris", "random")}
    full = {"full": PairsProtocol(None, 300, (4,), matching=True)}
    result = evaluate_on_pairs(find_sequences(dataset), methods, full).results["full"][4]
    for split in ("illumination", "viewpoint"):
        sift = {name: measure.mean for name, measure in result["sift"].splits[split].items()}
        assert sift["homography_accuracy_1"] == 1
        assert sift["homography_auc_5"] > 0.9
        assert sift["matching_accuracy_3"] > 0.8
        assert sift["nn_map"] > 0.8
        harris, chance = (result[name].splits[split]["repeatability"].mean for name in ("harris", "random"))
        assert chance < 0.4
        assert harris > chance + 0.25
        assert "matching_score" not in result["harris"].splits[split]
    assert result["orb"].splits["viewpoint"]["homography_accuracy_5"].mean == 1


def test_resizing_leaves_the_truth_right(dataset):
    # The two images of i_dark have different sizes and are resized by different factors.
    result = evaluate_on_pairs(find_sequences(dataset), {"harris": ON_PAIRS["harris"]}, SMALL)
    assert result.mean("small", 4, "harris", "illumination", "repeatability") > 0.8
    assert result.mean("small", 4, "harris", "illumination", "localization_error") < 0.5


def networks():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        models = {"detector": MagicPoint(0.125), "superpoint": SuperPoint(0.125, descriptor_dim=16)}
    return {name: Extractor(model, DecodeSettings(threshold=0.0), "cpu", name) for name, model in models.items()}


@pytest.mark.slow
def test_results_are_the_same_again(dataset):
    def evaluate():
        methods = {name: ON_PAIRS[name] for name in ("orb", "random")}
        methods |= {name: NetworkOnPairs(extractor) for name, extractor in networks().items()}
        return evaluate_on_pairs(find_sequences(dataset), methods, SMALL)

    first = evaluate()
    cv2.setRNGSeed(1)
    again = evaluate()
    assert json.dumps(pairs_as_plain(first), allow_nan=False) == json.dumps(pairs_as_plain(again), allow_nan=False)


@pytest.fixture(scope="module")
def report(dataset, tmp_path_factory):
    """An evaluation of two networks and two methods, and its folder."""
    out = tmp_path_factory.mktemp("report") / "a"
    kept = {"methods": ["orb", "fast"], "protocols": ["full"], "progress": False}
    return evaluate_pairs(dataset, out, networks(), **kept), out


@pytest.mark.slow
def test_report_is_complete(report):
    evaluation, out = report
    assert sorted(file.name for file in out.iterdir()) == ["homography.json", "homography.txt", "homography_full.png"]
    assert cv2.imread(str(out / "homography_full.png")).std() > 0
    table = (out / "homography.txt").read_text()
    assert table == format_pairs(evaluation) + "\n"
    assert "full, NMS 4, viewpoint: matching" in table

    plain = json.loads((out / "homography.json").read_text())
    assert plain == pairs_as_plain(evaluation)
    assert all(len(sequence.pop("digest")) == 64 for sequence in plain["sequences"].values())
    assert plain["sequences"] == {
        "i_dark": {"change": "illumination", "views": [2]},
        "v_warp": {"change": "viewpoint", "views": [2]},
    }
    assert plain["dataset"] == "homography"
    assert plain["protocols"]["full"] == {"size": None, "max_keypoints": 2048, "nms_radii": [4], "matching": True}
    assert len(plain["methods"]["superpoint"]["weights_hash"]) == 16
    assert {"torch", "numpy", "python"} <= set(plain["versions"])
    methods = plain["results"]["full"]["nms 4"]
    assert list(methods) == ["detector", "superpoint", "orb", "fast"]
    assert list(methods["orb"]) == ["illumination", "viewpoint", "all", "pairs"]
    assert list(methods["orb"]["all"]["nn_map"]) == ["mean", "interval", "interval_sequences", "count", "undefined"]
    assert "nn_map" in methods["superpoint"]["all"]
    assert "nn_map" not in methods["detector"]["all"]
    assert [pair["view"] for pair in methods["detector"]["pairs"]] == [2, 2]


@pytest.mark.slow
def test_the_figures_of_a_value_are_those_of_its_pairs(report):
    evaluation, _ = report
    assert (evaluation.pair_count, evaluation.changes) == (2, ["illumination", "viewpoint"])
    orb = evaluation.results["full"][4]["orb"]
    dark, warp = orb.pairs
    assert (dark.sequence, dark.change, dark.view, warp.sequence) == ("i_dark", "illumination", 2, "v_warp")
    for measure in ("repeatability", "matching_score", "homography_auc_3"):
        assert evaluation.mean("full", 4, "orb", "viewpoint", measure) == warp.measures[measure]
        both = evaluation.mean("full", 4, "orb", "all", measure)
        assert both == pytest.approx((dark.measures[measure] + warp.measures[measure]) / 2, abs=1e-6)
    score = orb.splits["all"]["matching_score"]
    assert (score.count, score.undefined) == (2, 0)
    assert score.interval[0] <= score.mean <= score.interval[1]


@pytest.mark.slow
def test_an_evaluation_is_read_back_as_it_was(report, tmp_path):
    evaluation, out = report
    again = read_pairs_evaluation(out / "homography.json")
    assert repr(again) == repr(evaluation)  # nan is nan there, but not equal to itself
    assert format_pairs(again) == format_pairs(evaluation)
    for text in ("{", "[]", '{"sequences": {}}', '{"sequences": {"a": 1}}'):
        (tmp_path / "broken.json").write_text(text)
        with pytest.raises(ValueError, match=r"broken\.json is damaged or no evaluation on image pairs"):
            read_pairs_evaluation(tmp_path / "broken.json")


@pytest.mark.slow
def test_what_is_not_defined_is_null_and_is_read_back(report, tmp_path):
    evaluation, _ = report
    method = evaluation.results["full"][4]["orb"]
    nothing = dataclasses.replace(method.splits["all"]["nn_map"], mean=math.nan, interval=(math.nan, math.nan), count=0)
    missed = dataclasses.replace(method.pairs[0], measures={"corner_error": math.inf, "nn_map": math.nan})
    changed = PairsMethodResult({**method.splits, "all": {"nn_map": nothing}}, (missed,))
    evaluation = dataclasses.replace(evaluation, results={"full": {4: {"orb": changed}}})
    plain = pairs_as_plain(evaluation)["results"]["full"]["nms 4"]["orb"]
    assert plain["all"]["nn_map"]["mean"] is None
    assert plain["all"]["nn_map"]["interval"] == [None, None]
    assert plain["pairs"][0]["corner_error"] is None
    (tmp_path / "e.json").write_text(json_text(pairs_as_plain(evaluation)))
    assert repr(read_pairs_evaluation(tmp_path / "e.json")) == repr(evaluation)


def test_a_kind_of_change_without_pairs_has_no_table_and_no_plots(dataset):
    methods = {"fast": ON_PAIRS["fast"]}
    both, one = (
        evaluate_on_pairs(sequences, methods, SMALL)
        for sequences in (find_sequences(dataset), find_sequences(dataset)[1:])
    )
    assert "viewpoint" in format_pairs(one)
    assert "illumination" not in format_pairs(one)
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
    full = {"full": PairsProtocol(None, 500, (4,), matching=True)}
    result = evaluate_on_pairs([one], {"sift": ON_PAIRS["sift"]}, full)
    assert result.mean("full", 4, "sift", "illumination", "homography_accuracy_5") == 1
    assert result.mean("full", 4, "sift", "illumination", "matching_accuracy_3") > 0.5
