"""The protocols under which methods are compared on image pairs."""

from __future__ import annotations

from .results import PairsProtocol

PAIRS_PROTOCOLS = {
    "paper-repeatability": PairsProtocol((320, 240), 300, (4, 8), matching=False),
    "paper-homography": PairsProtocol((640, 480), 1000, (4,), matching=True),
    "full": PairsProtocol(None, 2048, (4,), matching=True),
}
"""By name. SuperPoint (arXiv 1712.07629), sections 7.2 and 7.3, states the sizes, the numbers of keypoints and, for the
repeatability, the radii. It does not say how other aspects become 4:3: its best-known reimplementation cuts the image,
here it is stretched, so that all of it is compared."""
