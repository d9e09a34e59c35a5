"""What a file that the project wrote says of itself: what it is, and where it comes from."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from synthetic_shapes.manifest import MANIFEST

from ..core.errors import InputError, MagicpointError, MissingPackageError
from ..core.extras import require
from ..core.files import AnyPath, check_regular
from ..core.plain import json_has
from ..io.features import FEATURES
from ..io.labels import LABELS
from ..io.matches import MATCHES
from ..io.png_text import title_of
from ..io.record_shards import find_shards
from ..io.records import RecordFile
from ..io.track_table import is_own_table
from ..io.video_out import is_own_video
from ..model.weights import BEST_WEIGHTS
from ..training.run import LAST_WEIGHTS, SETTINGS_FILE
from ..training.state import load_state
from .finetune.record import RECORD_FILE
from .match import is_own_result

Values = dict[str, Any]

MOST_BYTES = 2**28
"""A larger file of text is not read for its few words."""

_LONGEST = 3000  # characters of a value that is shown; results and lists of images are longer


@dataclass(frozen=True)
class FileInfo:
    """What a file says of itself.

    Args:
        path: The file or folder.
        kind: What it is.
        provenance: Where it comes from, by name: settings, versions, hashes and digests, counts.
    """

    path: Path
    kind: str
    provenance: Mapping[str, Any]


def read_info(path: AnyPath) -> FileInfo:
    """Read where a file comes from that this project wrote: weights, features, labels, matches, exports, evaluations,
    reports, finds, pictures, states; or a folder: of a run, a fine-tuning, a dataset, an evaluation.

    Raises:
        FileNotFoundError: There is nothing.
        OSError: It cannot be read.
        InputError: It is nothing that this project writes, or damaged; the message names it and says why.
        MissingPackageError: It is an ONNX file, and onnx is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {path}")
    if path.is_dir():
        return _of_folder(path)
    check_regular(path)
    with open(path, "rb") as file:
        start = file.read(64)
    try:
        kind, provenance = _reader(path, start)(path)
    except (InputError, MissingPackageError, OSError):
        raise
    except Exception as error:  # Whatever a damaged file brings about in the libraries that read it.
        raise InputError(f"{path} is damaged or nothing that magicpoint writes: {error!s:.200}") from error
    return FileInfo(path, kind, provenance)


@dataclass(frozen=True)
class InfoResult:
    """What several files say of themselves.

    Args:
        files: In their order.
        refused: Why others say nothing, in their order.
    """

    files: tuple[FileInfo, ...]
    refused: tuple[str, ...]


def read_infos(paths: Sequence[AnyPath]) -> InfoResult:
    """`read_info` of several; what it refuses is kept, so that one of them does not keep the others from view."""
    found, refused = [], []
    for path in paths:
        try:
            found.append(read_info(path))
        except (MagicpointError, OSError) as error:
            refused.append(" ".join(str(error).split()))
    return InfoResult(tuple(found), tuple(refused))


def format_info(info: FileInfo) -> str:
    """One line for the kind, and one for each value."""
    lines = [f"{info.path}: {info.kind}"]
    for name, value in info.provenance.items():
        lines.append(f"  {name}: {value if isinstance(value, str) else json.dumps(value)}")
    return "\n".join(lines)


def _of_folder(path: Path) -> FileInfo:
    kinds = {
        MANIFEST: "folder of a dataset",
        RECORD_FILE: "folder of a fine-tuning",
        BEST_WEIGHTS: "folder of a run",
        LAST_WEIGHTS: "folder of a run that was not validated yet",
        "homography.json": "folder of an evaluation",
        "synthetic.json": "folder of an evaluation",
        "interiors.json": "folder of an evaluation",
        "robustness.json": "folder of an evaluation",
        "scenes.json": "folder of scenes",
        "verify.json": "folder of an evaluation",
        "model.safetensors": "folder of an export",
    }
    for name, kind in kinds.items():
        if (path / name).is_file():
            found = read_info(path / name)
            settings = {SETTINGS_FILE: _text(path / SETTINGS_FILE)} if (path / SETTINGS_FILE).is_file() else {}
            return FileInfo(path, f"{kind}, of which {name}: {found.kind}", {**found.provenance, **settings})
    shards = find_shards(path)
    if shards is not None:
        found = read_info(next(iter(shards.files.values())))
        there = f"{len(shards.files)} of {shards.count}"
        return FileInfo(path, f"folder of shards, {there}, of which {found.path.name}: {found.kind}", found.provenance)
    for file in sorted(path.glob("*.json")):
        if file.is_file() and check_regular(file) <= MOST_BYTES and json_has(file.read_bytes(), *_LOCATED):
            found = read_info(file)
            return FileInfo(path, f"folder of finds, of which {file.name}: {found.kind}", found.provenance)
    raise InputError(f"{path} is a folder with nothing that magicpoint writes: none of {', '.join(kinds)}")


