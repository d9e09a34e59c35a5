"""From a folder of images to a SuperPoint of their own: label, train, evaluate, report, and go on after a stop."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import yaml

from ...adaptation.summary import LabelReport, format_labels
from ...core.errors import InputError
from ...core.files import AnyPath, remove_leftovers, write_atomically, write_folder, write_text
from ...core.locks import locked_folder
from ...core.machine import default_device, resolve_precision
from ...core.plain import as_plain
from ...core.precision import Precision
from ...data.hpatches_writer import write_view_pairs
from ...data.labelled_images import LabelledImages
from ...evaluation.pairs.json_file import PAIRS_JSON, read_pairs_evaluation
from ...evaluation.pairs.results import PairsEvaluation
from ...inference.extractor import Extractor
from ...io.finding import find_images
from ...io.labels import read_labels
from ...model.settings import DESCRIPTOR_DIM, ModelSettings
from ...model.weights import BEST_WEIGHTS, load_weights, resolve, weights_hash
from ...pictures.sheets import write_sheets
from ...training.loop import train_model
from ...training.run import LAST_WEIGHTS, SETTINGS_FILE
from ...training.settings import LONGEST_WARMUP, TrainSettings
from ...training.tasks.settings import DistilSettings, SuperPointSettings, ViewLossSettings
from ..adapt import adapt_images, read_label_report
from ..evaluate import evaluate_pairs
from ..train import TrainResult, read_training
from .record import RECORD_FILE, open_record
from .report import REPORT_TITLE, format_finetuning
from .result import FinetuneResult, RoundResult, StudentResult, student_name
from .settings import FinetuneSettings

REPORT_FILE = "report.md"
OWN_FILES = (BEST_WEIGHTS, REPORT_FILE, RECORD_FILE, SETTINGS_FILE)

METHODS = ("sift", "orb", "harris", "random")
PROTOCOLS = ("paper-repeatability", "paper-homography")

MOST_SCENES = 20
"""Held-out images that become pairs: with two sequences of six images each they evaluate in some minutes."""

USABLE_EMPTY_SHARE = 0.5
"""Labels of which more images are empty than this teach a detector to find nothing."""

_LOG = logging.getLogger(__name__)


def finetune_images(
    images: Sequence[AnyPath],
    out: AnyPath,
    settings: FinetuneSettings | None = None,
    device: torch.device | None = None,
    progress: bool = True,
) -> FinetuneResult:
    """Train a SuperPoint on images without labels, measure it beside what it began with and beside classical methods.

    For each round k the folder `out` gets `labels_k.h5` with `labels_k.json` (`jobs.adapt.adapt_images`),
    `sheets_k` (pictures of the labels) and `round_k` (`training.loop.train_model`); then, of the last round k,
    `round_k_width_w` for each student and `best.safetensors`, the round's best weights; `pairs` (views of images that
    nothing was trained on, see `data.hpatches_writer.write_view_pairs`), `evaluation` (`jobs.evaluate.evaluate_pairs`)
    and `report.md`. What is complete is passed over and what was stopped, even killed, goes on when the function is
    called again with the same arguments; with more `rounds` or `students` it goes on from what is there.

    Args:
        images: Image files and folders; at least two images.
        out: The folder to write; not inside a folder of the images.
        settings: None stands for `FinetuneSettings()`.
        device: Where to compute; None takes CUDA where there is one.
        progress: Show progress bars on the standard error.

    Raises:
        FileNotFoundError: An image path does not exist.
        KeyboardInterrupt: The message says how to go on.
        OSError: A file cannot be read or written.
        InputError: There are fewer than two images, the labels are unusable, or `out` was begun with other settings,
            images or weights; the message says which.
        TrainingError: See `training.loop.train_model`.
    """
    run = _Finetuning([Path(os.path.abspath(path)) for path in images], Path(out), settings, device, progress)
    run.check_images()
    with locked_folder(out):
        run.open()
        try:
            return run.go_through()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"interrupted; the same command goes on with {out}") from None


class _Finetuning:
    """The stages, and the folder in which they are."""

    def __init__(
        self,
        images: Sequence[Path],
        out: Path,
        settings: FinetuneSettings | None,
        device: torch.device | None,
        progress: bool,
    ) -> None:
        self.images, self.out, self.settings = images, out, settings or FinetuneSettings()
        self.device, self.progress = device or default_device(), progress
        self.start = resolve(self.settings.weights).path
        self.precision: Precision = "auto"

    def check_images(self) -> None:
        """Refuses images that are too few, or around the folder."""
        found = find_images(self.images)
        if len(found) < 2:
            raise InputError(f"{next(iter(found))} is one image: two are needed, one to train on and one to judge")
        inner = Path(os.path.abspath(self.out))
        around = [path for path in self.images if path.is_dir() and inner.is_relative_to(path)]
        if around:
            raise InputError(f"{self.out} is inside {around[0]}, whose images are wanted: choose a folder outside")

    def open(self) -> None:
        """Starts the folder, or checks that it is of the same images, weights and settings, and of nothing else."""
        self._check_own()
        found = find_images(self.images)
        start = load_weights(self.start)[0]
        start_hash, width = weights_hash(start.state_dict()), self.settings.width
        if width is not None and width < start.settings.width:
            raise InputError(f"width must be at least that of the weights, {start.settings.width:g}, got {width:g}")
        self.precision = open_record(
            self.out,
            as_plain(self.settings),
            start_hash,
            list(found),
            lambda: resolve_precision(self.settings.precision, self.device),
        )
        remove_leftovers(self.out, OWN_FILES)
        write_text(self.out / SETTINGS_FILE, yaml.safe_dump(as_plain(self.settings), sort_keys=False))

    def _check_own(self) -> None:
        """Refuses a folder that holds something and no record, and what a stage has not made where it will write."""
        # Hidden are the lock, what a killed process left, and what a file manager keeps.
        there = sorted(path for path in self.out.iterdir() if not path.name.startswith("."))
        if there and not (self.out / RECORD_FILE).exists():
            raise InputError(f"{self.out} holds {there[0].name}, but no {RECORD_FILE}: choose another folder")
        best, report = self.out / BEST_WEIGHTS, self.out / REPORT_FILE
        if best.exists() and not any(_same(best, made) for made in self.out.glob(f"round_*/{BEST_WEIGHTS}")):
            raise InputError(f"{best} is of none of the rounds: it is not replaced, move it away")
        if report.exists() and not report.read_bytes().startswith(REPORT_TITLE.encode()):
            raise InputError(f"{report} is no report of a fine-tuning: it is not replaced, move it away")

    def go_through(self) -> FinetuneResult:
        """All stages, and the report."""
        rounds, start = [], self.start
        for number in range(1, self.settings.rounds + 1):
            labels = self.label(number, start)
            training = self.train(number, start)
            start = training.weights
            rounds.append(RoundResult(number, labels, training))
        students = tuple(StudentResult(width, self.teach(width)) for width in self.settings.students)
        self._keep_best(start)
        self.make_pairs()
        evaluation = self.evaluate()
        images, named = tuple(self.images), self.settings.weights
        report, weights = self.out / REPORT_FILE, self.out / BEST_WEIGHTS
        result = FinetuneResult(report, weights, images, named, tuple(rounds), students, evaluation)
        write_text(report, format_finetuning(result))
        return result

    def label(self, number: int, weights: Path) -> LabelReport:
        """Labels the images, unless they are; refuses labels that nothing can be learnt from."""
        labels, sheets = self.out / f"labels_{number}.h5", self.out / f"sheets_{number}"
        settings = self.settings.adaptation
        if not labels.exists():
            self._say(labels, f"labels by {weights}, from {settings.count} views of each image")
            extractor = Extractor.load(weights, device=self.device, reading=self.settings.reading)
            report = adapt_images(self.images, labels, extractor, settings, progress=self.progress)
            self._say(labels, format_labels(report))
        else:
            report = read_label_report(labels, settings.longest_side)
            self._say(labels, "complete", *(f"WARNING: {warning}" for warning in report.warnings))
        if not sheets.exists():
            self._say(sheets, "pictures of the labels, to look at")
            found = find_images(self.images)
            write_folder(sheets, lambda folder: write_sheets(read_labels(labels), found, folder, self.settings.reading))
        self._check_labels(number, report)
        return report

    def _check_labels(self, number: int, report: LabelReport) -> None:
        labels = self.out / f"labels_{number}.h5"
        if report.images < 2:
            raise InputError(f"{labels} labels {report.images} image: two are needed, one to train on and one to judge")
        if report.empty_share > USABLE_EMPTY_SHARE:
            raise InputError(
                f"nothing can be learnt from {labels}: {report.empty_share:.0%} of {report.images} images have no "
                f"point. Look at {self.out / f'sheets_{number}'}, then take a lower adaptation.threshold or other "
                "weights, and another folder"
            )
        if number > 1 and list(read_labels(labels)) != list(read_labels(self.out / "labels_1.h5")):
            raise InputError(f"{labels} and labels_1.h5 are not of the same images: were some changed in between?")

    def train(self, number: int, start: Path) -> TrainResult:
        """Trains on the labels of a round, unless that is done."""
        labels = Path(os.path.abspath(self.out / f"labels_{number}.h5"))

        def task() -> SuperPointSettings:
            model = self._form(load_weights(start)[0].settings)
            return SuperPointSettings(
                images=tuple(self.images), labels=labels, model=model, **vars(self.settings.joint)
            )

        return self._run(self.out / f"round_{number}", task, start)

    def teach(self, width: float) -> TrainResult:
        """Trains a smaller network on what the last round's finds, unless that is done.

        It sees the images that were labelled, of which the same ones are held out.
        """
        teacher = self.out / f"round_{self.settings.rounds}" / BEST_WEIGHTS

        def task() -> DistilSettings:
            labels, found = read_labels(self.out / "labels_1.h5"), find_images(self.images)
            images = tuple(path for key, path in found.items() if key in labels)
            model = dataclasses.replace(self._form(load_weights(teacher)[0].settings), width=width)
            joint = self.settings.joint
            shared = {field.name: getattr(joint, field.name) for field in dataclasses.fields(ViewLossSettings)}
            return DistilSettings(images=images, teacher=os.path.abspath(teacher), model=model, **shared)

        return self._run(self._student(width), task, None)

    def _student(self, width: float) -> Path:
        return self.out / f"round_{self.settings.rounds}_width_{width:g}"

    def _run(
        self, folder: Path, task: Callable[[], SuperPointSettings | DistilSettings], start: Path | None
    ) -> TrainResult:
        """Trains what is to be learnt, which is asked for only where the folder is not complete."""
        if _is_trained(folder, self.settings.steps):
            self._say(folder, "complete")
            return read_training(folder)
        begun = f"from {start}" if start is not None else "from nothing"
        self._say(folder, f"training {begun}, {self.settings.steps} steps of {self.settings.batch_size} pairs")
        settings = TrainSettings(
            task=task(),
            start=None if start is None else os.path.abspath(start),
            seed=self.settings.seed,
            steps=self.settings.steps,
            batch_size=self.settings.batch_size,
            learning_rate=self.settings.learning_rate,
            warmup_steps=min(LONGEST_WARMUP, self.settings.steps // 10),
            precision=self.precision,
            workers=self.settings.workers,
        )
        train_model(folder, settings, resume=True, device=self.device, progress=self.progress)
        return read_training(folder)

    def _form(self, start: ModelSettings) -> ModelSettings:
        """The form of the network that training begins with, of that of its weights."""
        return dataclasses.replace(
            start,
            width=self.settings.width or start.width,
            descriptor_dim=start.descriptor_dim or DESCRIPTOR_DIM,
            descriptor_sampling="centres",  # what is trained learns its descriptors where they are
        )

    def make_pairs(self) -> None:
        """Writes pairs of views of images that were held out from training, unless they are there."""
        pairs = self.out / "pairs"
        if pairs.exists():
            self._say(pairs, "complete")
            return
        dataset = LabelledImages(self.images, self.out / "labels_1.h5")
        held_out = dataset.split()[1]
        chosen = held_out[:: math.ceil(len(held_out) / MOST_SCENES)]
        self._say(pairs, f"pairs of views of {len(chosen)} images that were not trained on")
        scenes = {f"{index:06d}": dataset[index].image for index in chosen}
        write_folder(pairs, lambda folder: write_view_pairs(scenes, folder, self.settings.seed))

    def evaluate(self) -> PairsEvaluation:
        """Measures the networks and other methods on the pairs, unless these networks were."""
        weights = {"start": self.start}
        weights |= {f"round {k}": self.out / f"round_{k}" / BEST_WEIGHTS for k in range(1, self.settings.rounds + 1)}
        weights |= {student_name(width): self._student(width) / BEST_WEIGHTS for width in self.settings.students}
        networks = {name: Extractor.load(path, device=self.device) for name, path in weights.items()}
        out = self.out / "evaluation"
        if (out / PAIRS_JSON).exists():
            earlier = read_pairs_evaluation(out / PAIRS_JSON)
            hashes = {name: of["weights_hash"] for name, of in earlier.methods.items() if "weights_hash" in of}
            if hashes == {name: extractor.provenance["weights_hash"] for name, extractor in networks.items()}:
                self._say(out, "complete")
                return earlier
        self._say(out, f"{', '.join(networks)} beside {', '.join(METHODS)}")
        return evaluate_pairs(self.out / "pairs", out, networks, METHODS, PROTOCOLS, self.progress)

    def _keep_best(self, weights: Path) -> None:
        content, best = weights.read_bytes(), self.out / BEST_WEIGHTS
        if not best.exists() or best.read_bytes() != content:
            write_atomically(best, lambda temporary: temporary.write_bytes(content))

    def _say(self, stage: Path, *lines: str) -> None:
        _LOG.info("%s: %s", stage, "\n".join(lines))


def _is_trained(folder: Path, steps: int) -> bool:
    """Whether a run has taken all its steps; its last weights are written after its best."""
    last = folder / LAST_WEIGHTS
    return last.exists() and load_weights(last)[1].get("steps") == steps


def _same(first: Path, second: Path) -> bool:
    return first.stat().st_size == second.stat().st_size and first.read_bytes() == second.read_bytes()
