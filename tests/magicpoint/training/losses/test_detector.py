"""The detector losses against their textbook form in float64."""

import math

import pytest
import torch

from magicpoint.training.losses.detector import CELL_LOSSES, detector_loss


def textbook(logits, target):
    """The binary cross-entropy of the softmax, as it is written: (B, Hc, Wc)."""
    p = logits.double().softmax(1)
    return -(target.double() * p.log() + (1 - target.double()) * (1 - p).log()).sum(1)


@pytest.fixture
def cells():
    generator = torch.Generator().manual_seed(3)
    logits = 4 * torch.randn(2, 65, 3, 4, generator=generator)
    target = torch.rand(2, 65, 3, 4, generator=generator)
    return logits, target / target.sum(1, keepdim=True)


def test_softmax_bce_is_the_textbook_formula(cells):
    logits, target = cells
    expected = textbook(logits, target).mean().item()
    assert detector_loss(logits, target).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("scale", [1, 10, 30])
def test_softmax_bce_in_float32_equals_float64_where_that_is_finite(scale):
    generator = torch.Generator().manual_seed(scale)
    logits = scale * (2 * torch.rand(1, 65, 8, 8, generator=generator) - 1)
    target = torch.nn.functional.one_hot(torch.randint(65, (1, 8, 8), generator=generator), 65).movedim(3, 1).float()
    expected = textbook(logits, target)
    finite = expected.isfinite()
    assert finite.float().mean() > 0.9
    got = torch.stack(
        [
            detector_loss(logits[:, :, r : r + 1, c : c + 1], target[:, :, r : r + 1, c : c + 1])
            for r in range(8)
            for c in range(8)
        ]
    ).view(1, 8, 8)
    torch.testing.assert_close(got[finite].double(), expected[finite], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("value", [100.0, -100.0])
def test_softmax_bce_of_extreme_logits_is_what_paper_says(value):
    # One logit apart by d: p of the large one is 1 up to 64 e^-d, so log(1 - p) = log 64 - d for it.
    logits = torch.zeros(1, 65, 1, 1)
    logits[0, 0] = value
    target = torch.zeros(1, 65, 1, 1)
    target[0, 1] = 1
    logits.requires_grad_()
    loss = detector_loss(logits, target)
    if value > 0:
        # -log p_1 = 100; -log(1 - p_0) = 100 - log 64; the other 63 add 63 e^-100.
        assert loss.item() == pytest.approx(200 - math.log(64), rel=1e-6)
    else:
        # 64 equal channels: -log(1/64) and 63 times -log(63/64).
        assert loss.item() == pytest.approx(math.log(64) + 63 * math.log(64 / 63), rel=1e-6)
    loss.backward()
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().max() > 0


def test_cross_entropy_and_l2_on_paper():
    logits = torch.zeros(1, 65, 1, 1)
    target = torch.zeros(1, 65, 1, 1)
    target[0, 64] = 1
    assert detector_loss(logits, target, kind="cross_entropy").item() == pytest.approx(math.log(65))
    # (1 - 1/65)^2 + 64 / 65^2 = 64 / 65.
    assert detector_loss(logits, target, kind="l2").item() == pytest.approx(64 / 65)


@pytest.mark.parametrize("kind", CELL_LOSSES)
def test_gradients(kind):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(1, 65, 1, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    target = torch.rand(1, 65, 1, 2, dtype=torch.float64, generator=generator)
    mask = torch.tensor([[[True, False]]])
    assert torch.autograd.gradcheck(lambda z: detector_loss(z, target / target.sum(1), mask, kind), logits)


def test_only_valid_cells_count(cells):
    logits, target = cells
    mask = torch.zeros(2, 3, 4, dtype=torch.bool)
    mask[0, 1, 2] = mask[1, 0, 0] = True
    expected = textbook(logits, target)[mask].mean().item()
    assert detector_loss(logits, target, mask).item() == pytest.approx(expected, rel=1e-6)
    logits = logits.clone()
    logits[0, :, 2, 2] = float("nan")
    assert detector_loss(logits, target, mask).item() == pytest.approx(expected, rel=1e-6)


def test_an_empty_mask_gives_zero_loss_and_zero_gradient(cells):
    logits, target = cells
    logits.requires_grad_()
    loss = detector_loss(logits, target, torch.zeros(2, 3, 4, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().max() == 0


def test_bfloat16_logits_are_computed_in_float32(cells):
    logits, target = cells
    rounded = logits.bfloat16()
    assert detector_loss(rounded, target).dtype == torch.float32
    assert detector_loss(rounded, target).item() == pytest.approx(
        textbook(rounded.float(), target).mean().item(), rel=1e-6
    )


def test_wrong_arguments_are_named(cells):
    logits, target = cells
    with pytest.raises(ValueError, match="hinge"):
        detector_loss(logits, target, kind="hinge")
    with pytest.raises(ValueError, match="differ in shape"):
        detector_loss(logits, target[:, :64])
    with pytest.raises(ValueError, match="cell_mask"):
        detector_loss(logits, target, torch.ones(2, 1, 3, 4, dtype=torch.bool))
