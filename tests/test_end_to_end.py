"""From nothing to matches between two photographs, each stage by its command, as small as it can be."""

import json
import re

import cv2
import numpy as np
import pytest
import torch

from magicpoint.cli import main
from magicpoint.io.labels import read_labels
from magicpoint.model.weights import load_weights
from magicpoint.pictures.canvas import LEGEND_HEIGHT

SMALL = ["--model.width", "0.125", "--workers", "0", "--precision", "float32"]
SHIFT = (16, 8)  # whole cells, so a network sees the same in both images, but near the border


def texture(height, width, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.equalizeHist(cv2.GaussianBlur(noise, (0, 0), 2.0))


def run(*words):
    assert main([str(word) for word in words]) == 0


@pytest.mark.slow
def test_from_nothing_to_matches(tmp_path, capsys):
    shapes, images, labels = tmp_path / "shapes", tmp_path / "images", tmp_path / "labels.h5"
    detector, superpoint = tmp_path / "detector", tmp_path / "superpoint"
    images.mkdir()
    for number in range(6):
        assert cv2.imwrite(str(images / f"{number}.png"), texture(96, 128, number))

    run(
        "generate",
        shapes,
        "--count",
        40,
        "--validation_count",
        0,
        "--test_count",
        0,
        "--size_hw",
        "48x64",
        "--workers",
        1,
    )
    steps = ["--steps", 40, "--batch_size", 8, "--warmup_steps", 5, "--shapes.size_hw", "48x64"]
    run("train", detector, *SMALL, *steps, "--dataset", shapes)
    lines = [json.loads(line) for line in (detector / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "train"]
    assert losses[-1] < losses[0]

    adaptation = ["--count", 5, "--threshold", 0.002, "--max_keypoints", 100, "--precision", "float32"]
    run("adapt", images, "--out", labels, "--weights", detector, "--overlay", tmp_path / "sheets", *adaptation)
    assert list(read_labels(labels)) == [f"{number}.png" for number in range(6)]
    assert all(len(read_labels(labels)[f"{number}.png"]) > 5 for number in range(6))

    learn = ["--images", images, "--labels", labels, "--start", detector]
    learn += ["--steps", 10, "--batch_size", 2, "--warmup_steps", 2, "--views.size_hw", "48x64"]
    run("train", superpoint, *SMALL, *learn)
    assert load_weights(superpoint / "best.safetensors")[0].settings.descriptor_dim == 256

    scene = texture(144, 192, 10)
    for name, (left, top) in (("a", (0, 0)), ("b", SHIFT)):
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), scene[top : top + 120, left : left + 160])
    capsys.readouterr()
    picture, kept = tmp_path / "matches.png", ["--max_keypoints", 200, "--threshold", 0]
    run("match", tmp_path / "a.png", tmp_path / "b.png", "--out", picture, "--weights", superpoint, *kept)
    printed = capsys.readouterr().out
    assert cv2.imread(str(picture)).shape == (120 + LEGEND_HEIGHT, 160 + 8 + 160, 3)
    H_0to1 = np.array([float(word) for word in re.findall(r"-?\d+\.\d*(?:e[-+]\d+)?", printed.split("px:")[1])][:9])
    H_0to1 = (H_0to1 / H_0to1[8]).reshape(3, 3)
    # A network of ten steps, which the order in which a processor adds makes another: 0.53 px without AVX-512.
    limit = 0.5 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 1.0
    np.testing.assert_allclose(H_0to1 @ [80, 60, 1], [80 - SHIFT[0], 60 - SHIFT[1], 1], atol=limit)
