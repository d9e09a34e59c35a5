"""A video, and the video with the tracks of its keypoints."""

from __future__ import annotations

import dataclasses
import itertools
import time
from pathlib import Path

from tqdm import tqdm

from ..core.errors import InputError
from ..core.files import AnyPath, check_not_replaced
from ..core.interrupts import stop_requests
from ..core.locks import locked
from ..core.outputs import claimed
from ..inference.extractor import Extractor
from ..io.video import SourceEnded, open_source, read_ahead
from ..io.video_out import is_own_video, open_sink
from ..matching.settings import TrackSettings
from ..matching.tracks import Tracker
from ..pictures.tracks import Trails


@dataclasses.dataclass(frozen=True)
class TrackResult:
    """What following the keypoints of a video came to.

    Args:
        path: The video with the tracks, or the folder of its frames.
        frames: Number of frames.
        frames_per_second: The rate at which they were done.
        tracks: Number of tracks, also those of a single frame.
        longest: Frames of the longest track.
    """

    path: Path
    frames: int
    frames_per_second: float
    tracks: int
    longest: int


def format_tracking(result: TrackResult) -> str:
    """The result in one line."""
    return (
        f"{result.path}: {result.frames} frames, {result.frames_per_second:.1f} frames/s, {result.tracks} tracks, "
        f"the longest of {result.longest} frames"
    )


def track_video(
    source: AnyPath,
    out: AnyPath,
    extractor: Extractor,
    settings: TrackSettings | None = None,
    max_frames: int | None = None,
    progress: bool = True,
) -> TrackResult:
    """Follow the keypoints of a video, and write it with their tracks.

    Frames are decoded by a thread while the network works on those before. Ctrl-C ends the video in good order, as does
    the end of a truncated one: what was done until then is kept.

    Args:
        source: See `io.video.open_source`.
        out: A video file or a folder for PNG files, see `io.video_out.open_sink`.
        extractor: With descriptors these link the keypoints, without them their positions do.
        settings: None stands for `TrackSettings()`.
        max_frames: Stop after so many; None goes on to the end, with a camera until Ctrl-C.
        progress: Show the number of frames, and frames a second, on the standard error.

    Raises:
        OSError: The source cannot be opened, or the output not be written.
        SourceEnded: The source is truncated or gives no more frames; the message says how many are in `out`.
        InputError: The source is no video; the suffix of `out` of none that can be written; `out` is the source, there
            and no video of this function, or being written by another process; or max_frames is less than 1.
    """
    if max_frames is not None and max_frames < 1:
        raise InputError(f"max_frames must be at least 1, or None for all, got {max_frames}")
    out = Path(out)
    check_not_replaced((source,), out, "source")
    with claimed(out, "a video", is_own_video) if out.suffix else locked(out):
        return _track(source, out, extractor, settings, max_frames, progress)


def _track(
    source: AnyPath,
    out: Path,
    extractor: Extractor,
    settings: TrackSettings | None,
    max_frames: int | None,
    progress: bool,
) -> TrackResult:
    opened = open_source(source, extractor.reading)
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
    return TrackResult(out, frames, rate, tracker.started, longest)
