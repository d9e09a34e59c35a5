"""The whole chain on a folder of images, as small as it can be: its stages, its stops and its refusals."""

import contextlib
import dataclasses
import itertools
import json
import math
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from magicpoint.adaptation.settings import AdaptationSettings
from magicpoint.core.errors import InputError
from magicpoint.core.locks import locked_folder
from magicpoint.core.plain import as_plain, json_text
from magicpoint.data import hpatches_writer
from magicpoint.data.labelled_images import LabelledImages
from magicpoint.data.settings import ViewSettings
from magicpoint.evaluation.pairs.results import EvaluatedSequence, Mean, PairsEvaluation, PairsMethodResult
from magicpoint.inference.extractor import Extractor
from magicpoint.io.finding import find_images
from magicpoint.io.images import read_image
from magicpoint.io.labels import read_labels
from magicpoint.jobs.adapt import read_label_report
from magicpoint.jobs.finetune import report as finetune_report
from magicpoint.jobs.finetune import run as finetune
from magicpoint.jobs.finetune.report import finetuning_as_plain, format_finetuning, label_warnings
from magicpoint.jobs.finetune.result import RoundResult
from magicpoint.jobs.finetune.run import finetune_images
from magicpoint.jobs.finetune.settings import FinetuneSettings
from magicpoint.jobs.train import RunMeasures, TrainResult, read_training
from magicpoint.model.network import MagicPoint, PointNetwork
from magicpoint.model.settings import ModelSettings
from magicpoint.model.weights import load_weights, save_weights, weights_hash
from magicpoint.training import loop as train_module
from magicpoint.training.settings import TrainSettings
from magicpoint.training.tasks.base import open_task
from magicpoint.training.tasks.settings import DistilSettings, JointSettings, SuperPointSettings

pytestmark = pytest.mark.slow

IMAGES = 12


