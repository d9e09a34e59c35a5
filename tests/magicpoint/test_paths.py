"""Public functions take paths as strings, too."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import get_args, get_type_hints

import cv2
import numpy as np
import pytest

import magicpoint
from magicpoint import AdaptationSettings, DecodeSettings, Extractor


def wants_a_path_object(hint):
    """Whether a type is `Path` alone, or a sequence or a choice of such."""
    return hint is Path or (hint is not Path and any(wants_a_path_object(part) for part in get_args(hint)))


@pytest.mark.parametrize("name", [name for name in magicpoint.__all__ if inspect.isfunction(getattr(magicpoint, name))])
def test_no_public_function_insists_on_path_objects(name):
    hints = get_type_hints(getattr(magicpoint, name))
    hints.pop("return", None)
    assert not [argument for argument, hint in hints.items() if wants_a_path_object(hint)]


def test_that_test_can_fail():
    assert wants_a_path_object(Sequence[Path])
    assert wants_a_path_object(Path | None)
    assert not wants_a_path_object(str | None)


def test_strings_are_taken_for_paths(tmp_path, monkeypatch, random_network):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (48, 64)).astype(np.uint8)
    for name in ("0.png", "1.png"):
        assert cv2.imwrite(str(tmp_path / "images" / name), cv2.GaussianBlur(noise, (0, 0), 1.5))
    extractor = Extractor(random_network(), DecodeSettings(threshold=0), "cpu")
    magicpoint.extract_images(["images"], "new/f.h5", extractor, "drawn", progress=False)
    magicpoint.adapt_images(["images"], "l.h5", extractor, AdaptationSettings(2), "sheets", progress=False)
    assert list(magicpoint.read_features("new/f.h5")) == list(magicpoint.read_labels("l.h5")) == ["0.png", "1.png"]
    magicpoint.match_images("images/0.png", "images/1.png", extractor, "new/m.png")
    magicpoint.track_video("images", "tracks", extractor, progress=False)
    assert {path.name for path in tmp_path.iterdir()} == {
        "images",
        "new",
        "drawn",
        "l.h5",
        "l.json",
        "sheets",
        "tracks",
    }
    assert magicpoint.read_image("new/m.png").shape[0] == 48
    assert (tmp_path / "drawn" / "0.png").exists()
