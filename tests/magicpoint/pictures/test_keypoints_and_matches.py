from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from magicpoint.core.types import Features, Matches
from magicpoint.pictures import matches as match_overlay
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


def test_the_best_keypoint_is_green_and_on_top_and_the_worst_is_red():
    both = draw_keypoints(np.ones((21, 31), np.float32), features([(15.0, 10.0)] * 2, [0.4, 0.0], (31, 21)))
    red, green, blue = both[10, 12].astype(int)
    assert green > max(red, blue) + 50
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
    assert np.array_equal(written[..., ::-1], draw_keypoints(grey, found))
    assert [entry.name for entry in path.parent.iterdir()] == ["ü.png"]


def five_matches(scores, inliers):
    """The picture of matches on the rows 5, 15, 25, 35 and 45 of two black images, (50, 20) each."""
    black = np.zeros((50, 20), np.float32)
    found = features([(10.0, 5.0 + 10 * number) for number in range(5)], [1.0] * 5, (20, 50))
    matches = Matches(torch.arange(5).repeat(2, 1).T, torch.tensor(scores))
    return draw_matches(black, black, found, found, matches, np.array(inliers))


def rows_drawn(picture, column):
    return [row for row in range(5, 50, 10) if picture[row, column].max() > 60]


def test_of_many_matches_those_at_even_steps_of_similarity_are_drawn(monkeypatch):
    scores, middle, rim = [0.9, 0.1, 0.5, 0.7, 0.3], 20 + GAP // 2, 10 - 2
    picture = five_matches(scores, [True] * 5)
    assert rows_drawn(picture, middle) == rows_drawn(picture, rim) == [5, 15, 25, 35, 45]
    monkeypatch.setattr(match_overlay, "MOST_LINES", 3)
    picture = five_matches(scores, [True, False, True, True, True])
    # From 0.9 to 0.1: the first, the third and the fifth.
    assert rows_drawn(picture, middle) == rows_drawn(picture, rim) == [5, 15, 25]
    assert picture[[5, 15, 25], middle].argmax(1).tolist() == [1, 0, 1]


def test_lines_let_the_picture_through_and_circles_do_not():
    picture = five_matches([1.0] * 5, [True] * 5)
    line, circle = picture[5, 20 + GAP // 2].astype(int), picture[5, 10 - 2].astype(int)
    # Green is 220 at most, of which a line takes half.
    assert 60 < line[1] <= 110 < 150 < circle[1] <= 220
