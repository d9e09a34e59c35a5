"""What a training run learns: a file for each task."""

from __future__ import annotations

from ..settings import TrainSettings
from .base import Task
from .magicpoint import DetectorTask
from .superpoint import JointTask


def open_task(settings: TrainSettings) -> Task:
    """The task that the settings name."""
    return DetectorTask(settings) if settings.task == "magicpoint" else JointTask(settings)
