"""What a folder of a fine-tuning was begun with, so that it is gone on with in the same way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from ...core.errors import InputError
from ...core.files import check_regular, write_text
from ...core.going_on import check_goes_on
from ...core.precision import Precision

RECORD_FILE = "finetune.json"

CHANGEABLE = frozenset({"rounds", "students", "workers"})
"""Settings with which a folder may be gone on with: they leave what was done as it is."""


def open_record(
    out: Path, settings: dict[str, Any], weights_hash: str, images: list[str], resolve: Callable[[], Precision]
) -> Precision:
    """Write the record of a folder, or check the one that is there.

    Args:
        out: The folder; it is made.
        settings: By name, as plain values, groups as dicts.
        weights_hash: Of the weights to start from.
        images: The keys of the images.
        resolve: Says which precision the settings stand for. It is asked once only: what `auto` stands for is measured,
            and could be something else the next time.

    Returns:
        The precision of the folder.

    Raises:
        OSError: The record cannot be read or written.
        InputError: The folder was begun with other settings, weights or images; the message says which.
    """
    path = out / RECORD_FILE
    record = {"settings": settings, "weights_hash": weights_hash, "images": images}
    if path.exists():
        check_regular(path)
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
            precision: Precision = old["precision"]
            if precision not in get_args(Precision):
                raise ValueError(f"precision {precision!r:.80}")
            _check_same(old, record, out)
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path} is damaged: {error!r:.200}") from error
    else:
        precision = resolve()
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**record, "precision": precision}, indent=1) + "\n"
    write_text(path, text)
    return precision


def _check_same(old: dict[str, Any], new: dict[str, Any], out: Path) -> None:
    advice = "go on with what it was begun with, or choose another folder"
    check_goes_on(f"{out} was begun", old["settings"], new["settings"], advice, changeable=CHANGEABLE)
    if old["weights_hash"] != new["weights_hash"]:
        raise InputError(f"{out} was begun with other weights of the name {new['settings']['weights']}: {advice}")
    before, now = set(old["images"]), set(new["images"])
    if before != now:
        example = f"{min(now - before)} is new" if now - before else f"{min(before - now)} is gone"
        count = f"{len(now - before)} are new, {len(before - now)} are gone"
        raise InputError(f"{out} was begun with other images: {count}, for instance {example}: {advice}")
