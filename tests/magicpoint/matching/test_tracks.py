from typing import ClassVar

import cv2
import numpy as np
import pytest
import torch

from magicpoint.core.types import Features, Matches
from magicpoint.decoding.settings import DecodeSettings
from magicpoint.inference.extractor import Extractor
from magicpoint.io.video import SourceEnded, open_source
from magicpoint.io.video_out import open_sink
from magicpoint.jobs.track import format_tracking, track_video
from magicpoint.matching.settings import TrackSettings
from magicpoint.matching.tracks import Tracker
from magicpoint.pictures.tracks import Trails

SQUARE = np.array([[20, 20], [60, 20], [60, 60], [20, 60]], np.float32)
SHIFT = np.array([3, 2], np.float32)


def features(points, descriptors=None):
    points = torch.as_tensor(np.asarray(points, np.float32).reshape(-1, 2))
    if descriptors is not None:
        descriptors = torch.as_tensor(np.asarray(descriptors, np.float32))
    return Features(points, torch.full((len(points),), 0.5), descriptors, (200, 100))


@pytest.mark.parametrize("descriptors", [None, np.eye(4)])
def test_a_moving_square_gives_four_tracks_of_its_shift(descriptors):
    tracker, generator = Tracker(), np.random.default_rng(0)
    for frame in range(8):
        order = generator.permutation(4)  # The order of the keypoints says nothing.
        tracks = tracker.update(
            features((SQUARE + frame * SHIFT)[order], None if descriptors is None else descriptors[order])
        )
        if frame == 0:
            first = dict(zip(tracks.ids.tolist(), SQUARE[order], strict=True))
        assert sorted(tracks.ids.tolist()) == [0, 1, 2, 3]
        assert tracks.lengths.tolist() == [frame + 1] * 4
        assert tracks.ended.tolist() == []
        for track, place in zip(tracks.ids.tolist(), tracks.keypoints, strict=True):
            assert np.array_equal(place - first[track], frame * SHIFT)
    assert tracker.started == 4


def test_a_track_ends_when_it_is_lost_for_too_long_and_its_id_does_not_come_back():
    tracker = Tracker(TrackSettings(lost_after=2))
    still, gone = (10, 10), (50, 50)
    ids = lambda points: tracker.update(features(points))  # noqa: E731
    assert ids([still, gone]).ids.tolist() == [0, 1]
    assert ids([still]).ended.tolist() == []
    back = ids([still, gone])  # missed once: it goes on
    assert (back.ids.tolist(), back.lengths.tolist()) == ([0, 1], [3, 2])
    assert ids([still]).ended.tolist() == []
    assert ids([still]).ended.tolist() == [1]
    assert ids([still]).ended.tolist() == []  # it ends once
    again = ids([still, gone])
    assert (again.ids.tolist(), again.lengths.tolist()) == ([0, 2], [7, 1])
    assert tracker.started == 3


def test_without_descriptors_the_nearest_position_within_the_radius_decides():
    tracker = Tracker(TrackSettings(radius=5))
    tracker.update(features([(0, 0), (20, 0), (24, 0), (60, 0)]))
    # Of 20 and 24 only 24 has 23 as its mutual nearest; 20 is left over; 60 and 66 are too far apart; (3, 4) is at 5.
    tracks = tracker.update(features([(23, 0), (66, 0), (3, 4)]))
    assert tracks.ids.tolist() == [2, 4, 0]


def test_descriptors_decide_within_their_reach():
    tracker = Tracker(TrackSettings(reach=30, min_similarity=0.7))
    tracker.update(features([(0, 0), (10, 0)], np.eye(3)[:2]))
    # Crossed over; a third that looks as the first, but too far; one that looks as nothing before.
    found = np.array([[0, 1, 0], [0.8, 0.6, 0], [1, 0, 0], [0.6, 0, 0.8]])
    tracks = tracker.update(features([(0, 0), (10, 0), (90, 0), (5, 0)], found))
    assert tracks.ids.tolist() == [1, 0, 2, 3]


@pytest.mark.parametrize("descriptors", [False, True])
def test_frames_without_keypoints_are_ordinary(descriptors):
    tracker = Tracker(TrackSettings(lost_after=1))
    none = features([], np.zeros((0, 4)) if descriptors else None)
    assert len(tracker.update(none)) == 0
    tracker.update(features(SQUARE, np.eye(4) if descriptors else None))
    assert tracker.update(none).ended.tolist() == [0, 1, 2, 3]
    assert tracker.update(features(SQUARE, np.eye(4) if descriptors else None)).ids.tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("name", "value"), [("reach", 0), ("radius", float("nan")), ("min_similarity", 1.5), ("lost_after", 0)]
)
def test_unusable_settings_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        TrackSettings(**{name: value})


