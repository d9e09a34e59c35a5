"""Settings for all tests."""

import cv2
import torch
from hypothesis import settings

# The first example pays for imports and caches; machines that run tests are shared.
settings.register_profile("magicpoint", deadline=None)
settings.load_profile("magicpoint")
# Networks and images this small gain next to nothing from a second thread, and where other programs run beside the
# tests one thread waits for the other: they took three times as long.
cv2.setNumThreads(1)
torch.set_num_threads(1)
