"""Labels of files by homographic adaptation, with their report."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..adaptation.labeller import Labeller
from ..adaptation.settings import AdaptationSettings
from ..adaptation.summary import BorderBin, LabelReport, summarise_labels
from ..core.errors import InputError
from ..core.files import AnyPath, remove_leftovers_of, target_of, write_text
from ..core.locks import locked
from ..core.outputs import check_own, check_writable
from ..core.plain import json_has, json_text
from ..core.shards import Shard
from ..core.types import Labels
from ..inference.extractor import Extractor
from ..io.finding import find_images
from ..io.grey import GreyImage
from ..io.labels import LABELS, read_labels
from ..io.masks import find_masks
from ..io.per_image import process_images
from ..io.unfinished import UnfinishedRecords, begun_with
from ..pictures.sheets import KIND, is_sheet, sheet_paths, write_sheets

LABELS_FILE = "labels.h5"
"""What the labels are called in a folder of shards, without the numbers."""


def adapt_images(
    paths: Sequence[AnyPath],
    out: AnyPath,
    extractor: Extractor,
    settings: AdaptationSettings | None = None,
    overlay: AnyPath | None = None,
    progress: bool = True,
    masks: AnyPath | None = None,
    append: bool = False,
    prune: bool = False,
    root: AnyPath | None = None,
    shard: Shard | None = None,
) -> LabelReport:
    """Label images, and all images in folders, by homographic adaptation (SuperPoint, section 5).

    An image that cannot be read keeps its earlier labels; without any it is listed in the file and left out; the log
    says so. A run that was stopped, even killed, goes on where it was when it is started again with the same arguments.
    An older `out` stays until the new one is complete. The report is also written beside the labels, as `out` with the
    suffix .json.

    Args:
        paths: Image files, folders, tar files of images; see `io.finding.find_images` for the keys under which labels
            are stored. Images in a tar file, see `io.tars`, are stored under KEY/NAME.
        out: The file to write; see `io.labels.FORMAT`.
        extractor: Its network finds the keypoints.
        settings: None stands for `AdaptationSettings()`.
        overlay: A folder for sheets of images with their labels, to look at; of images in tar files there are none.
        progress: Show a progress bar on the standard error.
        masks: A folder of masks, see `io.masks.find_masks`; those beside the images are taken in any case. Nothing is
            known of what they cover.
        append: Keep the labels of an older `out` that are of other images than these.
        prune: Drop them.
        root: The folder from which the keys are paths; None takes the deepest that holds everything asked for.
        shard: Label this share of the images alone, of tar files this share of the files, into the file
            `shard.path(out, "labels.h5")`, with a report and a folder of sheets of its own.

    Returns:
        What the labels look like.

    Raises:
        FileNotFoundError: A path does not exist.
        KeyboardInterrupt: The message says how to go on.
        OSError: A file cannot be written.
        InputError: There is no image, or not one that can be read; or a file, finished or not, of other weights,
            settings, versions or images is there, something else in the place of the report or a sheet, or another
            process is writing there; or a tar file is damaged.
    """
    out = Path(out)
    images = find_images(paths, skip=[overlay, masks], say_passed_over=True, root=root, tars=True)
    if shard is not None:
        out, images = shard.path(out, LABELS_FILE), {key: path for key, path in images.items() if shard.has(key)}
        overlay = None if overlay is None else Path(overlay, out.stem)
    report_path = _check_outputs(out, images, None if overlay is None else Path(overlay))
    labeller: Labeller
    seconds: list[float] = []

    def process(key: str, image: GreyImage) -> Labels:
        start = time.perf_counter()
        labels = labeller.label(image.grey, key, image.mask)
        seconds.append(time.perf_counter() - start)
        return labels

    of_images = find_masks(images, masks)
    with locked(out):
        remove_leftovers_of(target_of(out), target_of(report_path))
        labeller = Labeller(extractor, settings, begun_with(out, LABELS))
        unfinished = UnfinishedRecords(out, LABELS, labeller.provenance)
        done = process_images(
            images,
            unfinished,
            process,
            progress=progress,
            reading=extractor.reading,
            masks=of_images,
            append=append,
            prune=prune,
            is_share=shard is not None,
        )
        labels = read_labels(out)
        rate = len(seconds) / sum(seconds) if seconds else None
        report = dataclasses.replace(
            summarise_labels(labels, labeller.settings.longest_side, rate),
            **{name: getattr(done, name) for name in ("kept", "new", "changed", "dropped")},
            unread=len(done.unread),
        )
        write_text(report_path, json_text(report))
        if overlay is not None:
            write_sheets(labels, images, Path(overlay), extractor.reading)
    return report


def _check_outputs(out: Path, images: Mapping[str, Path], overlay: Path | None) -> Path:
    """Refuses to replace, by the report or a sheet, what is none; returns the path of the report."""
    report = out.with_suffix(".json")
    if report == out:
        raise InputError(f"the report would replace the labels {out}: choose another suffix than .json, such as .h5")
    check_own([report], "a report of labels", is_label_report)
    if overlay is not None:
        check_overlay(overlay, images)
    return report


def check_overlay(overlay: Path, images: Mapping[str, Path]) -> None:
    """Makes the folder of sheets of images, and refuses one in which they would replace something else.

    Raises:
        OSError: Nothing can be written there.
        InputError: A sheet would replace an image, or what is no sheet; it is named.
    """
    sheets = sheet_paths(overlay)
    searched = {os.path.abspath(image) for image in images.values()}
    taken = next((sheet for sheet in sheets if os.path.abspath(sheet) in searched), None)
    if taken is not None:
        raise InputError(f"a sheet would replace the image {taken}: choose another overlay folder")
    check_own(sheets, KIND, is_sheet)
    remove_leftovers_of(*sheets)
    check_writable(overlay)


def is_label_report(path: Path) -> bool:
    """Whether a file is the report that lies beside labels."""
    return json_has(path.read_bytes(), "points_percentiles", "empty_share", "border")


def read_label_report(labels: AnyPath, longest_side: int | None) -> LabelReport:
    """The report beside a file of labels; it is made, without the speed, where a stop came before it was written.

    Raises:
        OSError: A file cannot be read or written.
        InputError: A file is damaged; it is named.
    """
    path = Path(labels).with_suffix(".json")
    if not path.exists():
        report = summarise_labels(read_labels(labels), longest_side)
        write_text(path, json_text(report))
        return report
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        rings = tuple(BorderBin(**ring) for ring in values["border"])
        return LabelReport(**{**values, "border": rings, "warnings": tuple(values["warnings"])})
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged or no report of labels: {error}") from error
