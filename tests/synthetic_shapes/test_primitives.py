"""What each shape promises about its corners, for images of many sizes."""

import cmath
import math
from itertools import combinations, pairwise

import numpy as np
import pytest

from synthetic_shapes.background import MAX_RANGE, add_grain, draw_background
from synthetic_shapes.canvas import Canvas
from synthetic_shapes.greys import MIN_CONTRAST, STROKE_CONTRAST, contrasting_grey
from synthetic_shapes.noise import NOISE_DEVIATION, NOISE_MEAN, noise_bytes
from synthetic_shapes.placement import (
    MIN_SPACING,
    MIN_TURN,
    disjoint_circles,
    distance_to_segment,
    keep_distance,
    perspective_grid,
    random_polygon,
)
from synthetic_shapes.primitives import PRIMITIVES, SHAPES_WITH_KEYPOINTS, STANDARD_SHAPES
from synthetic_shapes.sample import render_shape

SIZES = [(48, 48), (120, 160), (123, 211), (200, 48)]
MOST = {
    "lines": 35,
    "polygon": 7,
    "multiple_polygons": 48,
    "ellipses": 0,
    "star": 7,
    "checkerboard": 81,
    "stripes": 18,
    "cube": 7,
    "gaussian_noise": 0,
}
"""The largest number of keypoints of each shape; a new one gets a row."""


class StrokeRecorder(Canvas):
    """A canvas that remembers the strokes."""

    def __init__(self, background):
        super().__init__(background)
        self.strokes = []

    def line(self, start, end, thickness, grey):
        super().line(start, end, thickness, grey)
        self.strokes.append((start, end, thickness, grey))


def spacing(points):
    return min((abs(complex(*a) - complex(*b)) for a, b in combinations(points.tolist(), 2)), default=math.inf)


def test_the_shapes_are_numbered():
    assert PRIMITIVES.keys() == MOST.keys()
    assert list(PRIMITIVES)[: len(STANDARD_SHAPES)] == list(STANDARD_SHAPES)
    assert [name for name in STANDARD_SHAPES if MOST[name]] == list(SHAPES_WITH_KEYPOINTS)


@pytest.mark.parametrize("shape", PRIMITIVES)
@pytest.mark.parametrize("size", SIZES)
def test_every_render_is_sound(shape, size):
    height, width = size
    counts = []
    for seed in range(40):
        image, keypoints = render_shape(shape, size, np.random.default_rng(seed))
        assert image.shape == size
        assert image.dtype == np.uint8
        assert keypoints.shape == (len(keypoints), 2)
        assert keypoints.dtype == np.float32
        assert (keypoints >= 0).all()
        assert (keypoints <= (width - 1, height - 1)).all()
        assert spacing(keypoints) > MIN_SPACING - 1e-3
        counts.append(len(keypoints))
    assert max(counts) <= MOST[shape]
    assert np.mean(counts) >= (3 if MOST[shape] else 0)
    assert counts.count(0) <= (8 if MOST[shape] else 40)


def test_a_large_image_is_rendered_too():
    image, keypoints = render_shape("checkerboard", (480, 640), np.random.default_rng(0))
    assert image.shape == (480, 640)
    assert len(keypoints) > 9


def test_a_polygon_has_sound_corners():
    concave = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        corners = random_polygon(50 + 60j, 8.0 + 40.0 * rng.random(), 3 + seed % 5, rng)
        assert 3 <= len(corners) <= 3 + seed % 5
        turns = []
        for k, corner in enumerate(corners):
            before, after = corners[k - 1], corners[(k + 1) % len(corners)]
            turns.append(cmath.phase((after - corner) / (corner - before)))
            others = [corners[(k + j) % len(corners)] for j in range(1, len(corners))]
            nearest = min(distance_to_segment(corner, a, b) for a, b in pairwise(others))
            assert nearest >= MIN_SPACING - 1e-9
        assert min(abs(turn) for turn in turns) >= MIN_TURN - 1e-9
        assert max(abs(turn) for turn in turns) <= math.pi - MIN_TURN + 1e-9
        # A simple polygon turns by one whole turn in all.
        assert sum(turns) == pytest.approx(2 * math.pi)
        concave += min(turns) < 0
    assert concave > 0


def test_distances_from_a_segment():
    assert distance_to_segment(3 + 4j, 0j, 10 + 0j) == pytest.approx(4)
    assert distance_to_segment(-3 + 4j, 0j, 10 + 0j) == pytest.approx(5)
    assert distance_to_segment(13 - 4j, 0j, 10 + 0j) == pytest.approx(5)
    assert keep_distance([0j, 7 + 0j], [14 + 0j])
    assert not keep_distance([0j, 6 + 0j])
    assert not keep_distance([0j], [6j])
    assert keep_distance([])


def test_circles_stay_inside_and_apart():
    for seed in range(50):
        circles = disjoint_circles(160, 120, 8, (6.0, 30.0), 5.0, np.random.default_rng(seed))
        assert 1 <= len(circles) <= 8
        for centre, radius in circles:
            assert radius <= centre.real <= 159 - radius
            assert radius <= centre.imag <= 119 - radius
        for (a, reach_a), (b, reach_b) in combinations(circles, 2):
            assert abs(a - b) >= reach_a + reach_b + 5.0


