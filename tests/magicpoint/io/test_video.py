import contextlib
import threading
from collections import deque
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from magicpoint.io import video, video_out
from magicpoint.io.video import SourceEnded, open_source, read_ahead, write_behind
from magicpoint.io.video_out import open_sink


def flat(number, height=48, width=64):
    """A picture of one grey value for each number."""
    return np.full((height, width, 3), 10 * number, np.uint8)


def write(out, count, rate=10.0, height=48, width=64):
    with open_sink(out, rate) as sink:
        for number in range(count):
            sink.write(flat(number, height, width))
    return out


def levels(source):
    return [round(float(grey.mean()) * 255) for grey in open_source(source).frames]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".avi", ".mkv"])
def test_a_written_video_is_read_back_in_order(tmp_path, suffix):
    out = write(tmp_path / "new" / f"clip{suffix}", 12)
    source = open_source(out)
    assert (source.name, source.count, source.rate) == (str(out), 12, 10.0)
    frames = list(source.frames)
    assert all(grey.shape == (48, 64) and grey.dtype == np.float32 for grey in frames)
    # The codecs keep a flat picture to within a few of 255 levels.
    assert np.allclose([grey.mean() * 255 for grey in frames], 10 * np.arange(12), atol=4)
    assert [entry.name for entry in out.parent.iterdir()] == [out.name]


def test_a_sequence_is_read_back_in_order_and_exactly(tmp_path):
    out = write(tmp_path / "frames", 12)
    assert sorted(entry.name for entry in out.iterdir())[::11] == ["000000.png", "000011.png"]
    for source in (out, str(out), f"{out}/*.png"):
        assert levels(source) == [10 * number for number in range(12)]
    assert open_source(out).count == 12
    assert levels(out / "000003.png") == [30]


