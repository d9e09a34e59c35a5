"""Image pairs with known homographies made of single images, in the folder layout of HPatches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from homography import HomographySettings, sample_homography, warp_image
from synthetic_shapes.sample import sample_generator

from ..core.files import AnyPath
from ..io.images import shrink
from .photometric import PhotometricSettings, augment_photometric

VIEWS = 5
"""Views of each sequence besides the reference, as in HPatches."""

LONGEST_SIDE = 640
"""Larger images are shrunk to this many pixels; the evaluation resizes to 640x480 at most."""

VIEWPOINTS = HomographySettings(
    translation=0.2, scale=0.2, rotation=np.pi / 6, perspective=0.15, patch_ratio=0.8, overflow=False
)
"""Without overflow a view shows nothing beyond the image, so no keypoint lies on an edge that it does not have."""

_LEAST_DEPTH = 0.1


def write_view_pairs(images: Mapping[str, NDArray[np.uint8]], folder: AnyPath, seed: int = 0) -> Path:
    """Write two sequences of each image: `i_NAME` in other light (`PhotometricSettings()`), `v_NAME` from elsewhere.

    Their image 1 is the image, 2 to 6 are views of it; see `data.hpatches.find_sequences` for the files.

    Args:
        images: uint8 (H, W), of at least 2 pixels each way, by a name that can be that of a folder.
        folder: It is made, and may exist.
        seed: Decides, together with an image's place among the others, its views.

    Returns:
        `folder`.

    Raises:
        OSError: A file cannot be written.
        ValueError: An image cannot be encoded.
    """
    folder = Path(folder)
    for index, (name, image) in enumerate(images.items()):
        image = shrink(image, LONGEST_SIDE, shortest_side=2)
        rng = sample_generator(seed, "view pairs", index)
        darker = [(augment_photometric(image, PhotometricSettings(), rng), np.eye(3)) for _ in range(VIEWS)]
        moved = [draw_viewpoint((image.shape[1], image.shape[0]), rng) for _ in range(VIEWS)]
        _write_sequence(folder / f"i_{name}", image, darker)
        _write_sequence(folder / f"v_{name}", image, [(warp_image(image, H_0to1), H_0to1) for H_0to1 in moved])
    return folder


def draw_viewpoint(image_size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw one of the `VIEWPOINTS` whose horizon is far from the whole image, not only from what the view shows.

    A file of HPatches keeps no sign of the matrix: it is right where the top-left pixel lies on the visible side.

    Args:
        image_size: (W, H) of both views in pixels.
        rng: Where the draw comes from.

    Returns:
        H_0to1, float64 (3, 3), whose last entry is 1.
    """
    width, height = image_size
    corners = np.array([[0, 0, 1], [width - 1, 0, 1], [0, height - 1, 1], [width - 1, height - 1, 1]])
    while True:
        H_0to1: NDArray[np.float64] = sample_homography(image_size, rng, VIEWPOINTS)
        if (corners @ H_0to1[2]).min() > _LEAST_DEPTH:
            H_0to1 /= H_0to1[2, 2]
            return H_0to1


def _write_sequence(
    folder: Path, reference: NDArray[np.uint8], views: list[tuple[NDArray[np.uint8], NDArray[np.float64]]]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write_grey(folder / "1.png", reference)
    for number, (view, H_0to1) in enumerate(views, 2):
        _write_grey(folder / f"{number}.png", view)
        rows = (" ".join(repr(value) for value in row) for row in H_0to1.tolist())
        (folder / f"H_1_{number}").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _write_grey(path: Path, image: NDArray[np.uint8]) -> None:
    encoded, content = cv2.imencode(".png", image)
    if not encoded:
        raise ValueError(f"cannot encode an image of shape {image.shape} for {path}")
    path.write_bytes(content.tobytes())