def texture(height, width, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.equalizeHist(cv2.GaussianBlur(noise, (0, 0), 1.5))


@pytest.fixture(scope="module", autouse=True)
def quick():
    """One view in place of five, and the faster of the methods: the evaluation has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hpatches_writer, "VIEWS", 1)
        patch.setattr(finetune, "METHODS", ("orb", "random"))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The images, in a folder and one below, of two sizes, and a detector of small random peaks."""
    folder = tmp_path_factory.mktemp("finetune")
    (folder / "images" / "more").mkdir(parents=True)
    for number in range(IMAGES):
        name = f"more/{number}.png" if number % 3 == 0 else f"{number}.png"
        assert cv2.imwrite(str(folder / "images" / name), texture(72, 96 + 16 * (number % 2), number))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MagicPoint(0.125)
    with torch.no_grad():
        model.detector.layers[-1].weight.mul_(30)
        model.detector.layers[-1].bias.zero_()
    save_weights(folder / "start.safetensors", model, {})
    return folder


@pytest.fixture(scope="module")
def settings(folder):
    return FinetuneSettings(
        weights=str(folder / "start.safetensors"),
        steps=3,
        batch_size=2,
        precision="float32",
        workers=0,
        adaptation=AdaptationSettings(count=3, threshold=0.005, precision="float32"),
        joint=JointSettings(descriptor_points=32, views=ViewSettings(size_hw=(48, 64))),
    )


def begin(folder, out, settings):
    return finetune_images([folder / "images"], out, settings, torch.device("cpu"), progress=False)


@pytest.fixture(scope="module")
def result(folder, settings):
    return begin(folder, folder / "run", settings)


@pytest.fixture(scope="module")
def done(result):
    return result.report.parent


@pytest.fixture
def copy(done, tmp_path):
    return shutil.copytree(done, tmp_path / "run")


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def weights_of(path):
    return weights_hash(load_weights(path)[0].state_dict())


def test_every_stage_leaves_its_files(done):
    expected = {"best.safetensors", "evaluation", "finetune.json", "settings.yaml", "labels_1.h5", "labels_1.json"}
    assert {path.name for path in done.iterdir()} == expected | {"pairs", "report.md", "round_1", "sheets_1"}
    assert len(read_labels(done / "labels_1.h5")) == IMAGES
    assert json.loads((done / "labels_1.json").read_text())["points"] > 0
    assert (done / "sheets_1" / "sheet_0.png").exists()
    assert (done / "best.safetensors").read_bytes() == (done / "round_1" / "best.safetensors").read_bytes()
    features = Extractor.from_checkpoint(done).extract(texture(72, 96, 0))
    assert features.descriptors.shape == (len(features), 256)


def test_the_result_has_the_figures_of_every_stage(result, done, folder, settings):
    assert (result.report, result.weights) == (done / "report.md", done / "best.safetensors")
    assert (result.images, result.start) == ((folder / "images",), settings.weights)
    [only] = result.rounds
    assert (only.number, only.labels) == (1, read_label_report(done / "labels_1.h5", None))
    assert only.labels.images == IMAGES
    assert only.training.weights == done / "round_1" / "best.safetensors"
    assert [validation.step for validation in only.training.validations] == [0, 3]
    assert only.training.validations[1].images == 6
    assert set(result.evaluation.methods) == {"start", "round 1", "orb", "random"}
    repeats = result.evaluation.mean("paper-repeatability", 4, "round 1", "all", "repeatability")
    assert 0 < repeats < 1
    assert (done / "report.md").read_text(encoding="utf-8") == format_finetuning(result)
    plain = json.loads(json_text(finetuning_as_plain(result)))
    assert plain["evaluation"] == json.loads((done / "evaluation" / "homography.json").read_text())
    assert plain["rounds"][0]["labels"] == json.loads((done / "labels_1.json").read_text())
    assert plain["verdicts"][1].startswith(("repeatability: ", "WARNING, repeatability: "))


def test_metrics_that_are_damaged_are_named(done, tmp_path):
    lines = (done / "round_1" / "metrics.jsonl").read_text()
    (tmp_path / "metrics.jsonl").write_text(lines + '{"kind": "validation", "st')
    with pytest.raises(ValueError, match=r"metrics\.jsonl is damaged"):
        read_training(tmp_path)


def test_training_begins_with_the_detector(done, folder):
    model, provenance = load_weights(done / "round_1" / "last.safetensors")
    assert provenance["start_hash"] == weights_of(folder / "start.safetensors")
    assert provenance["steps"] == 3
    assert model.settings.width == 0.125


def test_the_images_of_the_evaluation_are_not_trained_on(done, folder):
    settings = yaml.safe_load((done / "round_1" / "settings.yaml").read_text())
    labels = Path(settings["labels"])
    dataset = LabelledImages([folder / "images"], labels)
    held_out = dataset.split()[1]
    assert len(held_out) == 3  # a quarter of so few
    shown = []
    for change, index in itertools.product("iv", held_out):
        shown.append(np.rint(read_image(done / "pairs" / f"{change}_{index:06d}" / "1.png") * 255))
        np.testing.assert_array_equal(shown[-1], dataset[index].image)
    task = SuperPointSettings(images=(folder / "images",), labels=labels, shapes_share=0.0)
    source = open_task(task, TrainSettings())._source
    trained = [source.sample(index).image for index in range(2 * IMAGES)]
    assert len({image.tobytes() for image in trained}) == IMAGES - 3
    assert not any(np.array_equal(image, other) for image in trained for other in shown)


def test_the_report_says_what_came_of_it(done, folder):
    text = (done / "report.md").read_text(encoding="utf-8")
    assert f"The weights: {done / 'best.safetensors'}" in text
    assert (done / "evaluation" / "homography.txt").read_text(encoding="utf-8").strip() in text
    points = json.loads((done / "labels_1.json").read_text())["points_mean"]
    assert f" {points:.1f} |" in text
    assert "| start   |" in text
    assert "| round 1 |" in text
    assert f"magicpoint evaluate PAIRS --dataset homography --weights {done}" in text
    assert re.search(r"\| 1 +\| +last \| +3 \|", text)


def test_complete_stages_are_passed_over(result, copy, folder, settings, monkeypatch, caplog):
    for name in ("adapt_images", "train_model", "write_view_pairs", "evaluate_pairs", "write_sheets"):
        monkeypatch.setattr(finetune, name, None)
    caplog.set_level("INFO", "magicpoint")
    text = (copy / "report.md").read_bytes()
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*") if path.parent != copy}
    stages = contents(copy)
    again = begin(folder, copy, dataclasses.replace(settings, workers=1))
    assert repr(again.evaluation) == repr(result.evaluation)
    assert [repr(each.labels) for each in again.rounds] == [repr(each.labels) for each in result.rounds]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    changed = {path.name for path, content in contents(copy).items() if stages[path] != content}
    assert changed == {"finetune.json", "settings.yaml", "report.md"}  # the copy lies elsewhere, and workers may change
    assert caplog.text.count(": complete\n") == 4
    begin(folder, copy, dataclasses.replace(settings, workers=0))
    assert (copy / "report.md").read_bytes() == text.replace(str(folder / "run").encode(), str(copy).encode())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"steps": 4}, r"begun with other settings \(steps 3, now 4\)"),
        (
            {"adaptation": AdaptationSettings(3, threshold=0.1, precision="float32")},
            r"adaptation\.threshold 0\.005, now 0\.1",
        ),
        (
            {"joint": JointSettings(descriptor_points=33, views=ViewSettings((48, 64)))},
            r"joint\.descriptor_points 32, now 33",
        ),
    ],
)
def test_other_settings_are_refused(done, folder, settings, change, named):
    before = contents(done)
    with pytest.raises(ValueError, match=named):
        begin(folder, done, dataclasses.replace(settings, **change))
    assert contents(done) == before


