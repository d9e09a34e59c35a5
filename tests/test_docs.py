"""The documentation is about the code that is there."""

import importlib.util
from pathlib import Path

import yaml

import magicpoint

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_shows_the_rooms_as_they_are():
    rooms = load(DOCS / "pictures" / "rooms.py")
    floors = rooms.read_floors()
    expected = rooms.draw(floors, {room: rooms.purpose(room) for floor in floors for room in floor})
    assert rooms.PICTURE.read_text(encoding="utf-8") == expected, "run python docs/pictures/rooms.py"
    assert all(f">{room}</text>" in expected for floor in floors for room in floor)


def test_every_room_has_a_page_of_reference():
    floors = load(DOCS / "pictures" / "rooms.py").read_floors()
    pages = {path.stem: path.read_text(encoding="utf-8").strip() for path in (DOCS / "reference").glob("*.md")}
    del pages["index"]
    packages = {"homography", "synthetic_shapes"}
    expected = {room: f"::: {room if room in packages else f'magicpoint.{room}'}" for floor in floors for room in floor}
    assert pages == expected
    assert all(f"reference/{room}.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8") for room in expected)


def test_every_public_name_is_in_the_list_of_them():
    listed = (DOCS / "reference" / "index.md").read_text(encoding="utf-8")
    missing = [name for name in magicpoint.__all__ if f"[`{name}`]" not in listed]
    assert not missing


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == magicpoint.__version__
    assert citation["title"]
    assert citation["message"]
    assert citation["authors"]
