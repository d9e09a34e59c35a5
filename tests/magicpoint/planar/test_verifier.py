"""From quadrilaterals of an image to the probabilities that they show templates."""

import cv2
import numpy as np
import pytest
import torch

from magicpoint.model.weights import save_weights
from magicpoint.planar.located import Located
from magicpoint.planar.verify.network import VerifierNetwork
from magicpoint.planar.verify.settings import VerifierModelSettings
from magicpoint.planar.verify.verifier import Verifier
from magicpoint.training.tasks.start import start_from


def picture(seed, height, width):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


TEMPLATES = {"wide": picture(0, 40, 80), "high": picture(1, 90, 30), "plain": np.zeros((1, 1), np.uint8)}
WIDE = [[9.5, 19.5], [89.5, 19.5], [89.5, 59.5], [9.5, 59.5]]


@pytest.fixture(scope="module")
def network():
    """Not trained, but for its last layer: it says how alike two squares are."""
    torch.manual_seed(0)
    network = VerifierNetwork(VerifierModelSettings(0.25, 64, 32))
    start_from(network, "superpoint-tiny")
    network.encoder.eval()
    network.project[1].momentum = 1.0
    network.describe(torch.from_numpy(np.stack([picture(seed, 32, 32) for seed in range(32)]))[:, None] / 255.0)
    for parameter in [*network.head.parameters(), *network.decide.parameters()]:
        torch.nn.init.zeros_(parameter)
    network.head[0].weight.data[0, :, 1, 1] = 1 / 64
    network.head[2].weight.data[0, 0] = 1.0
    network.decide.weight.data[0, 0] = 10.0
    network.decide.bias.data[:] = -9.5
    return network.eval()


@pytest.fixture
def scene():
    image = np.full((100, 120), 128, np.uint8)
    image[20:60, 10:90] = TEMPLATES["wide"]
    return image


def test_a_template_that_is_there_is_known_and_turned_it_is_not(network, scene):
    verifier = Verifier(TEMPLATES, network)
    assert verifier.names == ("wide", "high", "plain")
    quads = np.array([WIDE, np.roll(WIDE, 1, axis=0), np.roll(WIDE, 2, axis=0), np.array(WIDE)[[1, 0, 3, 2]]])
    found = verifier.verify(scene, quads)
    assert found.shape == (4, 3)
    assert found[0, 0] > 0.5
    assert found[0, 0] == found.max()
    assert (found[1:, 0] < 0.5).all()
    alone = np.concatenate([verifier.verify(scene, quads[i : i + 1]) for i in range(4)])
    np.testing.assert_allclose(alone, found, atol=1e-5)


def test_no_quadrilateral_and_strange_ones_are_ordinary(network, scene):
    verifier = Verifier(TEMPLATES, network)
    assert verifier.verify(scene, np.zeros((0, 4, 2))).shape == (0, 3)
    strange = [[[0, 0]] * 4, [[0, 0], [10, 10], [20, 0], [10, 3]], [[900, 900], [910, 900], [910, 910], [900, 910]]]
    found = verifier.verify(scene, strange)
    assert np.isfinite(found).all()
    assert np.isfinite(verifier.verify(np.zeros((1, 1), np.uint8), strange)).all()


def test_what_was_located_gets_its_probability(network, scene):
    verifier, H = Verifier(TEMPLATES, network), np.eye(3)
    found = [Located(name, np.array(WIDE, np.float32), H, 20, 15) for name in ("high", "wide")]
    judged = verifier.judge(scene, found)
    assert [each.template for each in judged] == ["high", "wide"]
    assert judged[1].probability == pytest.approx(verifier.verify(scene, [WIDE])[0, 0], abs=1e-5)
    assert judged[0].probability < 0.5 < judged[1].probability
    assert found[0].probability is None
    assert verifier.judge(scene, []) == []


@pytest.mark.parametrize("corners", [np.zeros((4, 2)), np.full((1, 4, 2), np.nan)])
def test_corners_of_another_form_are_refused(network, corners):
    with pytest.raises(ValueError, match=r"finite and of shape \(N, 4, 2\)"):
        Verifier(TEMPLATES, network).verify(np.zeros((8, 8), np.uint8), corners)


def test_it_is_opened_by_its_weights(network, scene, tmp_path):
    save_weights(tmp_path / "best.safetensors", network, {})
    opened = Verifier.from_pretrained(TEMPLATES, tmp_path)
    np.testing.assert_array_equal(opened.verify(scene, [WIDE]), Verifier(TEMPLATES, network).verify(scene, [WIDE]))
    with pytest.raises(ValueError, match="no template"):
        Verifier({}, network)
    with pytest.raises(ValueError, match="no weights of planar things nothing"):
        Verifier.from_pretrained(TEMPLATES, "nothing")
