"""Draw random homographies: translation, scale, in-plane rotation and perspective on a centre crop."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from homography.warp import check_image_size, inverse_homography

# Columns of one row of draws; every setting has its own, so that changing one leaves the other draws as they were.
_KEYSTONE = slice(0, 2)
_SCALE = 2
_ROTATION = 3
_TRANSLATION = slice(4, 6)
_DRAWS = 6


@dataclasses.dataclass(frozen=True)
class HomographySettings:
    """Ranges of the random homographies; each component is drawn up to its range in both directions.

    A draw is a normal one with half the range as its standard deviation, truncated at the range (two standard
    deviations). The components are those of homographic adaptation (SuperPoint, arXiv 1712.07629, section 5.2).

    Args:
        translation: Largest shift of the patch along x and along y, as a share of the image's width and height, in
            [0, 1].
        scale: Largest relative change of the patch's size, in [0, 1); 0.2 gives a patch between 0.8 and 1.2 times as
            large.
        rotation: Largest in-plane rotation in radians, in [0, pi].
        perspective: Largest move of the patch's corners along x and along y, as a share of the sides, in
            [0, patch_ratio / 2).
        patch_ratio: Size of the patch before the random changes, as a share of the image's sides, in (0, 1].
        overflow: Whether the patch may reach outside the image; if not, it is shrunk and shifted just as far as it has
            to be.

    Raises:
        TypeError: A setting is of another kind; it is named.
        ValueError: A setting is out of range; it is named.
    """

    translation: float = 0.1
    scale: float = 0.2
    rotation: float = math.pi / 2
    perspective: float = 0.2
    patch_ratio: float = 0.85
    overflow: bool = True

    def __post_init__(self) -> None:
        for name in ("translation", "scale", "rotation", "perspective", "patch_ratio"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be a number, got {value!r}")
            if isinstance(value, int) and abs(value) > 10**30:  # Python does not write numbers of thousands of digits
                raise ValueError(f"{name} must be a small number, got one of more than 30 digits")
        if not isinstance(self.overflow, bool):
            raise TypeError(f"overflow must be True or False, got {self.overflow!r}")
        if not 0 <= self.translation <= 1:
            raise ValueError(f"translation must be in [0, 1], got {self.translation}")
        if not 0 <= self.scale < 1:
            raise ValueError(f"scale must be in [0, 1), got {self.scale}")
        if not 0 <= self.rotation <= math.pi:
            raise ValueError(f"rotation must be in [0, pi], got {self.rotation}")
        if not 0 < self.patch_ratio <= 1:
            raise ValueError(f"patch_ratio must be in (0, 1], got {self.patch_ratio}")
        if not 0 <= self.perspective < self.patch_ratio / 2:
            raise ValueError(
                f"perspective must be in [0, patch_ratio / 2 = {self.patch_ratio / 2}), got {self.perspective}"
            )


DEFAULT_SETTINGS = HomographySettings()


def sample_homography(
    image_size: tuple[int, int],
    generator: np.random.Generator,
    settings: HomographySettings = DEFAULT_SETTINGS,
    count: int | None = None,
) -> NDArray[np.float64]:
    """Draw `H_0to1`, which maps a random patch of view 0 on to the full frame of view 1.

    View 0 is the source image and view 1 has the same size, so view 1 shows a part of view 0, enlarged. The patch
    starts as the centre crop of `settings.patch_ratio`. Its opposite sides then grow and shrink against each other
    (the perspective), it is scaled and rotated about its centre, and shifted. Its corners go to the outer corners of
    the frame, (-0.5, -0.5) and (W - 0.5, H - 0.5), in the order top left, top right, bottom right, bottom left. A
    positive angle turns the patch from x towards y (clockwise on the screen), so the content of view 1 turns the other
    way.

    The patch is convex and keeps its orientation whatever is drawn: no homography folds or mirrors. The matrix is
    scaled so that w = 1 at the source of view 1's centre, hence w > 0 on the whole patch and det > 0.

    With `settings.overflow` False the source of every pixel centre of view 1 lies in view 0's grid of pixel centres,
    [0, W - 1] x [0, H - 1], so that view 1 shows no outside: the patch is shrunk where its bounding box is larger than
    the grid, and a shift is scaled to the room that is left. Rotation and perspective keep their distribution.

    Args:
        image_size: (W, H) of both views in pixels, at least 2 each.
        generator: source of randomness; its state and the arguments determine the result.
        settings: ranges of the components.
        count: number of homographies, or None for a single matrix.

    Returns:
        float64 (3, 3), or (count, 3, 3) where a count is given.

    Raises:
        TypeError: the generator is no `numpy.random.Generator`, or the size or the count is no integer.
        ValueError: the size is below 2 pixels, or the count is negative.

    Examples:
        >>> import numpy as np
        >>> H_0to1 = sample_homography((160, 120), np.random.default_rng(0))
        >>> H_0to1.shape
        (3, 3)
        >>> centre = np.array([79.5, 59.5, 1.0])  # of view 1: its source has w = 1
        >>> round(float((np.linalg.inv(H_0to1) @ centre)[2]), 6)
        1.0
    """
    size = np.array(check_image_size("image_size", image_size, smallest=2), np.float64)
    if not isinstance(generator, np.random.Generator):
        raise TypeError(f"generator must be a numpy.random.Generator, got {type(generator).__name__}")
    if count is not None and (isinstance(count, bool) or not isinstance(count, (int, np.integer))):
        raise TypeError(f"count must be an integer or None, got {count!r}")
    if count is not None and count < 0:
        raise ValueError(f"count must not be negative, got {count}")
    draws = _draw(generator, 1 if count is None else int(count))
    H_0to1 = inverse_homography(_frame_to_patch(size, draws, settings))
    return H_0to1[0] if count is None else H_0to1


def sample_views(
    image_size: tuple[int, int],
    generator: np.random.Generator,
    settings: HomographySettings = DEFAULT_SETTINGS,
    *,
    count: int,
) -> NDArray[np.float64]:
    """Draw the homographies of `count` views of one image, the first the identity, as adaptation averages them.

    Returns float64 (count, 3, 3). The arguments and errors are those of `sample_homography`; a count below 1 is a
    `ValueError`.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    return np.concatenate([np.eye(3)[None], sample_homography(image_size, generator, settings, count - 1)])


