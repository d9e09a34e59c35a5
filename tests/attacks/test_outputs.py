"""Files of somebody else in the place of what a verb writes: they keep their bytes, whatever they are."""

import os
import sys

import pytest

WEIGHTS = ["--weights", "tiny.safetensors"]
SMALL = ["--steps", "1", "--batch_size", "2", "--model.width", "0.125", "--workers", "0", "--shapes.size_hw", "48x64"]
VERBS = {
    "extract": ["extract", "a.png", "--out", "f.h5", *WEIGHTS],
    "extract --overlay": ["extract", "a.png", "--out", "f.h5", "--overlay", "o", *WEIGHTS],
    "adapt": ["adapt", "a.png", "--out", "l.h5", "--count", "1", *WEIGHTS],
    "adapt --overlay": ["adapt", "a.png", "--out", "l.h5", "--overlay", "o", "--count", "1", *WEIGHTS],
    "match": ["match", "a.png", "a.png", "--out", "m.png", *WEIGHTS],
    "track to a folder": ["track", "a.png", "--out", "t", *WEIGHTS],
    "track to a video": ["track", "a.png", "--out", "t.avi", *WEIGHTS],
    "generate": ["generate", "g", "--count", "1", "--validation_count", "0", "--test_count", "0", "--workers", "1"],
    "convert": ["convert", "old", "c"],
    "train": ["train", "run", *SMALL],
    "finetune": ["finetune", "a.png", "b.png", "--out", "tuned", *WEIGHTS],
    "evaluate": ["evaluate", "--out", "e", "--images_per_shape", "1", "--methods", "--", *WEIGHTS],
    "evaluate pairs": ["evaluate", "pairs", "--out", "e", "--methods", "--", *WEIGHTS],
    "export": ["export", "--out", "w.onnx", *WEIGHTS],
    "export transformers": ["export", "--out", "w", "--format", "transformers", *WEIGHTS],
    "soup": ["soup", "other.safetensors", "other.safetensors", "--out", "s.safetensors"],
    "import": ["import", "other.safetensors", "--out", "i.safetensors", "--source", "s", "--licence", "l"],
}
OUTPUTS = [
    ("extract", "f.h5"),
    ("extract --overlay", "o/a.png"),
    ("adapt", "l.h5"),
    ("adapt", "l.json"),
    ("adapt --overlay", "o/sheet_0.png"),
    ("match", "m.png"),
    ("track to a folder", "t/000000.png"),
    ("track to a folder", "t/notes.txt"),
    ("track to a video", "t.avi"),
    ("generate", "g/dataset.json"),
    ("generate", "g/notes.txt"),
    ("generate", "g/training/images/000000.png"),
    ("convert", "c/dataset.json"),
    ("convert", "c/notes.txt"),
    ("train", "run/best.safetensors"),
    ("train", "run/last.safetensors"),
    ("train", "run/last.state"),
    ("train", "run/settings.yaml"),
    ("train", "run/metrics.jsonl"),
    ("train", "run/notes.txt"),
    ("finetune", "tuned/settings.yaml"),
    ("finetune", "tuned/best.safetensors"),
    ("finetune", "tuned/report.json"),
    ("finetune", "tuned/notes.txt"),
    ("evaluate", "e/synthetic.json"),
    ("evaluate", "e/synthetic.txt"),
    ("evaluate pairs", "e/pairs.json"),
    ("evaluate pairs", "e/pairs.txt"),
    ("export", "w.onnx"),
    ("export transformers", "w/config.json"),
    ("export transformers", "w/model.safetensors"),
    ("soup", "s.safetensors"),
    ("import", "i.safetensors"),
]
FOREIGN = {
    "text": b"mine",
    "a picture": b"\x89PNG\r\n\x1a\n mine",
}


@pytest.fixture
def place(tiny, material):
    """An attack in a folder with all that the verbs read."""
    (tiny.folder / "b.png").write_bytes(material.png)
    (tiny.folder / "other.safetensors").write_bytes(material.weights)
    material.lay(material.pairs, tiny.folder / "pairs")
    for kind, content in (("images", material.png), ("points", material.points)):
        folder = tiny.folder / "old" / "draw_lines" / kind / "training"
        folder.mkdir(parents=True)
        (folder / ("0.png" if kind == "images" else "0.npy")).write_bytes(content)
    return tiny


@pytest.mark.parametrize("content", FOREIGN)
@pytest.mark.parametrize(("verb", "output"), OUTPUTS, ids=[f"{verb}: {output}" for verb, output in OUTPUTS])
def test_a_file_of_somebody_else_is_not_replaced(place, verb, output, content):
    path = place.folder / output
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(FOREIGN[content])
    place(VERBS[verb], named=output.split("/")[0])


