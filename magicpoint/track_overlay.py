"""A video with the tracks of its keypoints, and the picture of each frame."""

from __future__ import annotations

import itertools
import time
from collections import deque
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .extract import Extractor
from .overlay import check_not_replaced
from .runtime import stop_requests
from .track import Tracker, Tracks, TrackSettings
from .video import SourceEnded, open_source, read_ahead
from .video_out import open_sink

TRAIL = 20
"""Places of a track that are drawn, with the present one."""

_RADIUS = 3
_FRACTION_BITS = 4


def track_video(
    source: str,
    out: Path,
    extractor: Extractor,
    settings: TrackSettings | None = None,
    max_frames: int | None = None,
    progress: bool = True,
) -> Path:
    """Follow the keypoints of a video; print how many frames and tracks there were and the frames a second.

    Frames are decoded by a thread while the network works on those before. Ctrl-C ends the video in good order, as does
    the end of a truncated one: what was done until then is kept.

    Args:
        source: See `video.open_source`.
        out: A video file or a folder for PNG files, see `video_out.open_sink`.
        extractor: With descriptors these link the keypoints, without them their positions do.
        settings: None stands for `TrackSettings()`.
        max_frames: Stop after so many; None goes on to the end, with a camera until Ctrl-C.
        progress: Show the number of frames, and frames a second, on the standard error.

    Returns:
        `out`.

    Raises:
        OSError: The source cannot be opened, or the output not be written.
        SourceEnded: The source is truncated or gives no more frames; the message says how many are in `out`.
        ValueError: The source is no video, the suffix of `out` of none that can be written, `out` is the source, or
            max_frames less than 1.
    """
    if max_frames is not None and max_frames < 1:
        raise ValueError(f"max_frames must be at least 1, or None for all, got {max_frames}")
    check_not_replaced((source,), out, "source")
    opened = open_source(source)
    tracker, trails = Tracker(settings), Trails()
    frames, longest = 0, 0
    start = time.perf_counter()
    with stop_requests() as stop, open_sink(out, opened.rate) as sink, read_ahead(opened.frames) as ahead:
        limited = itertools.islice(ahead, max_frames)
        try:
            for grey in tqdm(limited, total=max_frames or opened.count, unit="frame", disable=not progress):
                tracks = tracker.update(extractor.extract(grey))
                sink.write(trails.draw(grey, tracks))
                frames, longest = frames + 1, max(longest, int(tracks.lengths.max(initial=0)))
                if stop.requested:
                    break
        except SourceEnded as error:
            raise SourceEnded(f"{error}; the {frames} frames before that are in {out}" if frames else error) from error
    rate = frames / (time.perf_counter() - start)
    print(f"{out}: {frames} frames, {rate:.1f} frames/s, {tracker.started} tracks, the longest of {longest} frames")
    return out


class Trails:
    """Where each track was in the last `TRAIL` frames that it was seen in."""

    def __init__(self) -> None:
        self._places: dict[int, deque[list[int]]] = {}

    def draw(self, grey: NDArray[np.float32], tracks: Tracks) -> NDArray[np.uint8]:
        """Draw the tracks that are seen in the next frame: a circle, and the way behind it, in one colour for each id.

        Args:
            grey: (H, W) in [0, 1].
            tracks: Of this frame.

        Returns:
            uint8 (H, W, 3), red first. New tracks are grey.
        """
        for track in tracks.ended.tolist():
            self._places.pop(track, None)
        picture = cv2.cvtColor(np.rint(grey * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)
        centres = np.rint(tracks.keypoints * (1 << _FRACTION_BITS)).astype(int).tolist()
        seen = zip(tracks.ids.tolist(), tracks.lengths.tolist(), centres, strict=True)
        for track, length, centre in sorted(seen, key=lambda one: one[1]):  # The longest lie on top.
            places = self._places.setdefault(track, deque(maxlen=TRAIL))
            places.append(centre)
            colour = _colour(track) if length > 1 else (160, 160, 160)
            cv2.polylines(picture, [np.array(places, np.int32)], False, colour, 1, cv2.LINE_AA, _FRACTION_BITS)
            cv2.circle(picture, centre, _RADIUS << _FRACTION_BITS, colour, 1, cv2.LINE_AA, _FRACTION_BITS)
        return np.ascontiguousarray(picture, np.uint8)


def _colour(track: int) -> tuple[int, ...]:
    """A bright colour; those of ids that follow each other are far apart, by the golden ratio of OpenCV's 180 hues."""
    hue = round(track * 180 * 0.6180339887) % 180
    return tuple(cv2.cvtColor(np.array([[[hue, 255, 255]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0].tolist())
