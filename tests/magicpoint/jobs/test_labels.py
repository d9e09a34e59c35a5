"""Labels from points of one's own: where they are, what is known around them, and what is measured on them."""

import json

import cv2
import numpy as np
import pytest

from magicpoint.cli import main
from magicpoint.core.errors import InputError
from magicpoint.data.labelled_images import LabelledImages
from magicpoint.data.photometric import PhotometricSettings
from magicpoint.data.settings import AugmentationSettings
from magicpoint.evaluation.labels.report import format_labels_evaluation
from magicpoint.evaluation.labels.run import evaluate_on_labels
from magicpoint.io.labels import read_labels
from magicpoint.jobs.labels import label_images
from magicpoint.model.settings import ModelSettings
from magicpoint.training.loop import train_model
from magicpoint.training.settings import TrainSettings
from magicpoint.training.targets import mask_to_cells
from magicpoint.training.tasks.base import open_task
from magicpoint.training.tasks.settings import MagicPointSettings
from synthetic_shapes import ShapeSettings

WIDTH, HEIGHT = 64, 48


def write_images(folder, count=6):
    """Dark images with a bright rectangle each; the point is its top-left corner, (10 + 3 i, 8 + i) in image i."""
    folder.mkdir()
    points = {}
    for number in range(count):
        left, top = 10 + 3 * number, 8 + number
        image = np.full((HEIGHT, WIDTH), 30, np.uint8)
        image[top : top + 20, left : left + 16] = 220
        assert cv2.imwrite(str(folder / f"{number}.png"), image)
        points[f"{number}.png"] = (left, top)
    return points


def write_table(path, points):
    rows = [f"{name},{x},{y}" for name, (x, y) in points.items()]
    path.write_text("\n".join(["image,x,y", *rows]) + "\n")


@pytest.fixture
def folder(tmp_path):
    write_table(tmp_path / "p.csv", write_images(tmp_path / "images"))
    return tmp_path


def make(folder, **options):
    return label_images([folder / "images"], folder / "p.csv", folder / "l.h5", progress=False, **options)


def test_labels_are_where_the_points_are(folder):
    report = make(folder)
    assert (report.images, report.points, report.new, report.warnings) == (6, 6, 6, ())
    labels = read_labels(folder / "l.h5")
    for number in range(6):
        of = labels[f"{number}.png"]
        assert of.keypoints.tolist() == [[10 + 3 * number, 8 + number]]
        assert (of.keypoint_scores.tolist(), of.image_size) == ([1.0], (WIDTH, HEIGHT))
        assert of.valid_mask.all()
        # x to the right, y down: the pixel is bright, that above and that to the left are not.
        image = cv2.imread(str(folder / "images" / f"{number}.png"), cv2.IMREAD_GRAYSCALE)
        x, y = of.keypoints[0].int().tolist()
        assert (image[y, x], image[y - 1, x], image[y, x - 1]) == (220, 30, 30)


def test_an_origin_in_the_corner_is_half_a_pixel_away(folder):
    make(folder, origin="corner")
    assert read_labels(folder / "l.h5")["0.png"].keypoints.tolist() == [[9.5, 7.5]]


def test_images_without_points_are_known_and_those_not_named_are_left_out(folder):
    (folder / "p.csv").write_text("image,x,y\n0.png,5,6\n2.png,,\n")
    make(folder)
    labels = read_labels(folder / "l.h5")
    assert {key: len(labels[key]) for key in labels} == {"0.png": 1, "2.png": 0}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0.png,5,70", r"a point of 0\.png is at \(5, 70\), outside its 64x48 pixels$"),
        ("0.png,20,50", r"\(20, 50\), outside its 64x48 pixels: are x and y exchanged\?"),
        ("0.png,-1,5", r"\(-1, 5\), outside"),
        ("0.png,63.5,5", r"\(63\.5, 5\), outside"),
    ],
)
def test_a_point_outside_its_image_is_refused(folder, line, said):
    (folder / "p.csv").write_text(f"image,x,y\n1.png,5,6\n{line}\n")
    with pytest.raises(InputError, match=said):
        make(folder)
    assert not (folder / "l.h5").exists()


