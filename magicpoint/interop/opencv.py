"""The interface of OpenCV's features: what takes a `cv2.SIFT` takes this in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.grid import CELL_SIZE
from ..inference.extractor import Extractor
from ..io.grey import to_grey


class Feature2D:
    """An extractor with the methods of a `cv2.Feature2D`.

    It is none by inheritance: OpenCV's own classes call its C++ and not a method written in Python, and crash.
    So it serves wherever Python calls these methods. Images are as `cv2.imread` gives them: (H, W), (H, W, 3) in the
    order blue, green, red, or (H, W, 4), whose transparency is passed over; of the types that `io.grey.to_grey`
    takes. The centre of the top-left pixel is (0, 0), as in OpenCV.

    Args:
        extractor: Finds and describes the keypoints; its settings say how many.
    """

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor

    def detect(self, image: NDArray[Any], mask: NDArray[Any] | None = None) -> tuple[cv2.KeyPoint, ...]:
        """Keypoints between the pixels, the best first.

        Args:
            image: As `cv2.imread` gives it.
            mask: (H, W) uint8 or bool; where it is 0 no keypoint is found. It acts before the best are chosen.

        Returns:
            With the score as `response`, the side of a cell, 8 pixels, as `size`, and no angle.

        Raises:
            TypeError: The image holds numbers of a type that is not supported.
            ValueError: The image or the mask has another shape, or values are out of range.
        """
        return self._find(image, mask)[0]

    def compute(
        self, image: NDArray[Any], keypoints: Sequence[cv2.KeyPoint]
    ) -> tuple[tuple[cv2.KeyPoint, ...], NDArray[np.float32] | None]:
        """Descriptors of given keypoints, of this or any other detector.

        Args:
            image: As `cv2.imread` gives it.
            keypoints: Their position counts, their size and angle do not.

        Returns:
            Those of the keypoints that lie in the image, and their descriptors (N, D) of length 1, None without any.

        Raises:
            InputError: The network has no descriptors.
            ValueError: As from `detect`.
        """
        self.extractor.check_describes()
        grey = _grey(image)
        height, width = grey.shape
        inside = tuple(k for k in keypoints if -0.5 <= k.pt[0] < width - 0.5 and -0.5 <= k.pt[1] < height - 0.5)
        if not inside:
            return (), None
        return inside, self.extractor.describe(grey, [keypoint.pt for keypoint in inside]).cpu().numpy()

    def detectAndCompute(
        self, image: NDArray[Any], mask: NDArray[Any] | None = None
    ) -> tuple[tuple[cv2.KeyPoint, ...], NDArray[np.float32] | None]:
        """Keypoints as from `detect`, with their descriptors as from `compute`, in one run of the network."""
        self.extractor.check_describes()
        return self._find(image, mask)

    def descriptorSize(self) -> int:
        """How many numbers a descriptor has; 0 without descriptors."""
        return self.extractor.model.settings.descriptor_dim

    def descriptorType(self) -> int:
        """The type of those numbers: `cv2.CV_32F`."""
        return cv2.CV_32F

    def defaultNorm(self) -> int:
        """By what descriptors are compared: `cv2.NORM_L2`."""
        return cv2.NORM_L2

    def _find(
        self, image: NDArray[Any], mask: NDArray[Any] | None
    ) -> tuple[tuple[cv2.KeyPoint, ...], NDArray[np.float32] | None]:
        wanted = None if mask is None else np.asarray(mask) != 0
        found = self.extractor.extract(_grey(image), wanted, mask_margin=0).to("cpu")
        positions = zip(found.keypoints.tolist(), found.keypoint_scores.tolist(), strict=True)
        keypoints = tuple(cv2.KeyPoint(x, y, CELL_SIZE, -1, score) for (x, y), score in positions)
        return keypoints, found.descriptors.numpy() if found.descriptors is not None and keypoints else None


def _grey(image: NDArray[Any]) -> NDArray[np.float32]:
    return to_grey(image[..., 2::-1] if isinstance(image, np.ndarray) and image.ndim == 3 else image)
