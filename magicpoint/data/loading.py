"""Batches prepared ahead by other processes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import signal
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, cast

import cv2
import torch
from torch.utils.data import Dataset

from ..core.errors import MachineError
from .batches import Item

PREPARED = 4
"""So many batches a process has ready beside the one that it works at."""


class Parts(Dataset[Item]):
    """The batches of several datasets by turns: item n is of dataset n % count, of step n // count."""

    def __init__(self, datasets: Sequence[Dataset[Item]]) -> None:
        self._datasets = datasets

    def __getitem__(self, number: int) -> Item:
        step, part = divmod(number, len(self._datasets))
        return self._datasets[part][step]


@contextmanager
def prepared_batches(batches: Dataset[Item], start: int, stop: int, workers: int) -> Iterator[Iterator[Item]]:
    """The batches of steps `start` to `stop`, in order, prepared ahead by `workers` processes (0: this one).

    What goes wrong with a batch is raised when its turn comes, with the traceback of its process as a note. Whatever
    happens, the processes are gone at the end of the block; where this process is killed, they end within a batch.

    The processes are spawned, not forked: a fork beside the threads of torch can hang. Batches come through pipes, so
    that neither a full shared-memory file system nor a lock of a killed process is in the way.

    Raises:
        MachineError: A process ended in the midst of its work, as for want of memory.
    """
    if not workers:
        yield (batches[step] for step in range(start, stop))
        return
    content = pickle.dumps(batches)
    with ExitStack() as running:
        with _signals_deferred():
            started = [
                running.enter_context(_worker(content, range(start + first, stop, workers)))
                for first in range(min(workers, stop - start))
            ]
        yield (cast(Item, _receive(*started[(step - start) % workers])) for step in range(start, stop))


@contextmanager
def _worker(batches: bytes, steps: range) -> Iterator[tuple[Connection, BaseProcess]]:
    context = multiprocessing.get_context("spawn")
    received, sent = context.Pipe(duplex=False)
    process = context.Process(target=_prepare, args=(batches, steps, sent), daemon=True)
    try:
        process.start()
        sent.close()
        yield received, process
    finally:
        received.close()
        if process.pid is not None:
            process.kill()  # it writes nothing, so nothing can be cut in half
            process.join()


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """Ctrl-C reaches the other processes, too: those started in here begin with it blocked (on POSIX)."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _receive(received: Connection, process: BaseProcess) -> Any:
    """The next batch of a process."""
    try:
        item, error = pickle.loads(received.recv_bytes())
    except EOFError:
        process.join()
        raise MachineError(
            f"a process that prepares batches ended with status {process.exitcode} (see its message above, if there is "
            "one): short of memory, or the calling script lacks 'if __name__ == \"__main__\":' around the call"
        ) from None
    if error is not None:
        raise error
    return item


def _prepare(batches: bytes, steps: range, sent: Connection) -> None:
    """What a process does: it makes the batches, and a thread of it sends those that are ready."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they are for the training process, which stops this one
    # One thread, since the network needs the cores.
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    ready: queue.Queue[bytes | None] = queue.Queue(PREPARED)
    sender = threading.Thread(target=_send, args=(ready, sent))
    sender.start()
    try:
        made: Dataset[Any] = pickle.loads(batches)
        for step in steps:
            ready.put(pickle.dumps((made[step], None)))
    except Exception as error:
        ready.put(_pickled_error(error))
    ready.put(None)
    sender.join()


def _send(ready: queue.Queue[bytes | None], sent: Connection) -> None:
    try:
        while (content := ready.get()) is not None:
            sent.send_bytes(content)
    except OSError:
        os._exit(1)  # the training process is gone, so that nobody takes what the other thread makes


def _pickled_error(error: Exception) -> bytes:
    """An error with its traceback as a note; one that cannot be sent is told in words."""
    told = traceback.format_exc()
    error.add_note(f"in a process that prepares batches:\n{told}")
    try:
        content = pickle.dumps((None, error))
        pickle.loads(content)
    except Exception:
        return pickle.dumps((None, RuntimeError(told)))
    return content
