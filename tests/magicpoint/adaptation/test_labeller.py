import dataclasses
import json

import cv2
import h5py
import numpy as np
import pytest
import torch
from torch.nn.functional import max_pool2d

from homography import HomographySettings
from magicpoint.adaptation.labeller import Labeller
from magicpoint.adaptation.settings import AdaptationSettings
from magicpoint.adaptation.summary import BORDER_EDGES, format_labels, summarise_labels
from magicpoint.core.plain import as_plain
from magicpoint.core.types import Labels
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.inference.extractor import Extractor
from magicpoint.io import unfinished
from magicpoint.io.labels import LABELS, read_labels
from magicpoint.io.records import write_records
from magicpoint.io.unfinished import UnfinishedRecords
from magicpoint.jobs import adapt as adapt_job
from magicpoint.jobs.adapt import adapt_images
from magicpoint.model.network import MagicPoint, SuperPoint
from magicpoint.model.weights import save_weights
from magicpoint.pictures.sheets import write_sheets

SETTINGS = AdaptationSettings(count=4, threshold=0.005, precision="float32")


def picture(height, width, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.equalizeHist(cv2.GaussianBlur(noise, (0, 0), 1.5))


def grey(height, width, seed=0):
    return picture(height, width, seed).astype(np.float32) / 255


@pytest.fixture(scope="module")
def extractor():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SuperPoint(0.125, descriptor_dim=16)
    with torch.no_grad():
        model.detector.layers[-1].weight.mul_(30)
        model.detector.layers[-1].bias.zero_()
    return Extractor(model, device="cpu", weights="random")


@pytest.fixture(scope="module")
def labeller(extractor):
    return Labeller(extractor, SETTINGS)


def assert_same(first, second):
    assert first.image_size == second.image_size
    for name in ("keypoints", "keypoint_scores", "valid_mask"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name


def some_labels(points=((3.0, 4.0), (10.5, 7.25)), size=(21, 13)):
    keypoints = torch.tensor(points).reshape(-1, 2)
    mask = torch.zeros(size[1], size[0], dtype=torch.bool)
    mask[2:-2, 3:-1] = True
    return Labels(keypoints, torch.linspace(0.9, 0.1, len(keypoints)), None, size, mask)


def test_labels_come_back_as_they_were(tmp_path):
    images = {"a.png": some_labels(), "sub/b.png": some_labels((), (16, 8))}
    found = read_labels(write_records(tmp_path / "l.h5", LABELS, images))
    assert sorted(found) == sorted(images)
    for key, labels in images.items():
        assert_same(found[key], labels)
        assert_same(found[key].to("cpu"), labels)
    with h5py.File(tmp_path / "l.h5") as file:
        # One row of 21 pixels, of which 3 to 19 are valid in rows 2 to 10, begins at bit 42 of the mask.
        packed = file["a.png"]["valid_mask"][()]
        assert packed.dtype == np.uint8
        assert packed.shape == (-(-21 * 13 // 8),)
        assert np.flatnonzero(np.unpackbits(packed))[0] == 2 * 21 + 3


def test_labels_with_a_mask_of_another_size_are_refused(tmp_path):
    labels = some_labels()
    with pytest.raises(ValueError, match=r"\(13, 21\).*\(12, 21\)"):
        dataclasses.replace(labels, valid_mask=labels.valid_mask[1:])
    with pytest.raises(ValueError, match=r"uint8"):
        dataclasses.replace(labels, valid_mask=labels.valid_mask.byte())
    path = write_records(tmp_path / "l.h5", LABELS, {"a": labels})
    with h5py.File(path, "a") as file:
        file.attrs["format"] = "magicpoint-labels-1"
        file["a"].attrs["image_size"] = (210, 130)
    with pytest.raises(ValueError, match=r"l\.h5: a is damaged"):
        read_labels(path)["a"]


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (2, 2), (7, 9), (8, 8), (33, 41)])
def test_images_of_any_size_have_labels(labeller, size):
    labels = labeller.label(grey(*size), "a")
    assert labels.image_size == size[::-1]
    column, row = labels.keypoints.round().long().unbind(1)
    assert labels.valid_mask[row, column].all()
    assert ((labels.keypoint_scores > SETTINGS.threshold) & (labels.keypoint_scores <= 1)).all()
    assert len(labels) > 5 or size != (33, 41)


def test_labels_depend_on_the_seed_and_the_key_but_not_on_the_order(extractor, labeller):
    images = {str(number): grey(40, 48, number) for number in range(3)}
    first = {key: labeller.label(image, key) for key, image in images.items()}
    for key in reversed(images):
        assert_same(Labeller(extractor, SETTINGS).label(images[key], key), first[key])
    assert not torch.equal(labeller.label(images["0"], "1").keypoint_scores, first["0"].keypoint_scores)
    other = Labeller(extractor, dataclasses.replace(SETTINGS, seed=1)).label(images["0"], "0")
    assert not torch.equal(other.keypoint_scores, first["0"].keypoint_scores)


def test_one_view_without_erosion_is_what_the_extractor_finds(extractor):
    settings = dataclasses.replace(SETTINGS, count=1, erosion=0)
    plain = Extractor(extractor.model, DecodeSettings(threshold=SETTINGS.threshold, border=0), "cpu")
    image = grey(40, 52)
    labeller = Labeller(extractor, settings)
    labels, features = labeller.label(image, "a"), plain.extract(image)
    assert labels.valid_mask.all()
    # But for what the extractor finds on the slope of a peak, just beyond the pixels that the peak suppresses.
    heatmap = labeller.heatmap(torch.from_numpy(image)[None, None]).clone()
    column, row = features.keypoints.round().long().unbind(1)
    summits = (heatmap == max_pool2d(heatmap, 3, stride=1, padding=1))[0, row, column]
    assert summits.sum() > 10
    # The sides beyond the image are padded in the same way; BatchNorm is folded here and is not there.
    assert torch.allclose(labels.keypoints, features.keypoints[summits], atol=1e-2)
    assert torch.allclose(labels.keypoint_scores, features.keypoint_scores[summits], atol=1e-4)


@pytest.mark.parametrize("longest_side", [None, 64, 50])
def test_keypoints_of_shrunk_images_are_in_pixels_of_the_original(extractor, longest_side):
    settings = AdaptationSettings(count=1, longest_side=longest_side, precision="float32")
    labeller = Labeller(extractor, settings)
    labeller.heatmap = lambda views: views[:, 0]
    y, x = np.mgrid[:96, :128]
    image = np.exp(-((x - 60.3) ** 2 + (y - 40.7) ** 2) / (2 * 6.0**2)).astype(np.float32)
    labels = labeller.label(image, "a")
    assert labels.image_size == (128, 96)
    # The mean over a pixel of side s is the convolution with a box: it widens the Gaussian and leaves its centre.
    assert torch.allclose(labels.keypoints, torch.tensor([[60.3, 40.7]]), atol=0.05)
    scale = 1 if longest_side is None else 128 / longest_side
    ring = (~labels.valid_mask[48]).sum() / 2
    # Four pixels of erosion, and the edge of the mask, of the image as the detector saw it.
    assert abs(ring - 5 * scale) <= 1


def test_nothing_is_found_on_the_edge_of_the_mask(extractor):
    labeller = Labeller(extractor, dataclasses.replace(SETTINGS, count=1))
    # A peak at x = 3, outside the mask that begins at 4, falls off into the mask: its shoulder is no keypoint.
    x = torch.arange(40.0)
    labeller.heatmap = lambda views: torch.exp(-((x - 3) ** 2) / 8).expand(1, 24, 40)
    assert len(labeller.label(grey(24, 40), "a")) == 0


def test_a_wide_peak_has_no_ring_of_points_around_it(extractor):
    labeller = Labeller(extractor, dataclasses.replace(SETTINGS, count=1))
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(48.0), indexing="ij")
    labeller.heatmap = lambda views: torch.exp(-((x - 22.2) ** 2 + (y - 20.4) ** 2) / (2 * 5.0**2))[None]
    labels = labeller.label(grey(40, 48), "a")
    assert torch.allclose(labels.keypoints, torch.tensor([[22.2, 20.4]]), atol=1e-3)


def test_settings_reach_the_labels(extractor, labeller):
    image = grey(40, 48)
    every = labeller.label(image, "a")
    best = Labeller(extractor, dataclasses.replace(SETTINGS, max_keypoints=3)).label(image, "a")
    assert torch.equal(best.keypoints, every.keypoints[:3])
    higher = dataclasses.replace(SETTINGS, threshold=float(every.keypoint_scores[4]))
    some = Labeller(extractor, higher).label(image, "a")
    assert len(some) == 4
    away = HomographySettings(rotation=0.0, scale=0.0, perspective=0.0, translation=0.0, patch_ratio=1.0)
    total = Labeller(extractor, dataclasses.replace(SETTINGS, homographies=away, aggregation="sum")).label(image, "a")
    mean = Labeller(extractor, dataclasses.replace(SETTINGS, homographies=away)).label(image, "a")
    # Where every view sees every pixel, the sum over the number of views is the mean.
    assert torch.allclose(total.keypoint_scores, mean.keypoint_scores, atol=1e-6)
    wide = Labeller(extractor, dataclasses.replace(SETTINGS, erosion=9)).label(image, "a")
    assert wide.valid_mask.sum() < every.valid_mask.sum()


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"aggregation": "median"},
        {"threshold": 1.5},
        {"nms_radius": -1},
        {"max_keypoints": 0},
        {"erosion": -2},
        {"tolerance": -0.1},
        {"tolerance": 0.1, "aggregation": "max"},
        {"longest_side": 4},
        {"chunk_pixels": 0},
    ],
)
def test_settings_out_of_range_are_named(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=rf"{name}.*{value}"):
        AdaptationSettings(**wrong)


