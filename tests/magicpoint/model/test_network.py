"""The network's form."""

import io

import pytest
import torch
from torch import nn

from magicpoint.model.network import MagicPoint, Output, PointNetwork, SuperPoint
from magicpoint.model.settings import ModelSettings


def test_a_batch_of_64_gives_the_paper_s_shapes():
    with torch.device("meta"):
        output = SuperPoint()(torch.empty(64, 1, 120, 160))
    assert output.logits.shape == (64, 65, 15, 20)
    assert output.descriptors.shape == (64, 256, 15, 20)


def test_the_convolutions_are_the_paper_s():
    convolutions = [m for m in SuperPoint().modules() if isinstance(m, nn.Conv2d)]
    assert [(c.out_channels, c.kernel_size[0]) for c in convolutions] == [
        (64, 3),
        (64, 3),
        (64, 3),
        (64, 3),
        (128, 3),
        (128, 3),
        (128, 3),
        (128, 3),
        (256, 3),
        (65, 1),
        (256, 3),
        (256, 1),
    ]


@pytest.mark.parametrize(("layout", "count"), [("all", 12), ("hidden", 10), ("none", 0)])
def test_batch_norm_layouts(layout, count):
    network = SuperPoint(batch_norm=layout)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == count


def test_the_width_factor_leaves_the_outputs():
    network = MagicPoint(width=0.5)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [32, 32, 32, 32, 64, 64, 64, 64, 128, 65]
    assert network(torch.zeros(1, 1, 16, 24)).descriptors is None


def test_descriptors_have_length_one():
    output = SuperPoint(width=0.125).eval()(torch.rand(2, 1, 16, 24))
    torch.testing.assert_close(output.descriptors.norm(dim=1), torch.ones(2, 2, 3))


def test_in_evaluation_an_image_does_not_depend_on_its_batch_mates():
    network = MagicPoint(width=0.125).eval()
    images = torch.rand(3, 1, 16, 24)
    torch.testing.assert_close(network(images).logits[1:2], network(images[1:2]).logits, rtol=0, atol=1e-5)


def test_a_shift_by_a_cell_shifts_the_output():
    network = MagicPoint(width=0.125).eval()
    image = torch.rand(1, 1, 96, 104)
    whole, part = network(image).logits, network(image[..., 8:]).logits
    # Five cells at each side see the border's zeros.
    torch.testing.assert_close(whole[..., 5:-5, 6:-5], part[..., 5:-5, 5:-5], rtol=0, atol=1e-5)


@pytest.mark.parametrize("layout", ["all", "hidden", "none"])
def test_an_untrained_detector_expects_few_keypoints(layout):
    torch.manual_seed(0)
    probabilities = MagicPoint(0.25, layout).eval()(torch.rand(1, 1, 64, 64)).logits.softmax(1)
    assert probabilities[:, 64].mean().item() == pytest.approx(0.95, abs=0.02)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"\(1, 1, 20, 24\)"):
        MagicPoint(0.125)(torch.zeros(1, 1, 20, 24))
    with pytest.raises(ValueError, match="some"):
        ModelSettings(batch_norm="some")
    with pytest.raises(ValueError, match="0"):
        PointNetwork(ModelSettings(width=0))


def test_torch_exports_saves_and_loads_it(random_network):
    network = random_network()
    rows, columns = (torch.export.Dim(name, min=2) for name in ("rows", "columns"))
    sizes = ({0: torch.export.Dim("batch"), 2: 8 * rows, 3: 8 * columns},)
    file = io.BytesIO()
    torch.export.save(torch.export.export(network, (torch.zeros(2, 1, 32, 48),), dynamic_shapes=sizes), file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for size in ((1, 1, 16, 24), (3, 1, 64, 40)):
        image = torch.rand(size, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            result, expected = loaded(image), network(image)
        assert isinstance(result, Output)
        torch.testing.assert_close(result, expected)
