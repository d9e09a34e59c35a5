"""The scoring on cases that can be checked on paper, and the evaluation of detectors whose quality is known."""

import dataclasses
import json
import math

import numpy as np
import pytest

from magicpoint.data.pinned_images import (
    CONDITIONS,
    SEED,
    TEST,
    TEST_IMAGES_PER_SHAPE,
    VALIDATION,
    SampleDigest,
    ShapeImages,
    render_digests,
)
from magicpoint.evaluation.methods.network import NetworkOnShapes
from magicpoint.evaluation.shapes import run as evaluate
from magicpoint.evaluation.shapes.report import shapes_as_plain
from magicpoint.evaluation.shapes.results import RepeatabilityMeasures
from magicpoint.evaluation.shapes.run import evaluate_on_shapes
from magicpoint.inference.extractor import Extractor
from magicpoint.jobs.evaluate import evaluate_synthetic
from magicpoint.measures.detection import BORDER, score_against_truth
from magicpoint.measures.statistics import mean_of_defined
from magicpoint.model.network import MagicPoint
from synthetic_shapes import SHAPES_WITH_KEYPOINTS, ShapeSettings, render_sample

SIZE = (60, 40)


def points(*pairs):
    return np.array(pairs, np.float32).reshape(-1, 2)


def score(detected, scores, truth, threshold=0.0, tolerance=2.0):
    return score_against_truth([(detected, np.array(scores))], [truth], tolerance, 4, SIZE, threshold)


def test_five_detections_of_four_corners_one_false_one_missed_as_counted_by_hand():
    truth = points((10, 10), (20, 10), (30, 10), (40, 10))
    # In the order of their scores: right, right, wrong, right by 1 px, and a second one of the first corner.
    detected = points((10, 10), (20, 10), (30, 30), (30, 11), (11, 10))
    scores = score(detected, [0.9, 0.8, 0.7, 0.6, 0.5], truth)
    assert scores.precision == 3 / 5
    assert scores.recall == 3 / 4
    assert scores.localization_error == pytest.approx(1 / 3)
    assert scores.keypoints_per_image == 5
    # Recall steps of a quarter at the precisions 1, 1, 3/4.
    assert scores.ap == pytest.approx((1 + 1 + 3 / 4) / 4)


def test_the_threshold_includes_its_own_score_and_leaves_the_average_precision_alone():
    truth, detected = points((10, 10), (20, 10)), points((10, 10), (21, 10), (30, 30))
    above = score(detected, [0.9, 0.5, 0.2], truth, threshold=0.5)
    everything = score(detected, [0.9, 0.5, 0.2], truth)
    assert (above.precision, above.recall, above.keypoints_per_image) == (1.0, 1.0, 2.0)
    assert above.localization_error == 0.5
    assert everything.precision == 2 / 3
    assert above.ap == everything.ap == 1.0


def test_without_a_threshold_the_one_of_the_largest_f1_is_taken():
    truth, detected = points((10, 10), (20, 10)), points((10, 10), (20, 10), (30, 30), (40, 30))
    assert score(detected, [0.9, 0.6, 0.5, 0.1], truth, threshold=None).threshold == 0.6
    assert score(points(), [], truth, threshold=None).threshold == 0.0


def test_a_shift_by_half_a_pixel_is_the_localisation_error():
    truth = points((10, 10), (20, 30), (50, 12))
    scores = score(truth + points((0.5, 0.0)), [0.5, 0.5, 0.5], truth)
    assert scores.localization_error == 0.5
    assert scores.ap == scores.recall == scores.precision == 1.0


@pytest.mark.parametrize(("distance", "right"), [(2.0, True), (2.01, False)])
def test_the_tolerance_is_the_largest_distance_of_a_match(distance, right):
    assert score(points((10, 10 + distance)), [1.0], points((10, 10))).recall == right


def test_in_the_border_neither_detections_nor_true_points_count():
    # With 4 px of border the first column that counts is 4, whose pixel begins at 3.5; the last is 55, up to 55.5.
    truth = points((20, 20), (3.4, 20), (55.6, 20), (30, 2))
    nothing_there = score(points((20, 20)), [0.9], truth)
    assert (nothing_there.truth_count, nothing_there.recall, nothing_there.ap) == (1, 1.0, 1.0)
    in_the_border = score(points((20, 20), (1, 1), (58, 38)), [0.9, 0.8, 0.8], truth)
    assert (in_the_border.precision, in_the_border.keypoints_per_image) == (1.0, 1.0)


def test_a_detection_of_a_point_that_does_not_count_is_left_out_but_only_one():
    truth = points((20, 20), (3, 20))
    once = score(points((20, 20), (4, 20)), [0.9, 0.8], truth)
    assert (once.precision, once.recall, once.keypoints_per_image) == (1.0, 1.0, 2.0)
    twice = score(points((20, 20), (4, 20), (4, 21)), [0.9, 0.8, 0.7], truth)
    assert twice.precision == 1 / 2
    far = score(points((20, 20), (6, 20)), [0.9, 0.8], truth)
    assert far.precision == 1 / 2


