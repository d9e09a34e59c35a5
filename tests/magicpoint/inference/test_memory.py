"""How much memory a large image takes, and what holding on to freed memory changes: each in a process of its own."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

LARGE = """
import resource
import numpy as np
from magicpoint import DecodeSettings, Extractor

extractor = Extractor.load("superpoint", DecodeSettings(max_keypoints=2000), "cpu")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
image = np.random.default_rng(0).integers(0, 256, (3000 // 20, 4000 // 20), np.uint8).repeat(20, 0).repeat(20, 1)
features = extractor.extract(image)
assert features.image_size == (4000, 3000)
assert len(features) == 2000
assert features.descriptors.shape == (2000, 256)
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

KEPT = """
import numpy as np, torch
from magicpoint import Extractor
from magicpoint.core.machine import keep_freed_memory

image = np.random.default_rng(0).integers(0, 256, (15, 20), np.uint8).repeat(16, 0).repeat(16, 1)
extractor = Extractor.load("superpoint-tiny", device="cpu")
before = extractor.extract(image)
print(keep_freed_memory(), keep_freed_memory())
after = extractor.extract(image)
assert len(before) > 50
for name in ("keypoints", "keypoint_scores", "descriptors"):
    assert torch.equal(getattr(before, name), getattr(after, name)), name
"""


def printed_by(code):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is Linux's")
def test_an_image_of_4000x3000_takes_less_than_two_gigabytes():
    before, peak = (int(kilobytes) / 1e6 for kilobytes in printed_by(LARGE))
    print(f"{before:.2f} GB with the network, {peak:.2f} GB at the peak")
    # In one piece its widest layers alone, of 520 bytes a pixel, would take 6.2 GB.
    assert peak < 2.0


def test_freed_memory_is_kept_where_the_platform_can_and_changes_no_result():
    can = platform.libc_ver()[0] == "glibc"
    assert printed_by(KEPT) == [str(can), str(can)]