def test_numbers_in_names_count_by_value(tmp_path):
    for number in (1, 2, 10, 9, 0):
        (tmp_path / f"f{number}.png").write_bytes(cv2.imencode(".png", flat(number))[1].tobytes())
    assert levels(tmp_path) == levels(f"{tmp_path}/f*.png") == [0, 10, 20, 90, 100]


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_a_truncated_video_gives_what_it_has_and_says_so(tmp_path, suffix):
    # Frames large enough that the cut is behind the header.
    whole = write(tmp_path / f"whole{suffix}", 20, height=192, width=256).read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole[: len(whole) // 2])
    frames = open_source(cut).frames
    read = list(drawn(frames))
    assert 5 <= len(read) < 20
    assert np.allclose(read[:-1], 10 * np.arange(len(read) - 1), atol=4)  # The last may be cut in half.
    message = rf"cut\{suffix} ends after {len(read)} of 20 frames: it is truncated or damaged"
    with pytest.raises(SourceEnded, match=message):
        deque(open_source(cut).frames, maxlen=0)


def drawn(frames):
    """The levels of the frames until the source ends."""
    with contextlib.suppress(SourceEnded):
        for grey in frames:
            yield float(grey.mean()) * 255


def test_sources_that_are_not_there_are_named(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"no video file, image, folder or camera .*missing\.mp4"):
        open_source(tmp_path / "missing.mp4")
    with pytest.raises(FileNotFoundError, match=r"\*\.jpg"):
        open_source(f"{tmp_path}/*.jpg")
    with pytest.raises(ValueError, match="no images in"):
        open_source(tmp_path)
    for name, content in (("text.mp4", b"no video"), ("headless.mp4", write(tmp_path / "a.mp4", 5).read_bytes()[:700])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name} is no video that OpenCV can read, or is truncated"):
            open_source(tmp_path / name)
    monkeypatch.setattr(video.cv2, "VideoCapture", lambda index: SimpleNamespace(isOpened=lambda: False))
    with pytest.raises(OSError, match="no camera 7"):
        open_source("7")


def test_a_camera_gives_frames_until_it_gives_none(monkeypatch):
    left = [(True, flat(3)), (True, flat(4)), (False, None)]
    released = []
    camera = SimpleNamespace(
        isOpened=lambda: True, get=lambda field: 0.0, read=lambda: left.pop(0), release=lambda: released.append(True)
    )
    monkeypatch.setattr(video.cv2, "VideoCapture", lambda index: camera)
    source = open_source("0")
    assert (source.name, source.count, source.rate) == ("camera 0", None, None)
    assert next(source.frames).mean() * 255 == pytest.approx(30)
    next(source.frames)
    with pytest.raises(SourceEnded, match="camera 0 gives no more frames"):
        next(source.frames)
    assert released == [True]


def test_a_damaged_image_ends_a_sequence_by_its_name(tmp_path):
    out = write(tmp_path / "frames", 4)
    content = (out / "000002.png").read_bytes()
    (out / "000002.png").write_bytes(content[: len(content) // 2])
    frames = open_source(out).frames
    assert [round(float(next(frames).mean()) * 255) for _ in range(2)] == [0, 10]
    with pytest.raises(SourceEnded, match=r"frames ends after 2 of 4 images: .*000002\.png is truncated"):
        next(frames)


def reading():
    return [thread for thread in threading.enumerate() if thread.name == "read_ahead"]


def numbers(closed, last=10**9):
    try:
        yield from range(last)
    finally:
        closed.append(threading.current_thread().name)


def test_items_come_in_order_and_at_most_some_wait():
    closed, drawn = [], []

    def counted():
        for number in numbers(closed, 50):
            drawn.append(number)
            yield number

    with read_ahead(counted(), ahead=3) as items:
        for used, item in enumerate(items):
            assert item == used
            # One in use, three that wait, one that the thread holds.
            assert len(drawn) <= used + 5
    assert used == 49
    assert closed == ["read_ahead"]
    assert reading() == []


def fail_at_the_first(source, error):
    with read_ahead(source) as items:
        next(items)
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_thread_ends_when_the_reader_stops_or_fails(error):
    closed = []
    with read_ahead(numbers(closed)) as items:
        assert next(items) == 0
    assert closed == ["read_ahead"]
    with pytest.raises(error):
        fail_at_the_first(numbers(closed), error)
    assert closed == ["read_ahead"] * 2
    assert reading() == []


def test_an_error_comes_behind_the_items_before_it():
    def failing():
        yield from (1, 2)
        raise SourceEnded("over")

    with read_ahead(failing()) as items:
        assert [next(items), next(items)] == [1, 2]
        with pytest.raises(SourceEnded, match="over"):
            next(items)
    assert reading() == []


def write_and_fail(out, error):
    with open_sink(out, 10.0) as sink:
        before = out.read_text()
        for number in range(5):
            sink.write(flat(number))
        assert out.read_text() == before
        raise error


@pytest.mark.parametrize(("error", "kept"), [(SourceEnded, True), (KeyboardInterrupt, True), (RuntimeError, False)])
def test_a_video_appears_when_it_is_complete_or_its_source_ended(tmp_path, error, kept):
    out = tmp_path / "a.avi"
    out.write_text("what was there before")
    with pytest.raises(error):
        write_and_fail(out, error)
    if kept:
        assert len(levels(out)) == 5
    else:
        assert out.read_text() == "what was there before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.avi"]


def test_frames_of_an_earlier_run_are_replaced_and_no_others_stay(tmp_path):
    write(tmp_path / "frames", 5)
    leftover = tmp_path / "frames" / ".000007.png.999999999.tmp"
    leftover.write_bytes(b"half")
    write(tmp_path / "frames", 3)
    assert sorted(entry.name for entry in (tmp_path / "frames").iterdir()) == ["000000.png", "000001.png", "000002.png"]
    assert len(levels(tmp_path / "frames")) == 3


def write_two_sizes(out):
    with open_sink(out, None) as sink:
        sink.write(flat(0))
        sink.write(flat(0, 40))


def test_what_cannot_be_written_is_said(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"a\.gif: a video ends in \.mp4, \.mov, \.avi, \.mkv"):
        open_sink(tmp_path / "a.gif", None)
    write(tmp_path / "frames", 1)
    (tmp_path / "frames" / "000001.png").write_bytes((tmp_path / "frames" / "000000.png").read_bytes()[:30])
    with pytest.raises(FileExistsError, match=r"frames holds 000001\.png, which is no frame of this program"):
        open_sink(tmp_path / "frames", None)
    with open_sink(tmp_path / "a.mp4", None):
        pass  # Without a frame there is no video.
    with pytest.raises(ValueError, match="frame 1 is 64x40, those before it are 64x48"):
        write_two_sizes(tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()
    monkeypatch.setattr(video_out.cv2, "VideoCapture", lambda path: SimpleNamespace(isOpened=bool, release=bool))
    with pytest.raises(OSError, match=r"a\.mp4: it holds 0 of 3 frames; is the disk full"):
        write(tmp_path / "a.mp4", 3)
    assert [entry.name for entry in tmp_path.iterdir()] == ["frames"]


def test_an_odd_side_loses_its_last_pixel(tmp_path):
    assert next(open_source(write(tmp_path / "a.mp4", 2, height=49, width=65)).frames).shape == (48, 64)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_browser_plays_it_where_there_is_an_encoder(tmp_path, suffix):
    av = pytest.importorskip("av")
    if not video_out.has_h264():
        pytest.skip("this PyAV has no encoder of H.264")
    out = write(tmp_path / f"clip{suffix}", 12, rate=30000 / 1001, height=49, width=65)
    with av.open(str(out)) as file:
        [stream] = file.streams.video
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, float(stream.average_rate)) == (64, 48, pytest.approx(29.97, abs=1e-3))
    # The index stands before the pictures, so that a browser begins before it has all.
    content = out.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert np.allclose([grey.mean() * 255 for grey in open_source(out).frames], 10 * np.arange(12), atol=4)


def test_without_an_encoder_of_h264_opencv_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(video_out, "has_h264", lambda: False)
    out = write(tmp_path / "clip.mp4", 12)
    assert cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FOURCC) == cv2.VideoWriter.fourcc(*"FMP4")


def test_a_thread_uses_all_items_in_their_order():
    used = []
    with write_behind(used.append, behind=2) as hand_over:
        for item in range(20):
            hand_over(item)
    assert used == list(range(20))


def test_what_was_handed_over_is_used_where_the_block_is_interrupted():
    used = []

    def interrupted():
        with write_behind(used.append) as hand_over:
            hand_over("last")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert used == ["last"]


@pytest.mark.parametrize("items", [3, 50])
def test_an_error_of_the_thread_is_that_of_the_block(items):
    used = []

    def fail(item):
        used.append(item)
        if item == 2:
            raise OSError("the disk is full")

    def hand_all():
        with write_behind(fail, behind=1) as hand_over:
            for item in range(items):
                hand_over(item)

    with pytest.raises(OSError, match="the disk is full"):
        hand_all()
    assert used == [0, 1, 2]