def square_frames(folder, count):
    """A white square of 41 pixels that moves by (3, 2) a frame."""
    folder.mkdir()
    for number in range(count):
        grey = np.full((100, 144), 40, np.uint8)
        x, y = SQUARE[0].astype(int) + number * SHIFT.astype(int)
        grey[y : y + 41, x : x + 41] = 220
        (folder / f"{number}.png").write_bytes(cv2.imencode(".png", grey)[1].tobytes())
    return folder


@pytest.fixture(scope="module")
def extractor():
    return Extractor.from_pretrained("magicpoint", DecodeSettings(threshold=0.2), "cpu")


def test_corners_that_the_network_finds_move_by_the_shift(extractor, tmp_path):
    tracker = Tracker()
    frames = [tracker.update(extractor.extract(grey)) for grey in open_source(square_frames(tmp_path / "s", 11)).frames]
    places = [dict(zip(tracks.ids.tolist(), tracks.keypoints, strict=True)) for tracks in frames]
    throughout = set.intersection(*(set(seen) for seen in places))
    assert len(throughout) == 4
    for track in throughout:
        moved = places[10][track] - places[0][track]
        assert np.allclose(moved, 10 * SHIFT, atol=0.7)  # each end to half a pixel in x and in y


def test_a_video_becomes_a_video_of_its_tracks(extractor, tmp_path):
    source = square_frames(tmp_path / "square", 6)
    result = track_video(str(source), tmp_path / "tracks", extractor, progress=False)
    assert (result.path, result.frames, result.tracks, result.longest) == (tmp_path / "tracks", 6, 4, 6)
    assert result.frames_per_second > 0
    assert "tracks: 6 frames, " in format_tracking(result)
    assert "frames/s, 4 tracks, the longest of 6 frames" in format_tracking(result)
    pictures = [cv2.imread(str(path)) for path in sorted((tmp_path / "tracks").iterdir())]
    assert [picture.shape for picture in pictures] == [(100, 144, 3)] * 6
    # New tracks are grey, and those that go on have colours.
    assert [bool((np.ptp(picture, axis=2) > 0).any()) for picture in pictures] == [False] + [True] * 5

    assert track_video(str(source), tmp_path / "tracks.mp4", extractor, max_frames=2, progress=False).frames == 2
    assert open_source(tmp_path / "tracks.mp4").count == 2
    with pytest.raises(ValueError, match="max_frames must be at least 1, or None for all, got 0"):
        track_video(str(source), tmp_path / "none", extractor, max_frames=0)


def test_a_truncated_video_keeps_what_was_written(extractor, tmp_path):
    with open_sink(tmp_path / "whole.avi", 10.0) as sink:
        for _ in range(10):
            sink.write(np.full((192, 256, 3), 90, np.uint8))
    content = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: 3 * len(content) // 4])
    message = r"cut\.avi ends after (\d+) of 10 frames: it is truncated or damaged; the \1 frames before that are in"
    with pytest.raises(SourceEnded, match=message):
        track_video(str(tmp_path / "cut.avi"), tmp_path / "out.avi", extractor, progress=False)
    assert 1 <= open_source(tmp_path / "out.avi").count < 10


def test_a_trail_follows_its_track():
    trails, tracker = Trails(), Tracker(TrackSettings(lost_after=1))
    grey = np.zeros((40, 80), np.float32)
    for x in (10, 16, 22):
        picture = trails.draw(grey, tracker.update(features([(x, 20)])))
    bright = picture.max(axis=2) > 100
    assert bright[20, 10:20].all()  # the way from 10 up to the circle around 22
    assert bright[17, 22]
    assert not bright[:, :8].any()
    picture = trails.draw(grey, tracker.update(features([(70, 20)])))
    assert not (picture.max(axis=2) > 0)[:, :60].any()


class Reversed:
    """A matcher that knows that the keypoints come in the opposite order."""

    provenance: ClassVar = {}

    def match(self, features0, features1):
        count = min(len(features0), len(features1))
        index = torch.arange(count)
        return Matches(torch.stack((index, count - 1 - index), dim=1), torch.ones(count))


def test_a_matcher_links_what_is_near():
    tracker = Tracker(TrackSettings(reach=10.0), Reversed())
    assert tracker.update(features(SQUARE, np.ones((4, 2)))).ids.tolist() == [0, 1, 2, 3]
    moved = (SQUARE + SHIFT)[::-1].copy()
    moved[0] += 50  # what was the last is out of reach
    assert tracker.update(features(moved, np.ones((4, 2)))).ids.tolist() == [4, 2, 1, 0]
    assert len(tracker.update(features([], np.ones((0, 2))))) == 0
