"""Labels against classical measurements on clean renders: fits of edges and of strokes, and cornerSubPix.

An edge is where the grey is half-way between its two sides, a stroke is where the centroids of its profiles are. Both
are fitted by total least squares some pixels away from the corner, so that nothing is assumed about the corner itself;
the corner is where the fits meet.
"""

import cv2
import numpy as np
import pytest

from synthetic_shapes.canvas import Canvas
from synthetic_shapes.primitives import PRIMITIVES

STEP = 0.05
EDGE_STRETCH = (4.5, 15.0)
STROKE_STRETCH = (8.0, 20.0)


class Recorder(Canvas):
    """A canvas that remembers the edges of the faces and the centre lines of the strokes that were drawn."""

    def __init__(self, background):
        super().__init__(background)
        self.edges = []
        self.strokes = []

    def polygon(self, corners, grey, inset=0.0):
        super().polygon(corners, grey, inset)
        if inset == 0.0:
            self.edges += zip(corners, [*corners[1:], corners[0]], strict=True)

    def quads(self, corners, greys):
        super().quads(corners, greys)
        for quad in corners.tolist():
            self.edges += zip(quad, quad[1:] + quad[:1], strict=True)

    def line(self, start, end, thickness, grey):
        super().line(start, end, thickness, grey)
        self.strokes.append((start, end, thickness))


def draw(shape, seed):
    """A clean render on a flat background, its corners as complex numbers, and what was drawn."""
    rng = np.random.default_rng([seed, *shape.encode()])
    canvas = Recorder(np.full((120, 160), rng.integers(256), np.uint8))
    corners = PRIMITIVES[shape](canvas, rng)
    return canvas.image().astype(np.float32), [complex(x, y) for x, y in corners.tolist()], canvas


def sample(image, points):
    x, y = points.real.astype(np.float32), points.imag.astype(np.float32)
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def is_inside(image, point, margin):
    height, width = image.shape
    return margin <= point.real <= width - 1 - margin and margin <= point.imag <= height - 1 - margin


def stretch(image, corner, other, near, far):
    """Points from `near` to `far` pixels along the way to `other`, as far as inside; None where they are few."""
    length = abs(other - corner)
    direction = (other - corner) / length
    distances = np.arange(near, min(length - near, far), 0.25)
    points = corner + distances * direction
    points = points[[is_inside(image, point, 4.0) for point in points]]
    return (points, 1j * direction) if len(points) >= 16 else (None, None)


def fit_line(points):
    """A point of the line and its unit direction."""
    centre = points.mean()
    direction = np.sqrt(((points - centre) ** 2).sum())
    return centre, direction / abs(direction)


def fit_edge(image, corner, other):
    points, normal = stretch(image, corner, other, *EDGE_STRETCH)
    if points is None:
        return None
    steps = np.arange(-2.0, 2.0 + STEP / 2, STEP)
    profiles = sample(image, points[:, None] + steps * normal)
    left, right = np.median(profiles[:, :5]), np.median(profiles[:, -5:])
    crossings = steps[0] + STEP * (((profiles - left) / (right - left) < 0.5).sum(1) - 0.5)
    return fit_line(points + crossings * normal)


def fit_stroke(image, corner, other, thickness):
    points, normal = stretch(image, corner, other, *STROKE_STRETCH)
    if points is None:
        return None
    reach = thickness / 2 + 1.5
    steps = np.arange(-reach, reach + STEP / 2, STEP)
    profiles = sample(image, points[:, None] + steps * normal)
    weights = np.abs(profiles - profiles[:, :1])
    return fit_line(points + (weights * steps).sum(1) / weights.sum(1) * normal)


def meeting_point(lines):
    """The point nearest to all lines, or None where none meet at 25 degrees or more."""
    lines = [line for line in lines if line is not None]
    if max((abs((a.conjugate() * b).imag) for _, a in lines for _, b in lines), default=0.0) < 0.42:
        return None
    normals = np.array([(-d.imag, d.real) for _, d in lines])
    offsets = np.array([(p.conjugate() * 1j * d).real for p, d in lines])
    return complex(*np.linalg.lstsq(normals, offsets, rcond=None)[0])


def on_stroke(point, stroke):
    start, end, _ = stroke
    place = (point - start) / (end - start)
    return abs(place.imag) < 1e-6 and -1e-6 < place.real < 1.0 + 1e-6


