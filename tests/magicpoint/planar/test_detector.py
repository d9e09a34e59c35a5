"""Both stages of the detector of quadrilaterals: shapes, anchors, choice and refinement."""

import pytest
import torch

from magicpoint.planar import detect
from magicpoint.planar.detect import QuadSettings, detect_quads, in_frame, refine
from magicpoint.planar.frames import UNIT_SQUARE, rectified_frames
from magicpoint.planar.look import Verdict
from magicpoint.planar.model import FirstStage, Proposals, QuadNetwork
from magicpoint.planar.polybox import decode, encode, from_corners, to_corners
from magicpoint.planar.settings import QuadModelSettings

TINY = QuadModelSettings(
    width=0.125, neck=16, anchor_sides=(16.0, 32.0), anchor_aspects=(1.0, 4.0), proposals=3, pooled_side=3
)
SQUARE = torch.tensor(UNIT_SQUARE)


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return QuadNetwork(TINY).eval()


def test_the_anchors_lie_around_the_cells_in_their_order(network):
    anchors = network.anchors(2, 3)
    assert anchors.shape == (2 * 3 * 4, 4)
    assert anchors[:4].tolist() == [[3.5, 3.5, 16, 16], [3.5, 3.5, 32, 8], [3.5, 3.5, 32, 32], [3.5, 3.5, 64, 16]]
    assert anchors[4, :2].tolist() == [11.5, 3.5]
    assert anchors[-1, :2].tolist() == [19.5, 11.5]


def test_every_anchor_has_its_own_output(network):
    """The output of a cell's channel is that of its anchor: only there does a weight of the head matter."""
    image = torch.rand(2, 1, 24, 32, generator=torch.Generator().manual_seed(0))
    before = network(image)
    assert before.logits.shape == (2, 3 * 4 * 4)
    assert before.codes.shape == (2, 48, 10)
    with torch.no_grad():
        network.objectness.bias[1] += 1
        network.codes.bias[10 * 2 + 7] += 1
    after = network(image)
    changed = (after.logits - before.logits).abs() > 0.5
    assert changed.nonzero()[:, 1].unique().tolist() == list(range(1, 48, 4))
    moved = (after.codes - before.codes).abs() > 0.5
    assert moved.nonzero()[:, 1].unique().tolist() == list(range(2, 48, 4))
    assert moved.nonzero()[:, 2].unique().tolist() == [7]


def test_an_untrained_network_expects_next_to_nothing(network):
    scores = network(torch.rand(1, 1, 40, 40)).logits.sigmoid()
    assert 0.001 < scores.mean() < 0.1


def test_an_untrained_network_says_the_anchors(network):
    with torch.no_grad():
        network.codes.weight.zero_()
    first = network(torch.rand(1, 1, 16, 16))
    corners = to_corners(decode(first.codes[0], first.anchors))
    torch.testing.assert_close(corners[0], torch.tensor([[-4.5, -4.5], [11.5, -4.5], [11.5, 11.5], [-4.5, 11.5]]))
    torch.testing.assert_close(corners[:, 2] - corners[:, 0], first.anchors[:, 2:])


def test_sizes_that_do_not_fit_are_refused(network):
    with pytest.raises(ValueError, match="multiples of 8"):
        network(torch.zeros(1, 1, 20, 32))


def stage(quads, scores):
    """A first stage that says these quadrilaterals, (N, 4, 2), with these scores, one at each anchor."""
    anchors = torch.tensor([[20.0, 20, 16, 16]]).expand(len(quads), -1)
    codes = encode(from_corners(quads), anchors)
    fine, coarse = torch.zeros(1, 8, 32, 32), torch.zeros(1, 16, 8, 8)
    return FirstStage(torch.logit(torch.tensor([scores])), codes[None], anchors, fine, coarse)


def test_the_best_that_do_not_overlap_are_proposed(network):
    quads = torch.stack([SQUARE * 10, SQUARE * 10 + 1, SQUARE * 10 + 30, SQUARE * 9 + 50, SQUARE * 8 + 60])
    proposals = network.propose(stage(quads, [0.5, 0.9, 0.4, 0.3, 0.2]))
    # The first two share 81 of 119, an IoU of 0.68: both stay below 0.7, and three are wanted.
    torch.testing.assert_close(proposals.scores, torch.tensor([0.9, 0.5, 0.4]))
    torch.testing.assert_close(proposals.corners, quads[[1, 0, 2]], atol=1e-4, rtol=1e-4)
    assert proposals.image.tolist() == [0, 0, 0]


class OneCell(torch.nn.Module):
    """Maps of 12 cells a side whose highest is the same for each corner: that in the fourth row and fifth column."""

    def forward(self, seen):
        maps = torch.full((len(seen), 4, 12, 12), -1e9)
        maps[:, :, 3, 4] = 0
        return maps


