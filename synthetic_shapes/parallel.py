"""Chunks of work over processes, in order, with a progress bar."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import cv2
from tqdm import tqdm

from .errors import DatasetError

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

CHUNK_SIZE = 32
"""Samples of one chunk: about a tenth of a second of work, so that an interrupt is answered as fast."""

_MOST_WORKERS = 61
"""Windows cannot wait for more processes at once."""


def run_chunks(
    function: Callable[[Chunk], list[Result]],
    chunks: Sequence[Chunk],
    workers: int | None = None,
    progress: int | None = None,
) -> list[Result]:
    """Applies a picklable function to every chunk and joins the lists that it returns, in the order of the chunks.

    Args:
        function: Is called in a process of its own, or in this one where one worker is enough.
        chunks: Its arguments.
        workers: Processes; None takes one per core that this process may use. Never more than there are chunks.
        progress: Length of the results in all, for a progress bar on the standard error; None shows none.

    Raises:
        DatasetError: `workers` is less than 1.
        RuntimeError: A worker was killed from outside.
        BaseException: Whatever the function raises, and KeyboardInterrupt; chunks that have begun are finished first,
            the others are dropped.
    """
    if workers is not None and workers < 1:
        raise DatasetError(f"workers must be at least 1, got {workers}")
    workers = min(workers or _usable_cores(), len(chunks))
    with tqdm(total=progress, unit="image", disable=progress is None) as bar:
        if workers <= 1:
            results = []
            for chunk in chunks:
                results.append(function(chunk))
                bar.update(len(results[-1]))
        else:
            results = _run_in_processes(function, chunks, workers, bar.update)
    return [result for part in results for result in part]


def _run_in_processes(
    function: Callable[[Chunk], list[Result]], chunks: Sequence[Chunk], workers: int, advance: Callable[[int], object]
) -> list[list[Result]]:
    # Spawned, not forked: the same on every system, and safe beside the caller's threads.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    results: list[list[Result]] = [[] for _ in chunks]
    waiting = iter(enumerate(chunks))
    running: dict[Future[list[Result]], int] = {}
    try:
        with _interrupts_deferred():
            for number, chunk in islice(waiting, 2 * workers):
                running[pool.submit(function, chunk)] = number
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                finished = running.pop(future)
                results[finished] = future.result()
                advance(len(results[finished]))
                for number, chunk in islice(waiting, 1):
                    running[pool.submit(function, chunk)] = number
        return results
    except BrokenProcessPool as error:
        raise DatasetError(
            "a worker process ended unexpectedly (see its message above): short of memory, or the calling script lacks "
            "'if __name__ == \"__main__\":' around the call"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Ctrl-C reaches the workers too: those started in here inherit that it is blocked (on POSIX)."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _usable_cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST_WORKERS)