def test_other_images_and_weights_are_refused(copy, folder, settings, tmp_path):
    images = shutil.copytree(folder / "images", tmp_path / "images")
    (images / "1.png").rename(images / "other.png")
    with pytest.raises(ValueError, match=r"1 are new, 1 are gone, for instance other\.png is new"):
        finetune_images([images], copy, settings, progress=False)
    start = tmp_path / "start.safetensors"
    shutil.copy(folder / "start.safetensors", start)
    here = dataclasses.replace(settings, weights=str(start))
    record = json.loads((copy / "finetune.json").read_text())
    record["settings"]["weights"] = str(start)
    (copy / "finetune.json").write_text(json.dumps(record))
    save_weights(start, MagicPoint(0.125), {})
    with pytest.raises(ValueError, match="other weights of the name"):
        begin(folder, copy, here)


def test_a_second_round_learns_from_the_first(copy, folder, settings):
    before = contents(copy)
    begin(folder, copy, dataclasses.replace(settings, rounds=2))
    after = contents(copy)
    kept = [
        path for path in before if path.parts[0] in ("labels_1.h5", "labels_1.json", "sheets_1", "round_1", "pairs")
    ]
    assert all(after[path] == before[path] for path in kept)
    first = weights_of(copy / "round_1" / "best.safetensors")
    assert read_labels(copy / "labels_2.h5").provenance["weights_hash"] == first
    assert load_weights(copy / "round_2" / "last.safetensors")[1]["start_hash"] == first
    assert (copy / "best.safetensors").read_bytes() == (copy / "round_2" / "best.safetensors").read_bytes()
    methods = json.loads((copy / "evaluation" / "homography.json").read_text())["methods"]
    assert list(methods) == ["start", "round 1", "round 2", "orb", "random"]
    assert methods["round 2"]["weights_hash"] == weights_of(copy / "best.safetensors")
    assert "| round 2 |" in (copy / "report.md").read_text(encoding="utf-8")


def test_a_student_learns_from_the_last_round(copy, folder, settings):
    before = contents(copy)
    students = dataclasses.replace(settings, students=(0.0625,))
    result = begin(folder, copy, students)
    run = copy / "round_1_width_0.0625"
    after = contents(copy)
    assert all(after[path] == before[path] for path in before if path.parts[0] in ("labels_1.h5", "round_1", "pairs"))
    assert load_weights(run / "best.safetensors")[0].settings == ModelSettings(0.0625, descriptor_dim=256)
    assert yaml.safe_load((run / "settings.yaml").read_text())["teacher"] == str(copy / "round_1" / "best.safetensors")
    [student] = result.students
    assert (student.width, student.training.weights) == (0.0625, run / "best.safetensors")
    methods = json.loads((copy / "evaluation" / "homography.json").read_text())["methods"]
    assert list(methods) == ["start", "round 1", "width 0.0625", "orb", "random"]
    assert methods["width 0.0625"]["weights_hash"] == weights_of(run / "best.safetensors")
    text = (copy / "report.md").read_text(encoding="utf-8")
    assert f"of width 0.0625 {run / 'best.safetensors'}" in text
    assert len(re.findall(r"\| width 0.0625 +\| +(?:start|first|best|last) ", text)) == 3
    assert (copy / "best.safetensors").read_bytes() == (copy / "round_1" / "best.safetensors").read_bytes()


def test_a_student_is_shown_no_image_of_the_evaluation(done, folder, settings, tmp_path):
    images = shutil.copytree(folder / "images", tmp_path / "images")
    (images / "0_broken.png").touch()  # has no labels, and would move all others by one
    copy = shutil.copytree(done, tmp_path / "run")
    record = json.loads((copy / "finetune.json").read_text())
    record["images"] = ["0_broken.png", *record["images"]]
    (copy / "finetune.json").write_text(json.dumps(record))
    out = finetune_images([images], copy, dataclasses.replace(settings, students=(0.0625,)), progress=False)
    stored = yaml.safe_load((copy / "round_1_width_0.0625" / "settings.yaml").read_text())
    assert len(stored["images"]) == IMAGES
    task = DistilSettings(images=tuple(map(Path, stored["images"])), teacher=str(out.weights))
    source = open_task(task, TrainSettings())._source
    trained = {source.sample(index).image.tobytes() for index in range(2 * IMAGES)}
    dataset = LabelledImages([images], copy / "labels_1.h5")
    held_out = {dataset[index].image.tobytes() for index in dataset.split()[1]}
    assert (len(trained), len(held_out), trained & held_out) == (IMAGES - 3, 3, set())


