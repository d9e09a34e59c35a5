"""Errors that say that memory is used up, and blocks that are used again."""

from __future__ import annotations

import functools


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it is one of Python, NumPy, torch or OpenCV, which have names of their own for it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error)
    return type(error).__name__ in ("RuntimeError", "error") and (
        "not enough memory" in text or "can't allocate memory" in text or "Insufficient memory" in text
    )


_LARGEST_KEPT = 2**25 - 2**13
"""Bytes of a block, with room for its header, that glibc takes for one of 32 MB: the most that it adapts to."""


@functools.cache
def reuse_freed_blocks() -> None:
    """Lets glibc use freed blocks of up to 32 MB again, and keep 64 MB for that; elsewhere nothing happens.

    glibc adapts to the largest block that a process has freed: smaller ones it no longer asks of the system each time,
    and of what is free at the end of its memory it keeps twice as much (mallopt(3), M_MMAP_THRESHOLD). This frees one,
    in which nothing was ever written. Whoever wants no such adaptation sets `MALLOC_TRIM_THRESHOLD_=131072`.
    """
    import numpy as np  # here, so that a help text need not wait for it

    np.empty(_LARGEST_KEPT, np.uint8)
