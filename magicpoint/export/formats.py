"""The formats for other programs, and the call that writes a file of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.files import AnyPath, write_atomically
from ..core.outputs import claimed, claimed_folder
from ..decoding.settings import DecodeSettings
from ..matching.settings import LearnedSettings
from ..model.matcher import MatcherNetwork
from ..model.network import PointNetwork
from ..model.weights import weights_hash
from . import foreign, onnx


@dataclass(frozen=True)
class Wanted:
    """What a file is to hold.

    Args:
        kind: One of the format's.
        precision: One of the format's; of the network's layers.
        settings: Of the decoding, where it is a part of that.
        provenance: Where the weights come from.
        matcher: The network that matches, where it is a part of that.
        learned: Of the matching.
    """

    kind: str
    precision: str
    settings: DecodeSettings
    provenance: Mapping[str, Any]
    matcher: MatcherNetwork | None
    learned: LearnedSettings


Write = Callable[[Path, PointNetwork, Wanted], object]


@dataclass(frozen=True)
class Format:
    """A format of files.

    Args:
        suffix: What the name of a file ends in; nothing where the format is a folder.
        kinds: What it can hold, the default first.
        write: Writes a network to a path.
        precisions: The number formats that there are, the default first.
    """

    suffix: str
    kinds: tuple[str, ...]
    write: Write
    precisions: tuple[str, ...] = ("float32",)


def as_file(content: Callable[[PointNetwork, Wanted], bytes]) -> Write:
    """How a format is written whose content is made in memory."""

    def write(path: Path, model: PointNetwork, wanted: Wanted) -> None:
        made = content(model, wanted)
        write_atomically(path, lambda temporary: temporary.write_bytes(made))

    return write


def _onnx(model: PointNetwork, wanted: Wanted) -> bytes:
    if wanted.matcher is not None:
        return onnx.matcher_model(model, wanted.kind, wanted.settings, wanted.matcher, wanted.learned)
    return onnx.onnx_model(model, wanted.kind, wanted.settings, wanted.provenance, wanted.precision)


def _transformers(folder: Path, model: PointNetwork, wanted: Wanted) -> object:
    return foreign.write_transformers(folder, model, wanted.provenance, wanted.settings)


FORMATS = {
    "onnx": Format(".onnx", (*onnx.KINDS, *onnx.MATCHER_KINDS), as_file(_onnx), onnx.PRECISIONS),
    "transformers": Format("", ("weights",), _transformers),
    "magicleap": Format(".pth", ("weights",), lambda path, model, wanted: foreign.write_magicleap(path, model)),
}
"""By their names. A format is a file in this folder and a row here."""


def export_model(
    model: PointNetwork,
    out: AnyPath,
    format: str = "onnx",
    kind: str | None = None,
    settings: DecodeSettings | None = None,
    provenance: Mapping[str, Any] | None = None,
    precision: str | None = None,
    matcher: MatcherNetwork | None = None,
    learned: LearnedSettings | None = None,
) -> Path:
    """Write a network for another program.

    The formats transformers (a folder) and magicleap (`.pth`) hold the weights under the names of those projects, see
    `foreign.write_transformers` and `foreign.write_magicleap`. The format onnx has kinds, which all
    take `image`, float32 (B, 1, H, W), grey in [0, 1], of any batch size, height and width:

    - dense: H and W are multiples of 8. Outputs `heatmap` (B, H, W) and, of a network with descriptors, `descriptors`
      (B, D, H / 8, W / 8) of length 1. ONNX Runtime and OpenCV from 4.9 on read it.
    - keypoints: any H and W. Outputs `keypoints` (B, K, 2) as (x, y) in pixels, the centre of the top-left pixel being
      (0, 0), `scores` (B, K), the largest first, `descriptors` (B, K, D) where there are any, and `count` int64 (B,).
      What follows the first `count` of an image is 0. They are those that `decode` and `sample_descriptors` give. The
      suppression is a `Loop`. ONNX Runtime and OpenCV 5 read it; OpenCV 4 does not.
    - keypoints_unrolled: the same without `Loop`, for runtimes that know no control flow. The suppression takes
      `onnx.UNROLLED_ROUNDS` rounds. With the default settings photographs need up to 3; with a threshold near 0 or a
      radius above 8 more may be needed, and the last of a chain of peaks, each weaker than the one before, are missing.
    - matches, with a matcher: takes `image0` and `image1`, float32 (1, 1, H, W) of any two sizes. Outputs `keypoints0`
      (N, 2) and `keypoints1` (M, 2) as above, `matches01` int64 (K, 2), which of them are one, and `match_scores` (K,).
    - matcher: the same of features: takes `keypoints0` (N, 2), `descriptors0` (N, D) and `image_size0` int64 (2,), the
      (W, H), and likewise those of image 1; outputs `matches01` and `match_scores`.

    The metadata of an ONNX file say its kind, the hash of the weights, the version of this package, the licence of the
    weights where it is known, and, as JSON, the settings of the decoding.

    Args:
        model: It stays as it is; BatchNorm is folded.
        out: The file to write, whose name ends in the format's suffix, or the folder.
        format: One of `FORMATS`.
        kind: What the file computes; None takes the format's first, for onnx dense.
        settings: For keypoints; K is their `max_keypoints`, or 1024 if that is None.
        provenance: Where the weights come from, as `model.weights.load_weights` gives it.
        precision: Number format of the network's layers; None takes the format's first, float32. int8, of onnx alone,
            has the numbers of the engine int8, as QuantizeLinear and DequantizeLinear around each convolution: runtimes
            that know the pattern compute with whole numbers between them.
        matcher: For the kinds matches and matcher, and for the features of this network.
        learned: For these kinds, of which the least score counts; None stands for `LearnedSettings()`.

    Returns:
        `out`.

    Raises:
        InputError: The format, kind or precision is unknown, the file has another suffix, the format cannot hold the
            network, or something else than an export of these weights is there; of a `.pth` file that cannot be told.
        MissingPackageError: A package is not installed; the message says how to get it.
        OSError: The file cannot be written.
    """
    if format not in FORMATS:
        raise InputError(f"format must be {' or '.join(FORMATS)}, got {format!r}")
    chosen = FORMATS[format]
    kind = chosen.kinds[0] if kind is None else kind
    if kind not in chosen.kinds:
        raise InputError(f"kind of {format} must be {' or '.join(chosen.kinds)}, got {kind!r}")
    precision = chosen.precisions[0] if precision is None else precision
    if precision not in chosen.precisions:
        raise InputError(f"precision of {format} must be {' or '.join(chosen.precisions)}, got {precision!r}")
    if (matcher is not None) != (kind in onnx.MATCHER_KINDS):
        raise InputError(f"a matcher and the kinds {' and '.join(onnx.MATCHER_KINDS)} belong together, got {kind!r}")
    if matcher is not None and precision != "float32":
        raise InputError(f"precision must be float32 with a matcher, got {precision!r}")
    out = Path(out)
    if out.suffix.lower() != chosen.suffix:
        raise InputError(
            f"the name must end in {chosen.suffix}, got {out}"
            if chosen.suffix
            else f"{format} is a folder: its name has no suffix, got {out}"
        )
    with _claimed(out, chosen, weights_hash(model.state_dict())):
        settings, learned = settings or DecodeSettings(), learned or LearnedSettings()
        chosen.write(out, model, Wanted(kind, precision, settings, provenance or {}, matcher, learned))
    return out


def _claimed(out: Path, format: Format, weights: str) -> AbstractContextManager[None]:
    """Keeps the output for a network of this hash: what is there may be replaced by the same network alone."""
    described = "an export of these weights"
    if format.suffix:
        return claimed(out, described, lambda path: weights.encode() in path.read_bytes())
    own = weights.encode()
    return claimed_folder(out, foreign.FILES, described, lambda path: own in (out / foreign.FILES[0]).read_bytes())
