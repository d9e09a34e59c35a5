"""Pictures of quadrilaterals: outlines where they lie, and texts that can be read."""

import numpy as np

from magicpoint.pictures.quads import draw_quads

RED = (255, 0, 0)
QUAD = np.array([[50, 60], [150, 60], [150, 140], [50, 140]])
GREY = np.full((200, 320, 3), 150, np.uint8)


def test_the_outline_runs_through_the_corners_with_a_dot_at_the_first():
    picture = draw_quads(GREY, [QUAD], [""], [RED])
    for x, y in [*QUAD, (100, 60), (150, 100)]:
        assert picture[y, x].tolist() == [255, 0, 0]
    assert picture[58, 52].tolist() == [255, 0, 0]
    assert picture[136, 146].tolist() == [150, 150, 150]
    assert (GREY == 150).all()


def test_a_text_is_of_its_colour_on_black_and_within_the_picture():
    """Two strokes of one text have other widths in OpenCV 5, so that one in black behind it makes it unreadable."""
    for corner in ((50, 60), (310, 1), (-40, -40), (319, 199)):
        quad = QUAD - QUAD[0] + corner
        written = draw_quads(GREY, [quad], ["poster 12 0.97"], [RED])
        changed = (written != draw_quads(GREY, [quad], [""], [RED])).any(axis=2)
        rows, columns = np.nonzero(changed)
        box = written[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(int)
        assert (box[..., 1:] <= 150).all()
        assert (box.max(axis=2) < 60).mean() > 0.4
        assert (box[..., 0] > 200).sum() > 60
        assert np.ptp(columns) > 60
