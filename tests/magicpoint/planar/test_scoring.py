"""The measures of quadrilaterals, by cases on paper."""

import math

import numpy as np
import pytest

from magicpoint.planar.detect import Quads
from magicpoint.planar.evaluation import GROUPS, ScenesProtocol, describe, evaluate_on_scenes
from magicpoint.planar.methods import by_sift, contours
from magicpoint.planar.polygons import polygon_iou
from magicpoint.planar.scenes import Scene, SceneSettings
from magicpoint.planar.scoring import look_at, match_quads, score_quads, shorter_sides

SQUARE = np.array([[0, 0], [20, 0], [20, 20], [0, 20]], np.float32)
ALL = np.ones(2, np.bool_)
SEEN = np.ones(2, np.float32)
TWO = np.stack([SQUARE, SQUARE + 50])


def scores_of(found, scores, truth=TWO, counts=ALL, visible=SEEN):
    quads = Quads(np.asarray(found, np.float32).reshape(-1, 4, 2), np.asarray(scores, np.float32), (100, 100))
    return score_quads([look_at(quads, scene_of(truth, visible))], [counts], 0.3)


def scene_of(truth, visible):
    numbers = np.arange(len(truth))
    return Scene(np.zeros((100, 100), np.uint8), truth.astype(np.float32), visible, numbers)


def test_the_surest_chooses_first_and_each_true_one_is_found_once():
    overlaps = [[0.6, 0.0], [0.9, 0.55], [0.0, 0.4]]
    assert match_quads(overlaps, [0.9, 0.8, 0.7], 0.5).tolist() == [0, 1, -1]
    assert match_quads(overlaps, [0.1, 0.8, 0.7], 0.5).tolist() == [-1, 0, -1]
    assert match_quads(np.zeros((2, 0)), [1, 2], 0.5).tolist() == [-1, -1]


def test_what_is_found_exactly_scores_one():
    found = scores_of(TWO, [0.9, 0.8])
    assert (found.ap_50, found.ap_75, found.ar_50, found.ar_75) == (1, 1, 1, 1)
    assert (found.corner_error, found.ordered_error, found.right_order, found.truth_count) == (0, 0, 1, 2)
    assert found.quads_per_image == 2


def test_one_of_two_is_half_and_a_surer_false_alarm_halves_that():
    assert scores_of(TWO[:1], [0.9]).ap_50 == 0.5
    alarm = scores_of(np.stack([SQUARE + 100, SQUARE]), [0.9, 0.8])
    assert (alarm.ap_50, alarm.ar_50) == (0.25, 0.5)


def test_a_shift_by_a_tenth_is_a_match_at_both_and_two_pixels():
    """18 of 22 columns are shared: an IoU of 0.82; by a quarter 15 of 25, 0.6."""
    near = scores_of(TWO + np.array([2, 0]), [0.9, 0.8])
    assert (near.ap_50, near.ap_75) == (1, 1)
    assert near.corner_error == pytest.approx(2)
    far = scores_of(TWO + np.array([5, 0]), [0.9, 0.8])
    assert (far.ap_50, far.ap_75, far.ar_75) == (1, 0, 0)


def test_the_order_of_corners_counts_apart():
    """A square said from its next corner on: each corner is a side away from where it should be."""
    turned = scores_of(np.roll(TWO, 1, axis=1), [0.9, 0.8])
    assert turned.ap_75 == 1
    assert (turned.corner_error, turned.ordered_error, turned.right_order) == (0, 20, 0)


def test_what_does_not_count_is_neither_found_nor_a_false_alarm():
    counts = np.array([True, False])
    assert scores_of(TWO, [0.8, 0.9], counts=counts).ap_50 == 1
    assert scores_of(TWO[1:], [0.9], counts=counts).ar_50 == 0


