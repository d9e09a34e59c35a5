"""Public functions take paths as strings, too."""

import contextlib
import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import get_args, get_type_hints

import cv2
import numpy as np

import homography
import magicpoint
import synthetic_shapes
from magicpoint import AdaptationSettings, DecodeSettings, Extractor
from magicpoint.pictures.canvas import LEGEND_HEIGHT


def wants_a_path_object(hint):
    """Whether a type is `Path` alone, or a sequence or a choice of such."""
    return hint is Path or (hint is not Path and any(wants_a_path_object(part) for part in get_args(hint)))


PACKAGES = (magicpoint, homography, synthetic_shapes)
ROOMS = ("data", "evaluation", "export", "interop", "matching", "pictures")


def public_functions():
    """The functions, and the methods of the classes, among the public names and in the rooms that are used by hand."""
    owners = [getattr(package, name) for package in PACKAGES for name in package.__all__]
    for room in ROOMS:
        package = importlib.import_module(f"magicpoint.{room}")
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            own = {name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == info.name}
            owners += [value for name, value in own.items() if not name.startswith("_")]
    for owner in owners:
        # A result that holds a path is given one by whoever made it.
        is_opened = inspect.isclass(owner) and not dataclasses.is_dataclass(owner)
        methods = [getattr(value, "__func__", value) for value in vars(owner).values()] if is_opened else []
        yield from filter(inspect.isfunction, [owner, *methods])


def test_no_public_function_insists_on_path_objects():
    functions = {f"{function.__module__}.{function.__qualname__}": function for function in public_functions()}
    assert len(functions) > 150
    for name, function in functions.items():
        with contextlib.suppress(NameError):  # types for type checkers alone
            hints = get_type_hints(function)
            hints.pop("return", None)
            assert not [argument for argument, hint in hints.items() if wants_a_path_object(hint)], name


def test_the_public_names_are_listed():
    assert {*magicpoint.__all__, "__version__"} == set(dir(magicpoint))
    assert magicpoint.__version__


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
    assert magicpoint.read_image("new/m.png").shape[0] == 48 + LEGEND_HEIGHT
    assert (tmp_path / "drawn" / "0.png").exists()
