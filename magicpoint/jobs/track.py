"""A video, and the video with the tracks of its keypoints."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..core.errors import InputError
from ..core.files import AnyPath, check_not_replaced
from ..core.interrupts import stop_requests
from ..core.locks import locked
from ..core.outputs import claimed
from ..core.side_by_side import side_by_side
from ..core.types import Features
from ..inference.extractor import Extractor
from ..io.track_table import TrackTable, is_own_table
from ..io.video import SourceEnded, open_source, read_ahead, write_behind
from ..io.video_out import is_own_video, open_sink
from ..matching.nearest import Matcher
from ..matching.settings import TrackSettings
from ..matching.tracks import Tracker
from ..pictures.tracks import Trails


@dataclasses.dataclass(frozen=True)
class TrackResult:
    """What following the keypoints of a video came to.

    Args:
        path: The video with the tracks, or the folder of its frames; None where none was asked for.
        table: The table of the tracks; likewise.
        frames: Number of frames.
        frames_per_second: The rate at which they were done.
        tracks: Number of tracks, also those of a single frame.
        longest: Frames of the longest track.
    """

    path: Path | None
    table: Path | None
    frames: int
    frames_per_second: float
    tracks: int
    longest: int


def format_tracking(result: TrackResult) -> str:
    """The result in one line."""
    written = " and ".join(str(path) for path in (result.path, result.table) if path is not None)
    return (
        f"{written}: {result.frames} frames, {result.frames_per_second:.1f} frames/s, {result.tracks} tracks, "
        f"the longest of {result.longest} frames"
    )


def track_video(
    source: AnyPath,
    out: AnyPath | None,
    extractor: Extractor,
    settings: TrackSettings | None = None,
    max_frames: int | None = None,
    progress: bool = True,
    table: AnyPath | None = None,
    matcher: Matcher | None = None,
) -> TrackResult:
    """Follow the keypoints of a video, and write it with their tracks, or the tracks alone.

    Threads decode the next frames, and link, draw and encode the last ones, while the network works. Ctrl-C ends the
    video in good order, as does the end of a truncated one: what was done until then is kept.

    Args:
        source: See `io.video.open_source`.
        out: A video file or a folder for PNG files, see `io.video_out.open_sink`; None writes the table alone.
        extractor: With descriptors these link the keypoints, without them their positions do.
        settings: None stands for `TrackSettings()`.
        max_frames: Stop after so many; None goes on to the end, with a camera until Ctrl-C.
        progress: Show the number of frames, and frames a second, on the standard error.
        table: A CSV file with a line for each keypoint of each frame, see `io.track_table`.
        matcher: Links the descriptors, such as a `LearnedMatcher`; None takes the nearest.

    Raises:
        OSError: The source cannot be opened, or the output not be written.
        SourceEnded: The source is truncated or gives no more frames; the message says how many are in `out`.
        InputError: The source is no video; the suffix of `out` of none that can be written; `out` is the source, there
            and no video of this function, or being written by another process, likewise the table; neither of them is
            asked for; or max_frames is less than 1.
    """
    if max_frames is not None and max_frames < 1:
        raise InputError(f"max_frames must be at least 1, or None for all, got {max_frames}")
    outputs = [None if path is None else Path(path) for path in (out, table)]
    if outputs == [None, None]:
        raise InputError("neither a video nor a table of tracks is asked for")
    for path in outputs:
        if path is not None:
            check_not_replaced((source,), path, "source")
    video, rows = outputs
    with contextlib.ExitStack() as held:
        if video is not None:
            held.enter_context(claimed(video, "a video", is_own_video) if video.suffix else locked(video))
        if rows is not None:
            held.enter_context(claimed(rows, "a table of tracks", is_own_table))
        return _track(source, video, rows, extractor, Tracker(settings, matcher), max_frames, progress)


def _track(
    source: AnyPath,
    out: Path | None,
    table: Path | None,
    extractor: Extractor,
    tracker: Tracker,
    max_frames: int | None,
    progress: bool,
) -> TrackResult:
    opened = open_source(source, extractor.reading)
    trails = Trails()
    frames, longest = 0, 0
    start = time.perf_counter()
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(stop_requests())
        sink = None if out is None else stack.enter_context(open_sink(out, opened.rate))
        rows = None if table is None else stack.enter_context(TrackTable(table))

        def link_and_write(seen: tuple[NDArray[np.float32], Features]) -> None:
            nonlocal longest
            grey, features = seen
            tracks = tracker.update(features)
            longest = max(longest, int(tracks.lengths.max(initial=0)))
            if sink is not None:
                sink.write(trails.draw(grey, tracks))
            if rows is not None:
                rows.write(tracks.keypoints, tracks.ids, tracks.lengths)

        hand_over = stack.enter_context(write_behind(link_and_write))
        ahead = stack.enter_context(read_ahead(opened.frames))
        limited = itertools.islice(ahead, max_frames)
        extracted = stack.enter_context(contextlib.closing(side_by_side(limited, extractor.extract, extractor.workers)))
        try:
            for grey, found in tqdm(extracted, total=max_frames or opened.count, unit="frame", disable=not progress):
                hand_over((grey, found.result()))
                frames += 1
                if stop.requested:
                    break
        except SourceEnded as error:
            kept = f"{error}; the {frames} frames before that are in {out if out is not None else table}"
            raise SourceEnded(kept if frames else error) from error
    rate = frames / (time.perf_counter() - start)  # with what was still to be written
    return TrackResult(out, table, frames, rate, tracker.started, longest)
