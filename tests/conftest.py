"""Settings for all tests."""

import functools
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import pytest
import torch
from hypothesis import settings

from magicpoint.inference.backends.torch_int8 import QuantizedNetwork
from magicpoint.model.network import MagicPoint

# The first example pays for imports and caches; machines that run tests are shared.
settings.register_profile("magicpoint", deadline=None)
settings.load_profile("magicpoint")
# Networks and images this small gain next to nothing from a second thread, and where other programs run beside the
# tests one thread waits for the other: they took three times as long.
cv2.setNumThreads(1)
torch.set_num_threads(1)

CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"
CPU_AVX2 = 11
"""OpenCV's number for it, which its Python names leave out."""


def pins_are_for_elsewhere():
    """Why the bytes of a render need not be the pinned ones here, if they need not."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64") or not cv2.checkHardwareSupport(CPU_AVX2):
        return "digests were taken on Linux on x86-64 with AVX2: other code rounds sums in another order"
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE))
    for name in ("numpy", "opencv-python-headless"):
        try:
            here = version(name)
        except PackageNotFoundError:
            here = "not installed"
        if here != pinned[name]:
            return f"digests were taken with {name} {pinned[name]}; here it is {here}"
    return None


@pytest.fixture(autouse=True, scope="session")
def _cache_of_its_own(tmp_path_factory):
    """So that no test finds what another run has left, nor leaves something itself; processes inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAGICPOINT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@functools.cache
def integer_convolutions():
    try:
        QuantizedNetwork(MagicPoint(0.125), [torch.zeros(1, 1, 8, 8)])
    except RuntimeError:
        return False
    return True


def pytest_runtest_setup(item):
    if item.get_closest_marker("int8") and not integer_convolutions():
        pytest.skip("needs a processor with VNNI: without it sums of 8-bit products overflow")
    if item.get_closest_marker("pinned") and (reason := pins_are_for_elsewhere()):
        pytest.skip(reason)
