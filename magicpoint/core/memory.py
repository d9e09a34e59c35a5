"""Errors that say that memory is used up."""

from __future__ import annotations


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it is one of Python, NumPy, torch or OpenCV, which have names of their own for it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error)
    return type(error).__name__ in ("RuntimeError", "error") and (
        "not enough memory" in text or "can't allocate memory" in text or "Insufficient memory" in text
    )
