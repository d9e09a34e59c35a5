"""What `mkdocs build` checks beside links: a page fetches nothing from elsewhere, so nobody else sees who reads."""

from __future__ import annotations

import logging
import re
from typing import Any

LOG = logging.getLogger("mkdocs.hooks.privacy")
"""A warning here fails a strict build."""

_FETCHED = re.compile(r"<(?:script|link|img|iframe|source|video)\b[^>]*\b(?:src|href)=[\"'](?:https?:)?//[^\"']+")


def on_post_page(output: str, page: Any, config: Any) -> str:
    for element in _FETCHED.findall(output):
        LOG.warning("%s fetches from elsewhere: %s", page.file.src_uri, element)
    return output