def _draw(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw (count, 6) normal numbers of standard deviation 0.5, truncated to [-1, 1] by drawing again.

    The two keystone draws are also drawn again while their absolute values sum to more than 1: together they would
    bring one corner closer to the horizon than either may alone.
    """
    draws = generator.standard_normal((count, _DRAWS)) * 0.5
    while True:
        size = np.abs(draws)
        refused = size > 1
        refused[:, _KEYSTONE] |= (size[:, 0] + size[:, 1] > 1)[:, None]
        number = np.count_nonzero(refused)
        if number == 0:
            return draws
        draws[refused] = generator.standard_normal(number) * 0.5


def _frame_to_patch(
    size: NDArray[np.float64], draws: NDArray[np.float64], settings: HomographySettings
) -> NDArray[np.float64]:
    """Homographies (count, 3, 3) from view 1 to the patch in view 0, with w = 1 at the centre of view 1."""
    centre = (size - 1) / 2
    angle = settings.rotation * draws[:, _ROTATION]
    zoom = settings.patch_ratio * (1 + settings.scale * draws[:, _SCALE])
    turn = np.empty((len(draws), 2, 2))
    turn[:, 0, 0] = turn[:, 1, 1] = zoom * np.cos(angle)
    turn[:, 1, 0] = zoom * np.sin(angle)
    turn[:, 0, 1] = -turn[:, 1, 0]
    # From here to the shift both views have their origin in the centre.
    matrix = _keystone(size, draws[:, _KEYSTONE] * (2 * settings.perspective / settings.patch_ratio))
    matrix[:, :2] = turn @ matrix[:, :2]
    reach = settings.translation * size
    shift = draws[:, _TRANSLATION]
    shift = shift * reach if settings.overflow else _fit_inside(size, matrix, shift, reach)
    matrix[:, :2] += (centre + shift)[:, :, None] * matrix[:, 2:]
    matrix[:, :, 2] -= matrix[:, :, :2] @ centre
    return matrix


def _keystone(size: NDArray[np.float64], amount: NDArray[np.float64]) -> NDArray[np.float64]:
    """Homographies (count, 3, 3) of a centred frame that let opposite sides grow and shrink against each other.

    With b, a = amount and the frame's corners at (+-1, +-1), the corner (x, y) goes to (x (1 + a y), y (1 + b x)). The
    only homography that does so is [[1 - a^2, -a b, -b], [-a b, 1 - b^2, -a], [-b, -a, 1]], as putting in the four
    corners shows. Its w is positive on the frame where |a| + |b| < 1; its determinant, (1 - (a + b)^2)(1 - (a - b)^2),
    is too. So nothing folds, and the convex frame stays convex.
    """
    b, a = amount[:, 0], amount[:, 1]
    half_width, half_height = size / 2
    matrix = np.empty((len(amount), 3, 3))
    matrix[:, 0, 0] = 1 - a * a
    matrix[:, 0, 1] = a * b * (-half_width / half_height)
    matrix[:, 0, 2] = b * -half_width
    matrix[:, 1, 0] = a * b * (-half_height / half_width)
    matrix[:, 1, 1] = 1 - b * b
    matrix[:, 1, 2] = a * -half_height
    matrix[:, 2, 0] = b / -half_width
    matrix[:, 2, 1] = a / -half_height
    matrix[:, 2, 2] = 1
    return matrix


def _fit_inside(
    size: NDArray[np.float64], matrix: NDArray[np.float64], draws: NDArray[np.float64], reach: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Shrink the centred homographies in place until they fit view 0; return shifts (count, 2) that keep them there.

    Inside means that the sources of the centres of view 1's corner pixels, and with them those of all its pixels, lie
    in view 0's grid of pixel centres. The draws (count, 2) in [-1, 1] go up to the reach (2,), or to the border where
    that is closer: cutting the shifts there instead would pile patches up along the border.
    """
    half = (size - 1) / 2
    sources = matrix @ np.array(
        [[-half[0], half[0], half[0], -half[0]], [-half[1], -half[1], half[1], half[1]], [1] * 4]
    )
    sources = sources[:, :2] / sources[:, 2:]
    low, high = sources.min(axis=2), sources.max(axis=2)
    shrink = np.minimum(1, (2 * half / (high - low)).min(axis=1))[:, None]
    matrix[:, :2] *= shrink[:, :, None]
    least, most = -half - shrink * low, half - shrink * high
    start = np.minimum(np.maximum(0, least), most)
    room = np.where(draws > 0, most - start, start - least)
    inside: NDArray[np.float64] = start + draws * np.minimum(reach, room)
    return inside
