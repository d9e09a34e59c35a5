"""What `torch.hub.load` finds here: `torch.hub.load("OWNER/magicpoint", "superpoint_small", max_keypoints=1000)`.

The weights lie in the repository itself; nothing else is downloaded.
"""

from typing import Any

from magicpoint import DecodeSettings, Extractor

dependencies = ["cv2", "h5py", "lazy_loader", "numpy", "safetensors", "scipy", "torch"]


def superpoint(device: str | None = None, precision: Any = "float32", **settings: Any) -> Extractor:
    """The extractor with keypoints and descriptors at full width; `settings` are those of `DecodeSettings`."""
    return Extractor.from_pretrained("superpoint", DecodeSettings(**settings), device, precision=precision)


def superpoint_small(device: str | None = None, precision: Any = "float32", **settings: Any) -> Extractor:
    """The extractor at half width; `settings` are those of `DecodeSettings`."""
    return Extractor.from_pretrained("superpoint-small", DecodeSettings(**settings), device, precision=precision)


def superpoint_tiny(device: str | None = None, precision: Any = "float32", **settings: Any) -> Extractor:
    """The extractor at a quarter of the width; `settings` are those of `DecodeSettings`."""
    return Extractor.from_pretrained("superpoint-tiny", DecodeSettings(**settings), device, precision=precision)


def magicpoint(device: str | None = None, precision: Any = "float32", **settings: Any) -> Extractor:
    """The detector of corners, without descriptors; `settings` are those of `DecodeSettings`."""
    return Extractor.from_pretrained("magicpoint", DecodeSettings(**settings), device, precision=precision)


def magicpoint_heavy(device: str | None = None, precision: Any = "float32", **settings: Any) -> Extractor:
    """The detector of corners in bad light, without descriptors; `settings` are those of `DecodeSettings`."""
    return Extractor.from_pretrained("magicpoint-heavy", DecodeSettings(**settings), device, precision=precision)
