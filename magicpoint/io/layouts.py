"""Whose groups and datasets a file of features or of matches has."""

from __future__ import annotations

from typing import Literal

FileLayout = Literal["magicpoint", "hloc"]