@pytest.fixture
def folder(tmp_path):
    """Six images of several sizes in images/, one of them in images/sub/, and a file that is none."""
    for number in range(6):
        path = tmp_path / "images" / ("sub" if number == 5 else "") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", picture(24 + number, 33, number))[1].tobytes())
    (tmp_path / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return tmp_path / "images"


KEYS = ["0.png", "1.png", "2.png", "3.png", "4.png", "sub/5.png"]


def test_a_folder_becomes_labels_a_report_and_sheets(extractor, labeller, folder, tmp_path, caplog):
    out, overlay = tmp_path / "out" / "labels.h5", folder / "sheets"
    first = adapt_images([folder], out, extractor, SETTINGS, overlay, progress=False)
    assert json.loads((out.parent / "labels.json").read_text()) == as_plain(first)
    assert first.labels_per_hour == pytest.approx(3600 * first.images_per_second)
    # The second run must not find the sheets of the first.
    report = adapt_images([folder], out, extractor, SETTINGS, overlay, progress=False)
    found = read_labels(out)
    assert list(found) == KEYS
    assert list(found.skipped) == ["broken.jpg"]
    assert "skipped broken.jpg" in caplog.text
    for key in found:
        image = cv2.imread(str(folder / key), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
        assert_same(found[key], labeller.label(image, key))
    assert found.provenance["weights"] == "random"
    assert json.loads(found.provenance["adaptation"])["count"] == 4
    assert json.loads((out.parent / "labels.json").read_text()) == as_plain(report)
    assert (report.images, report.skipped) == (6, 1)
    assert report.points == sum(map(len, found.values()))
    assert report.labels_per_hour is None  # nothing was labelled anew
    assert "images labelled      6 (1 skipped" in format_labels(report)
    assert [path.name for path in overlay.iterdir()] == ["sheet_0.png"]
    assert sorted(path.name for path in out.parent.iterdir()) == ["labels.h5", "labels.json"]


class Killed(BaseException):
    """Stands for a signal that leaves no time for anything."""


@pytest.mark.parametrize(("error", "kept"), [(Killed(), 2), (KeyboardInterrupt(), 3)])
def test_a_stopped_run_goes_on_where_it_was(extractor, labeller, folder, tmp_path, monkeypatch, error, kept):
    monkeypatch.setattr(unfinished, "_PART_LENGTH", 2)
    out, done = tmp_path / "labels.h5", []

    class Stopping(Labeller):
        def label(self, grey, key, mask):
            if len(done) == 3 and error is not None:
                raise error
            done.append(key)
            return super().label(grey, key, mask)

    monkeypatch.setattr(adapt_job, "Labeller", Stopping)
    with pytest.raises(type(error)):
        adapt_images([folder], out, extractor, SETTINGS, progress=False)
    assert not out.exists()
    with pytest.raises(ValueError, match="other weights, settings or versions"):
        adapt_images([folder], out, extractor, dataclasses.replace(SETTINGS, seed=5), progress=False)
    error = None
    done.clear()
    adapt_images([folder], out, extractor, SETTINGS, progress=False)
    assert done == KEYS[kept:]
    found = read_labels(out)
    assert list(found) == KEYS
    for key in ("0.png", "3.png"):
        image = cv2.imread(str(folder / key), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
        assert_same(found[key], labeller.label(image, key))


def test_what_is_older_than_a_minute_survives_a_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "_PART_SECONDS", 0.0)
    UnfinishedRecords(tmp_path / "l.h5", LABELS, {}).add("a", some_labels(), "digest")
    assert_same(UnfinishedRecords(tmp_path / "l.h5", LABELS, {}).get("a", "digest"), some_labels())


def test_weights_of_a_detector_without_descriptors_do(folder, tmp_path):
    path = save_weights(tmp_path / "best.safetensors", MagicPoint(0.125), {})
    adapt_images([folder / "0.png"], tmp_path / "l.h5", Extractor.from_checkpoint(path, device="cpu"), SETTINGS)
    assert len(read_labels(tmp_path / "l.h5")) == 1


def test_the_report_counts_what_is_there():
    # 40 x 30 pixels, all valid. Rings from the outside: the pixels at a distance of 0 to 3 are 40 * 30 - 32 * 22 = 496.
    mask = torch.ones(30, 40, dtype=torch.bool)
    points = torch.tensor([[0.0, 0.0], [3.4, 15.0], [20.0, 26.0], [20.0, 15.0]])
    full = Labels(points, torch.tensor([0.4, 0.3, 0.2, 0.1]), None, (40, 30), mask)
    empty = Labels(points[:0], torch.zeros(0), None, (40, 30), mask)
    report = summarise_labels({"a": full, "b": empty}, images_per_second=0.5)
    assert (report.images, report.skipped, report.points, report.points_mean) == (2, 0, 4, 2.0)
    assert report.points_percentiles["50"] == 2.0
    assert report.points_percentiles["100"] == 4.0
    assert report.empty_share == 0.5
    assert report.score_median == pytest.approx(0.25)
    assert report.valid_share == 1.0
    assert report.labels_per_hour == 1800
    # (20, 26) is 3 pixels from the lower border, (20, 15) is 14 from it.
    assert [ring.share for ring in report.border] == [0.75, 0, 0, 0.25, 0, 0, 0, 0]
    assert report.border[0].density == pytest.approx((3 / 992) / (4 / 2400))
    assert report.border[1].density == 0.0
    assert report.border[4].density is None
    assert [ring.start for ring in report.border] == list(BORDER_EDGES)
    assert report.border[-1].end is None
    assert report.warnings[0].startswith("50% of the images have no point")
    assert len(report.warnings) == 2
    text = format_labels(report)
    assert "0.5 images/s, 1800 images an hour" in text
    assert text.count("WARNING") == 2


def test_distances_from_the_border_are_those_that_the_detector_saw():
    mask = torch.ones(30, 40, dtype=torch.bool)
    labels = Labels(torch.tensor([[14.0, 14.0]]), torch.ones(1), None, (40, 30), mask)
    assert [ring.share for ring in summarise_labels({"a": labels}, 20).border][1] == 1.0


def test_a_report_without_a_point_or_a_valid_pixel_has_no_densities():
    empty = Labels(torch.zeros(0, 2), torch.zeros(0), None, (4, 3), torch.zeros(3, 4, dtype=torch.bool))
    report = summarise_labels({"a": empty})
    assert (report.points, report.score_median, report.images_per_second) == (0, None, None)
    assert {ring.density for ring in report.border} == {None}
    assert "-" in format_labels(report)
    json.dumps(as_plain(report), allow_nan=False)


def test_sheets_show_images_of_all_sizes(tmp_path):
    labels, images = {}, {}
    for number, (width, height) in enumerate([(21, 13), (640, 200), (100, 700)] * 5):
        key = f"{number}.png"
        images[key] = tmp_path / key
        images[key].write_bytes(cv2.imencode(".png", picture(height, width))[1].tobytes())
        points = () if number % 2 else ((3.0, 4.0), (10.5, 7.25))
        labels[key] = some_labels(points, (width, height))
    sheets = write_sheets(labels, images, tmp_path / "sheets")
    assert [path.name for path in sheets] == ["sheet_0.png", "sheet_1.png"]
    pictures = [cv2.imread(str(path)) for path in sheets]
    assert {picture.shape for picture in pictures} == {(3 * 256, 4 * 320, 3)}
    assert pictures[1][256:].max() == 0


def test_what_auto_stands_for_stays_when_labels_are_gone_on_with(extractor, folder, tmp_path, monkeypatch):
    measured = iter(["bfloat16", "float32"])
    monkeypatch.setattr("magicpoint.adaptation.labeller.resolve_precision", lambda *_: next(measured))
    settings = dataclasses.replace(SETTINGS, precision="auto", count=1)
    for _ in range(2):  # the second is not measured
        adapt_images([folder], tmp_path / "l.h5", extractor, settings, progress=False)
        assert read_labels(tmp_path / "l.h5").provenance["precision"] == "bfloat16"
    assert Labeller(extractor, settings, {"precision": "float64"}).dtype == torch.float32
