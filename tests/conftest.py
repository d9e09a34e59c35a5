"""Settings for all tests."""

import cv2
import torch
from hypothesis import settings

# The first example pays for imports and caches; machines that run tests are shared.
settings.register_profile("magicpoint", deadline=None)
settings.load_profile("magicpoint")
cv2.setNumThreads(1)
torch.set_num_threads(2)
