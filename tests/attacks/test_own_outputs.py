"""What is our own in the place of an output, and what only looks like it."""

import json
import os
import shutil

import pytest

from magicpoint.core.locks import locked, locked_folder
from magicpoint.export.foreign import write_transformers
from magicpoint.model.weights import load_weights

TINY, DETECTOR = ["--weights", "tiny.safetensors"], ["--weights", "detector.safetensors"]
EXTRACT = ["extract", "photos", *TINY]
ADAPT = ["adapt", "photos", *DETECTOR, "--count", "2"]
MATCH = ["match", "a.png", "photos/b.png", *TINY]
TRACK = ["track", "photos", *TINY]
LOCATE = ["locate", "photos", "--templates", "a.png", *TINY]
PAIRS = ["evaluate", "pairs", *TINY, "--methods", "--protocols", "full"]
SHAPES = ["evaluate", *DETECTOR, "--images_per_shape", "1", "--methods"]
ROOMS = ["evaluate", "photos", "--dataset", "interiors", *TINY, "--methods", "--rooms", "1"]
CHANGED = [
    "evaluate",
    "photos",
    "--dataset",
    "robustness",
    *TINY,
    "--methods",
    "--photographs",
    "1",
    "--changes",
    "blur",
]
EXPORT = ["export", *TINY]
IMPORT = ["import", "theirs/model.safetensors", "--source", "s", "--licence", "l"]
GENERATE = ["generate", "out", "--count", "1", "--validation_count", "0", "--test_count", "0", "--workers", "1"]

IN_THE_WAY = [
    ([*EXTRACT, "--out", "f.h5"], "f.h5.partial"),
    ([*EXTRACT, "--out", "f.h5", "--overlay", "seen"], "seen/b.png"),
    ([*EXTRACT, "--out", "f.h5", "--overlay", "seen"], "seen"),
    ([*EXTRACT, "--out", "a.png"], "a.png"),
    ([*ADAPT, "--out", "l.json"], "l.json"),
    ([*ADAPT, "--out", "l.h5", "--overlay", "photos"], "photos/sheet_0.png"),
    ([*MATCH, "--out", "m.json"], "m.json"),
    ([*MATCH, "--out", "m.csv"], "m.csv"),
    ([*MATCH, "--out", "m.h5"], "m.h5"),
    (["match", "features.h5", "--exhaustive", "--out", "m.h5"], "m.h5"),
    ([*PAIRS, "--out", "e"], "e/homography.json"),
    ([*PAIRS, "--out", "e"], "e/homography.txt"),
    ([*PAIRS, "--out", "e"], "e/homography_full.png"),
    ([*ROOMS, "--out", "e"], "e/interiors.json"),
    ([*ROOMS, "--out", "e"], "e"),
    ([*CHANGED, "--out", "e"], "e/robustness.png"),
    ([*LOCATE, "--out", "l"], "l/b.png.json"),
    ([*EXPORT, "--format", "transformers", "--out", "n"], "n/config.json"),
    (GENERATE, "out"),
]


@pytest.fixture
def photos(tiny, material):
    (tiny.folder / "photos").mkdir()
    (tiny.folder / "photos" / "b.png").write_bytes(material.png)
    (tiny.folder / "features.h5").write_bytes(material.features)
    material.lay(material.pairs, tiny.folder / "pairs")
    write_transformers(tiny.folder / "theirs", load_weights(tiny.folder / "tiny.safetensors")[0])
    return tiny


@pytest.mark.parametrize(("words", "there"), IN_THE_WAY, ids=[f"{words[0]}: {there}" for words, there in IN_THE_WAY])
def test_what_is_in_the_way_stays_and_is_named(photos, material, words, there):
    path = photos.folder / there
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(material.png if path.suffix == ".png" else b'{"images": 7}')
    photos(words, named=there.partition("/")[0], code=1)
    assert len(list((photos.folder / "photos").iterdir())) <= 2


OUT_OF_A_FILE = [*((words, out) for words in (EXTRACT, ADAPT) for out in ("a.png/f.h5",)), (MATCH, "a.png/m.png")]
OUT_OF_A_FILE += [(TRACK, "a.png/t.mp4"), (TRACK, "a.png/t"), (PAIRS, "a.png/e"), (SHAPES, "a.png/e")]
OUT_OF_A_FILE += [(EXPORT, "a.png/n.onnx"), (IMPORT, "a.png/i.safetensors")]


@pytest.mark.parametrize(("words", "out"), OUT_OF_A_FILE, ids=[f"{words[0]} {out}" for words, out in OUT_OF_A_FILE])
def test_an_output_below_a_file_is_named(photos, words, out):
    photos([*words, "--out", out], named="a.png", code=1)