def test_the_second_look_says_corners_in_their_frame(network, monkeypatch):
    """A cell is an eighth of a side, and the first cells are a quarter of a side beyond the frame.

    So the cell's centre is at (5 / 16, 3 / 16), to be found there in each look, the second one in the frame of what the
    first one said: corners in one place have a box of a pixel. The third corner is said to be the template's first.
    """
    monkeypatch.setattr(detect, "LOOKS", 1)
    quads = torch.stack([SQUARE * 40 + 5, torch.tensor([[10.0, 10], [50, 20], [60, 50], [20, 40]])])
    with torch.no_grad():
        network.look.maps = OneCell()
        network.look.decision.weight.zero_()
        network.look.decision.bias.fill_(2.0)
        network.look.turns.weight.zero_()
        network.look.turns.bias.copy_(torch.tensor([0.0, 0, 1, 0]))
    proposals = Proposals(torch.zeros(2, dtype=torch.int64), quads, torch.tensor([0.5, 0.5]))
    once = refine(network, stage(quads, [0.5, 0.5]), proposals)
    torch.testing.assert_close(once.corners[0], torch.tensor([17.5, 12.5]).expand(4, -1), atol=1e-3, rtol=0)
    across, down = torch.tensor([40.0, 10]), torch.tensor([10.0, 30])
    wanted = torch.tensor([10.0, 10]) + across * 5 / 16 + down * 3 / 16
    torch.testing.assert_close(once.corners[1], wanted.expand(4, -1), atol=1e-3, rtol=0)
    monkeypatch.setattr(detect, "LOOKS", 2)
    twice = refine(network, stage(quads, [0.5, 0.5]), proposals)
    moved = once.corners[:, 0] + torch.tensor([5 / 16, 3 / 16])
    torch.testing.assert_close(twice.corners[:, 0], moved, atol=1e-3, rtol=0)
    for refined in (once, twice):
        torch.testing.assert_close(refined.scores, torch.sigmoid(torch.tensor([2.0, 2.0])))


def test_the_scores_of_the_looks_are_joined_and_the_last_says_the_order(network, monkeypatch):
    """0.9 and 0.4 make the root of 0.36; the corners, where the looks leave them, begin with the third."""
    quads = (SQUARE * 40 + 5)[None]
    verdicts = iter([(0.9, 1), (0.4, 2)])

    def second(first, proposals):
        score, turn = next(verdicts)
        turns = torch.nn.functional.one_hot(torch.tensor([turn]), 4).float()
        return proposals, Verdict(torch.logit(torch.tensor([score])), turns)

    monkeypatch.setattr(network, "second", second)
    refined = refine(network, stage(quads, [0.5]), Proposals(torch.tensor([0]), quads, torch.tensor([0.5])))
    torch.testing.assert_close(refined.scores, torch.tensor([0.6]))
    torch.testing.assert_close(refined.corners[0], quads[0].roll(-2, dims=0))


def test_what_cannot_come_above_the_threshold_is_looked_at_once(network, monkeypatch):
    """The first look says 0.2 and 0.3: with 1 in the second they would have the roots, 0.45 and 0.55."""
    quads, asked = torch.stack([SQUARE * 40 + 5, SQUARE * 20 + 8]), []
    said = iter([[0.2, 0.3], [0.9]])

    def second(first, proposals):
        asked.append(proposals.corners)
        return proposals, Verdict(torch.logit(torch.tensor(next(said))), torch.zeros(len(proposals.scores), 4))

    monkeypatch.setattr(network, "second", second)
    proposals = Proposals(torch.tensor([0, 0]), quads, torch.tensor([0.5, 0.5]))
    refined = refine(network, stage(quads, [0.5, 0.5]), proposals, threshold=0.5)
    torch.testing.assert_close(asked[1], quads[1:])
    torch.testing.assert_close(refined.scores, torch.tensor([0.27**0.5]))
    monkeypatch.setattr(
        network, "second", lambda first, asked: (asked, Verdict(torch.tensor([-9.0, -9]), torch.zeros(2, 4)))
    )
    nothing = refine(network, stage(quads, [0.5, 0.5]), proposals, threshold=0.5)
    assert nothing.corners.shape == (0, 4, 2)


def test_corners_in_their_own_frame_are_the_unit_square():
    quads = torch.tensor([[[10.0, 10], [50, 20], [45, 45], [12, 40]]])
    torch.testing.assert_close(in_frame(quads, rectified_frames(quads))[0], SQUARE, atol=1e-5, rtol=0)


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("pooling", ["parallelogram", "rectified", "upright"])
def test_images_alone_and_together_have_the_same_quadrilaterals(stages, pooling):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = QuadNetwork(QuadModelSettings(0.125, proposals=8, stages=stages, pooling=pooling)).eval()
    images = torch.rand(2, 1, 64, 80, generator=torch.Generator().manual_seed(1))
    settings = QuadSettings(threshold=0.0, largest_iou=0.5, max_quads=4)
    together = detect_quads(network, images, settings)
    for image, quads in zip(images, together, strict=True):
        [alone] = detect_quads(network, image[None], settings)
        assert 0 < len(quads) <= 4
        assert quads.image_size == (80, 64)
        assert (quads.scores[:-1] >= quads.scores[1:]).all()
        torch.testing.assert_close(torch.from_numpy(quads.corners), torch.from_numpy(alone.corners), atol=1e-2, rtol=0)


def test_nothing_above_the_threshold_is_ordinary(network):
    [quads] = detect_quads(network, torch.rand(1, 1, 64, 80), QuadSettings(threshold=0.999))
    assert len(quads) == 0
    assert quads.corners.shape == (0, 4, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"anchor_sides": ()},
        {"anchor_aspects": (0.0,)},
        {"pooling": "round"},
        {"stages": 3},
        {"proposals": 0},
        {"width": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        QuadModelSettings(**wrong)
