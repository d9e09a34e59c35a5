"""A network that learns another one's detector: what it is taught, and that it learns it."""

import json

import cv2
import numpy as np
import pytest
import torch

from magicpoint import Extractor
from magicpoint.cli import main
from magicpoint.core.errors import InputError
from magicpoint.data.photometric import PhotometricSettings
from magicpoint.data.settings import ViewSettings
from magicpoint.decoding.cornerness import weigh
from magicpoint.decoding.decode import logits_to_heatmap
from magicpoint.model.network import PointNetwork
from magicpoint.model.settings import ModelSettings
from magicpoint.model.weights import load_weights, resolve, save_weights
from magicpoint.training.settings import TrainSettings
from magicpoint.training.state import load_state, save_state
from magicpoint.training.tasks.distil import DistilTask
from magicpoint.training.tasks.settings import DistilSettings
from synthetic_shapes import render_sample

HEIGHT, WIDTH = 48, 64


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for index in range(6):
        cv2.imwrite(str(folder / f"{index}.png"), render_sample(0, index).image)
    return folder


def task_of(images, **options):
    options = {"teacher": "superpoint-tiny", "views": ViewSettings((HEIGHT, WIDTH)), **options}
    settings = DistilSettings(images=(images,), **options)
    return DistilTask(settings, TrainSettings(task=settings, seed=3, batch_size=2, steps=4))


def teacher():
    return load_weights(resolve("superpoint-tiny").path)[0].eval()


def views_in_light(probability):
    return ViewSettings((HEIGHT, WIDTH), photometric=PhotometricSettings(probability=probability))