AGAIN = [
    ([*EXTRACT, "--out", "f.h5", "--overlay", "seen"], "f.h5"),
    ([*ADAPT, "--out", "l.h5", "--overlay", "seen"], "l.json"),
    ([*MATCH, "--out", "m.png"], "m.png"),
    ([*MATCH, "--out", "m.json"], "m.json"),
    ([*MATCH, "--out", "m.csv"], "m.csv"),
    ([*MATCH, "--out", "m.h5"], "m.h5"),
    ([*TRACK, "--out", "t.mp4"], "t.mp4"),
    ([*TRACK, "--out", "t.avi"], "t.avi"),
    ([*TRACK, "--out", "t.mkv"], "t.mkv"),
    ([*IMPORT, "--out", "i.safetensors"], "i.safetensors"),
    (GENERATE, "out/dataset.json"),
]


@pytest.mark.parametrize(("words", "there"), AGAIN, ids=[f"{words[0]}: {there}" for words, there in AGAIN])
def test_our_own_is_replaced(photos, words, there):
    photos(words, code=0)
    assert (photos.folder / there).exists()
    photos(words, code=0, changes=(there, "seen/"))


@pytest.mark.slow
@pytest.mark.parametrize("words", [PAIRS, ROOMS], ids=["pairs", "rooms"])
def test_a_report_is_replaced_by_one_of_the_same_network_alone(photos, words):
    for _ in range(2):
        photos([*words, "--out", "e"], code=0, changes=("e/",), seconds=60)
    shutil.copy(photos.folder / "e" / f"{'homography' if words is PAIRS else 'interiors'}.json", photos.folder)
    report = next((photos.folder / "e").glob("*.json"))
    report.write_text(report.read_text().replace('"weights_hash": "', '"weights_hash": "0'))
    photos([*words, "--out", "e"], named=report.name, code=1)


def test_an_export_is_replaced_by_one_of_the_same_network_alone(photos, material):
    pytest.importorskip("onnx")
    for words in ([*EXPORT, "--out", "n.onnx"], [*EXPORT, "--format", "transformers", "--out", "n"]):
        for _ in range(2):
            photos(words, code=0, changes=("n.onnx", "n/"))
        (photos.folder / "other.safetensors").write_bytes(material.detector)
        photos(["export", "--weights", "detector.safetensors", *words[3:]], named="n", code=1)


LOCKED = [([*words, "--out", out], out) for words, out in ((EXTRACT, "f.h5"), (ADAPT, "l.h5"), (MATCH, "m.png"))]
LOCKED += [([*words, "--out", out], out) for words, out in ((TRACK, "t.mp4"), (TRACK, "t"), (EXPORT, "n.onnx"))]
LOCKED += [(GENERATE, "out"), (["match", "features.h5", "--exhaustive", "--out", "m.h5"], "m.h5")]


@pytest.mark.parametrize(("words", "out"), LOCKED, ids=[f"{words[0]} {out}" for words, out in LOCKED])
def test_the_second_process_is_refused(photos, words, out):
    with locked(photos.folder / out):
        photos(words, named=[out, "being written by another process"], code=1)
    assert not (photos.folder / out).exists()


def test_the_second_evaluation_is_refused(photos):
    with locked_folder(photos.folder / "e"):
        photos([*PAIRS, "--out", "e"], named=["e", "being written by another process"], code=1)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_stays_a_link(photos):
    (photos.folder / "disk").mkdir()
    (photos.folder / "f.h5").symlink_to("disk/there.h5")
    for _ in range(2):
        photos([*EXTRACT, "--out", "f.h5"], code=0)
    assert (photos.folder / "f.h5").is_symlink()
    assert [path.name for path in (photos.folder / "disk").iterdir()] == ["there.h5"]


def test_the_last_line_and_the_json_say_what_became_of_the_images(photos, material):
    words = [*EXTRACT, "--out", "f.h5"]
    photos(words, code=0)
    (photos.folder / "photos" / "b.png").rename(photos.folder / "photos" / "c.png")
    photos(words, named="--append", code=1)
    said = photos([*words, "--append"], code=0, changes=("f.h5",)).out
    assert said.splitlines()[-1].endswith("in 2 images (kept 1, new 1, changed 0, dropped 0, skipped 0)")
    said = photos([*words, "--prune", "--json"], code=0, changes=("f.h5",)).out
    assert {name: json.loads(said)[name] for name in ("kept", "new", "changed", "dropped")} == {
        **{"kept": 1, "new": 0},
        **{"changed": 0, "dropped": 1},
    }
    photos([*words, "--prune", "--append"], named="append", code=(1, 2))
