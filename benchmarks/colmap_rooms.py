"""Rooms from COLMAP: ten views of rendered rooms whose cameras are known, with this project's features and with SIFT.

    python benchmarks/colmap_rooms.py [--rooms 3] [--weights superpoint superpoint-small] [--matchers nearest learned]
        [--averaged] [--cornerness] [--out FOLDER]

Each room has textured walls, boxes and panels; ten cameras of 960x720 pixels stand on a path of 3.4 m and see the far
wall. Features, pairs (each with each), matches, verification and mapping are those of `magicpoint colmap --map`; SIFT's
are pycolmap's own, with its defaults, on the same images. The cameras found are laid on the true ones by a similarity
transform, and what remains is the error of their centres. The folder keeps images and models, which are not made again;
the table is printed as it stands in docs/colmap.md.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magicpoint import DecodeSettings, Extractor, LearnedMatcher
from magicpoint.core.switches import HEATMAP_SWITCHES
from magicpoint.data.scenes3d.camera import Camera, intrinsics, look_at
from magicpoint.data.scenes3d.interior import InteriorSettings, draw_interior, overlap
from magicpoint.data.scenes3d.render import TexturedPlane, render
from magicpoint.interop.colmap import import_pycolmap
from magicpoint.io.images import write_png
from magicpoint.io.reading import ImageReading
from magicpoint.jobs.colmap import map_images

IMAGE_SIZE = (960, 720)
VIEWS = 10
LENGTH = 3.4
KEYPOINTS = 2048
LEAST_OVERLAP = 0.4
"""Share of each view that those beside it show."""


@dataclass(frozen=True)
class Registered:
    """What became of the views of a room.

    Args:
        images: How many of them have a camera in the largest model.
        median: Of the distances of their centres from the true ones, in millimetres.
        largest: Of those.
        focal: Share by which the focal length is off.
        reprojection: Mean error of the points in the images, in pixels.
    """

    images: int
    median: float
    largest: float
    focal: float
    reprojection: float


def picture(rng: np.random.Generator, side: int = 1024) -> NDArray[np.uint8]:
    """A picture for walls: clouds of several sizes, and polygons on them."""
    clouds = np.zeros((side, side))
    for size in (1, 2, 4, 8, 16, 32):
        clouds += size**0.7 * cv2.resize(rng.normal(size=(side // size, side // size)), (side, side))
    grey = np.asarray(cv2.normalize(clouds, np.empty_like(clouds), 0, 255, cv2.NORM_MINMAX)).astype(np.uint8)
    for _ in range(60):
        corners = rng.uniform(0, side, 2) + rng.uniform(-80, 80, (rng.integers(3, 6), 2))
        cv2.fillPoly(grey, [corners.astype(np.int32)], int(rng.integers(256)), cv2.LINE_AA)
    return grey


def cameras_of(views: int = VIEWS) -> dict[str, Camera]:
    """On a curved path from left to right, 3.4 m long, at the height of a head; each looks ahead."""
    K = intrinsics(IMAGE_SIZE, 1.1)
    places = np.linspace(-LENGTH / 2, LENGTH / 2, views)
    return {
        f"view_{number:02d}.png": look_at(
            (place, -1.5 + 0.2 * np.sin(3 * place), -1.6 + 0.3 * np.cos(2 * place)),
            (0.2 * place, -1.1, 1.5),
            K,
            IMAGE_SIZE,
        )
        for number, place in enumerate(places)
    }


def draw_room(seed: int) -> list[TexturedPlane]:
    """The room of a seed: the first in which nothing stands before a camera, so that views beside each other overlap.

    A panel that fills a view leaves COLMAP some 40 matches with the others, of which it may register none.
    """
    rng = np.random.default_rng(seed)
    pictures = [picture(rng) for _ in range(6)]
    while True:
        room = draw_interior(pictures, rng, InteriorSettings())
        views = [render(room, camera.resized(1 / 8)) for camera in cameras_of().values()]
        if min(min(overlap(a, b), overlap(b, a)) for a, b in itertools.pairwise(views)) >= LEAST_OVERLAP:
            return room


def write_views(folder: Path, room: list[TexturedPlane], cameras: Mapping[str, Camera]) -> None:
    """The images of the cameras; those that are there stay."""
    for name, camera in cameras.items():
        if not (folder / name).exists():
            write_png(folder / name, np.repeat(render(room, camera).image[..., None], 3, axis=2))


def map_with_sift(images: Path, out: Path) -> list[Any]:
    """The models of pycolmap alone."""
    pycolmap = import_pycolmap()
    if out.exists():
        return [pycolmap.Reconstruction(folder) for folder in out.iterdir() if folder.is_dir()]
    out.mkdir(parents=True)
    database = out / "database.db"
    pycolmap.extract_features(database, images, camera_mode=pycolmap.CameraMode.SINGLE)
    pycolmap.match_exhaustive(database)
    return list(pycolmap.incremental_mapping(database, images, out).values())


def measure(models: Iterable[Any], cameras: Mapping[str, Camera]) -> Registered:
    """How far the cameras of the largest model are from the true ones."""
    pycolmap = import_pycolmap()
    model = max(models, key=lambda model: model.num_reg_images(), default=None)
    if model is None:
        return Registered(0, np.nan, np.nan, np.nan, np.nan)
    found = {image.name: image.projection_center() for image in model.images.values() if image.has_pose}
    true = np.array([cameras[name].centre for name in found])
    placed = np.array(list(found.values()))
    similarity = pycolmap.estimate_sim3d(placed, true).matrix()
    errors = 1000 * np.linalg.norm(placed @ similarity[:, :3].T + similarity[:, 3] - true, axis=1)
    focal = next(iter(model.cameras.values())).focal_length / next(iter(cameras.values())).K[0, 0] - 1
    return Registered(
        len(found), float(np.median(errors)), float(errors.max()), focal, model.compute_mean_reprojection_error()
    )


def row(room: int, method: str, found: Registered) -> str:
    """A line of the table."""
    return (
        f"| {room} | {method} | {found.images}/{VIEWS} | {found.median:.2f} | {found.largest:.2f} | "
        f"{100 * found.focal:+.2f} % | {found.reprojection:.2f} |"
    )


def main() -> None:
    """Renders, maps, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", type=int, default=3)
    parser.add_argument("--weights", nargs="+", default=["superpoint", "superpoint-small"])
    parser.add_argument("--matchers", nargs="+", default=["nearest", "learned"], choices=["nearest", "learned"])
    parser.add_argument("--averaged", action="store_true", help="Keypoints of averaged heatmaps, too.")
    parser.add_argument("--cornerness", action="store_true", help="Keypoints of weighed heatmaps, too.")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    pycolmap = import_pycolmap()
    out = options.out or Path(tempfile.mkdtemp(prefix="rooms-"))
    cameras = cameras_of()
    settings, reading = DecodeSettings(max_keypoints=KEYPOINTS), ImageReading(orientation="stored")
    rows = {}
    asked = [switch for switch in HEATMAP_SWITCHES if getattr(options, switch)]
    for count in range(len(asked) + 1):
        for switches, name in itertools.product(itertools.combinations(asked, count), options.weights):
            extractor = Extractor.load(name, settings, reading=reading, **dict.fromkeys(switches, True))
            rows[", ".join([name, *switches])] = name, extractor
    learned = {name: LearnedMatcher.load(name) for name in options.weights if "learned" in options.matchers}
    medians: dict[str, list[float]] = {}
    print("| room | features | registered | median, mm | largest, mm | focal length | reprojection, px |")
    print("|---|---|---|---|---|---|---|")
    for room in range(options.rooms):
        images = out / f"room_{room}" / "images"
        write_views(images, draw_room(room), cameras)
        for name, way in itertools.product(rows, options.matchers):
            weights, extractor = rows[name]
            matching = learned[weights] if way == "learned" else None
            called = name if matching is None else f"{name}, learned"
            result = map_images(
                images,
                images.parent / called.replace(", ", "-"),
                extractor,
                settings=matching,
                camera_mode="single",
                mapper=True,
                progress=False,
            )
            models = [pycolmap.Reconstruction(model.path) for model in result.models or ()]
            found = measure(models, cameras)
            medians.setdefault(called, []).append(found.median)
            print(row(room, called, found), flush=True)
        pycolmap.logging.minloglevel = pycolmap.logging.Level.ERROR
        sift = images.parent / "sift"
        found = measure(map_with_sift(images, sift), cameras)
        medians.setdefault("SIFT", []).append(found.median)
        print(row(room, "SIFT (pycolmap)", found), flush=True)
    print({name: round(statistics.mean(values), 3) for name, values in medians.items()})


if __name__ == "__main__":
    main()
