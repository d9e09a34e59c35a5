"""Images side by side, each by a thread that computes alone, where the parts of one image would wait for each other.

A layer that several threads share ends when the last of them does. Where other work goes on beside the network, such as
reading files or drawing frames, one of them always is late: on two cores a film takes 1.3 times as long as with two
frames at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 8
"""So many images at most are in the making at a time: each has activations of its own in memory."""


def workers_on(device: torch.device, backend: str) -> int:
    """How many images to work on at a time: one on a GPU or for an engine that has its own threads, else one a core."""
    return min(MOST, torch.get_num_threads()) if device.type == "cpu" and backend == "torch" else 1


def side_by_side(
    items: Iterable[Item], function: Callable[[Item], Result], workers: int
) -> Generator[tuple[Item, Future[Result]], None, None]:
    """The items in their order, each with what the function makes of it, on which up to so many threads work.

    Items are drawn in the thread that goes through the result, a few ahead of it. When that is closed, what was begun
    is ended and what was not is left. With one worker torch keeps its threads, several share them out.

    Args:
        items: They are drawn one after the other.
        function: Is called by several threads at a time.
        workers: Number of threads.
    """
    threads = torch.get_num_threads()

    def share_threads() -> None:
        if workers > 1:
            torch.set_num_threads(max(1, threads // workers))

    pool = ThreadPoolExecutor(workers, "side_by_side", share_threads)
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    failure: Exception | None = None
    drawn = iter(items)
    try:
        while True:
            try:
                item = next(drawn)
            except StopIteration:
                break
            except Exception as error:
                failure = error
                break
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > workers:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(cancel_futures=True)
        if workers > 1:
            torch.set_num_threads(threads)  # threads that come after these take what was set last
