"""Labels of files by homographic adaptation, with their report."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..adaptation.labeller import Labeller
from ..adaptation.settings import AdaptationSettings
from ..adaptation.summary import BorderBin, LabelReport, summarise_labels
from ..core.errors import InputError
from ..core.files import AnyPath, write_text
from ..core.plain import json_text
from ..core.types import Labels
from ..inference.extractor import Extractor
from ..io.finding import find_images
from ..io.grey import GreyImage
from ..io.labels import LABELS, read_labels
from ..io.masks import find_masks
from ..io.per_image import process_images
from ..io.unfinished import UnfinishedRecords
from ..pictures.sheets import write_sheets


def adapt_images(
    paths: Sequence[AnyPath],
    out: AnyPath,
    extractor: Extractor,
    settings: AdaptationSettings | None = None,
    overlay: AnyPath | None = None,
    progress: bool = True,
    masks: AnyPath | None = None,
) -> LabelReport:
    """Label images, and all images in folders, by homographic adaptation (SuperPoint, section 5).

    An image that cannot be read is reported in the log, listed in the file and left out. A run that was
    stopped, even killed, goes on where it was when it is started again with the same arguments. An older `out` stays
    until the new one is complete. The report is also written beside the labels, as `out` with the suffix .json.

    Args:
        paths: Image files and folders; see `io.finding.find_images` for the keys under which labels are stored.
        out: The file to write; see `io.labels.FORMAT`.
        extractor: Its network finds the keypoints.
        settings: None stands for `AdaptationSettings()`.
        overlay: A folder for sheets of images with their labels, to look at.
        progress: Show a progress bar on the standard error.
        masks: A folder of masks, see `io.masks.find_masks`; those beside the images are taken in any case. Nothing is
            known of what they cover.

    Returns:
        What the labels look like.

    Raises:
        FileNotFoundError: A path does not exist.
        KeyboardInterrupt: The message says how to go on.
        OSError: A file cannot be written.
        InputError: There is no image, or not one that can be read; or a file, finished or not, of other weights,
            settings, versions or images is there.
    """
    out = Path(out)
    images = find_images(paths, skip=[overlay, masks], say_passed_over=True)
    labeller = Labeller(extractor, settings)
    unfinished = UnfinishedRecords(out, LABELS, labeller.provenance)
    seconds: list[float] = []

    def process(key: str, image: GreyImage) -> Labels:
        start = time.perf_counter()
        labels = labeller.label(image.grey, key, image.mask)
        seconds.append(time.perf_counter() - start)
        return labels

    of_images = find_masks(images, masks)
    process_images(images, unfinished, process, progress=progress, reading=extractor.reading, masks=of_images)
    labels = read_labels(out)
    rate = len(seconds) / sum(seconds) if seconds else None
    report = summarise_labels(labels, labeller.settings.longest_side, rate)
    write_text(out.with_suffix(".json"), json_text(report))
    if overlay is not None:
        write_sheets(labels, images, Path(overlay), extractor.reading)
    return report


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
