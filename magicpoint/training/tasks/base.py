"""What every task is, beside its settings: the loop knows no more of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...core.errors import MagicpointError
from ...core.precision import Precision
from ...model.named import NamedNetwork
from .settings import TaskSettings
from .start import start_from

Network = TypeVar("Network", bound=NamedNetwork)
Item = TypeVar("Item")
Batch = TypeVar("Batch")


class TrainingError(MagicpointError, RuntimeError):
    """The run cannot go on: the loss is not a number, the detector is dead, or the descriptors have collapsed."""


class RunSettings(Protocol):
    """What a task is told of the run that it is opened for; `TrainSettings` has more."""

    @property
    def seed(self) -> int: ...

    @property
    def steps(self) -> int: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def precision(self) -> Precision: ...


class Task(ABC, Generic[Network, Item, Batch]):
    """What a run learns: its data, its network, its losses, and how it judges itself."""

    digest: str
    """Tells one set of data from another."""

    leaves_unused: ClassVar[bool] = False
    """Whether a step may leave parameters of the network without a gradient, which several processes have to know."""

    def is_of(self, digest: str) -> bool:
        """Whether a digest is that of the data; earlier versions may have taken another of them."""
        return digest == self.digest

    @abstractmethod
    def build_network(self) -> Network:
        """A new network; its weights are drawn from torch's global generator, which the run has seeded."""

    def start(self, network: Network, weights: str) -> str:
        """Lets a new network begin from weights, a file, a run's folder or a shipped name; returns their hash.

        Raises:
            InputError: There are no such weights, or they do not fit.
        """
        return start_from(network, weights)

    @abstractmethod
    def batches(self, rank: int, world_size: int) -> Dataset[Item]:
        """Item `step` is what process `rank` of `world_size` gets for that step; sent between processes."""

    @abstractmethod
    def to_device(self, item: Item, device: torch.device) -> Batch:
        """An item of the batches, ready for the losses."""

    @abstractmethod
    def losses(self, network: Network, batch: Batch, step: int) -> dict[str, Tensor]:
        """Scalars for the log by name; `loss` is minimised."""

    @abstractmethod
    def check(self, means: Mapping[str, float], step: int) -> None:
        """Raises a `TrainingError` when the means of the losses up to a step show that the run is lost."""

    @abstractmethod
    def measure(self, network: Network, device: torch.device) -> dict[str, float]:
        """The validation: figures by name. The network is left in the mode in which it was."""

    @abstractmethod
    def check_measures(self, measures: Mapping[str, float], step: int) -> None:
        """Raises a `TrainingError` when the validation after a step shows that the run is lost."""

    @abstractmethod
    def score(self, measures: Mapping[str, float]) -> float:
        """By which of the measures the best weights are told; larger is better."""


def open_task(settings: TaskSettings, run: RunSettings) -> Task[Any, Any, Any]:
    """The task with these settings, found by its name, since settings load no torch.

    Raises:
        OSError: Its data cannot be read.
        InputError: They are unusable.
    """
    task: Task[Any, Any, Any] = resolve_name(settings.implementation)(settings, run)
    return task
