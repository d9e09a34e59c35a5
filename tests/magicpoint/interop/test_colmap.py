"""COLMAP's database, read back and verified by COLMAP."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from magicpoint.cli import main
from magicpoint.core.types import Features, Matches
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.inference.extractor import Extractor
from magicpoint.interop import colmap
from magicpoint.interop.colmap import write_database
from magicpoint.io.features import read_features, write_features
from magicpoint.matching.nearest import match_features

PHOTOGRAPH = Path(__file__).parents[3] / "notebooks" / "images" / "cameraman.png"


@pytest.fixture(scope="module")
def pycolmap():
    module = pytest.importorskip("pycolmap")
    module.logging.minloglevel = module.logging.Level.FATAL
    return module


@pytest.fixture
def images(tmp_path):
    """A folder with three images of 160x120 and one of 120x160."""
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (120, 160)).astype(np.uint8)
    for name in ("b.png", "a.png", "sub/c d.jpg"):
        cv2.imwrite(str(folder / name), noise)
    cv2.imwrite(str(folder / "upright.png"), noise.T)
    return folder


def some_features(count, image_size=(160, 120)):
    generator = torch.Generator().manual_seed(count)
    keypoints = torch.rand(count, 2, generator=generator) * (torch.tensor(image_size) - 1)
    return Features(keypoints, torch.ones(count), None, image_size)


def some_matches(*pairs):
    return Matches(torch.tensor(pairs, dtype=torch.int64).view(-1, 2), torch.ones(len(pairs)))


def with_orientation(jpeg, orientation):
    """The same file with an EXIF header (JEITA CP-3451, 4.5) of that one tag."""
    tag = b"\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation, 0, 0])
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + tag + bytes(4)
    return jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]


def test_keypoints_gain_half_a_pixel_and_matches_keep_their_order(pycolmap, images, tmp_path):
    features = {"b.png": some_features(5), "a.png": some_features(7), "sub/c d.jpg": some_features(0)}
    matches = {
        ("b.png", "a.png"): some_matches((0, 6), (4, 1)),  # COLMAP gives a.png the lower number
        ("sub/c d.jpg", "a.png"): some_matches(),
    }
    path = write_database(tmp_path / "new" / "sfm.db", images, features, matches)
    assert [file.name for file in path.parent.iterdir()] == ["sfm.db"]
    database = pycolmap.Database.open(path)
    found = {image.name: image for image in database.read_all_images()}
    assert sorted(found) == sorted(features)
    for key, expected in features.items():
        keypoints = database.read_keypoints(found[key].image_id)
        np.testing.assert_array_equal(keypoints[:, :2].reshape(-1, 2), expected.keypoints.numpy() + np.float32(0.5))
        camera = database.read_camera(found[key].camera_id)
        assert (camera.width, camera.height) == (160, 120)
    a, b, c = (found[key].image_id for key in ("a.png", "b.png", "sub/c d.jpg"))
    assert database.read_matches(b, a).tolist() == [[0, 6], [4, 1]]
    assert database.read_matches(a, b).tolist() == [[6, 0], [1, 4]]
    assert len(database.read_matches(a, c)) == 0
    database.close()


@pytest.mark.parametrize(("mode", "cameras"), [("single", 1), ("per_folder", 2), ("per_image", 3)])
def test_images_share_cameras_as_asked(pycolmap, images, tmp_path, mode, cameras):
    features = {key: some_features(5) for key in ("b.png", "a.png", "sub/c d.jpg")}
    path = write_database(tmp_path / "sfm.db", images, features, {}, mode)
    database = pycolmap.Database.open(path)
    assert database.num_cameras() == cameras
    database.close()


def test_features_of_an_image_that_colmap_sees_otherwise_are_refused(pycolmap, images, tmp_path):
    path = tmp_path / "sfm.db"
    turned = with_orientation((images / "sub/c d.jpg").read_bytes(), 6)
    (images / "turned.jpg").write_bytes(turned)
    extractor_size = cv2.imread(str(images / "turned.jpg"), cv2.IMREAD_GRAYSCALE).shape[::-1]
    assert extractor_size == (120, 160)
    with pytest.raises(ValueError, match=r"turned\.jpg is stored as 160x120 and its features are of 120x160"):
        write_database(path, images, {"turned.jpg": some_features(3, extractor_size)}, {})
    with pytest.raises(ValueError, match=r"b\.png is stored as 160x120 and its features are of 80x60"):
        write_database(path, images, {"b.png": some_features(3, (80, 60))}, {})
    # Upside down an image has the size that it had.
    (images / "over.jpg").write_bytes(with_orientation((images / "sub/c d.jpg").read_bytes(), 3))
    with pytest.raises(ValueError, match=r"over\.jpg has EXIF orientation 3"):
        write_database(path, images, {"over.jpg": some_features(3)}, {})
    (images / "plain.jpg").write_bytes(with_orientation((images / "sub/c d.jpg").read_bytes(), 1))
    write_database(path, images, {"plain.jpg": some_features(3)}, {})
    # Of images that were not turned either they are taken, whether that is said or stands in their file.
    kept = {"turned.jpg": some_features(3), "over.jpg": some_features(3)}
    write_database(tmp_path / "said.db", images, kept, {}, orientation="stored")
    written = write_features(tmp_path / "f.h5", kept, {"orientation": "stored"})
    write_database(tmp_path / "known.db", images, read_features(written), {})


def test_what_cannot_be_written_is_refused_and_leaves_nothing(pycolmap, images, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    path = out / "sfm.db"
    features = {"a.png": some_features(3), "b.png": some_features(2)}

    def refuses(error, match, features=features, matches=None, mode="auto"):
        with pytest.raises(error, match=match):
            write_database(path, images, features, matches or {}, mode)
        assert list(out.iterdir()) == []

    refuses(FileNotFoundError, r"none\.png", {"none.png": some_features(1)})
    refuses(ValueError, "unsafe image key", {"../images/a.png": some_features(1)})
    refuses(KeyError, r"c\.png", matches={("a.png", "c.png"): some_matches()})
    refuses(ValueError, "do not fit its 3 and 2", matches={("a.png", "b.png"): some_matches((0, 2))})
    both = {("a.png", "b.png"): some_matches(), ("b.png", "a.png"): some_matches()}
    refuses(ValueError, "in both orders", matches=both)
    mixed = {"a.png": some_features(1), "upright.png": some_features(1, (120, 160))}
    refuses(ValueError, r"no single camera for upright\.png and 0 more", mixed, mode="single")
    (images / "text.png").write_text("no image")
    refuses(ValueError, r"cannot read .*text\.png", {"text.png": some_features(1)})

    path.write_bytes(b"a database")
    with pytest.raises(FileExistsError, match=r"sfm\.db is there"):
        write_database(path, images, features, {})
    assert path.read_bytes() == b"a database"


def test_two_views_are_verified_by_colmap(pycolmap, tmp_path):
    photograph = cv2.imread(str(PHOTOGRAPH), cv2.IMREAD_GRAYSCALE)
    H = np.array([[0.96, -0.12, 40.0], [0.1, 0.98, -12.0], [8e-5, -5e-5, 1.0]])
    cv2.imwrite(str(tmp_path / "0.png"), photograph)
    cv2.imwrite(str(tmp_path / "1.png"), cv2.warpPerspective(photograph, H, photograph.shape[::-1]))
    extractor = Extractor.from_pretrained("superpoint-tiny", DecodeSettings(max_keypoints=500), device="cpu")
    features = {name: extractor.extract(tmp_path / name) for name in ("0.png", "1.png")}
    matches = match_features(*features.values())
    path = write_database(tmp_path / "sfm.db", tmp_path, features, {("0.png", "1.png"): matches})
    pycolmap.geometric_verification(path)
    database = pycolmap.Database.open(path)
    geometry = database.read_two_view_geometry(1, 2)
    database.close()
    inliers = geometry.inlier_matches
    assert 100 < len(inliers) <= len(matches)
    points0, points1 = (f.keypoints.numpy()[inliers[:, view]] for view, f in enumerate(features.values()))
    errors = np.linalg.norm(cv2.perspectiveTransform(points0[None], H)[0] - points1, axis=1)
    assert np.median(errors) < 1.5


@pytest.fixture
def rooms(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    return importlib.import_module("colmap_rooms")


@pytest.mark.slow
def test_colmap_finds_the_cameras_of_a_rendered_room(pycolmap, rooms, tmp_path, capsys):
    images, out, cameras = tmp_path / "images", tmp_path / "sfm", rooms.cameras_of()
    rooms.write_views(images, rooms.draw_room(0), cameras)
    words = ["colmap", str(images), "--out", str(out), "--weights", "superpoint-small", "--max_keypoints", "2048"]
    words += ["--camera_mode", "single", "--json"]
    assert main([*words, "--sequential", "9"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["pairs"], found["models"]) == (10, 45, None)
    assert found["verified"] > 40
    before = (out / "database.db").read_bytes()
    # Gone on with: the database stays as it is, and so do the models.
    assert main([*words, "--map"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [model["images"] for model in found["models"]] == [10]
    assert (out / "database.db").read_bytes() == before
    measured = rooms.measure([pycolmap.Reconstruction(out / "models" / "0")], cameras)
    assert measured.images == 10
    assert measured.median < 2.0  # millimetres, of 3.4 metres from the first to the last
    assert abs(measured.focal) < 0.01
    made = (out / "models" / "0" / "images.bin").stat().st_mtime_ns
    assert main([*words, "--map"]) == 0
    assert (out / "models" / "0" / "images.bin").stat().st_mtime_ns == made
    names = ["database.db", "database.db.made.json", "features.h5", "matches.h5", "models", "models.made.json"]
    assert sorted(path.name for path in out.iterdir()) == names


@pytest.fixture
def photographs(tmp_path):
    """A folder with an image twice, the second of which EXIF turns."""
    (tmp_path / "images").mkdir()
    picture = cv2.imread(str(PHOTOGRAPH), cv2.IMREAD_GRAYSCALE)[:240, :320]
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    (tmp_path / "images" / "a.jpg").write_bytes(jpeg)
    (tmp_path / "images" / "b.jpg").write_bytes(with_orientation(jpeg, 6))
    return tmp_path / "images"


def test_images_are_mapped_as_they_are_stored(pycolmap, photographs, tmp_path, capsys):
    out = tmp_path / "sfm"
    words = ["colmap", str(photographs), "--out", str(out), "--weights", "superpoint-tiny"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "2 images, 0 skipped" in said
    assert "of 1 pairs, 1 pairs verified" in said
    assert {found.image_size for found in read_features(out / "features.h5").values()} == {(320, 240)}
    assert main([*words, "--orientation", "exif"]) == 1
    assert "orientation must be stored" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        (lambda out: (out / "database.db").write_bytes(b"x"), ["--camera_mode", "single"], "database.db is not as"),
        (lambda out: (out / "database.db").write_bytes(b"x"), ["--map"], "database.db is no database"),
        (lambda out: None, ["--max_keypoints", "20"], "features.h5 was made with other"),
        (lambda out: None, ["--ratio", "0.9"], "matches.h5 was made with other"),
        (lambda out: None, ["--pairs", "absent.txt"], "absent.txt"),
    ],
)
def test_what_is_there_of_others_is_not_replaced(pycolmap, photographs, tmp_path, capsys, change, words, said):
    out = tmp_path / "sfm"
    always = ["colmap", str(photographs), "--out", str(out), "--weights", "superpoint-tiny"]
    assert main(always) == 0
    change(out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert main([*always, *words]) == 1
    assert said in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [(["absent", "--out", "sfm"], "no folder of images"), (["images", "--out", "images/sfm"], "lies in the folder")],
)
def test_folders_that_cannot_be_are_refused(pycolmap, photographs, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert main(["colmap", *words, "--weights", "superpoint-tiny"]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "images" / "sfm").exists()


def test_the_extra_is_named_where_it_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    with pytest.raises(ImportError, match=r"magicpoint\[colmap\]"):
        write_database(tmp_path / "sfm.db", tmp_path, {}, {})


def test_png_files_are_written_after_colmap_was_loaded(pycolmap):
    code = (
        f"from {colmap.__name__} import import_pycolmap; import_pycolmap(); import cv2, numpy\n"
        "assert cv2.imencode('.png', numpy.zeros((300, 300), numpy.uint8))[0]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
