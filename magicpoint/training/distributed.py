"""Several processes that train one network, as `torchrun` starts them: torch's process group, and what they share."""

from __future__ import annotations

import contextlib
import datetime
import inspect
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed import distributed_c10d
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from ..core.errors import MachineError
from ..core.shards import process_rank
from .synchronised_norm import synchronise_batch_norm

Value = TypeVar("Value")

LONGEST_WAIT = datetime.timedelta(minutes=30)
"""For a process that is there and does not come, as for the first one's validation; that one has ended is known at
once."""

CENSUS_SECONDS = 5.0
"""For the processes that are left to say so, when one is gone."""


def rank_and_world_size() -> tuple[int, int]:
    """This process's number and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def launch() -> str | None:
    """What `torchrun` calls the job whose process this is, `--rdzv-id`; None without a name.

    Processes that it starts anew have the same, also those of machines that have come since.
    """
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return name if name not in ("", "none") else None


def is_restarted() -> bool:
    """Whether `torchrun` counts this start as a further one: after a process has ended, but not where machines came."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") not in ("", "0")


@dataclass(frozen=True)
class Processes:
    """The processes of a run, of which this is one.

    Args:
        rank: Its number; the first, 0, writes, validates and shows progress.
        count: How many there are.
        device: Where it computes.
        store: What they tell each other without a collective; None where there is one process.
    """

    rank: int
    count: int
    device: torch.device
    store: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0

    def from_first(self, make: Callable[[], Value]) -> Value:
        """What the first process makes, or the error that it raises, in all of them."""
        if self.count == 1:
            return make()
        told: list[Any] = [None, None]
        if self.is_first:
            try:
                told[0] = make()
            except Exception as error:
                told[1] = error
        distributed.broadcast_object_list(told, 0)
        if told[1] is not None:
            raise told[1]
        value: Value = told[0]
        return value

    def wrap(self, network: nn.Module, sync_batch_norm: bool, unused: bool = False) -> nn.Module:
        """The network as it is trained: all processes begin with the weights of the first and share each gradient.

        Args:
            network: Is changed where BatchNorm is to be synchronised.
            sync_batch_norm: Take BatchNorm's statistics over the images of all processes.
            unused: A step may leave parameters without a gradient.
        """
        if sync_batch_norm:
            network = synchronise_batch_norm(network)
        if self.count == 1:
            return network
        # Of BatchNorm's statistics those of the first process count, which writes them: nothing is sent in a step.
        return _data_parallel(network, find_unused_parameters=unused, gradient_as_bucket_view=True)

    def agree(self, losses: Mapping[str, float], stop: bool) -> tuple[dict[str, float], bool]:
        """The means of the losses over all processes, and whether one of them is to stop."""
        if self.count == 1:
            return dict(losses), stop
        kind = torch.float64 if self.device.type != "mps" else torch.float32
        told = torch.tensor([*losses.values(), float(stop)], dtype=kind, device=self.device)
        distributed.all_reduce(told)
        *sums, stops = told.tolist()
        return {name: value / self.count for name, value in zip(losses, sums, strict=True)}, stops > 0

    def explain(self, error: RuntimeError, step: int) -> RuntimeError:
        """The error to raise for one of a collective: which process has ended, where one has.

        Those that are left say so in the store; who does not within some seconds is gone.
        """
        if self.count == 1 or not _is_of_collective(error):
            return error
        gone = self._gone()
        named = " and ".join(map(str, gone)) or "another"
        return MachineError(
            f"process {named} (of 0 to {self.count - 1}) has ended or cannot be reached in step {step}: the last "
            f"checkpoint is whole, and --resume goes on from it, with any number of processes"
        )

    def _gone(self) -> list[int]:
        others = [rank for rank in range(self.count) if rank != self.rank]
        try:
            self.store.set(f"alive/{self.rank}", "")
            end = time.monotonic() + CENSUS_SECONDS
            while time.monotonic() < end:
                if self.store.check([f"alive/{rank}" for rank in others]):
                    return []
                time.sleep(0.1)
            return [rank for rank in others if not self.store.check([f"alive/{rank}"])]
        except RuntimeError:  # the store went with the first process or its machine
            return [0] if self.rank else []


def _data_parallel(network: nn.Module, **options: Any) -> nn.Module:
    """With buffers that are not sent in each step, by the name that this version of torch has for it."""
    names = inspect.signature(DistributedDataParallel.__init__).parameters
    name: str = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    options[name] = False
    return DistributedDataParallel(network, **options)


def _is_of_collective(error: RuntimeError) -> bool:
    words = str(error).lower()
    return isinstance(error, distributed.DistError) or any(word in words for word in ("gloo", "nccl", "by peer"))


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[Processes]:
    """The processes that `torchrun` started, joined for this block; without it this one alone.

    A group that the caller has made is taken as it is, and stays.

    Args:
        device: Where this process computes: gloo joins processors, nccl GPUs.

    Raises:
        MachineError: The others do not come.
    """
    rank, count = process_rank()
    if distributed.is_available() and distributed.is_initialized():
        yield Processes(*rank_and_world_size(), device, distributed_c10d._get_default_store())
        return
    if count == 1:
        yield Processes(0, 1, device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        shared, *_ = next(rendezvous("env://", rank, count, timeout=LONGEST_WAIT))
        store = distributed_c10d.PrefixStore(_meet(shared, rank, count), shared)
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=LONGEST_WAIT)
    except (RuntimeError, ValueError) as error:
        raise MachineError(f"the {count} processes could not be joined: {error}") from error
    try:
        yield Processes(rank, count, device, store)
        distributed.barrier()  # so that nobody takes its connections down while another still uses them
    finally:
        distributed.destroy_process_group()


def _meet(store: Any, rank: int, count: int) -> str:
    """A name that the processes of this start have in common.

    `torchrun` keeps its store when it starts them anew, on each machine with a count of its own, and what those before
    left there, addresses above all, would be taken for that of the new ones.
    """
    own = uuid.uuid4().hex
    store.set(f"met/{rank}", own)
    while True:
        if rank == 0:
            store.set("met", ",".join(store.get(f"met/{each}").decode() for each in range(count)))
        names = store.get("met").decode().split(",")
        if len(names) == count and names[rank] == own:
            start = uuid.uuid5(uuid.NAMESPACE_OID, ",".join(names)).hex
            store.set(f"{start}/{rank}", "")
            if store.check([f"{start}/{each}" for each in range(count)]):
                return start
        time.sleep(0.05)


def over_all(mean: Tensor, weight: Tensor | int) -> Tensor:
    """What this process contributes to a mean over the samples of all of them.

    The mean of what they all contribute, which `DistributedDataParallel` takes of their gradients, is the mean over all
    samples, however unequal the shares are.

    Args:
        mean: Over the samples of this process, a scalar.
        weight: Their number.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return mean
    own = torch.as_tensor(weight, device=mean.device).detach().to(mean.dtype)
    total = own.clone()
    distributed.all_reduce(total)
    return mean * (own * distributed.get_world_size() / total.clamp(min=1))


def in_any(holds: bool, device: torch.device) -> bool:
    """Whether something holds in one of the processes, which all have to ask.

    Args:
        holds: Whether it does in this one.
        device: Where it computes.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return holds
    told = torch.tensor(int(holds), device=device)
    distributed.all_reduce(told, distributed.ReduceOp.MAX)
    return bool(told)
