"""The formats for other programs, and the call that writes a file of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.files import AnyPath, write_atomically
from ..decoding.settings import DecodeSettings
from ..model.network import PointNetwork
from . import onnx


@dataclass(frozen=True)
class Format:
    """A format of files.

    Args:
        suffix: What the name of a file ends in.
        kinds: What a file can compute.
        content: Makes the content of a file of a network, for one of the kinds and settings of the decoding.
    """

    suffix: str
    kinds: tuple[str, ...]
    content: Callable[[PointNetwork, str, DecodeSettings], bytes]


FORMATS = {
    "onnx": Format(".onnx", tuple(onnx.KINDS), onnx.onnx_model),
}
"""By their names. A format is a file in this folder and a row here."""


def export_model(
    model: PointNetwork,
    out: AnyPath,
    format: str = "onnx",
    kind: str = "dense",
    settings: DecodeSettings | None = None,
) -> Path:
    """Write a network for another program.

    All kinds take `image`, float32 (B, 1, H, W), grey in [0, 1], of any batch size, height and width.

    - dense: H and W are multiples of 8. Outputs `heatmap` (B, H, W) and, of a network with descriptors, `descriptors`
      (B, D, H / 8, W / 8) of length 1. ONNX Runtime and OpenCV from 4.9 on read it.
    - keypoints: any H and W. Outputs `keypoints` (B, K, 2) as (x, y) in pixels, the centre of the top-left pixel being
      (0, 0), `scores` (B, K), the largest first, `descriptors` (B, K, D) where there are any, and `count` int64 (B,).
      What follows the first `count` of an image is 0. They are those that `decode` and `sample_descriptors` give. The
      suppression is a `Loop`. ONNX Runtime and OpenCV 5 read it; OpenCV 4 does not.
    - keypoints_unrolled: the same without `Loop`, for runtimes that know no control flow. The suppression takes
      `onnx.UNROLLED_ROUNDS` rounds. With the default settings photographs need up to 3; with a threshold near 0 or a
      radius above 8 more may be needed, and the last of a chain of peaks, each weaker than the one before, are missing.

    The file's metadata say its kind, the hash of the weights, the version of this package and, as JSON, the settings of
    the decoding.

    Args:
        model: It stays as it is; BatchNorm is folded.
        out: The file to write; its name ends in the format's suffix.
        format: One of `FORMATS`.
        kind: What the file computes.
        settings: For keypoints; K is their `max_keypoints`, or 1024 if that is None.

    Returns:
        `out`.

    Raises:
        InputError: The format or kind is unknown, or the file has another suffix.
        MissingPackageError: A package is not installed; the message says how to get it.
        OSError: The file cannot be written.
    """
    if format not in FORMATS:
        raise InputError(f"format must be {' or '.join(FORMATS)}, got {format!r}")
    chosen = FORMATS[format]
    if kind not in chosen.kinds:
        raise InputError(f"kind of {format} must be {' or '.join(chosen.kinds)}, got {kind!r}")
    out = Path(out)
    if out.suffix.lower() != chosen.suffix:
        raise InputError(f"the file's name must end in {chosen.suffix}, got {out}")
    content = chosen.content(model, kind, settings or DecodeSettings())
    write_atomically(out, lambda temporary: temporary.write_bytes(content))
    return out
