"""What every network has that a weights file can hold."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from torch import nn


class NamedNetwork(nn.Module):
    """A network that its settings make, and whose architecture a weights file names.

    Another architecture is a subclass with a name of its own. Its settings are its only argument, a frozen dataclass of
    numbers, strings, truth values, None and tuples of them.
    """

    architecture: ClassVar[str]
    """What a weights file calls it; once there are such files, the name stays."""

    settings_type: ClassVar[type[Any]]

    def __init__(self, settings: Any) -> None:
        super().__init__()
        self.settings = settings

    @classmethod
    def empty(cls, settings: Any) -> Self:
        """A network on the CPU whose weights are still to be filled in: any numbers.

        Reading weights leaves torch's global random state as it is. Torch's device meta would draw no numbers, and take
        a second to be loaded.
        """
        with torch.random.fork_rng(devices=[]):
            return cls(settings)
