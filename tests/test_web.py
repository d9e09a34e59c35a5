"""The page for browsers, in Chromium: its keypoints and matches are those of this package on the same image.

`make web-test` builds the page and runs this; without Node, Chromium or a build it is skipped.
"""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from magicpoint import DecodeSettings, Extractor, match_features
from magicpoint.io.images import read_picture

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
WEB = ROOT / "web"
EXAMPLE = WEB / "public" / "example"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NODE = shutil.which("node")
BUILT = (WEB / "node_modules").is_dir() and (EXAMPLE / "second-view.png").is_file()
LONGEST = 640
CENTRE, RADIUS = (280, 260), 170
"""Of the circle that alone is opaque."""

PLACE = 0.001
"""Pixels that a keypoint may lie beside Python's. Seen: 0.0001, in an image that was made smaller."""


def case(files, network="superpoint-small", threshold=0.015, most=512, processor="cpu"):
    settings = {"threshold": threshold, "maxKeypoints": most, "longestSide": LONGEST, "processor": processor}
    return {"files": files, "network": network, **settings}


CASES = {
    "small": case(["cameraman.png", "second-view.png"]),
    "tiny": case(["cameraman.png", "second-view.png"], "superpoint-tiny", threshold=0.03, most=192),
    "superpoint": case(["cameraman.png"], "superpoint", threshold=0.005, most=2048),
    "magicpoint": case(["cameraman.png"], "magicpoint"),
    "colour": case(["colour.png", "turned.jpg"]),
    "large": case(["large.png"]),
    "flat": case(["flat.png", "colour.png"]),
    "graphics": case(["piece.png"], processor="gpu"),
    "cut_out": case(["cut-out.png"]),
    "damaged": case(["damaged.png"]),
}