@pytest.mark.parametrize("students", [(0.0,), (5.0,), (0.25, 0.25)])
def test_students_that_are_none_are_refused(students):
    with pytest.raises(InputError, match=r"students must be different widths in \(0, 4\], got"):
        FinetuneSettings(students=students)


class _Stop:
    requested = True


def test_a_run_that_is_stopped_in_every_stage_ends_as_one_that_is_not(done, folder, settings, tmp_path, monkeypatch):
    out = tmp_path / "run"

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    stages = [(finetune, "adapt_images"), (finetune, "write_sheets"), (finetune, "evaluate_pairs")]
    patches = [(module, name, interrupt) for module, name in stages]
    patches += [(train_module, "stop_requests", lambda: contextlib.nullcontext(_Stop))]
    patches += [(hpatches_writer, "warp_image", interrupt)]
    left = []
    while patches:
        with monkeypatch.context() as patch:
            for module, name, stop in patches:
                patch.setattr(module, name, stop)
            with pytest.raises(KeyboardInterrupt, match="the same command goes on"):
                begin(folder, out, settings)
        left.append(sorted(path.name for path in out.iterdir()))
        order = ["adapt_images", "write_sheets", "stop_requests", "warp_image", "evaluate_pairs"]
        patches.remove(min(patches, key=lambda entry: order.index(entry[1])))
    assert left[0] == ["finetune.json", "settings.yaml"]
    assert "sheets_1" not in left[1]
    assert "pairs" not in left[3]
    begin(folder, out, settings)
    whole, parts = contents(done), contents(out)
    assert whole.keys() == parts.keys()
    same = [path for path in whole if path.parts[0] in ("pairs", "sheets_1", "evaluation")]
    assert all(parts[path] == whole[path] for path in same)
    assert weights_of(out / "best.safetensors") == weights_of(done / "best.safetensors")


def test_a_wider_network_with_descriptors_where_they_are_goes_on_from_imported_weights(folder, settings, tmp_path):
    start = tmp_path / "imported.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PointNetwork(ModelSettings(0.125, descriptor_dim=16, descriptor_sampling="legacy"))
    with torch.no_grad():
        model.detector.layers[-1].weight.mul_(30)
        model.detector.layers[-1].bias.zero_()
    save_weights(start, model, {})
    wider = dataclasses.replace(settings, weights=str(start), width=0.25, steps=1)
    begin(folder, tmp_path / "run", wider)
    trained = load_weights(tmp_path / "run" / "best.safetensors")[0].settings
    assert trained == ModelSettings(0.25, descriptor_dim=16)
    with pytest.raises(ValueError, match=r"width must be at least that of the weights, 0\.125, got 0\.1"):
        begin(folder, tmp_path / "narrow", dataclasses.replace(wider, width=0.1))
    assert not list((tmp_path / "narrow").glob("*.json"))


def test_labels_that_nothing_can_be_learnt_from_stop_the_run(folder, settings, tmp_path):
    strict = dataclasses.replace(settings, adaptation=AdaptationSettings(1, threshold=0.99, precision="float32"))
    with pytest.raises(ValueError, match=r"nothing can be learnt from .*labels_1\.h5: 100% of 12 images have no point"):
        begin(folder, tmp_path, strict)
    assert not (tmp_path / "round_1").exists()
    assert (tmp_path / "sheets_1" / "sheet_0.png").exists()


def test_a_single_image_is_too_few(folder, settings, tmp_path):
    images = [folder / "images" / "1.png", tmp_path / "broken.png"]
    with pytest.raises(ValueError, match=r"1\.png is one image: two are needed"):
        finetune_images(images[:1], tmp_path / "out", settings, progress=False)
    assert not (tmp_path / "out").exists()
    images[1].touch()
    with pytest.raises(ValueError, match="labels 1 image: two are needed"):
        finetune_images(images, tmp_path / "out", settings, progress=False)


def test_a_folder_among_the_images_is_refused(folder, settings):
    with pytest.raises(ValueError, match="whose images are wanted"):
        begin(folder, folder / "images" / "run", settings)
    assert not (folder / "images" / "run").exists()
    assert len(find_images([folder / "images"])) == IMAGES