def test_a_true_point_that_counts_goes_before_one_that_does_not():
    # The detection at 4 is nearer to the point in the border at 3.4 than to that at 5, which it finds.
    scores = score(points((4, 20)), [0.9], points((3.4, 20), (5, 20)))
    assert (scores.recall, scores.precision, scores.localization_error) == (1.0, 1.0, 1.0)


def test_a_true_point_whose_detection_fell_into_the_border_is_missed():
    scores = score(points((3.4, 20)), [0.9], points((4.2, 20)))
    assert (scores.truth_count, scores.recall, scores.keypoints_per_image) == (1, 0.0, 0.0)
    assert math.isnan(scores.precision)


def test_images_are_pooled_before_the_precision_is_taken():
    truths = [points((10, 10)), points((10, 10)), points()]
    found = [(points((10, 10)), [0.9]), (points((30, 30)), [0.8]), (points(), [])]
    scores = score_against_truth(found, truths, 2.0, 4, SIZE, 0.0)
    assert (scores.precision, scores.recall, scores.ap) == (1 / 2, 1 / 2, 1 / 2)
    assert (scores.keypoints_per_image, scores.image_count, scores.truth_count) == (2 / 3, 3, 2)


def test_without_detections_or_true_points_measures_are_nan_or_zero():
    nothing_found = score(points(), [], points((10, 10)))
    assert (nothing_found.ap, nothing_found.recall, nothing_found.keypoints_per_image) == (0.0, 0.0, 0.0)
    assert math.isnan(nothing_found.precision)
    assert math.isnan(nothing_found.localization_error)
    nothing_there = score(points((10, 10)), [0.5], points())
    assert math.isnan(nothing_there.ap)
    assert nothing_there.precision == 0.0
    assert math.isnan(score_against_truth([], [], 2.0, 4, SIZE).keypoints_per_image)


def test_unequal_numbers_of_images_are_refused():
    with pytest.raises(ValueError, match="1 images do not fit 2"):
        score_against_truth([(points(), [])], [points(), points()], 2.0, 4, SIZE)


def test_a_mean_leaves_out_what_is_not_defined():
    assert mean_of_defined([1.0, math.nan, 2.0]) == 1.5
    assert math.isnan(mean_of_defined([math.nan]))


COUNT = 3


class Known:
    """Returns for each image of the test set what a function makes of its shape and its keypoints, else nothing."""

    def __init__(self, answer):
        self._answers = {}
        for shape in SHAPES_WITH_KEYPOINTS:
            for samples in TEST.under_all(shape, range(COUNT)).values():
                for image, keypoints in samples:
                    self._answers[image.tobytes()] = answer(shape, keypoints)

    def settings(self):
        return {"known": True}

    def detect(self, images):
        found = [self._answers.get(image.tobytes(), points()) for image in images]
        return [(keypoints, np.linspace(1.0, 0.5, len(keypoints))) for keypoints in found]


@pytest.fixture(scope="module")
def evaluation():
    generator = np.random.default_rng(0)
    methods = {
        "oracle": Known(lambda shape, keypoints: keypoints),
        "no stars": Known(lambda shape, keypoints: keypoints if shape != "star" else points()),
        "random": Known(lambda shape, keypoints: generator.uniform((5, 5), (154, 114), (len(keypoints), 2))),
    }
    thresholds = dict.fromkeys(methods, 0.0)
    return evaluate_on_shapes(methods, COUNT, thresholds), evaluate_on_shapes(methods, COUNT, thresholds)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("tolerance", ["paper", "strict"])
def test_the_truth_is_perfect_and_a_random_detector_is_not(evaluation, condition, tolerance):
    overall = {name: method.overall[condition].detection[tolerance] for name, method in evaluation[0].methods.items()}
    oracle = overall["oracle"]
    assert (oracle.ap, oracle.precision, oracle.recall, oracle.localization_error) == (1.0, 1.0, 1.0, 0.0)
    assert overall["random"].ap < 0.2


def test_a_shape_that_is_never_found_lowers_the_mean_by_a_seventh(evaluation):
    method = evaluation[0].methods["no stars"]
    assert method.overall["clean"].detection["strict"].ap == pytest.approx(6 / 7, abs=1e-6)
    star = method.shapes["star"]["clean"].detection["strict"]
    assert (star.ap, star.recall, star.curve) == (0.0, 0.0, ())
    assert math.isnan(star.precision)
    assert method.shapes["cube"]["clean"].detection["strict"].ap == 1.0
    # Undefined values are left out of a mean.
    assert method.overall["clean"].detection["strict"].precision == 1.0


def test_an_evaluation_states_its_conditions_and_comes_out_the_same_again(evaluation):
    first, second = evaluation
    assert shapes_as_plain(first) == shapes_as_plain(second)
    assert json.loads(json.dumps(shapes_as_plain(first), allow_nan=False)) == shapes_as_plain(first)
    assert first.methods["oracle"].settings == {"known": True}
    assert first.test_set.digests == render_digests(COUNT)
    assert first.test_set.pinned_digests is None
    assert first.test_set.size_hw == (120, 160)
    assert first.protocol.tolerances == {"paper": 4.0, "strict": 2.0}
    assert first.protocol.border == BORDER
    assert first.methods["oracle"].thresholds == dict.fromkeys(CONDITIONS, 0.0)


