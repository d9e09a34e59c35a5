"""What is drawn covers the area that it should, where it should."""

import math

import cv2
import numpy as np
import pytest

from synthetic_shapes.canvas import Canvas, inset_quads, inward_steps

SIDE = 120
DEGREES = (0, 10, 22.5, 30, 45, 60, 77, 90)


def regular_polygon(corner_count, radius, degrees, centre):
    start = math.radians(degrees)
    turns = [start + 2 * math.pi * k / corner_count for k in range(corner_count)]
    return [centre + radius * complex(math.cos(turn), math.sin(turn)) for turn in turns]


def draw(method, *arguments):
    """The share of each pixel that one white shape on black covers."""
    canvas = Canvas(np.zeros((SIDE, SIDE), np.uint8))
    getattr(canvas, method)(*arguments, 255.0)
    return canvas.image() / 255.0


def centroid(cover):
    rows, columns = np.mgrid[: cover.shape[0], : cover.shape[1]]
    return complex((cover * columns).sum(), (cover * rows).sum()) / cover.sum()


def random_centre(rng):
    return complex(*(SIDE / 2 + rng.random(2)).tolist())


def test_an_empty_canvas_is_the_background_to_the_byte():
    background = np.random.default_rng(0).integers(0, 256, (51, 70), dtype=np.uint8)
    canvas = Canvas(background)
    np.testing.assert_array_equal(canvas.image(), background)
    assert canvas.background_range == (background.min(), background.max())
    canvas.replace(255 - background)
    np.testing.assert_array_equal(canvas.image(), 255 - background)


@pytest.mark.parametrize(("corner_count", "radius"), [(3, 12), (3, 40), (4, 8), (4, 30), (5, 20), (7, 45)])
def test_a_polygon_covers_its_area_about_its_centre(corner_count, radius):
    rng = np.random.default_rng(corner_count)
    area = corner_count / 2 * radius**2 * math.sin(2 * math.pi / corner_count)
    perimeter = 2 * corner_count * radius * math.sin(math.pi / corner_count)
    displacements, shifts = [], []
    for degrees in 360.0 * rng.random(60):
        centre = random_centre(rng)
        cover = draw("polygon", regular_polygon(corner_count, radius, degrees, centre))
        displacements.append((cover.sum() - area) / perimeter)
        shifts.append(centroid(cover) - centre)
    assert abs(np.mean(displacements)) < 0.02
    assert np.abs(displacements).max() < 0.07
    assert abs(np.mean(shifts)) < 0.03
    assert np.abs(shifts).max() < 0.15


@pytest.mark.parametrize("method", ["polygon", "quads"])
@pytest.mark.parametrize("degrees", DEGREES)
def test_edges_lie_where_they_should_at_every_angle(method, degrees):
    rng = np.random.default_rng(1)
    displacements = []
    for _ in range(40):
        corners = regular_polygon(4, 40, degrees, random_centre(rng))
        if method == "polygon":
            cover = draw("polygon", corners)
        else:
            canvas = Canvas(np.zeros((SIDE, SIDE), np.uint8))
            canvas.quads(np.array([corners]), [255.0])
            cover = canvas.image() / 255.0
        displacements.append((cover.sum() - 2 * 40**2) / (8 * 40 * math.sin(math.pi / 4)))
    assert abs(np.mean(displacements)) < 0.05


def test_both_orientations_draw_the_same():
    corners = regular_polygon(5, 30, 17, 60.3 + 59.6j)
    np.testing.assert_allclose(draw("polygon", corners), draw("polygon", corners[::-1]), atol=0.1)


def test_a_concave_polygon_is_full_inside_and_empty_in_its_notch():
    corners = [20 + 20j, 100 + 20j, 100 + 100j, 60 + 40j, 20 + 100j]
    cover = draw("polygon", corners)
    true = np.zeros((SIDE * 8, SIDE * 8), np.uint8)
    fine = np.array([((z.real + 0.5) * 8 - 0.5, (z.imag + 0.5) * 8 - 0.5) for z in corners])
    cv2.fillPoly(true, [np.rint(fine).astype(np.int32)], 255)
    true = cv2.resize(true, (SIDE, SIDE), interpolation=cv2.INTER_AREA) / 255.0
    assert (cover[cv2.erode(true, np.ones((5, 5))) == 1.0] == 1.0).all()
    assert (cover[cv2.dilate(true, np.ones((5, 5))) == 0.0] == 0.0).all()
    assert np.abs(cover - true).mean() < 0.01


@pytest.mark.parametrize("thickness", [1.0, 1.7, 3.0])
def test_a_stroke_covers_its_area_about_its_middle(thickness):
    rng = np.random.default_rng(2)
    excess, shifts = [], []
    for degrees in 360.0 * rng.random(100):
        middle = random_centre(rng)
        half = 30 * complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
        cover = draw("line", middle - half, middle + half, thickness)
        excess.append(cover.sum() / 60 - thickness)
        shifts.append((centroid(cover) - middle) / half * 30)
    assert abs(np.mean(excess)) < 0.03
    assert abs(np.mean(shifts)) < 0.03
    assert np.abs(np.imag(shifts)).max() < 0.15


@pytest.mark.parametrize(
    ("method", "size", "radius", "tolerance"),
    [
        ("disc", (0.5,), 0.5, 0.2),
        ("disc", (1.5,), 1.5, 0.22),
        ("disc", (20.0,), 20.0, 0.05),
        ("ellipse", ((30.0, 12.0), 35.0), math.sqrt(30 * 12), 0.1),
    ],
)
def test_round_shapes_cover_their_area_about_their_centre(method, size, radius, tolerance):
    rng = np.random.default_rng(3)
    areas, shifts = [], []
    for _ in range(60):
        centre = random_centre(rng)
        cover = draw(method, centre, *size)
        areas.append(cover.sum())
        shifts.append(centroid(cover) - centre)
    assert math.sqrt(np.mean(areas) / math.pi) == pytest.approx(radius, abs=tolerance)
    assert abs(np.mean(shifts)) < 0.03


def test_an_inset_square_and_triangle_are_known():
    square = [0j, 10 + 0j, 10 + 10j, 10j]
    assert inward_steps(square) == pytest.approx([1 + 1j, -1 + 1j, -1 - 1j, 1 - 1j])
    assert inward_steps(square[::-1]) == pytest.approx([1 - 1j, -1 - 1j, -1 + 1j, 1 + 1j])
    # The corner of an equilateral triangle moves by twice the distance of its edges.
    assert [abs(step) for step in inward_steps(regular_polygon(3, 10, 5, 0j))] == pytest.approx([2, 2, 2])
    quads = np.array([square, [z + 20 for z in square]])
    np.testing.assert_allclose(inset_quads(quads, 0.5)[1], [20.5 + 0.5j, 29.5 + 0.5j, 29.5 + 9.5j, 20.5 + 9.5j])
    np.testing.assert_allclose(inset_quads(quads[:, ::-1], 0.5)[1][::-1], inset_quads(quads, 0.5)[1])


def test_a_needle_stays_inside_itself():
    needle = [0j, 100 + 1j, 100 - 1j]
    tip = 0.5 * inward_steps(needle)[0]
    assert 0.0 < tip.real <= 4.0
    assert abs(tip.imag) < 0.1
