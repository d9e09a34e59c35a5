"""The encoder strip by strip: what all rows at once give, in less memory, and without new pages at each call."""

import platform
import subprocess
import sys

import pytest
import torch

from magicpoint.inference.backends import torch_float
from magicpoint.inference.backends.torch_float import TorchNetwork
from magicpoint.inference.strips import STRIP_BYTES, Stage, pool, run_in_strips
from magicpoint.model.network import MagicPoint, SuperPoint

CPU = torch.device("cpu")


def sums(padded_rows):
    """A 3x3 convolution of ones, which tells whether a strip has seen each neighbour once."""
    weight = torch.ones(1, 1, 3, 3)
    return torch.nn.functional.conv2d(padded_rows, weight, padding=1)


def of_ones(activations, padded):
    return torch.nn.functional.conv2d(activations, torch.ones(1, 1, 3, 3), padding=(int(padded), 1))


@pytest.mark.parametrize("height", [2, 8, 10, 24, 34])
@pytest.mark.parametrize("pooled", [False, True])
def test_strips_of_a_stage_are_what_it_gives_at_once(height, pooled):
    image = torch.arange(height * 6, dtype=torch.float32).reshape(1, 1, height, 6)
    expected = sums(sums(image))
    expected = torch.nn.functional.max_pool2d(expected, 2) if pooled else expected
    assert torch.equal(run_in_strips([Stage(of_ones, of_ones, 1, pooled)], image, strip_bytes=1), expected)


def test_a_strip_has_the_rows_that_fit_into_its_bytes():
    seen = []

    def look(activations, padded):
        seen.append(activations.shape[2])
        return of_ones(activations, padded)

    # A row of 6 numbers has 24 bytes: 384 bytes are 16 rows, of the 40 as 14, 14 and 12, and two more at each side.
    run_in_strips([Stage(look, of_ones, 1, True)], torch.zeros(1, 1, 40, 6), strip_bytes=16 * 24)
    assert seen == [14 + 2, 14 + 4, 12 + 2]


def test_the_pool_is_that_of_torch():
    image = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pool(image), torch.nn.functional.max_pool2d(image, 2))


@pytest.mark.parametrize("layout", ["hidden", "none", "after_relu"])
@pytest.mark.parametrize("fuses", [False, True])
def test_a_network_in_strips_gives_what_it_gives_at_once(layout, fuses, monkeypatch):
    if fuses and not torch_float._fuses(torch.float32):
        pytest.skip("needs oneDNN")
    monkeypatch.setattr(torch_float, "_fuses", lambda dtype: fuses)
    monkeypatch.setattr(torch_float, "run_in_strips", lambda stages, image: run_in_strips(stages, image, 2**14))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SuperPoint(0.125, layout).eval()
        images = torch.rand(2, 1, 88, 104)
    found = TorchNetwork(model, CPU, torch.float32)(images)
    with torch.inference_mode():
        expected = model(images)
    torch.testing.assert_close(found.heatmap, torch_float.to_maps(expected).heatmap, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.descriptors, expected.descriptors, rtol=0, atol=1e-5)


def test_only_a_network_of_points_on_the_cpu_is_run_in_strips(monkeypatch):
    monkeypatch.setattr(torch_float, "run_in_strips", lambda *_: pytest.fail("it was"))

    class Wrapped(torch.nn.Module):
        def forward(self, image):
            return MagicPoint(0.125).eval()(image)

    assert TorchNetwork(Wrapped(), CPU, torch.float32)(torch.rand(1, 1, 16, 24)).heatmap.shape == (1, 16, 24)


PAGES = """
import resource, numpy as np
from magicpoint import Extractor
extractor = Extractor.from_pretrained("superpoint", device="cpu")
image = np.random.default_rng(0).integers(0, 256, (480, 640), np.uint8)
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
peak = lambda: next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
memory = peak()
for _ in range(4):
    before = faults()
    extractor.extract(image)
print(faults() - before, peak() - memory)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="as glibc does it")
def test_a_call_takes_no_new_pages_and_little_memory():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PAGES], capture_output=True, text=True, check=True)
    faults, kilobytes = map(int, done.stdout.split())
    print(f"{faults} pages, {kilobytes / 1024:.0f} MB")
    # At once it is 60,000 pages of 4 kB a call, and the two widest layers of 79 MB each.
    assert faults < 3000
    assert kilobytes < 150 * 1024
    assert STRIP_BYTES < 2**25  # the largest block that glibc keeps by itself