def test_the_layout_of_the_json_has_tolerances_beside_repeatability(evaluation):
    plain = shapes_as_plain(evaluation[0])
    assert list(plain) == ["dataset", "test_set", "protocol", "versions", "methods"]  # no weights: no network
    assert plain["test_set"]["size"] == [120, 160]
    method = plain["methods"]["no stars"]
    assert list(method) == ["settings", "thresholds", "thresholds_from", "overall", "shapes"]
    assert list(method["overall"]["clean"]) == list(method["shapes"]["star"]["noise"])
    assert list(method["overall"]["clean"]) == ["paper", "strict", "repeatability"]
    star = method["shapes"]["star"]["clean"]
    assert (star["strict"]["precision"], star["strict"]["curve"]) == (None, [])
    assert list(star["repeatability"])[-1] == "pairs_without_keypoints"
    assert len(method["shapes"]["cube"]["clean"]["paper"]["curve"][0]) == 2


class Pixels:
    """Finds the brightest pixel."""

    def settings(self):
        return {}

    def detect(self, images):
        places = [np.unravel_index(image[8:-8, 8:-8].argmax(), image[8:-8, 8:-8].shape) for image in images]
        return [(points((x + 8, y + 8)), np.array([1.0])) for y, x in places]


def test_repeatability_is_one_where_both_views_show_the_same_point(monkeypatch):
    class Centre(Pixels):
        def detect(self, images):
            return [(points((79.5, 59.5)), np.array([1.0])) for _ in images]

    still = dataclasses.replace(
        evaluate.WARPS, translation=0.0, scale=0.0, rotation=math.pi, perspective=0.0, patch_ratio=0.7
    )
    monkeypatch.setattr("magicpoint.evaluation.shapes.repeatability.WARPS", still)
    # Turns and enlargements about the centre leave it where it is.
    overall = evaluate_on_shapes({"centre": Centre()}, 1, {"centre": 0.0}).methods["centre"].overall
    for condition in CONDITIONS:
        assert overall[condition].repeatability == RepeatabilityMeasures(1.0, 1.0, 0.0)


def test_a_detector_without_a_threshold_gets_one_from_the_validation_images(monkeypatch):
    monkeypatch.setattr(evaluate, "CALIBRATION_IMAGES", 1)
    method = evaluate_on_shapes({"brightest": Pixels()}, 1).methods["brightest"]
    assert set(method.thresholds.values()) <= {0.0, 1.0}
    assert "F1" in method.thresholds_from


@pytest.mark.parametrize(("arguments", "message"), [({"images_per_shape": 0}, "0"), ({"methods": ["surf"]}, "surf")])
def test_unusable_arguments_are_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate_synthetic(Extractor(MagicPoint(0.125)), tmp_path, **arguments)


def test_the_network_gives_the_same_keypoints_above_its_threshold_and_more_below():
    extractor = Extractor(MagicPoint(0.125), device="cpu")
    image = TEST.clean("cube", 0)[0]
    features = extractor.extract(image)
    [(keypoints, scores)] = NetworkOnShapes(extractor).detect([image])
    above = scores > extractor.settings.threshold
    assert np.array_equal(keypoints[above], features.keypoints.numpy())
    assert np.array_equal(scores[above], features.keypoint_scores.numpy())


def test_test_images_are_reproducible_and_are_not_those_of_other_streams():
    image, keypoints = TEST.clean("polygon", 5)
    again, keypoints_again = ShapeImages("test").clean("polygon", 5)
    assert np.array_equal(image, again)
    assert np.array_equal(keypoints, keypoints_again)
    place = SHAPES_WITH_KEYPOINTS.index("polygon")
    others = [VALIDATION.clean("polygon", 5)[0], render_sample(SEED, place, ShapeSettings(shapes=("polygon",)))[0]]
    assert not any(np.array_equal(image, other) for other in others)
    noisy = TEST.under("noise", image, "polygon", 5)
    assert np.array_equal(noisy, TEST.under("noise", image, "polygon", 5))
    assert not np.array_equal(noisy, TEST.under("noise", image, "polygon", 5, view=1))


def test_the_digest_sees_every_pixel_and_every_point():
    image, keypoints = TEST.clean("polygon", 5)
    changed = image.copy()
    changed[0, 0] ^= 1
    contents = [[(image, keypoints)], [(changed, keypoints)], [(image, keypoints + 1)], [(image, keypoints)] * 2, []]
    digests = []
    for samples in contents:
        digests.append(SampleDigest())
        digests[-1].add(samples)
    assert len({digest.hexdigest() for digest in digests}) == len(contents)


def test_only_the_whole_test_set_is_compared_with_the_pinned_digests(monkeypatch):
    monkeypatch.setattr(evaluate, "TEST_IMAGES_PER_SHAPE", 1)
    assert TEST_IMAGES_PER_SHAPE == 1000
    whole = evaluate_on_shapes({"brightest": Pixels()}, 1, {"brightest": 0.0})
    assert whole.test_set.pinned_digests is not None
