"""The settings of the verifier and of its training. They load no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from ...core.errors import InputError
from ...core.grid import CELL_SIZE
from ...core.settings import check_kinds, check_range, check_whole
from ...data.photometric import PhotometricSettings
from ...training.tasks.settings import TaskSettings

Fusion = Literal["product", "concatenation"]


@dataclass(frozen=True)
class VerifierModelSettings:
    """The form of the verifier.

    Args:
        width: Factor on the channels of the encoder; 1 is the paper's network.
        channels: Numbers by which each cell of 8x8 pixels is compared.
        side: Pixels of the squares that are compared, each way; a multiple of 8.
        fusion: How the features of both are put together: multiplied element by element, or one behind the other, which
            is there to be compared with.
    """

    width: float = 0.25
    channels: int = 64
    side: int = 64
    fusion: Fusion = "product"

    def __post_init__(self) -> None:
        check_kinds(self)
        check_range(self, "(0, 4]", "width")
        check_whole(self, 1, "channels", most=4096)
        check_whole(self, CELL_SIZE, "side", most=1024)
        if self.side % CELL_SIZE:
            raise InputError(f"side must be a multiple of {CELL_SIZE}, got {self.side}")


@dataclass(frozen=True)
class QuerySettings:
    """How a template is seen in a scene, and how well its corners are known.

    Args:
        pixels: Least and largest side of what is seen, in pixels of the scene.
        distortion: Largest shift of each corner by perspective, in sides.
        aspect: Smallest ratio of the sides.
        jitter: Largest error of each corner, in sides, as a detector makes them.
        blur: Largest standard deviation of the blur, in sides; half of what is seen is sharp.
        most_hidden: Largest share that something else covers; half of what is seen is whole.
        photometric: The changes of light, lens, sensor and file.
    """

    pixels: tuple[float, float] = (14.0, 128.0)
    distortion: float = 0.12
    aspect: float = 0.5
    jitter: float = 0.06
    blur: float = 0.06
    most_hidden: float = 0.5
    photometric: PhotometricSettings = field(
        default_factory=lambda: PhotometricSettings(probability=0.35, motion_blur=2.5, gaussian_blur=0.0)
    )

    def __post_init__(self) -> None:
        check_kinds(self)
        check_range(self, "[0, 0.25)", "distortion", "jitter")
        check_range(self, "(0, 1]", "aspect")
        check_range(self, "[0, 1]", "blur")
        check_range(self, "[0, 1)", "most_hidden")
        low, high = self.pixels
        if not 4.0 <= low <= high <= 1024.0:
            raise InputError(f"pixels must rise from 4 to 1024 at most, got {low} and {high}")


@dataclass(frozen=True, kw_only=True)
class VerifyTaskSettings(TaskSettings):
    """A verifier learns whether a quadrilateral shows a template, and in the same orientation.

    Args:
        templates: What is to be told apart: images, and folders to search for images.
        backgrounds: What is behind and in front: images, and folders to search for images; without any, the templates.
        boards: So many drawn boards and cards are to be told apart beside the templates.
        holdout: Share of the templates and of the backgrounds that are not trained on but judged by; the name of an
            image decides it.
        solids: Share of the pairs that are of solids, with the templates on their faces, and how these lie in space.
        queries: How templates are seen.
        model: The network.
    """

    name: ClassVar[str] = "verify"
    implementation: ClassVar[str] = "magicpoint.planar.verify.task:VerifyTask"

    templates: tuple[Path, ...] = ()
    backgrounds: tuple[Path, ...] = ()
    boards: int = 64
    holdout: float = 0.1
    solids: float = 0.0
    queries: QuerySettings = field(default_factory=QuerySettings)
    model: VerifierModelSettings = field(default_factory=VerifierModelSettings)

    def __post_init__(self) -> None:
        check_kinds(self)
        check_whole(self, 0, "boards")
        check_range(self, "(0, 1)", "holdout")
        check_range(self, "[0, 1]", "solids")
        if not self.templates and not self.boards:
            raise InputError("there is nothing to be told apart: give templates, or boards above 0")