def test_the_seen_part_of_what_is_hardly_seen_is_no_false_alarm():
    """A third of the second square is seen, and said: by IoU it is none of the two. Of the first one, all of which is
    seen, the same part is a false alarm, and so is what lies by less than a half in the second."""
    counts, visible, third = np.array([True, False]), np.array([1.0, 0.33], np.float32), SQUARE * (1 / 3, 1)
    part, shifted = third + 50, third + np.array([46, 50])
    assert scores_of([part, SQUARE], [0.9, 0.8], counts=counts, visible=visible).ap_50 == 1
    assert scores_of([third, SQUARE], [0.9, 0.8], counts=counts, visible=visible).ap_50 == 0.5
    assert scores_of([shifted, SQUARE], [0.9, 0.8], counts=counts, visible=visible).ap_50 == 0.5
    assert scores_of([part, SQUARE], [0.9, 0.8], counts=counts).ap_50 == 0.5
    # Where it counts, a part of it is a false alarm.
    assert scores_of([part, TWO[1]], [0.9, 0.8], counts=~counts, visible=visible).ap_50 == 0.5


def test_nothing_there_and_nothing_found_is_ordinary():
    nothing = look_at(Quads(TWO[:0], SEEN[:0], (100, 100)), scene_of(TWO[:0], SEEN[:0]))
    empty = score_quads([nothing], [np.zeros(0, np.bool_)], 0.3)
    assert math.isnan(empty.ap_50)
    assert math.isnan(empty.corner_error)
    assert empty.quads_per_image == 0


def test_sides_and_angles_of_templates():
    """A square of 20 px that is squeezed to a half in one direction is seen at 60 degrees."""
    quads = np.stack([SQUARE, SQUARE * (0.5, 1.0)]).astype(np.float32)
    scene = Scene(np.zeros((64, 64), np.uint8), quads, np.ones(2, np.float32), np.zeros(2, np.int64))
    true = describe(scene, [np.zeros((30, 30), np.uint8)])
    np.testing.assert_allclose(true.side, [20, 10])
    np.testing.assert_allclose(true.angle, [0, 60], atol=0.1)
    wide = describe(scene, [np.zeros((30, 60), np.uint8)])
    np.testing.assert_allclose(wide.angle, [60, np.degrees(np.arccos(0.25))], atol=0.1)
    assert shorter_sides(quads[:0]).shape == (0,)


def test_contours_find_a_bright_card_in_the_order_that_it_hangs():
    image = np.full((120, 160), 40, np.uint8)
    image[30:80, 50:120] = 220
    quads = contours(image, [])
    card = np.array([[[49.5, 29.5], [119.5, 29.5], [119.5, 79.5], [49.5, 79.5]]])
    best = int(polygon_iou(quads.corners, card)[:, 0].argmax())
    assert np.abs(quads.corners[best] - card[0]).max() < 4
    assert len(contours(np.full((60, 80), 128, np.uint8), [])) == 0


@pytest.mark.slow
def test_keypoints_find_the_template_that_they_are_given():
    rng = np.random.default_rng(0)
    template = np.kron(rng.integers(0, 256, (12, 16)), np.ones((10, 10))).astype(np.uint8)
    image = np.full((240, 320), 128, np.uint8)
    image[60:180, 80:240] = template
    [corners] = by_sift([template])(image, [0, 0]).corners
    np.testing.assert_allclose(corners, [[79.5, 59.5], [239.5, 59.5], [239.5, 179.5], [79.5, 179.5]], atol=0.5)
    assert len(by_sift([np.zeros((20, 20), np.uint8)])(image, [0])) == 0


def test_methods_are_measured_on_the_same_scenes():
    """One that knows the truth finds all in every group, one that finds nothing none."""
    settings = SceneSettings((64, 96), shorter_side=(24.0, 40.0), most_occluders=0)
    templates = [np.arange(48 * 64, dtype=np.int64).reshape(48, 64).astype(np.uint8)]
    seen = []

    def nothing(image, given):
        seen.append((image.shape, given))
        return Quads(np.zeros((0, 4, 2), np.float32), np.zeros(0, np.float32), (96, 64))

    protocol = ScenesProtocol(6, 1, settings)
    found = evaluate_on_scenes(templates, [], {"nothing": nothing}, protocol, {}, progress=False)
    assert len(seen) == 6
    assert all(shape == (64, 96) and set(given) <= {0} for shape, given in seen)
    groups = found.results["nothing"].groups
    assert list(groups) == list(GROUPS)
    counted = groups["all that count"]
    assert counted.truth_count == sum(
        groups[f"seen {name}"].truth_count for name in ("at 0 to 30°", "at 30 to 55°", "from 55°")
    )
    assert counted.ar_50 == 0