def test_other_points_do_not_replace_labels(folder):
    make(folder)
    before = (folder / "l.h5").read_bytes()
    assert make(folder).kept == 6
    (folder / "p.csv").write_text("image,x,y\n0.png,5,6\n")
    with pytest.raises(InputError, match=r"l\.h5 was made with other .*points_digest"):
        make(folder)
    assert (folder / "l.h5").read_bytes() == before


def test_what_is_masked_is_unknown(folder):
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[:, :12] = 0
    assert cv2.imwrite(str(folder / "images" / "0.mask.png"), mask)
    make(folder)
    valid = read_labels(folder / "l.h5")["0.png"].valid_mask
    assert not valid[:, :12].any()
    assert valid[:, 12:].all()
    # Its point, at x = 10, is on the mask: neither learnt nor asked for.
    dataset = LabelledImages([folder / "images"], folder / "l.h5")
    assert [len(dataset[index].keypoints) for index in range(6)] == [0, 1, 1, 1, 1, 1]


class Perfect:
    """Finds the corners, and in the mask of the first image something else."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def settings(self):
        return {"shift": self.shift}

    def detect(self, images):
        found = []
        for image in images:
            ys, xs = np.nonzero(image > 100)
            points = np.array([[xs.min() + self.shift, ys.min()], [4.0, 30.0]], np.float32)
            found.append((points, np.array([0.9, 0.8], np.float32)))
        return found


def test_measures_on_paper(folder):
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[25:40, :8] = 0
    for number in range(6):
        assert cv2.imwrite(str(folder / "images" / f"{number}.mask.png"), mask)
    make(folder)
    dataset = LabelledImages([folder / "images"], folder / "l.h5")
    methods = {"exact": Perfect(), "beside": Perfect(1.5)}
    evaluation = evaluate_on_labels(methods, dataset, range(6), {"exact": 0.5})
    assert (evaluation.images, evaluation.points) == (6, 6)
    for tolerance in ("1", "2", "3", "4"):
        exact, beside = (evaluation.methods[name].measures[tolerance] for name in methods)
        assert (exact.ap, exact.precision, exact.recall, exact.localization_error) == (1, 1, 1, 0)
        assert (beside.ap, beside.localization_error) == (
            (0, pytest.approx(np.nan, nan_ok=True)) if tolerance == "1" else (1, 1.5)
        )
    assert evaluation.methods["exact"].threshold_from == "given"
    assert "| exact" in format_labels_evaluation(evaluation)


def test_a_share_is_held_out_by_name(folder):
    make(folder)
    dataset = LabelledImages([folder / "images"], folder / "l.h5")
    training, held_out = dataset.split_by_name(0.4)
    assert sorted(training + held_out) == list(range(6))
    assert training
    assert held_out
    names = {dataset.key(index) for index in held_out}
    (folder / "images" / "2.png").unlink()
    lines = (folder / "p.csv").read_text().splitlines(keepends=True)
    (folder / "p.csv").write_text("".join(line for line in lines if not line.startswith("2.png")))
    (folder / "l.h5").unlink()
    make(folder)
    fewer = LabelledImages([folder / "images"], folder / "l.h5")
    kept = {fewer.key(index) for index in fewer.split_by_name(0.4)[1]}
    assert kept == names - {"2.png"} or (names == {"2.png"} and len(kept) == 1)
    for share in (1e-6, 1 - 1e-6):
        training, held_out = fewer.split_by_name(share)
        assert min(len(training), len(held_out)) == 1


def test_training_sees_parts_with_the_points_where_they_are(folder):
    make(folder)
    task = MagicPointSettings(
        images=(folder / "images",), labels=folder / "l.h5", shapes=ShapeSettings((48, 48)), smallest_scale=1.0
    )
    opened = open_task(task, TrainSettings(task=task))
    seen = 0
    for index in range(20):
        sample = opened._source.sample(index)
        assert sample.image.shape == sample.valid_mask.shape == (48, 48)
        for x, y in sample.keypoints.round().astype(int):
            assert (sample.image[y, x], sample.image[max(0, y - 1), x]) == (220, 30)
            seen += 1
    assert seen > 10


def test_training_knows_what_is_masked(folder):
    for number in range(6):
        mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
        mask[:, :9] = 0
        assert cv2.imwrite(str(folder / "images" / f"{number}.mask.png"), mask)
    make(folder)
    task = MagicPointSettings(
        images=(folder / "images",),
        labels=folder / "l.h5",
        smallest_scale=1.0,
        shapes=ShapeSettings((HEIGHT, WIDTH)),
        augmentation=AugmentationSettings(0.0),
    )
    batch = open_task(task, TrainSettings(task=task, batch_size=2)).batches(0, 1)[0]
    assert not batch.valid_mask[..., :9].any()
    assert batch.valid_mask[..., 9:].all()
    # The second column of cells has one masked column of pixels: nothing of it is learnt.
    assert mask_to_cells(batch.valid_mask)[0, 0].tolist() == [False, False, True, True, True, True, True, True]


@pytest.mark.slow
def test_a_few_images_are_learnt_by_heart_and_measured(folder, capsys):
    """The top-left corners alone: a classical detector finds all four of each rectangle."""
    make(folder)
    task = MagicPointSettings(
        images=(folder / "images",),
        labels=folder / "l.h5",
        holdout=0.2,
        smallest_scale=1.0,
        shapes=ShapeSettings((HEIGHT, WIDTH)),
        augmentation=AugmentationSettings(0.0, photometric=PhotometricSettings(probability=0.0)),
        model=ModelSettings(width=0.125),
    )
    settings = TrainSettings(task=task, steps=60, batch_size=4, learning_rate=1e-2, workers=0, precision="float32")
    train_model(folder / "run", settings, progress=False)
    given = ["--images", str(folder / "images"), "--labels", str(folder / "l.h5")]
    words = ["--weights", str(folder / "run" / "last.safetensors"), *given, "--methods", "harris", "--json"]
    assert main(["evaluate", *words, "--out", str(folder / "e")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((folder / "e" / "labels.json").read_text())
    own, harris = (found["methods"][name]["measures"]["2"] for name in ("last", "harris"))
    held_out = len(LabelledImages([folder / "images"], folder / "l.h5").split_by_name(0.2)[1])
    assert own["recall"] > 0.8  # all but the one held out
    assert own["precision"] > 0.6 > 0.3 > harris["precision"]
    assert main(["evaluate", *words, "--holdout", "0.2", "--out", str(folder / "h")]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == held_out


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"images": ("a",)}, "labels must be given with images, got none"),
        ({"labels": "l.h5"}, "images must be given with labels, got none"),
        ({"images": ("a",), "labels": "l.h5", "dataset": "d"}, "dataset must not be given beside labels, got d"),
    ],
)
def test_what_belongs_together_is_asked_for(values, said):
    with pytest.raises(InputError, match=said):
        MagicPointSettings(**values)


@pytest.mark.parametrize(
    "words",
    [
        ["--images", "a"],
        ["--labels", "l.h5"],
        ["--dataset", "labels"],
        ["pairs", "--labels", "l.h5", "--images", "a", "--dataset", "labels"],
        ["--labels", "l.h5", "--images", "a", "--holdout", "1"],
    ],
)
def test_an_evaluation_that_lacks_something_says_so(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *words, "--out", "e", "--weights", "superpoint-tiny"])
    assert ended.value.code == 2
    assert "--" in capsys.readouterr().err
