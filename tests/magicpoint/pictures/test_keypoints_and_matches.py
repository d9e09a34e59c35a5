from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from magicpoint.core.types import Features, Matches
from magicpoint.pictures import matches as match_overlay
from magicpoint.pictures.canvas import LEGEND_HEIGHT, add_legend
from magicpoint.pictures.keypoints import draw_keypoints, overlay_path, write_overlay
from magicpoint.pictures.matches import GAP, draw_matches


def features(points, scores, size):
    return Features(torch.tensor(points).reshape(-1, 2), torch.tensor(scores), None, size)


@pytest.mark.parametrize("point", [(20.0, 12.0), (20.5, 12.0), (20.25, 12.75), (20.9, 12.1)])
def test_circles_are_centred_on_their_keypoints(point):
    picture = draw_keypoints(np.zeros((30, 40), np.float32), features([point], [1.0], (40, 30)))
    weight = picture.astype(float).sum(2)
    y, x = np.mgrid[:30, :40]
    assert (x * weight).sum() / weight.sum() == pytest.approx(point[0], abs=0.05)
    assert (y * weight).sum() / weight.sum() == pytest.approx(point[1], abs=0.05)
    assert weight[round(point[1]), round(point[0])] == 0


def test_circles_touch_the_pixels_three_away():
    picture = draw_keypoints(np.zeros((21, 31), np.float32), features([(15.0, 10.0)], [1.0], (31, 21)))
    assert sorted(np.flatnonzero(picture[10].sum(1) > 200)) == [12, 18]
    assert sorted(np.flatnonzero(picture[:, 15].sum(1) > 200)) == [7, 13]


def test_the_best_keypoint_is_cyan_and_on_top_and_the_worst_is_red():
    both = draw_keypoints(np.ones((21, 31), np.float32), features([(15.0, 10.0)] * 2, [0.4, 0.0], (31, 21)))
    red, green, blue = both[10, 12].astype(int)
    assert min(green, blue) > red + 50
    apart = draw_keypoints(np.ones((21, 31), np.float32), features([(8.0, 10.0), (22.0, 10.0)], [0.4, 0.0], (31, 21)))
    red, green, blue = apart[10, 19].astype(int)
    assert red > max(green, blue) + 50


def test_zero_keypoints_leave_the_image():
    grey = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    picture = draw_keypoints(grey, features([], [], (4, 3)))
    assert (picture == np.rint(grey * 255)[..., None]).all()


def test_features_of_another_image_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 3\).*\(3, 4\)"):
        draw_keypoints(np.zeros((4, 3), np.float32), features([], [], (4, 3)))


def test_files_mirror_the_keys(tmp_path):
    assert overlay_path(Path("o"), "a/b.png") == Path("o/a/b.png")
    assert overlay_path(Path("o"), "a/b.jpg") == Path("o/a/b.jpg.png")
    grey = np.zeros((21, 31), np.float32)
    found = features([(15.0, 10.0)], [1.0], (31, 21))
    path = write_overlay(tmp_path / "new" / "ü.png", grey, found)
    written = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(written[:21, :, ::-1], draw_keypoints(grey, found))
    assert written.shape == (21 + LEGEND_HEIGHT, 31, 3)
    assert [entry.name for entry in path.parent.iterdir()] == ["ü.png"]


def test_colours_stay_colours():
    picture = np.zeros((21, 31, 3), np.uint8)
    picture[2, 3] = (10, 200, 30)
    drawn = draw_keypoints(picture, features([(20.0, 10.0)], [1.0], (31, 21)))
    assert drawn[2, 3].tolist() == [10, 200, 30]
    assert picture[10, 17].tolist() == [0, 0, 0]  # what was given is not drawn on


def test_a_legend_changes_no_pixel_and_leaves_out_what_does_not_fit():
    picture = np.full((10, 200, 3), 77, np.uint8)
    with_text = add_legend(picture, [("first", np.array([(255, 0, 0)], np.uint8)), ("second " * 20, None)])
    assert with_text.shape == (10 + LEGEND_HEIGHT, 200, 3)
    assert (with_text[:10] == 77).all()
    assert (with_text[10:] == (255, 0, 0)).all(2).sum() == 12 * 12
    assert (with_text[10:, 100:] == with_text[10, 199]).all()


def five_matches(scores, inliers):
    """The picture of matches on the rows 5, 15, 25, 35 and 45 of two black images, (50, 20) each."""
    black = np.zeros((50, 20), np.float32)
    found = features([(10.0, 5.0 + 10 * number) for number in range(5)], [1.0] * 5, (20, 50))
    matches = Matches(torch.arange(5).repeat(2, 1).T, torch.tensor(scores))
    return draw_matches(black, black, found, found, matches, np.array(inliers))


def rows_drawn(picture, column):
    return [row for row in range(5, 50, 10) if picture[row, column].max() > 60]


def test_of_many_matches_those_apart_from_each_other_are_drawn(monkeypatch):
    scores, middle = [0.9, 0.1, 0.5, 0.7, 0.3], 20 + GAP // 2
    assert rows_drawn(five_matches(scores, [True] * 5), middle) == [5, 15, 25, 35, 45]
    monkeypatch.setattr(match_overlay, "MOST_LINES", 3)
    # The best is on row 5, the farthest from it on 45, the farthest from both on 25.
    assert rows_drawn(five_matches(scores, [True] * 5), middle) == [5, 25, 45]
    # Of three places two fifths, that is one, are for those that do not agree: the better on row 35.
    picture = five_matches(scores, [True, False, True, False, True])
    assert rows_drawn(picture, middle) == [5, 35, 45]
    red, green, blue = picture[35, middle].astype(int)
    assert red > max(green, blue) + 20


def test_lines_let_the_picture_through_and_discs_do_not():
    picture = five_matches([1.0] * 5, [True] * 5)
    assert 0.6 * 255 < picture[5, 20 + GAP // 2].max() <= 0.75 * 255 + 1
    assert picture[5, 10].max() == 255
    faint = five_matches([1.0] * 5, [False] * 5)
    assert 0.25 * 220 < faint[5, 20 + GAP // 2].max() <= 0.35 * 220 + 1


def test_a_match_has_one_colour_at_both_ends_and_others_have_others():
    picture = five_matches([1.0] * 5, [True] * 5)
    ends = [(picture[row, 10].tolist(), picture[row, 20 + GAP + 10].tolist()) for row in range(5, 50, 10)]
    assert all(left == right for left, right in ends)
    # Straight above the middle of the image the hue is that of 270 degrees, straight below of 90.
    assert ends[0][0] != ends[4][0]
