"""The documentation is about the code that is there."""

import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import magicpoint
from homography import warp_points
from magicpoint import (
    DecodeSettings,
    Extractor,
    estimate_homography,
    extract_images,
    match_features,
    match_pairs,
)
from magicpoint.cli import main
from magicpoint.cli.parser import Parser
from magicpoint.cli.verbs import VERBS
from magicpoint.core.errors import MachineError
from magicpoint.core.plain import json_text
from magicpoint.export.formats import export_model
from magicpoint.planar.located import Located
from synthetic_shapes import DatasetSettings, generate_dataset

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *(page for page in sorted(DOCS.glob("*.md")) if page.stem != "adding")]
PAGES += sorted((ROOT / "magicpoint" / "weights").glob("*.md"))


def blocks(path, language):
    """The fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands():
    """Every line of a shell block, without comments, with its page."""
    for path in PAGES:
        for block in blocks(path, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line.split(" > ")[0], comments=True)
                if words:
                    yield path.name, words


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


VERB_LINES = [(page, words) for page, words in commands() if words[0] == "magicpoint"]


def test_the_pages_have_commands():
    assert len(VERB_LINES) > 40
    assert {words[1] for _, words in VERB_LINES} <= set(VERBS)


@pytest.mark.parametrize("number", range(len(VERB_LINES)), ids=[" ".join(words)[:60] for _, words in VERB_LINES])
def test_a_command_of_the_pages_has_only_options_that_there_are(number):
    page, (_, verb, *words) = VERB_LINES[number]
    parser = Parser(prog=f"{page}: magicpoint {verb}")
    VERBS[verb].add(parser)
    parser.read(words)  # exits with a message where it cannot


def test_a_script_of_the_pages_is_there():
    names = {word for page in PAGES for word in re.findall(r"python ([\w/]+\.py)", page.read_text(encoding="utf-8"))}
    assert "benchmarks/extract_speed.py" in names
    assert [name for name in names if not (ROOT / name).is_file()] == []


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A folder with the files that the pages' Python code reads."""
    folder = tmp_path_factory.mktemp("reader")
    photograph = ROOT / "notebooks" / "images" / "cameraman.png"
    (folder / "notebooks" / "images").mkdir(parents=True)
    shutil.copy(photograph, folder / "notebooks" / "images")
    (folder / "photographs").mkdir()
    for name in ("a.jpg", "b.jpg", "photograph.jpg", "photographs/one.jpg", "photographs/two.jpg"):
        shutil.copy(photograph, folder / name)  # what an image is, its content says
    extractor = Extractor.load("superpoint-tiny", DecodeSettings(max_keypoints=50))
    shutil.copy(photograph, folder / "notebooks" / "images" / "again.png")
    extract_images([folder / "notebooks" / "images"], folder / "features.h5", extractor, progress=False)
    match_pairs(folder / "features.h5", [("again.png", "cameraman.png")], folder / "some.h5", progress=False)
    export_model(extractor.model, folder / "keypoints.onnx", kind="keypoints", settings=extractor.settings)
    generate_dataset(folder / "shapes", DatasetSettings(2, 0, 0), workers=1, progress=False)
    found = Located("poster", np.zeros((4, 2), np.float32), np.eye(3), 30, 20, 0.99)
    (folder / "located").mkdir()
    (folder / "located" / "film.mp4.json").write_text(json_text({"found": [[found], []]}), encoding="utf-8")
    return folder


NEEDS = {"pycolmap": "pycolmap", "map_images": "pycolmap", "vismatch_matcher": "vismatch"}
"""Words of a page's code, and the packages without which it is not run."""

PYTHON = [(page.name, code) for page in PAGES if page.name != "README.md" for code in blocks(page, "python")]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(PYTHON)), ids=[page for page, _ in PYTHON])
def test_the_python_code_of_the_pages_runs(number, reader, monkeypatch):
    monkeypatch.chdir(reader)
    page, code = PYTHON[number]
    if "from hloc import" in code:
        pytest.skip("hloc's pipelines need more than two photographs that are one")
    for word, package in NEEDS.items():
        if word in code:
            pytest.importorskip(package)
    try:
        exec(compile(code, page, "exec"), {})
    except MachineError as error:  # a processor without what int8 needs
        pytest.skip(str(error))


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/conventions.md", "CONTRIBUTING.md"])
def test_the_files_that_a_page_names_are_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:[\w.-]+/)+(?:[\w-]+\.\w+)?)`", text)
    assert [name for name in named if not (ROOT / name).exists() and name not in ("site/",)] == []


def test_the_architecture_names_its_files():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert len(re.findall(r"`[\w/]+\.pyi?`", text)) > 40


@pytest.mark.slow
def test_the_two_views_of_the_first_page_match_as_the_recipe_says(tmp_path):
    photograph = ROOT / "notebooks" / "images" / "cameraman.png"
    H_0to1 = load(DOCS / "pictures" / "second_view.py").write_second_view(photograph, tmp_path / "view.png")
    extractor = Extractor.load("superpoint", DecodeSettings(max_keypoints=200))
    features0, features1 = extractor.extract(photograph), extractor.extract(tmp_path / "view.png")
    matches = match_features(features0, features1)
    index0, index1 = matches.matches01.T
    keypoints0, keypoints1 = features0.keypoints[index0].numpy(), features1.keypoints[index1].numpy()
    near = np.linalg.norm(warp_points(keypoints0, H_0to1) - keypoints1, axis=1) < 3
    # Another processor rounds otherwise, by which a match or two come or go.
    assert len(matches) == pytest.approx(152, abs=3)
    assert near.sum() == pytest.approx(145, abs=3)
    found = estimate_homography(keypoints0, keypoints1).H_0to1
    corners = np.array([[0.0, 0.0], [511.0, 0.0], [511.0, 511.0], [0.0, 511.0]])
    assert np.linalg.norm(warp_points(corners, found) - warp_points(corners, H_0to1), axis=1).max() < 0.7


def test_docstrings_have_one_markup():
    files = [
        path for package in ("homography", "synthetic_shapes", "magicpoint") for path in (ROOT / package).rglob("*.py")
    ]
    double = re.compile(r"(?<!`)``(?!`)|:(?:func|class|meth|mod):`")
    assert len(files) > 100
    assert [str(path) for path in files if double.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_the_links_of_a_page_outside_the_site_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.slow
def test_the_poster_of_the_recipe_is_found_in_its_film(tmp_path):
    """In the first frame and in the last one, where it has 45 pixels."""
    film, poster = tmp_path / "film.mp4", ROOT / "notebooks" / "images" / "cameraman.png"
    true = load(DOCS / "pictures" / "poster_film.py").write_film(poster, film, frames=2)
    words = ["--out", str(tmp_path / "out"), "--weights", "superpoint-small", "--device", "cpu", "--quiet"]
    assert main(["locate", str(film), "--templates", str(poster), *words]) == 0
    frames = json.loads((tmp_path / "out" / "film.mp4.json").read_text(encoding="utf-8"))["found"]
    found = np.array([find["corners"] for [find] in frames])
    np.testing.assert_allclose(found, true, atol=2.0)
