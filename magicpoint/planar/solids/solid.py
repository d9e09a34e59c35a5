"""Solids with a picture on each face, drawn at a known orientation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ...data.scenes3d.camera import Camera, Floats
from ...data.scenes3d.render import TexturedPlane, render

Form = Literal["cube", "box", "slanted"]

FORMS: tuple[Form, ...] = ("cube", "box", "slanted")

_DISTANCE = 4.0  # of the camera from the middle, in radii of the ball around the solid
_REACH = 1.2  # of the view to each side of the middle, in radii


@dataclass(frozen=True, eq=False)
class Solid:
    """A parallelepiped around the origin.

    Args:
        edges: float64 (3, 3), a row is the vector of an edge; the ball around the solid has radius 1.
        pictures: uint8 (h, w) of the six faces: for each edge that where it begins, then that where it ends.
    """

    edges: Floats
    pictures: tuple[NDArray[np.uint8], ...]

    def planes(self, eye: Floats) -> list[TexturedPlane]:
        """The faces that are seen from a point."""
        seen = []
        for axis in range(3):
            right, down = self.edges[(axis + 1) % 3], self.edges[(axis + 2) % 3]
            normal = np.cross(right, down)
            normal = normal * np.sign(normal @ self.edges[axis])
            for end, sign in enumerate((-1.0, 1.0)):
                middle = sign * self.edges[axis] / 2
                if sign * normal @ (eye - middle) > 0:
                    corner = middle - (right + down) / 2
                    seen.append(TexturedPlane(self.pictures[2 * axis + end], corner, right, down))
        return seen


def draw_solid(form: Form, pictures: Sequence[NDArray[np.uint8]], rng: Generator) -> Solid:
    """A solid of a form, with pictures drawn from some, another on each face where there are six.

    Args:
        form: A cube; a box with sides between 0.6 and 1; or a box that is slanted, too.
        pictures: uint8 (h, w), at least one.
        rng: Decides the form and the pictures.
    """
    edges = np.eye(3)
    if form != "cube":
        edges = edges * rng.uniform(0.6, 1.0, (3, 1))
    if form == "slanted":
        edges = edges + rng.uniform(-0.2, 0.2, (3, 3))
    corners = np.array([a * edges[0] + b * edges[1] + c * edges[2] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    chosen = rng.choice(len(pictures), 6, replace=len(pictures) < 6)
    radius = np.linalg.norm(corners / 2, axis=1).max()
    return Solid(edges / radius, tuple(pictures[int(number)] for number in chosen))


def view(solid: Solid, R: Floats, side: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A solid in an orientation, from a camera that looks at its middle.

    Args:
        solid: It.
        R: float64 (3, 3), turns the solid's own directions into the camera's: x right, y down, z into the picture.
        side: Pixels, each way.

    Returns:
        uint8 (side, side), and where it shows the solid, bool (side, side); black elsewhere.
    """
    focal = side * _DISTANCE / (2 * _REACH)
    K = np.array([[focal, 0, (side - 1) / 2], [0, focal, (side - 1) / 2], [0, 0, 1]])
    camera = Camera(K, R, np.array([0.0, 0, _DISTANCE]), (side, side))
    drawn = render(solid.planes(camera.centre), camera)
    return drawn.image, drawn.surface >= 0