def test_a_report_that_a_stop_prevented_is_made_up_for(copy):
    before = json.loads((copy / "labels_1.json").read_text())
    (copy / "labels_1.json").unlink()
    report = read_label_report(copy / "labels_1.h5", None)
    assert as_plain(report) == {**before, "images_per_second": None, "labels_per_hour": None, "new": 0}
    (copy / "labels_1.json").write_text("{}")
    with pytest.raises(ValueError, match=r"labels_1\.json is damaged"):
        read_label_report(copy / "labels_1.h5", None)


def evaluation(own, start, sift):
    """An evaluation of two scenes with so much of the keypoints repeated and of the homographies right."""

    def measured(name, values):
        means = {method: Mean(value, (value, value), (value, value), 8, 0) for method, value in values.items()}
        return {4: {method: PairsMethodResult({"all": {name: mean}}, ()) for method, mean in means.items()}}

    results = {
        "paper-repeatability": measured("repeatability", {"round 1": own[0], "start": start}),
        "paper-homography": measured("homography_accuracy_3", {"round 1": own[1], "sift": sift}),
    }
    sequences = {name: EvaluatedSequence("viewpoint", (2, 3)) for name in ("i_0", "i_1", "v_0", "v_1")}
    return PairsEvaluation(sequences, "", {}, None, {}, {}, results)


def test_the_verdict_says_what_is_worse():
    lines = finetune_report.verdicts(evaluation((0.6, 0.9), start=0.5, sift=0.9), 1)
    assert lines == [
        "WARNING, 8 pairs, which are views of 2 held-out images. These are too few to tell a small difference: take "
        "more images.",
        "repeatability: 0.600, of start 0.500.",
        "homographies within 3 px: 0.900, of sift 0.900.",
    ]
    worse = finetune_report.verdicts(evaluation((0.4, math.nan), start=0.5, sift=0.9), 1)
    assert worse[1].startswith("WARNING, repeatability: 0.400, of start 0.500: worse.")
    assert worse[2].startswith("WARNING, homographies within 3 px: -, of sift 0.900: worse.")


def test_points_that_get_fewer_are_pointed_out(done):
    report = read_label_report(done / "labels_1.h5", None)
    rounds = [
        RoundResult(number, dataclasses.replace(report, points_mean=mean, warnings=()), read_training(done / "round_1"))
        for number, mean in ((1, 100.0), (2, 60.0), (3, 30.0))
    ]
    [warning] = label_warnings(rounds)
    assert warning.startswith("round 3: 30.0 points an image instead of 60.0")


def test_the_gain_over_the_weights_before_the_first_step_is_said(done):
    def training(*scores):
        measures = [{"repeatability": score, "matching_score": score} for score in scores]
        validations = tuple(RunMeasures(100 * step, 0, each) for step, each in enumerate(measures))
        return RoundResult(1, None, TrainResult(done, (), validations))

    assert finetune_report.training_gains([training(0.5, 0.7, 0.6)]) == [
        "round 1: from 0.500 before the first step to 0.700 after step 100."
    ]
    [worse] = finetune_report.training_gains([training(0.5, 0.4, 0.3)])
    assert worse.startswith("WARNING, round 1: no validation is better than that before the first step, 0.500")
    assert "before the first step" in (done / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["best.safetensors", "report.md", "notes.txt"])
def test_a_folder_of_something_else_is_refused(folder, settings, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=rf"holds {re.escape(name)}, but no finetune\.json"):
        begin(folder, tmp_path, settings)
    assert contents(tmp_path) == {Path(name): b"mine"}


@pytest.mark.parametrize("name", ["best.safetensors", "report.md"])
def test_what_was_put_in_the_place_of_a_result_is_not_replaced(copy, folder, settings, name):
    (copy / name).write_text("mine")
    before = contents(copy)
    with pytest.raises(InputError, match=rf"{re.escape(name)} is .* not replaced"):
        begin(folder, copy, settings)
    assert contents(copy) == before


def test_a_second_process_is_refused(copy, folder, settings):
    before = contents(copy)
    with locked_folder(copy), pytest.raises(InputError, match="is being written by another process"):
        begin(folder, copy, settings)
    assert contents(copy) == before


@pytest.mark.parametrize("text", ["[]", "null", "3", '{"precision": []}', '{"precision": "int8"}', "[" * 10**5])
def test_a_record_that_is_none_is_named(copy, folder, settings, text):
    (copy / "finetune.json").write_text(text)
    with pytest.raises(InputError, match=r"finetune\.json is damaged"):
        begin(folder, copy, settings)


def test_unusable_settings_are_named():
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        FinetuneSettings(rounds=0)
