"""Templates looked for in files, and what is written of it."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
import torch

from magicpoint import Extractor, Locator
from magicpoint.cli import main
from magicpoint.core.errors import InputError
from magicpoint.io.video import SourceEnded
from magicpoint.io.video_out import open_sink
from magicpoint.jobs import locate as locate_module
from magicpoint.jobs.info import read_info
from magicpoint.jobs.locate import locate_templates
from magicpoint.model.weights import load_weights, resolve_planar, save_weights, weights_hash
from magicpoint.planar.model import QuadNetwork
from magicpoint.planar.verify.network import VerifierNetwork
from magicpoint.planar.verify.settings import VerifierModelSettings
from magicpoint.planar.verify.verifier import Verifier

SIZE = (160, 120)


def picture(seed):
    rng = np.random.default_rng(seed)
    image = np.full(SIZE[::-1], 128, np.uint8)
    for _ in range(60):
        x, y = (int(rng.integers(side)) for side in SIZE)
        cv2.circle(image, (x, y), int(rng.integers(4, 18)), int(rng.integers(256)), -1, cv2.LINE_AA)
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locate")
    for name, seed in (("templates/front.png", 0), ("templates/more/back.png", 1)):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        cv2.imwrite(str(folder / name), picture(seed))
    scene = np.full((200, 320), 100, np.uint8)
    scene[50:170, 100:260] = picture(1)
    (folder / "scenes" / "in").mkdir(parents=True)
    cv2.imwrite(str(folder / "scenes" / "one.png"), scene)
    cv2.imwrite(str(folder / "scenes" / "in" / "none.jpg"), np.full((60, 80), 90, np.uint8))
    (folder / "scenes" / "broken.png").write_bytes(b"no picture")
    with open_sink(folder / "film.mp4", 10) as sink:
        for shift in range(2):
            sink.write(np.repeat(np.roll(scene, 8 * shift, axis=1)[..., None], 3, axis=2))
    return folder


def words(folder, *scenes, out="out"):
    options = ["--templates", str(folder / "templates"), "--out", str(folder / out), "--quiet", "--device", "cpu"]
    return ["locate", *(str(folder / scene) for scene in scenes), "--weights", "superpoint-small", *options]


def test_each_scene_gets_a_picture_and_what_was_found(folder, capsys):
    for _ in range(2):  # a second run replaces what the first one wrote
        assert main(words(folder, "scenes")) == 0
        assert "2 scenes, found more/back 1, skipped 1" in capsys.readouterr().out
    out = folder / "out"
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file() and path.name[0] != "."}
    assert files == {"one.png", "one.png.json", "in/none.jpg.png", "in/none.jpg.json"}
    content = json.loads((out / "one.png.json").read_text(encoding="utf-8"))
    assert content["templates"] == {"front": [160, 120], "more/back": [160, 120]}
    [found] = content["found"]
    assert found["template"] == "more/back"
    expected = [[99.5, 49.5], [259.5, 49.5], [259.5, 169.5], [99.5, 169.5]]
    np.testing.assert_allclose(found["corners"], expected, atol=1.0)
    np.testing.assert_allclose(found["H_template_to_scene"], [[1, 0, 100], [0, 1, 50], [0, 0, 1]], atol=1.0)
    assert found["matches"] >= found["inliers"] >= 12
    assert found["probability"] > 0.9
    assert json.loads((out / "in" / "none.jpg.json").read_text(encoding="utf-8"))["found"] == []
    assert cv2.imread(str(out / "one.png")).shape == (224, 320, 3)  # with the legend
    info = read_info(out / "one.png.json")
    assert info.kind == "templates that were found"
    quads = load_weights(resolve_planar("quads").path, QuadNetwork)[0]
    assert info.provenance["provenance"]["proposals_hash"] == weights_hash(quads.state_dict())
    assert len(info.provenance["provenance"]["verifier_hash"]) == 16


def test_where_no_scene_can_be_read_it_has_failed(folder, capsys):
    assert main(words(folder, "scenes/broken.png", out="failed")) == 1
    assert "none of 1 scenes could be read: " in capsys.readouterr().err


def test_a_video_becomes_a_video_and_a_list_of_frames(folder, capsys):
    assert main(words(folder, "film.mp4", out="film")) == 0
    assert "1 scene, found more/back 2" in capsys.readouterr().out
    frames = json.loads((folder / "film" / "film.mp4.json").read_text(encoding="utf-8"))["found"]
    lefts = [found["corners"][0][0] for [found] in frames]
    np.testing.assert_allclose(lefts, [99.5, 107.5], atol=1.0)
    assert cv2.VideoCapture(str(folder / "film" / "film.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 2


def test_a_verifier_says_how_probable_a_find_is(folder, tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = save_weights(tmp_path / "verifier.safetensors", VerifierNetwork(VerifierModelSettings(0.125, 8)), {})
    assert main([*words(folder, "scenes/one.png", out="judged"), "--verifier", str(weights)]) == 0
    [found] = json.loads((folder / "judged" / "one.png.json").read_text(encoding="utf-8"))["found"]
    scene, templates = cv2.imread(str(folder / "scenes" / "one.png"), 0), {"more/back": picture(1)}
    [[expected]] = Verifier.from_pretrained(templates, weights).verify(scene, [found["corners"]])
    assert found["probability"] == pytest.approx(expected, abs=1e-4)
    assert main([*words(folder, "scenes/one.png", out="judged"), "--verifier", "nothing"]) == 1
    assert main([*words(folder, "scenes/one.png", out="judged"), "--verifier", "none", "--proposals", "none"]) == 0
    [found] = json.loads((folder / "judged" / "one.png.json").read_text(encoding="utf-8"))["found"]
    assert found["probability"] is None


def test_nothing_of_others_is_replaced(folder, capsys):
    (folder / "taken").mkdir()
    (folder / "taken" / "one.png.json").write_text("{}")
    assert main(words(folder, "scenes", out="taken")) == 1
    assert "one.png.json" in capsys.readouterr().err
    assert (folder / "taken" / "one.png.json").read_text() == "{}"
    assert main(words(folder, "scenes", out="scenes")) == 1
    assert "choose another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "named"), [(["a.png", "a.jpg"], "would both be called a"), (["broken.png"], "broken.png")]
)
def test_templates_that_cannot_be_told_apart_or_read_are_named(folder, tmp_path, capsys, names, named):
    for name in names:
        (tmp_path / name).write_bytes(b"no picture") if name == "broken.png" else cv2.imwrite(
            str(tmp_path / name), picture(0)
        )
    asked = words(folder, "scenes", out="other")
    asked[asked.index("--templates") + 1] = str(tmp_path)
    assert main(asked) == 1
    assert named in capsys.readouterr().err


def test_a_template_is_never_replaced(folder, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "none.jpg.png"), picture(0))
    before = (tmp_path / "none.jpg.png").read_bytes()
    scene = str(folder / "scenes" / "in" / "none.jpg")
    options = ["--templates", str(tmp_path), "--out", str(tmp_path), "--quiet", "--device", "cpu"]
    assert main(["locate", scene, "--weights", "superpoint-tiny", *options]) == 1
    assert "none.jpg.png is a template and would be replaced" in capsys.readouterr().err
    assert (tmp_path / "none.jpg.png").read_bytes() == before


def test_a_template_without_keypoints_is_said_to_have_none(folder, tmp_path, caplog):
    cv2.imwrite(str(tmp_path / "plain.png"), np.full((64, 64), 77, np.uint8))
    extractor = Extractor.load("superpoint-tiny", device="cpu")
    scenes, templates = [folder / "scenes" / "one.png"], [tmp_path / "plain.png", folder / "templates" / "front.png"]
    locate_templates(scenes, templates, tmp_path / "out", extractor, progress=False)
    [message] = [record.message for record in caplog.records if "keypoints" in record.message]
    assert "plain has no keypoints: it is found where the verifier knows it again, if at all" in message


def test_two_scenes_whose_pictures_would_be_one_are_told_apart(folder, tmp_path, capsys):
    for name in ("a.png", "a.png.jpg", "b.jpg", "b.jpg.png"):
        cv2.imwrite(str(tmp_path / name), picture(0))
    options = ["--templates", str(folder / "templates"), "--out", str(tmp_path / "out"), "--quiet", "--device", "cpu"]
    assert main(["locate", str(tmp_path), "--weights", "superpoint-tiny", *options]) == 1
    assert "b.jpg.png would be the picture of two scenes" in capsys.readouterr().err


def test_what_was_found_in_a_video_that_ends_too_early_is_kept(folder, tmp_path, caplog, monkeypatch):
    opened = locate_module.open_source

    def cut(*arguments):
        source = opened(*arguments)

        def frames():
            yield next(source.frames)
            raise SourceEnded("film ends after 1 of 2 frames")

        return dataclasses.replace(source, frames=frames())

    monkeypatch.setattr(locate_module, "open_source", cut)
    extractor = Extractor.load("superpoint-small", device="cpu")
    scenes = [folder / "film.mp4", folder / "scenes" / "in" / "none.jpg"]
    result = locate_templates(scenes, [folder / "templates"], tmp_path / "out", extractor, progress=False)
    assert list(result.skipped) == ["film.mp4"]
    [message] = [record.message for record in caplog.records if "skipped" in record.message]
    assert "1 of 2 frames; what was found up to there is in" in message
    [[found]] = json.loads((tmp_path / "out" / "film.mp4.json").read_text(encoding="utf-8"))["found"]
    assert found["template"] == "more/back"


@pytest.mark.parametrize("templates", ["a.jpg", ["a.jpg"]])
def test_templates_without_names_are_refused(templates):
    with pytest.raises(TypeError, match="templates must be a mapping of names to pictures, got"):
        Locator.from_pretrained(templates)
    with pytest.raises(TypeError, match="templates must be a mapping of names to pictures, got"):
        Verifier.from_pretrained(templates)


def test_weights_of_planar_things_are_named_where_others_are_asked_for():
    with pytest.raises(InputError, match=r"quads are weights of planar things"):
        Extractor.load("quads")