def test_a_grid_is_a_perspective_view_with_room_between_its_nodes():
    columns, rows = np.linspace(0, 1, 6), np.array((0, 0.3, 0.45, 1))
    for seed in range(50):
        nodes = perspective_grid(columns, rows, 160, 120, np.random.default_rng(seed))
        assert nodes.shape == (4, 6)
        flat = nodes.ravel().tolist()
        assert min(abs(a - b) for a, b in combinations(flat, 2)) >= MIN_SPACING - 1e-9
        # Four points on a line keep their cross ratio in perspective.
        a, b, c, d = nodes[:, 2].tolist()
        assert abs((d - a) / (b - a)) * abs((c - b) / (d - c)) == pytest.approx(1.0 / 0.3 * 0.15 / 0.55)
        for line in (*nodes, *nodes.T):
            along = line[-1] - line[0]
            assert np.abs(((line - line[0]) / along).imag).max() < 1e-9


def test_strokes_do_not_crowd():
    junctions = 0
    for seed in range(150):
        canvas = StrokeRecorder(np.full((120, 160), 128, np.uint8))
        keypoints = PRIMITIVES["lines"](canvas, np.random.default_rng(seed))
        assert spacing(keypoints) >= MIN_SPACING - 1e-9
        points = [complex(*point) for point in keypoints.tolist()]
        for (a, b, _, _), (c, d, _, _) in combinations(canvas.strokes, 2):
            for point, start, end in ((a, c, d), (b, c, d), (c, a, b), (d, a, b)):
                distance = distance_to_segment(point, start, end)
                touches = distance < 1e-9
                assert touches or distance >= min(MIN_SPACING, 4.0)
                if touches:
                    assert point in points
                    junctions += 1
            cross = ((b - a).conjugate() * (d - c)).imag
            t, s = ((c - a).conjugate() * (d - c)).imag / cross, ((c - a).conjugate() * (b - a)).imag / cross
            if 1e-9 < t < 1 - 1e-9 and 1e-9 < s < 1 - 1e-9:
                assert abs(cross) >= math.sin(math.radians(35)) * abs(b - a) * abs(d - c)
                assert min(abs(a + t * (b - a) - point) for point in points) < 1e-9
        for start, end, thickness, grey in canvas.strokes:
            assert {start, end} <= set(points)
            assert 1.0 <= thickness <= 3.0
            assert abs(grey - 128) >= STROKE_CONTRAST
    assert junctions > 100


def test_star_branches_are_well_apart():
    for seed in range(60):
        canvas = StrokeRecorder(np.zeros((120, 160), np.uint8))
        corners = PRIMITIVES["star"](canvas, np.random.default_rng(seed))
        assert 4 <= len(corners) <= 7
        assert len(canvas.strokes) == len(corners) - 1
        angles = sorted(cmath.phase(end - start) for start, end, _, _ in canvas.strokes)
        gaps = np.diff([*angles, angles[0] + 2 * math.pi])
        assert np.degrees(gaps.min()) >= 36.0 - 1e-6


def test_a_cube_shows_three_parallelogram_like_faces():
    for seed in range(60):
        canvas = Canvas(np.zeros((120, 160), np.uint8))
        corners = [complex(*corner) for corner in PRIMITIVES["cube"](canvas, np.random.default_rng(seed)).tolist()]
        assert len(corners) == 7
        for a, b in ((1, 2), (1, 4), (2, 4)):
            turn = ((corners[a] - corners[0]) / (corners[b] - corners[0])).conjugate()
            assert abs(math.cos(cmath.phase(turn))) <= math.cos(MIN_TURN) + 1e-9
            # The far corner of the face lies on the far side, a little nearer in perspective.
            diagonal = corners[a | b] - corners[0]
            share = diagonal / (corners[a] + corners[b] - 2 * corners[0])
            assert 0.6 < abs(share) < 1.4


def test_greys_stand_out():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        low = 255.0 * rng.random()
        background = (low, min(255.0, low + MAX_RANGE * rng.random()))
        first = contrasting_grey((background,), rng)
        second = contrasting_grey((background, (first, first)), rng)
        for grey in (first, second):
            assert 0.0 <= grey <= 255.0
            assert max(background[0] - grey, grey - background[1]) >= MIN_CONTRAST
        assert abs(first - second) >= MIN_CONTRAST
    assert contrasting_grey(((0.0, 100.0), (140.0, 255.0)), rng) == 120.0
    assert contrasting_grey(((20.0, 255.0),), rng) == 0.0


def test_backgrounds_leave_room_for_contrast_and_have_no_sharp_edge():
    for seed in range(60):
        background = draw_background(121, 163, np.random.default_rng(seed))
        assert background.shape == (121, 163)
        levels = background.astype(np.float32)
        assert levels.max() - levels.min() <= MAX_RANGE + 1
        # A whole range over two pixels would be an edge.
        assert np.abs(levels[:, 2:] - levels[:, :-2]).max() < 32
        assert np.abs(levels[2:] - levels[:-2]).max() < 32


def test_noise_has_its_moments_and_grain_stays_small():
    rng = np.random.default_rng(0)
    noise = noise_bytes(300, 300, rng).astype(np.float64)
    assert noise.mean() == pytest.approx(NOISE_MEAN, abs=1)
    assert noise.std() == pytest.approx(NOISE_DEVIATION, abs=1)
    assert noise_bytes(800, 800, rng).shape == (800, 800)
    grey = np.full((53, 71), 100, np.uint8)
    for _ in range(20):
        grained = add_grain(grey, rng)
        assert grained.shape == grey.shape
        assert abs(grained.mean() - 100) < 2
        assert grained.std() < 9