def write_images(folder):
    """Photographs in colour, turned, large, without a keypoint, and no image at all."""
    grey = np.asarray(Image.open(EXAMPLE / "cameraman.png").convert("L"))
    colours = np.stack((grey, np.roll(grey, 40, axis=1), 255 - grey), axis=2)[60:420, 40:500]
    for name in ("cameraman.png", "second-view.png"):
        shutil.copy(EXAMPLE / name, folder / name)
    Image.fromarray(colours).save(folder / "colour.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(colours).save(folder / "turned.jpg", quality=90, exif=exif)
    Image.fromarray(colours).resize((1501, 1111), Image.Resampling.BICUBIC).save(folder / "large.png")
    Image.fromarray(grey[200:320, 200:360]).save(folder / "piece.png")
    columns, rows = np.meshgrid(*map(np.arange, grey.shape[::-1]))
    opaque = np.hypot(columns - CENTRE[0], rows - CENTRE[1]) < RADIUS
    Image.fromarray(np.stack((*[grey * opaque] * 3, np.uint8(255) * opaque), axis=2)).save(folder / "cut-out.png")
    Image.new("RGB", (96, 64), (90, 90, 90)).save(folder / "flat.png")
    (folder / "damaged.png").write_bytes((folder / "colour.png").read_bytes()[:40])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The folder of what the page wrote, with `said.json`, after a walk through all cases."""
    if not (NODE and shutil.which("npm") and CHROMIUM):
        pytest.skip("needs Node, npm and Chromium")
    if not BUILT:
        pytest.skip("needs `make web`")
    folder = tmp_path_factory.mktemp("web")
    write_images(folder)
    subprocess.run([shutil.which("npm"), "run", "build"], cwd=WEB, check=True, stdout=subprocess.DEVNULL)
    cases = [
        {**one, "name": name, "files": [str(folder / file) for file in one["files"]]} for name, one in CASES.items()
    ]
    plan = {"chromium": CHROMIUM, "python": sys.executable, "dist": str(WEB / "dist"), "out": str(folder)}
    (folder / "plan.json").write_text(json.dumps({**plan, "cases": cases}), encoding="utf-8")
    done = subprocess.run([NODE, "build/tests/browse.js", str(folder / "plan.json")], cwd=WEB, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()
    return folder


def said(page):
    return json.loads((page / "said.json").read_text(encoding="utf-8"))


def written(page, name):
    return json.loads((page / f"{name}.json").read_text(encoding="utf-8"))


def extracted(page, name):
    """Python's features of a case."""
    settings = DecodeSettings(threshold=CASES[name]["threshold"], max_keypoints=CASES[name]["maxKeypoints"])
    extractor = Extractor.load(CASES[name]["network"], settings, device="cpu", longest_side=LONGEST)
    # A browser gives the colours of a JPEG, of which Python reads the stored brightness.
    paths = [page / file for file in CASES[name]["files"]]
    return [extractor.extract(read_picture(path) if path.suffix == ".jpg" else path) for path in paths]


def beside(keypoints0, keypoints1):
    """For each of the first its distance to the nearest of the second."""
    distances = np.linalg.norm(keypoints0[:, None] - keypoints1[None], axis=2)
    return distances.min(axis=1, initial=np.inf)


ALL = [name for name in CASES if name not in ("cut_out", "damaged")]


@pytest.mark.parametrize("name", ALL)
def test_the_keypoints_are_those_of_python(page, name):
    for image, features in zip(written(page, name)["images"], extracted(page, name), strict=True):
        assert tuple(image["image_size"]) == features.image_size
        found, keypoints = np.array(image["keypoints"]).reshape(-1, 2), features.keypoints.numpy()
        # One whose score is that of the threshold, or of the next one to be left out, may come or go by rounding.
        assert abs(len(found) - len(keypoints)) <= 1 + 0.002 * len(keypoints)
        for one, other in ((found, keypoints), (keypoints, found)):
            assert (beside(one, other) > PLACE).sum() <= 0.005 * len(one)
        if len(found) == len(keypoints):
            scores = features.keypoint_scores.numpy()
            np.testing.assert_allclose(image["keypoint_scores"], scores, atol=1e-4)


def test_what_is_transparent_has_no_keypoints_nor_has_its_edge(page):
    [image], [features] = written(page, "cut_out")["images"], extracted(page, "cut_out")
    found, keypoints = np.array(image["keypoints"]), features.keypoints.numpy()
    assert (np.linalg.norm(found - CENTRE, axis=1) < RADIUS - 8).all()
    assert len(keypoints) > 100
    # Python lets a peak beside the edge suppress none; the page takes it away after it has.
    assert (beside(found, keypoints) < PLACE).mean() > 0.98
    assert (beside(keypoints, found) < PLACE).mean() > 0.98


@pytest.mark.parametrize("name", ["small", "tiny", "colour"])
def test_the_matches_are_those_of_python(page, name):
    features0, features1 = extracted(page, name)
    index0, index1 = match_features(features0, features1).matches01.T
    expected = np.hstack((features0.keypoints[index0], features1.keypoints[index1]))
    places = [np.array(image["keypoints"]) for image in written(page, name)["images"]]
    pairs = np.array(written(page, name)["matches01"])
    found = np.hstack([places[view][pairs[:, view]] for view in (0, 1)])
    assert len(expected) > 50
    alike = beside(found, expected) < 2 * PLACE
    assert alike.mean() > 0.98, "of two descriptors that are equally near, rounding may prefer the other"
    assert abs(len(found) - len(expected)) <= 0.02 * len(expected)


def test_the_weights_are_the_shipped_ones(page):
    for name in ALL:
        extractor = Extractor.load(CASES[name]["network"], device="cpu")
        assert written(page, name)["weights_hash"] == extractor.provenance["weights_hash"]


def read_table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_tables_hold_the_same(page):
    whole = written(page, "small")
    expected = [(view, *keypoint) for view, image in enumerate(whole["images"]) for keypoint in image["keypoints"]]
    rows = read_table(page / "small-keypoints.csv")
    assert [(int(row["image"]), float(row["x"]), float(row["y"])) for row in rows] == expected
    rows = read_table(page / "small-matches.csv")
    assert [[int(row["index0"]), int(row["index1"])] for row in rows] == whole["matches01"]


def test_it_runs_on_the_processors_that_it_names(page):
    cases = said(page)["cases"]
    assert said(page)["isolated"], "without isolation there is one thread alone"
    assert "processor" in cases["small"]["engine"]
    assert cases["graphics"]["engine"] == "superpoint-small on graphics"
    assert all(cases[name]["problem"] is None for name in ALL)


def test_what_is_no_picture_is_named(page):
    assert said(page)["cases"]["damaged"]["problem"] == "damaged.png is no picture that this browser can read"


def test_the_camera_is_matched_with_a_frame_of_it_that_is_kept(page):
    camera = said(page)["camera"]
    assert float(camera["fps"].split()[0]) > 0
    assert int(camera["matched"]) > 0
    assert camera["buttons"] == "Camera"


def test_a_picture_can_be_dropped(page):
    assert said(page)["dropped"].startswith("dropped.png")


def test_a_match_is_told_by_the_keyboard(page):
    cases = said(page)["cases"]
    assert cases["small"]["told"].startswith("Match ")
    assert "similarity" in cases["small"]["told"]
    assert cases["flat"]["told"].startswith("Point at a match")  # there is none


def test_it_works_without_a_server_and_asks_nobody_else(page):
    assert said(page)["offline"]["problem"] is None
    assert int(said(page)["offline"]["matched"]) > 50
    assert said(page)["elsewhere"] == []
    assert said(page)["errors"] == []
