"""Networks ready for 8 bits compute what they computed, with channels of more equal ranges."""

import pytest
import torch

from magicpoint.model.fold import fold_batch_norm
from magicpoint.model.quantize import _ranges, layers, prepare, rendered_images
from magicpoint.model.weights import load_weights, shipped_weights


@pytest.mark.parametrize("name", ["superpoint-tiny", "magicpoint"])
def test_ranges_are_more_equal_and_the_results_the_same(name):
    model, _ = load_weights(shipped_weights(name).path)
    images = rendered_images(2)
    folded, (ready, steps) = fold_batch_norm(model).float(), prepare(model, images)
    with torch.inference_mode():
        for expected, found in zip(folded(images[0]), ready(images[0]), strict=True):
            if expected is not None:
                torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert len(steps) == sum(map(len, (layers(ready)[0], layers(ready)[1])))

    def inequality(network):
        """The mean over the layers of how much smaller than the largest a channel's range is, as a logarithm."""
        ranges = [reach[reach > 0] for reach in _ranges(network, images, apart=True)]
        return sum(float((reach.max() / reach).log().mean()) for reach in ranges) / len(ranges)

    assert inequality(ready) < 0.8 * inequality(folded)


def test_layers_that_never_fire_stay_as_they_are(random_network):
    model = random_network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    ready, steps = prepare(model, [torch.zeros(1, 1, 8, 8)])
    assert all(torch.isfinite(parameter).all() for parameter in ready.parameters())
    assert set(steps) == {1.0}
