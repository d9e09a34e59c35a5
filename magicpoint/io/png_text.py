"""What a picture says of itself: who drew it, and what it shows.

So a picture that was drawn before can be told from an image of somebody else, which nothing may replace.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from synthetic_shapes.png import PNG_SIGNATURE

_HEADER_END = len(PNG_SIGNATURE) + 25  # after the chunk IHDR, whose length is fixed (PNG, 11.2.1)
_SOFTWARE = b"Software\0magicpoint"
_TITLE = b"Title\0"


def with_title(png: bytes, title: str) -> bytes:
    """The PNG file with two texts more: that this program wrote it, and a title (ASCII)."""
    texts = _chunk(_SOFTWARE) + _chunk(_TITLE + title.encode("ascii"))
    return png[:_HEADER_END] + texts + png[_HEADER_END:]


def title_of(path: Path) -> str | None:
    """The title of a picture that `with_title` gave; None for every other file."""
    with open(path, "rb") as file:
        start = file.read(_HEADER_END + 1024)
    software = _chunk(_SOFTWARE)
    text = _HEADER_END + len(software)
    if not start.startswith(PNG_SIGNATURE) or start[_HEADER_END:text] != software:
        return None
    length = int.from_bytes(start[text : text + 4])
    chunk = start[text : text + length + 12]
    content = chunk[8:-4]
    if not content.startswith(_TITLE) or chunk != _chunk(content):
        return None
    return content.removeprefix(_TITLE).decode("ascii", "replace")


def _chunk(text: bytes) -> bytes:
    """Of the kind tEXt (PNG, 5.3 and 11.3.3.2)."""
    content = b"tEXt" + text
    return struct.pack(">I", len(text)) + content + struct.pack(">I", zlib.crc32(content))