@pytest.mark.parametrize(("verb", "output"), OUTPUTS, ids=[f"{verb}: {output}" for verb, output in OUTPUTS])
def test_a_folder_in_the_way_is_named(place, verb, output):
    (place.folder / output).mkdir(parents=True)
    (place.folder / output / "mine").write_text("mine")
    place(VERBS[verb], named=output.split("/")[0])


FILES = [(verb, output) for verb, output in OUTPUTS if "/" not in output]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize(("verb", "output"), FILES, ids=[f"{verb}: {output}" for verb, output in FILES])
@pytest.mark.parametrize("kind", ["a photograph", "a FIFO", "a device", "a folder"])
def test_what_a_link_in_the_way_leads_to_stays(place, verb, output, kind):
    target = place.folder / "target"
    if kind == "a photograph":
        target.write_bytes(b"mine")
    elif kind == "a FIFO":
        os.mkfifo(target)
    elif kind == "a folder":
        target.mkdir()
    (place.folder / output).symlink_to("/dev/null" if kind == "a device" else target)
    place(VERBS[verb], named=output)
    assert (place.folder / output).is_symlink()


BESIDE = [
    ("extract", "f.h5.partial/notes.txt"),
    ("extract", ".f.h5.tmp"),
    ("extract", ".f.h5.1.tmp"),
    ("extract", "f.h5.lock"),
    ("adapt", "l.h5.partial/notes.txt"),
    ("match", ".m.png.tmp"),
    ("generate", ".g.tmp"),
    ("convert", ".c.unfinished/notes.txt"),
    ("train", "run.partial/notes.txt"),
    ("export", ".w.onnx.tmp"),
    ("soup", ".s.safetensors.tmp"),
    ("import", ".i.safetensors.tmp"),
]


@pytest.mark.parametrize(("verb", "beside"), BESIDE, ids=[f"{verb}: {beside}" for verb, beside in BESIDE])
def test_files_beside_an_output_stay(place, verb, beside):
    """Whether the verb does its work or refuses to."""
    if verb in ("export", "train", "import"):
        pytest.skip("a slow test has it")
    path = place.folder / beside
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"mine")
    place(VERBS[verb], code=(0, 1, 2), named=".")
    assert path.read_bytes() == b"mine"


TWICE = ["extract", "extract --overlay", "adapt", "adapt --overlay", "match", "generate"]


@pytest.mark.parametrize("verb", TWICE)
def test_a_verb_does_its_work_again_over_its_own(place, verb):
    place(VERBS[verb], code=0)
    place(VERBS[verb], code=0, changes=["m.png", "l.json", "o/", "f.h5", "l.h5"])


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="who may do all can write everywhere")
@pytest.mark.parametrize("verb", VERBS)
def test_where_nothing_can_be_written_it_is_said_before_the_work(place, verb):
    place.folder.chmod(0o500)
    try:
        place(VERBS[verb], named=".")
    finally:
        place.folder.chmod(0o700)


INPUTS = [
    (["extract", "a.png", "--out", "a.png", *WEIGHTS], "a.png"),
    (["extract", "a.png", "--out", "tiny.safetensors", *WEIGHTS], "tiny.safetensors"),
    (["extract", ".", "--out", "f.h5", "--overlay", ".", *WEIGHTS], "."),
    (["adapt", "a.png", "--out", "a.png", *WEIGHTS], "a.png"),
    (["match", "a.png", "b.png", "--out", "b.png", *WEIGHTS], "b.png"),
    (["match", "a.png", "b.png", "--out", "pairs/v_one/1.png", *WEIGHTS], "1.png"),
    (["track", ".", "--out", ".", *WEIGHTS], "."),
    (["track", "a.png", "--out", "a.png", *WEIGHTS], "a.png"),
    (["generate", "pairs"], "pairs"),
    (["convert", "old", "old"], "old"),
    (["convert", "old", "old/new"], "old"),
    (["train", "pairs", *SMALL], "pairs"),
    (["finetune", "a.png", "b.png", "--out", "pairs", *WEIGHTS], "pairs"),
    (["finetune", ".", "--out", ".", *WEIGHTS], "."),
    (["export", "--out", "tiny.safetensors", *WEIGHTS], "tiny.safetensors"),
    (["import", "other.safetensors", "--out", "other.safetensors", "--source", "s", "--licence", "l"], "other"),
]


@pytest.mark.parametrize(("words", "named"), INPUTS, ids=[" ".join(words[:5]) for words, _ in INPUTS])
def test_an_output_never_replaces_an_input(place, words, named):
    place(words, named=named)