def test_what_is_taught_is_what_the_teacher_says_of_both_views_in_the_light_of_the_image(images):
    task = task_of(images, views=views_in_light(1.0))
    batch = task.to_device(task.batches(0, 1)[0], torch.device("cpu"))
    taught, target = task._taught(batch)
    assert not torch.allclose(batch.own_light[:2], batch.view0.image, atol=0.1)
    with torch.inference_mode():
        said = teacher()(batch.own_light).logits.softmax(1)
    assert target.shape == (4, 65, HEIGHT // 8, WIDTH // 8)
    torch.testing.assert_close(target, said, atol=1e-4, rtol=1e-3)
    assert any(len(points) for points in taught.view0.keypoints)
    for points, mask in zip(taught.view0.keypoints, batch.view0.valid_mask[:, 0], strict=True):
        x, y = points.round().long().T
        assert mask[y, x].all()


def test_what_is_taught_is_weighed_where_it_is_asked_for(images):
    """A cell's pixels are those of the weighed heatmap, as far as they are no more than one keypoint."""
    batch, targets = None, []
    for cornerness in (False, True):
        task = task_of(images, cornerness=cornerness)
        batch = task.to_device(task.batches(0, 1)[0], torch.device("cpu"))
        targets.append(task._taught(batch)[1])
    shown = torch.cat((batch.view0.valid_mask, batch.view1.valid_mask))[:, 0]
    weighed = weigh(logits_to_heatmap(targets[0].clamp_min(1e-30).log()), batch.own_light[:, 0], shown)
    cells = torch.nn.functional.pixel_unshuffle(weighed[:, None], 8)
    expected = cells / cells.sum(1, keepdim=True).clamp_min(1.0)
    torch.testing.assert_close(targets[1][:, :64], expected, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(targets[1].sum(1), torch.ones(4, HEIGHT // 8, WIDTH // 8))
    assert not torch.allclose(*targets, atol=0.05)


def test_light_changes_what_is_seen_and_not_what_is_taught(images):
    """The views of a seed show the same places whatever is done to their light."""
    targets, seen = [], []
    for probability in (0.0, 1.0):
        task = task_of(images, views=views_in_light(probability))
        batch = task.to_device(task.batches(0, 1)[0], torch.device("cpu"))
        targets.append(task._taught(batch)[1])
        seen.append(batch.view1.image)
        if not probability:
            assert torch.equal(batch.own_light, torch.cat((batch.view0.image, batch.view1.image)))
    assert torch.equal(*targets)
    assert not torch.allclose(*seen, atol=0.1)


@pytest.mark.parametrize("loss", ["softmax_bce", "cross_entropy", "l2"])
def test_a_student_that_says_the_same_has_nothing_to_learn_of_the_detector(images, loss):
    """The detector's loss is least where both say the same: its gradient is zero there, and not elsewhere."""
    task = task_of(images, detector_loss=loss)
    batch = task.to_device(task.batches(0, 1)[0], torch.device("cpu"))
    batch, target = task._taught(batch)
    mask = torch.cat((batch.view0.valid_mask, batch.view1.valid_mask))
    for shift, least, most in ((0.0, 0.0, 1e-4), (0.5, 1e-3, 1e3)):
        logits = (target.clamp_min(1e-30).log() + shift * torch.randn(target.shape)).requires_grad_()
        output = teacher()(torch.zeros(4, 1, HEIGHT, WIDTH))._replace(logits=logits)
        task._detector_loss(output, target, mask).backward()
        assert least <= logits.grad.abs().sum() <= most


def test_a_run_learns_and_another_teacher_is_another_run(images, tmp_path, capsys):
    run = ["train", str(tmp_path / "run"), "--task", "distil", "--images", str(images), "--teacher", "superpoint-tiny"]
    small = ["--model.width", "0.125", "--model.descriptor_dim", "16", "--views.size_hw", "48x64", "--workers", "0"]
    short = ["--batch_size", "2", "--validate_every", "2", "--quiet", "--device", "cpu"]
    assert main([*run, *small, *short, "--steps", "2"]) == 0
    extractor = Extractor.load(tmp_path / "run" / "best.safetensors", device="cpu")
    assert extractor.extract(np.zeros((64, 64), np.uint8)).descriptors.shape[1] == 16
    torch.manual_seed(0)
    save_weights(tmp_path / "other.safetensors", PointNetwork(ModelSettings(0.125)), {})
    capsys.readouterr()
    run[-1] = str(tmp_path / "other.safetensors")
    assert main([*run, *small, *short, "--steps", "4", "--resume"]) == 1
    assert "other settings" in capsys.readouterr().err
    assert task_of(images).digest != task_of(images, teacher=str(tmp_path / "other.safetensors")).digest


def test_a_run_of_an_earlier_version_is_gone_on_with_as_it_was(images, tmp_path, capsys):
    """Its state says nothing of cornerness: there was none."""
    run = ["train", str(tmp_path / "run"), "--task", "distil", "--images", str(images), "--teacher", "superpoint-tiny"]
    run += ["--model.width", "0.125", "--model.descriptor_dim", "16", "--views.size_hw", "48x64", "--workers", "0"]
    run += ["--batch_size", "2", "--validate_every", "2", "--quiet", "--device", "cpu", "--steps"]
    assert main([*run, "2"]) == 0
    state = load_state(tmp_path / "run" / "last.state")
    settings = json.loads(state["settings"])
    assert settings.pop("cornerness") is False
    save_state(tmp_path / "run" / "last.state", {**state, "settings": json.dumps(settings)})
    assert main([*run, "4", "--resume", "--cornerness", "true"]) == 1
    assert "cornerness False, now True" in capsys.readouterr().err
    assert main([*run, "4", "--resume"]) == 0
    assert load_state(tmp_path / "run" / "last.state")["step"] == 4


def test_what_cannot_be_learnt_is_named(images):
    with pytest.raises(InputError, match="images must be at least one"):
        DistilSettings(images=(), teacher="superpoint")
    with pytest.raises(InputError, match=r"model\.descriptor_dim"):
        DistilSettings(images=(images,), teacher="superpoint", model=ModelSettings())
    with pytest.raises(InputError, match="nobody"):
        task_of(images, teacher="nobody")


def test_a_student_comes_nearer_to_its_teacher(images):
    """After some steps on the same views the detector's loss has come half the way to the least that it can be."""
    task = task_of(images, model=ModelSettings(width=0.125, descriptor_dim=16))
    torch.manual_seed(0)
    network = task.build_network().train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    batch = task.to_device(task.batches(0, 1)[0], torch.device("cpu"))
    taught, target = task._taught(batch)
    perfect = teacher()(taught.view0.image)._replace(logits=target.clamp_min(1e-30).log())
    least = float(task._detector_loss(perfect, target, torch.cat((batch.view0.valid_mask, batch.view1.valid_mask))))
    found = []
    for _ in range(40):
        losses = task.losses(network, batch, 0)
        optimiser.zero_grad()
        losses["loss"].backward()
        optimiser.step()
        found.append(float(losses["detector_loss"]))
    assert found[-1] - least < 0.5 * (found[0] - least)
