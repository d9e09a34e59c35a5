"""The pictures of which scenes are made."""

import pickle

import numpy as np
import pytest

from magicpoint.io.images import write_png
from magicpoint.planar import pictures
from magicpoint.planar.pictures import Pictures
from magicpoint.planar.scenes import draw_boards


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(20):
        grey = rng.integers(0, 256, (30, 40), dtype=np.uint8)
        write_png(tmp_path / f"{number}.png", np.repeat(grey[..., None], 3, axis=2))
    return tmp_path


def test_drawn_ones_come_before_those_of_files(folder):
    boards = draw_boards(2)
    both = Pictures(boards, [folder])
    assert len(both) == len(both.names) == 22
    assert both.names[:3] == ("board 0", "board 1", "0.png")
    np.testing.assert_array_equal(both[1], boards[1])
    assert both[-1].shape == (30, 40)
    assert [each.shape for each in both[1:3]] == [boards[1].shape, (30, 40)]
    with pytest.raises(IndexError, match="22 pictures"):
        both[22]


def test_the_name_decides_who_is_held_out(folder):
    learnt, held_out = Pictures((), [folder]).split(0.3)
    assert sorted([*learnt.names, *held_out.names]) == sorted(Pictures((), [folder]).names)
    assert 0 < len(held_out) < len(learnt)
    (folder / learnt.names[0]).unlink()
    assert set(Pictures((), [folder]).split(0.3)[1].names) == set(held_out.names)
    one = Pictures(draw_boards(1))
    assert [len(side) for side in one.split(0.1)] == [1, 1]
    assert [len(side) for side in Pictures().split(0.1)] == [0, 0]


def test_pictures_are_kept_while_there_is_room(folder, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_KEPT", 2 * 30 * 40)
    few = Pictures((), [folder])
    assert few[0] is few[0]
    assert few[1] is few[1]
    assert few[2] is not few[2]
    np.testing.assert_array_equal(few[2], few[2])
    sent = pickle.loads(pickle.dumps(few))
    np.testing.assert_array_equal(sent[0], few[0])
    assert len(pickle.dumps(few)) < 10_000


def test_the_digest_tells_other_pictures(folder):
    before = Pictures((), [folder]).digest
    assert Pictures((), [folder]).digest == before
    assert Pictures(draw_boards(1), [folder]).digest != before
    (folder / "0.png").unlink()
    assert Pictures((), [folder]).digest != before


def test_large_pictures_are_shrunk_as_they_are_read(tmp_path):
    write_png(tmp_path / "wide.png", np.zeros((100, 1024, 3), np.uint8))
    assert Pictures((), [tmp_path])[0].shape == (50, 512)
