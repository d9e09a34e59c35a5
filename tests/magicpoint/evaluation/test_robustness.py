"""Methods under single changes, on cases that can be checked on paper."""

import json
import math

import cv2
import numpy as np
import pytest
import torch

from homography import warp_points
from magicpoint.cli import main
from magicpoint.core.errors import InputError
from magicpoint.core.types import Features
from magicpoint.evaluation.robustness.changes import CHANGES
from magicpoint.evaluation.robustness.report import draw_robustness, format_robustness
from magicpoint.evaluation.robustness.results import RobustnessProtocol
from magicpoint.evaluation.robustness.run import evaluate_robustness

RNG = np.random.default_rng(0)


def dot(x, y, size=(96, 128)):
    """A soft bright dot, so that its place can be found between the pixels."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.rint(250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 4.0**2))).astype(np.uint8)


def centre_of(image):
    mass = image.astype(float)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(columns * mass).sum(), (rows * mass).sum()]) / mass.sum()


@pytest.mark.parametrize(
    ("name", "strength"),
    [(name, strength) for name in ("scale", "angle", "tilt") for strength in CHANGES[name].strengths],
)
def test_what_moves_is_where_the_homography_says(name, strength):
    view = CHANGES[name].apply(dot(70, 40), strength, RNG)
    expected = warp_points(np.array([[70.0, 40.0]]), view.H_0to1)[0]
    np.testing.assert_allclose(centre_of(view.image), expected, atol=0.06)


def test_sizes_are_those_of_the_change():
    image = dot(70, 40)
    assert CHANGES["scale"].apply(image, 2, RNG).image.shape == (48, 64)
    assert CHANGES["tilt"].apply(image, 60, RNG).image.shape == (96, 64)
    turned = CHANGES["angle"].apply(image, 90, RNG)
    np.testing.assert_array_equal(turned.image, np.rot90(image))
    np.testing.assert_array_equal(CHANGES["angle"].apply(image, 0, RNG).image, image)


@pytest.mark.parametrize(
    ("name", "strength", "expected"),
    [
        ("brightness", 100, [[100, 140, 255]]),
        ("brightness", -30, [[0, 10, 210]]),
        ("contrast", 0.5, [[64, 84, 184]]),
        ("contrast", 2, [[0, 0, 255]]),
        ("blur", 0, [[0, 40, 240]]),
        ("noise", 0, [[0, 40, 240]]),
    ],
)
def test_light_moves_nothing_and_has_the_values_of_its_formula(name, strength, expected):
    view = CHANGES[name].apply(np.array([[0, 40, 240]], np.uint8), strength, RNG)
    np.testing.assert_array_equal(view.image, expected)
    np.testing.assert_array_equal(view.H_0to1, np.eye(3))


def test_noise_and_blur_are_as_strong_as_they_say():
    noisy = CHANGES["noise"].apply(np.full((200, 200), 128, np.uint8), 10, RNG).image
    assert noisy.astype(float).std() == pytest.approx(10, rel=0.03)
    spread = CHANGES["blur"].apply(dot(64, 48), 3, RNG).image.astype(float)
    columns = np.arange(128)
    profile = spread.sum(0) / spread.sum()
    assert np.sqrt((profile * (columns - 64) ** 2).sum()) == pytest.approx(5, rel=0.03)  # 4 and 3: 3² + 4² = 5²


class Middles:
    """Finds the centre of mass, described by a one; nothing in an image that is darker than a limit."""

    def __init__(self, has_descriptors=True, darkest=0):
        self.has_descriptors, self.darkest = has_descriptors, darkest

    def settings(self):
        return {"darkest": self.darkest}

    def prepare(self, selection):
        def detect(image):
            found = torch.tensor(centre_of(image)[None] if image.max() > self.darkest else np.zeros((0, 2))).float()
            size = image.shape[::-1]
            return Features(
                found, torch.ones(len(found)), torch.ones(len(found), 1) if self.has_descriptors else None, size
            )

        return detect


def test_a_curve_has_the_mean_at_each_strength():
    protocol = RobustnessProtocol(changes=("brightness", "scale"))
    methods = {"centre": Middles(), "bright": Middles(darkest=160), "silent": Middles(has_descriptors=False)}
    found = evaluate_robustness([dot(70, 40), dot(30, 50)], methods, protocol)
    scale = found.curves["scale"]
    assert [point.strength for point in scale["centre"]] == [1, 1.25, 1.5, 2, 3, 4]
    assert all(point.repeatability == 1 and point.matching_score == 1 for point in scale["centre"])
    assert all(point.homography_accuracy == 0 for point in scale["centre"])  # one match fixes none
    assert all(point.matching_score is None for point in scale["silent"])
    brightness = found.curves["brightness"]
    assert [point.strength for point in brightness["bright"]] == sorted(CHANGES["brightness"].strengths)
    assert brightness["bright"][0].repeatability == 0  # 250 - 120 is below the limit
    assert math.isnan(brightness["bright"][0].localization_error)
    assert brightness["bright"][3].repeatability == 1
    assert "| bright |" in format_robustness(found).replace("  ", " ")
    assert draw_robustness(found).ndim == 3


def test_unknown_changes_and_no_photographs_are_named():
    with pytest.raises(InputError, match="fog"):
        RobustnessProtocol(changes=("fog",))
    with pytest.raises(InputError, match="no photograph"):
        evaluate_robustness([], {"centre": Middles()})


def test_the_command_writes_tables_curves_and_data(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for number in range(3):
        coarse = rng.integers(0, 256, (20, 24)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), cv2.resize(coarse, (120, 96), interpolation=cv2.INTER_CUBIC))
    words = ["evaluate", str(tmp_path), "--dataset", "robustness", "--weights", "superpoint-tiny", "--methods", "sift"]
    words += ["--photographs", "2", "--changes", "jpeg", "tilt", "--out", str(tmp_path / "out"), "--quiet"]
    assert main(words) == 0
    assert "tilt (degrees): homographies within 3 px" in capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "robustness.json").read_text(encoding="utf-8"))
    assert content["photographs"] == 2
    assert set(content["curves"]) == {"jpeg", "tilt"}
    assert content["curves"]["tilt"]["superpoint-tiny"][0]["repeatability"] > 0.95
    assert cv2.imread(str(tmp_path / "out" / "robustness.png")) is not None
