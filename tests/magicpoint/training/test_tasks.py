"""What joint training minimises, on networks whose answers are known."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from magicpoint.data.batches import collate_views
from magicpoint.data.samples import TrainingSample, Views, certain_sample
from magicpoint.data.settings import ViewSettings
from magicpoint.model.network import Output
from magicpoint.model.settings import ModelSettings
from magicpoint.training.losses.descriptors import dual_softmax_loss
from magicpoint.training.settings import TrainSettings
from magicpoint.training.targets import labels2Dto3D
from magicpoint.training.tasks import superpoint as tasks
from magicpoint.training.tasks import views as view_tasks
from magicpoint.training.tasks.base import TrainingError, open_task
from magicpoint.training.tasks.settings import SuperPointSettings

HEIGHT, WIDTH = 48, 64
KEYPOINT = (20.0, 11.0)


class NoImages:
    digest = "none"

    def __init__(self, images, labels, certain_score):
        pass

    def split(self):
        return [0], [0]

    def order(self, indices, seed):
        return indices


@pytest.fixture
def settings(monkeypatch, tmp_path):
    monkeypatch.setattr(tasks, "open_labelled", NoImages)
    return SuperPointSettings(
        images=(tmp_path,),
        labels=tmp_path / "labels.h5",
        label_sigma=0.0,
        views=ViewSettings(size_hw=(HEIGHT, WIDTH)),
        descriptor_weight=0.5,
        descriptor_points=40,
    )


class Fixed(nn.Module):
    """Logits that find exactly the keypoint, and descriptors that tell every cell from every other."""

    def __init__(self, certainty):
        super().__init__()
        keypoint_map = torch.zeros(1, 1, HEIGHT, WIDTH)
        keypoint_map[0, 0, int(KEYPOINT[1]), int(KEYPOINT[0])] = 1.0
        self.logits = nn.Parameter(certainty * (labels2Dto3D(keypoint_map) - 0.5))
        cells = HEIGHT * WIDTH // 64
        self.descriptors = torch.eye(cells).view(1, cells, HEIGHT // 8, WIDTH // 8)

    def forward(self, image):
        count = len(image)
        return Output(self.logits.expand(count, -1, -1, -1), self.descriptors.expand(count, -1, -1, -1))


def black(keypoints=(KEYPOINT,), mask=None, certainty=1.0):
    """A view in which nothing is to be seen."""
    points = np.array(keypoints, np.float32).reshape(-1, 2)
    full = np.ones((HEIGHT, WIDTH), np.bool_)
    certainties = np.full(len(points), certainty, np.float32)
    return TrainingSample(np.zeros((HEIGHT, WIDTH), np.uint8), points, certainties, full if mask is None else mask)


def still(view1=None, view0=None, H_0to1=None):
    """Two views of one image on their way to the network, from the same place if not said otherwise."""
    views = Views(view0 or black(), view1 or black(), np.eye(3) if H_0to1 is None else H_0to1)
    return collate_views([views])


def opened(settings):
    return open_task(settings, TrainSettings(precision="float32"))


def losses(settings, views, network=None, step=0):
    task = opened(settings)
    return task.losses(network or Fixed(60.0), task.to_device(views, torch.device("cpu")), step)


def test_both_views_count_for_the_detector(settings):
    assert losses(settings, still())["detector_loss"] < 1e-6
    # The keypoint that view 1 lacks costs the whole distance of 30 from the dustbin in one cell of 48, one view of two.
    missing = losses(settings, still(black([])))["detector_loss"]
    assert missing > 0.1
    nowhere = np.zeros((HEIGHT, WIDTH), np.bool_)
    assert losses(settings, still(black([], nowhere)))["detector_loss"] < 1e-6


def test_a_certainty_is_the_probability_that_costs_least(settings):
    class Two(Fixed):
        """Only the keypoint's cell can be unsure, and only between the keypoint's pixel and the dustbin."""

        def __init__(self, log_odds):
            super().__init__(60.0)
            self.logits.data[:, :64] -= 60.0
            row, column = int(KEYPOINT[1]), int(KEYPOINT[0])
            cell = self.logits.data[0, :, row // 8, column // 8]
            cell[64] = 0.0
            cell[8 * (row % 8) + column % 8] = log_odds

    def detector_loss(p):
        network, unsure = Two(math.log(p / (1 - p))), black(certainty=0.3)
        return losses(settings, still(unsure, unsure), network)["detector_loss"].item()

    assert detector_loss(0.3) < min(detector_loss(p) for p in (0.1, 0.2, 0.25, 0.35, 0.4, 0.6, 0.9))


def test_the_loss_is_detector_and_weighted_descriptor_loss(settings):
    found = losses(settings, still(black([])))
    expected = found["detector_loss"] + 0.5 * found["descriptor_loss"]
    torch.testing.assert_close(found["loss"].detach(), expected)
    assert found["positive_similarity"] == pytest.approx(1.0)
    assert -0.1 < found["negative_similarity"] < 0.5


def test_the_temperature_divides_the_similarities(settings):
    # Places in the middle of cells, each in one of its own: the similarities are 1 on the diagonal and 0 beside it.
    centres = torch.tensor([[8.0 * column + 3.5, 8.0 * row + 3.5] for row in range(6) for column in range(8)])

    def cost(temperature):
        changed = dataclasses.replace(settings, descriptor_temperature=temperature)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(view_tasks, "draw_points", lambda *_: [centres])
            return losses(changed, still())["descriptor_loss"].item()

    # Each of the 48 costs -log(e^(1 / t) / (e^(1 / t) + 47)) from both sides; float32 has steps of 1e-6 at 1 / 0.1.
    for temperature in (0.1, 0.5, 2.0):
        expected = 2 * math.log1p(47 * math.exp(-1 / temperature))
        assert cost(temperature) == pytest.approx(expected, rel=1e-5, abs=2e-6)
    assert settings.descriptor_temperature == 0.1


def test_other_losses_have_no_temperature(settings):
    for loss in ("sparse", "dense_hinge"):
        found = [
            losses(dataclasses.replace(settings, descriptor_loss=loss, descriptor_temperature=t), still())
            for t in (0.1, 0.5)
        ]
        assert found[0]["descriptor_loss"] == found[1]["descriptor_loss"]


def test_the_places_depend_on_seed_and_number_alone(settings):
    first = losses(settings, still()._replace(first=3))["descriptor_loss"]
    assert first == losses(settings, still()._replace(first=3))["descriptor_loss"]
    assert first != losses(settings, still()._replace(first=4))["descriptor_loss"]


def test_without_a_valid_cell_in_common_there_is_no_descriptor_loss(settings):
    nowhere = np.zeros((HEIGHT, WIDTH), np.bool_)
    assert losses(settings, still(black([], nowhere)))["descriptor_loss"] == 0.0


@pytest.mark.parametrize("loss", ["dual_softmax", "sparse", "dense_hinge"])
def test_every_descriptor_loss_trains_the_network(settings, loss):
    settings = dataclasses.replace(
        settings, descriptor_loss=loss, model=ModelSettings(0.125, descriptor_dim=16), label_sigma=0.6
    )
    torch.manual_seed(0)
    model = opened(settings).build_network()
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    view = certain_sample(image, np.array([KEYPOINT], np.float32))
    losses(settings, still(view, view), model)["loss"].backward()
    assert model.descriptor is not None
    for part in (model.encoder, model.detector, model.descriptor):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


def test_collapsed_descriptors_stop_the_run(settings):
    task = opened(settings)
    collapsed = {"positive_similarity": 0.99, "negative_similarity": 0.97, "compared": 1.0}
    task.check(collapsed, 499)  # too early to tell
    task.check({**collapsed, "negative_similarity": 0.5}, 500)
    with pytest.raises(TrainingError, match=r"collapsed: at step 500 .* 0\.990.* 0\.970"):
        task.check(collapsed, 500)


@pytest.mark.parametrize("loss", ["dual_softmax", "sparse", "dense_hinge"])
def test_views_without_a_place_in_common_say_nothing_of_a_collapse(settings, loss):
    settings = dataclasses.replace(settings, descriptor_loss=loss)
    task, model = opened(settings), Fixed(60.0)
    model.descriptors = torch.full((1, 4, HEIGHT // 8, WIDTH // 8), 0.5)  # of length 1, and all the same
    away = np.eye(3)
    away[0, 2] = 1000.0
    figures = [
        {name: value.item() for name, value in losses(settings, still(H_0to1=H), model).items()}
        for H in (np.eye(3), away)
    ]
    names = ("compared", "positive_similarity", "negative_similarity")
    assert [figures[0][name] for name in names] == pytest.approx([1, 1, 1])
    assert [figures[1][name] for name in names] == [0, 0, 0]
    task.check(figures[1], 500)
    with pytest.raises(TrainingError, match="collapsed"):
        task.check(figures[0], 500)


def test_a_collapse_is_judged_by_the_steps_that_were_compared(settings):
    # Of 20 steps one was compared: the means are a twentieth of its cosines.
    task = opened(settings)
    task.check({"positive_similarity": 0.6 / 20, "negative_similarity": 0.1 / 20, "compared": 1 / 20}, 500)
    with pytest.raises(TrainingError, match=r"0\.990.* 0\.970"):
        task.check({"positive_similarity": 0.99 / 20, "negative_similarity": 0.97 / 20, "compared": 1 / 20}, 500)


def test_the_best_weights_repeat_and_match(settings):
    task = opened(settings)
    assert task.score({"repeatability": 0.6, "matching_score": 0.4}) == pytest.approx(0.5)
    assert task.score({"repeatability": math.nan, "matching_score": 0.4}) == -math.inf


def test_equal_descriptors_cost_the_logarithm_of_their_number():
    # What the log shows before anything is learnt: each of N equal candidates has the chance 1 / N, from both sides.
    points = torch.tensor([[4.0, 4.0], [20.0, 4.0], [36.0, 4.0]])
    equal = torch.ones(1, 2, 2, 8) / math.sqrt(2)
    loss, similarity = dual_softmax_loss(equal, equal, [points], [points])
    assert loss == pytest.approx(2 * math.log(3), rel=1e-5)
    assert similarity.collapsed()
