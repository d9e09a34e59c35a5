"""Sheets of labelled images to look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.files import AnyPath
from ..core.types import Features, Labels
from ..io.images import read_image, write_png
from ..io.png_text import title_of
from ..io.reading import ImageReading
from .keypoints import draw_keypoints

SHEET_COLUMNS, SHEET_ROWS, MOST_SHEETS = 4, 3, 8
TILE = (320, 240)
"""(W, H) of the image on a tile."""

_CAPTION_HEIGHT = 16


KIND = "a sheet of labels"
_TITLE = "labels"


def sheet_paths(folder: AnyPath) -> list[Path]:
    """All that `write_sheets` may write."""
    return [Path(folder) / f"sheet_{number}.png" for number in range(MOST_SHEETS)]


def is_sheet(path: AnyPath) -> bool:
    """Whether a file is one that `write_sheets` wrote."""
    return title_of(Path(path)) == _TITLE


def write_sheets(
    labels: Mapping[str, Labels], images: Mapping[str, AnyPath], folder: AnyPath, reading: ImageReading | None = None
) -> list[Path]:
    """Draw images with their labels, 4 x 3 on a sheet, as sheet_0.png and so on.

    Args:
        labels: By key. Of more than eight sheets' worth, every second, third, ... image is drawn.
        images: The image files by key; what is not among them, or cannot be read, is not drawn.
        folder: Where the sheets go.
        reading: How the files are read.

    Returns:
        The sheets.

    Raises:
        OSError: A file cannot be written.
    """
    per_sheet = SHEET_COLUMNS * SHEET_ROWS
    keys = [key for key in labels if key in images]
    keys = keys[:: -(-len(keys) // (per_sheet * MOST_SHEETS))]
    sheets = []
    for number, start in enumerate(range(0, len(keys), per_sheet)):
        tiles = [_tile_of_file(images[key], labels[key], key, reading) for key in keys[start : start + per_sheet]]
        tiles += [_empty_tile()] * (per_sheet - len(tiles))
        rows = [np.concatenate(tiles[row : row + SHEET_COLUMNS], axis=1) for row in range(0, per_sheet, SHEET_COLUMNS)]
        sheets.append(write_png(sheet_paths(Path(folder))[number], np.concatenate(rows), _TITLE))
    return sheets


def _tile_of_file(path: AnyPath, labels: Labels, key: str, reading: ImageReading | None) -> NDArray[np.uint8]:
    try:
        grey = read_image(path, reading)
    except (OSError, InputError):
        return _empty_tile()  # its labels are from a time when it could be read
    return draw_tile(grey, labels, key) if grey.shape == labels.valid_mask.shape else _empty_tile()


def _empty_tile() -> NDArray[np.uint8]:
    return np.zeros((TILE[1] + _CAPTION_HEIGHT, TILE[0], 3), np.uint8)


def draw_tile(grey: NDArray[np.float32], labels: Labels, caption: str) -> NDArray[np.uint8]:
    """An image fitted into a tile with its points, the best of the image yellow, dark where nothing is known.

    Returns:
        uint8 (256, 320, 3), red first, the caption and the number of points at the bottom.
    """
    height, width = grey.shape
    scale = min(TILE[0] / width, TILE[1] / height)
    image_size = max(1, round(width * scale)), max(1, round(height * scale))
    shaded = np.where(labels.valid_mask.numpy(), grey, grey / 2).astype(np.float32)
    small = cv2.resize(shaded, image_size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    factors = torch.tensor([image_size[0] / width, image_size[1] / height])
    best = labels.keypoint_scores.max() if len(labels) else 1.0
    shown = Features((labels.keypoints + 0.5) * factors - 0.5, labels.keypoint_scores / best, None, image_size)
    tile = _empty_tile()
    tile[: image_size[1], : image_size[0]] = draw_keypoints(np.asarray(small, np.float32), shown)
    text = f"{len(labels)} points  {caption[-40:]}"
    place = (4, TILE[1] + _CAPTION_HEIGHT - 4)
    cv2.putText(tile, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255, 255, 255), 1, cv2.LINE_AA)
    return tile