def _reader(path: Path, start: bytes) -> Callable[[Path], tuple[str, Values]]:
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return _of_records
    if start.startswith(b"\x89PNG"):
        return _of_picture
    if start.startswith(b"PK\x03\x04"):
        return _of_state
    if start[4:9] == b"\0\0\0\0{":  # the length of the header, and the header
        return _of_weights
    if start.lstrip().startswith(b"{"):
        return _of_json
    if path.name == SETTINGS_FILE:
        return lambda path: ("settings", {SETTINGS_FILE: _text(path)})
    if path.suffix == ".onnx":
        return _of_onnx
    for is_own, kind in ((is_own_video, "video of tracks or finds"), (is_own_table, "table of tracks")):
        if is_own(path):
            return lambda path: (kind, {})
    if path.suffix.lower() == ".csv" and is_own_result(path):
        return lambda path: ("table of matches", {})
    raise InputError(f"{path} is nothing that magicpoint writes: it begins with {start[:8]!r}")


def _of_weights(path: Path) -> tuple[str, Values]:
    with safe_open(path, "pt") as file:
        header: dict[str, str] = dict(file.metadata() or {})
        count = sum(1 for _ in file.keys())  # noqa: SIM118
    if not header.get("format", "").startswith("magicpoint") and "provenance" not in header:
        raise InputError(f"{path} holds weights, but none of magicpoint: format {header.get('format')!r:.80}")
    return "weights", {**{name: _decoded(value) for name, value in header.items()}, "tensors": count}


def _of_records(path: Path) -> tuple[str, Values]:
    refused = []
    for layout in (FEATURES, LABELS, MATCHES):
        try:
            records: RecordFile[Any] = RecordFile(path, layout)
        except InputError as error:
            refused.append(error)
            continue
        counts = {"records": len(records), "skipped": dict(records.skipped) or 0}
        return layout.name, {**{name: _decoded(value) for name, value in records.provenance.items()}, **counts}
    named = [error for error in refused if "is of format" not in str(error) and "not of format" not in str(error)]
    raise (named or refused)[0]


def _of_state(path: Path) -> tuple[str, Values]:
    state = load_state(path)
    names = ("settings", "step", "best_score", "start_hash", "data_digest", "versions")
    return "state of a run", {name: _decoded(state[name]) for name in names if name in state}


def _of_onnx(path: Path) -> tuple[str, Values]:
    check_size(path)
    model = require("onnx", "onnx").load_model(path, load_external_data=False)
    if model.producer_name != "magicpoint":
        raise InputError(f"{path} is an ONNX file, but none of magicpoint: by {model.producer_name!r:.80}")
    return "ONNX export", {entry.key: _decoded(entry.value) for entry in model.metadata_props}


def _of_picture(path: Path) -> tuple[str, Values]:
    title = title_of(path)
    if title is None:
        raise InputError(f"{path} is a PNG file that does not say that magicpoint wrote it")
    return "picture", {"title": title}


_LOCATED = ("templates", "found", "provenance")

_JSON = {
    # what a file of the kind has, among others
    "dataset of shapes": ("format", "splits"),
    "evaluation": ("methods", "versions"),
    "record of a fine-tuning": ("settings", "weights_hash", "images"),
    "report of labels": ("border", "warnings"),
    "matches of two images": ("matched_keypoints0", "match_scores"),
    "templates that were found": _LOCATED,
    "rendered scenes": ("scenes", "digest"),
    "evaluation of planar things": ("protocol", "results"),
}


def _of_json(path: Path) -> tuple[str, Values]:
    check_size(path)
    values = json.loads(path.read_text(encoding="utf-8"), parse_constant=str)
    for kind, names in _JSON.items():
        if all(name in values for name in names):
            return kind, {name: _shortened(value) for name, value in values.items()}
    raise InputError(f"{path} is JSON, but nothing that magicpoint writes: it has {', '.join(map(str, values))!s:.80}")


def _text(path: Path) -> str:
    check_size(path, _LONGEST * 10)
    return path.read_text(encoding="utf-8").strip()


def check_size(path: Path, most: int = MOST_BYTES) -> None:
    """Refuses a file that is larger than any of its kind."""
    if (size := check_regular(path)) > most:
        raise InputError(f"{path} has {size} bytes, and such a file at most {most}")


def _decoded(value: Any) -> Any:
    """What a text holds that is JSON."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(value, parse_constant=str)
    return value


def _shortened(value: Any) -> Any:
    """A value, or how many it holds where they are many."""
    if isinstance(value, (list, dict)) and len(json.dumps(value)) > _LONGEST:
        return f"{len(value)} entries"
    return value