def stroke_corners(shape, seed, room):
    """Corners of strokes with no other corner within `room` pixels: image, corner, the strokes there."""
    image, corners, canvas = draw(shape, seed)
    for corner in corners:
        if is_inside(image, corner, 4.0) and sum(abs(corner - other) < room for other in corners) == 1:
            yield image, corner, [stroke for stroke in canvas.strokes if on_stroke(corner, stroke)]


def edge_errors(shape, seeds):
    for seed in range(seeds):
        image, corners, canvas = draw(shape, seed)
        for corner in corners:
            edges = [edge for edge in canvas.edges if min(abs(end - corner) for end in edge) < 1e-6]
            others = {max(edge, key=lambda end: abs(end - corner)) for edge in edges}
            found = meeting_point([fit_edge(image, corner, other) for other in others])
            if found is not None and is_inside(image, corner, 4.0):
                yield found - corner


def stroke_errors(shape, seeds, room):
    for seed in range(seeds):
        for image, corner, strokes in stroke_corners(shape, seed, room):
            ends = [(end, thickness) for *both, thickness in strokes for end in both if abs(end - corner) > 1e-6]
            found = meeting_point([fit_stroke(image, corner, end, thickness) for end, thickness in ends])
            if found is not None:
                yield found - corner


def assert_true_labels(errors, least):
    errors = np.array(list(errors))
    means = f"{errors.real.mean():+.3f} in x, {errors.imag.mean():+.3f} in y"
    print(f"{len(errors)} corners: mean error {means}; median distance {np.median(np.abs(errors)):.3f} px")
    assert len(errors) >= least
    assert abs(errors.real.mean()) < 0.05
    assert abs(errors.imag.mean()) < 0.05
    assert np.median(np.abs(errors)) < 0.15


@pytest.mark.parametrize(
    ("shape", "seeds", "least"),
    [("polygon", 90, 300), ("multiple_polygons", 50, 300), ("stripes", 60, 300), ("cube", 55, 300)],
)
def test_edges_meet_at_the_labels(shape, seeds, least):
    assert_true_labels(edge_errors(shape, seeds), least)


def test_edges_of_checkerboard_cells_meet_at_the_labels():
    assert_true_labels(edge_errors("checkerboard", 25), 300)


def test_corner_refinement_stays_at_the_inner_corners_of_checkerboards():
    errors = []
    for seed in range(40):
        image, corners, canvas = draw("checkerboard", seed)
        ends = np.array(canvas.edges).ravel()
        inner = [corner for corner in corners if (abs(ends - corner) < 1e-6).sum() == 8 and is_inside(image, corner, 8)]
        points = np.array([(corner.real, corner.imag) for corner in inner], np.float32).reshape(-1, 1, 2)
        if len(inner):
            criteria = (cv2.TERM_CRITERIA_MAX_ITER + cv2.TERM_CRITERIA_EPS, 100, 1e-4)
            refined = cv2.cornerSubPix(image.astype(np.uint8), points.copy(), (3, 3), (-1, -1), criteria)
            errors += [complex(*shift) for shift in (refined - points).reshape(-1, 2).tolist()]
    assert_true_labels(errors, 500)


@pytest.mark.parametrize(("shape", "seeds", "room"), [("lines", 400, 24.0), ("star", 230, 13.0)])
def test_strokes_meet_at_the_labels(shape, seeds, room):
    assert_true_labels(stroke_errors(shape, seeds, room), 200)


@pytest.mark.parametrize("shape", ["lines", "star"])
def test_strokes_end_at_the_labels(shape):
    errors = []
    across = np.arange(-3.0, 3.01, 0.1)
    along = np.arange(-8.0, 4.0, STEP) + STEP / 2
    for seed in range(200):
        for image, end, strokes in stroke_corners(shape, seed, 24.0):
            if len(strokes) > 1 or not is_inside(image, end, 6.0):
                continue
            start, other, _ = strokes[0]
            outward = (end - start if end == other else end - other) / abs(start - other)
            profile = sample(image, end + outward * (along[:, None] + 1j * across)).sum(1)
            ground, body = profile[along > 3].mean(), profile[along < -3].mean()
            # How far the stroke covers its line beyond the end: the integral of the share that is covered.
            beyond = ((profile - ground) / (body - ground))[along > -3].sum() * STEP - 3.0
            errors.append(beyond * outward)
    assert_true_labels(errors, 200)
