import threading
import time

import cv2
import h5py
import numpy as np
import pytest
import torch

from magicpoint.core.types import Features
from magicpoint.io import stream
from magicpoint.io.features import read_features, write_features
from magicpoint.io.finding import find_images
from magicpoint.io.images import decode_image, read_image
from magicpoint.io.per_image import process_images
from magicpoint.io.unfinished import UnfinishedFeatures
from magicpoint.io.video import open_source
from magicpoint.io.video_out import open_sink


def brightness(key, grey):
    """The record of an image: one keypoint whose score is its mean."""
    height, width = grey.shape
    return Features(torch.zeros(1, 2), torch.tensor([float(grey.mean())]), None, (width, height))


@pytest.fixture
def folder(tmp_path):
    """Forty images of mixed sizes, image n of the grey value n / 255, the first the largest and slowest."""
    (tmp_path / "images").mkdir()
    for number in range(40):
        picture = np.full((900 if number == 0 else 8 + number % 5, 900 if number == 0 else 9), number, np.uint8)
        (tmp_path / "images" / f"{number:02d}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return tmp_path / "images"


def run_whole(images, out, process=brightness, **options):
    def of_grey(key, image):
        return process(key, image.grey)

    return process_images(images, UnfinishedFeatures(out, {"a": "b"}), of_grey, progress=False, **options)


def run(images, out, process=brightness, **options):
    return run_whole(images, out, process, **options).path


def loaders():
    return [thread for thread in threading.enumerate() if thread.name.startswith(("read_image", "read_ahead"))]


@pytest.mark.parametrize("threads", [1, 3])
def test_images_come_in_order_and_keep_their_names(folder, tmp_path, monkeypatch, threads):
    monkeypatch.setattr(stream, "LOADERS", threads)
    images, seen = find_images([folder]), []

    def process(key, grey):
        assert np.array_equal(grey, read_image(folder / key))
        seen.append(key)
        return brightness(key, grey)

    found = read_features(run(images, tmp_path / "f.h5", process))
    assert seen == list(found) == list(images)
    assert [round(float(found[key].keypoint_scores) * 255) for key in found] == list(range(40))
    assert loaders() == []


def test_images_are_read_while_one_is_processed_but_only_so_many(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "LOADERS", 2)
    read, used = [], []
    monkeypatch.setattr(
        stream, "decode_image", lambda data, path, how: read.append(path) or decode_image(data, path, how)
    )

    def process(key, grey):
        used.append(key)
        if len(used) == 3:
            time.sleep(0.3)
            assert len(read) > len(used)
        assert len(read) <= len(used) + 4
        return brightness(key, grey)

    run(find_images([folder]), tmp_path / "f.h5", process)
    assert len(read) == 40


def test_large_images_do_not_wait_in_numbers(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "LOADERS", 2)
    monkeypatch.setattr(stream, "WAITING_PIXELS", 1)
    read, used = [], []
    monkeypatch.setattr(
        stream, "decode_image", lambda data, path, how: read.append(path) or decode_image(data, path, how)
    )

    def process(key, grey):
        used.append(key)
        time.sleep(0.01)
        # One is ready; those that were begun before it was are of as many threads.
        assert len(read) <= len(used) + 4
        return brightness(key, grey)

    assert len(read_features(run(find_images([folder]), tmp_path / "f.h5", process))) == 40


def test_unreadable_images_are_skipped_in_their_place(folder, tmp_path, caplog):
    (folder / "05.png").write_bytes(b"no image")
    (folder / "39.png").write_bytes((folder / "39.png").read_bytes()[:-20])
    found = read_features(run(find_images([folder]), tmp_path / "f.h5"))
    assert len(found) == 38
    assert list(found.skipped) == ["05.png", "39.png"]
    assert "39.png is truncated" in found.skipped["39.png"]
    assert "2 of 40 images skipped" in caplog.text


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_no_thread_is_left_when_processing_stops(folder, tmp_path, error):
    def fail(key, grey):
        raise error("stop")

    with pytest.raises(error):
        run(find_images([folder]), tmp_path / "f.h5", fail)
    assert loaders() == []


def test_a_file_of_other_images_is_not_replaced(folder, tmp_path):
    images, out = find_images([folder]), tmp_path / "f.h5"
    fewer = {key: path for key, path in images.items() if key not in ("07.png", "31.png")}
    content = run(images, out).read_bytes()
    with pytest.raises(ValueError, match=r"f\.h5 holds 2 images not asked for now, for instance 07\.png: --append"):
        run(fewer, out)
    assert out.read_bytes() == content
    assert [entry.name for entry in tmp_path.glob("f.h5*")] == ["f.h5"]
    more = run(fewer, tmp_path / "g.h5")
    run(images, more)
    assert list(read_features(more)) == list(images)


def test_it_is_said_when_images_have_changed_since_the_file_that_is_replaced(folder, tmp_path, caplog):
    images, out = find_images([folder]), tmp_path / "f.h5"
    for _ in range(2):
        run(images, out)
    assert caplog.text == ""
    (folder / "03.png").write_bytes((folder / "20.png").read_bytes())
    (folder / "04.png").write_bytes(b"no image")
    done = process_images(
        images, UnfinishedFeatures(out, {"a": "b"}), lambda key, image: brightness(key, image.grey), progress=False
    )
    assert (done.path, done.images, done.kept, done.new, done.changed) == (out, 40, 39, 0, 1)
    assert (list(done.unread), done.skipped) == (["04.png"], {})
    found = read_features(out)
    assert "kept the earlier record of 04.png: " in caplog.text
    assert found["04.png"].keypoint_scores * 255 == 4
    assert "1 of 40 images had changed since the earlier " in caplog.text
    assert torch.equal(found["03.png"].keypoint_scores, found["20.png"].keypoint_scores)


def write_clip(path, count):
    with open_sink(path, 10.0) as sink:
        for number in range(count):
            sink.write(np.full((192, 256, 3), 10 * number, np.uint8))
    return path


def test_frames_of_a_video_are_images_under_its_name(folder, tmp_path):
    clip = write_clip(tmp_path / "clip.avi", 6)
    images = find_images([folder, clip])
    found = read_features(run(images, tmp_path / "f.h5", videos=True))
    frames = [f"clip.avi/{number:06d}" for number in range(6)]
    assert list(found) == frames + [f"images/{number:02d}.png" for number in range(40)]
    run(images, tmp_path / "f.h5", videos=True)  # The frames of the earlier file are of a video asked for again.
    for key, grey in zip(frames, open_source(clip).frames, strict=True):
        assert found[key].keypoint_scores.tolist() == brightness(key, grey).keypoint_scores.tolist()
    assert loaders() == []


def test_a_stopped_video_goes_on_where_it_was(tmp_path):
    clip, made = write_clip(tmp_path / "clip.avi", 6), []

    def stop_at_the_fourth(key, grey):
        if key.endswith("3"):
            raise KeyboardInterrupt
        return brightness(key, grey)

    def note(key, grey):
        made.append(key)
        return brightness(key, grey)

    with pytest.raises(KeyboardInterrupt, match="the same command goes on"):
        run({"clip.avi": clip}, tmp_path / "f.h5", stop_at_the_fourth, videos=True)
    found = read_features(run({"clip.avi": clip}, tmp_path / "f.h5", note, videos=True))
    assert made == [f"clip.avi/{number:06d}" for number in (3, 4, 5)]
    assert len(found) == 6


def test_a_truncated_video_keeps_its_frames_and_is_listed(tmp_path):
    content = write_clip(tmp_path / "whole.avi", 10).read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: 3 * len(content) // 4])
    found = read_features(run({"cut.avi": tmp_path / "cut.avi"}, tmp_path / "f.h5", videos=True))
    assert 1 <= len(found) < 10
    assert f"ends after {len(found)} of 10 frames: it is truncated" in found.skipped["cut.avi"]
    (tmp_path / "none.avi").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"none of 1 images could be read: .*none\.avi is no video"):
        run({"none.avi": tmp_path / "none.avi"}, tmp_path / "g.h5", videos=True)


def test_a_video_is_no_image_unless_videos_are_wanted(tmp_path):
    clip = write_clip(tmp_path / "clip.avi", 3)
    with pytest.raises(ValueError, match=r"clip\.avi is damaged or no image"):
        run({"clip.avi": clip}, tmp_path / "f.h5")


def test_a_second_run_takes_what_is_the_same_from_the_earlier_file(folder, tmp_path):
    images, out = find_images([folder]), tmp_path / "f.h5"
    run(images, out)
    picture = np.full((8, 9), 200, np.uint8)
    (folder / "03.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    (folder / "40.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    seen = []

    def process(key, grey):
        seen.append(key)
        return brightness(key, grey)

    found = read_features(run(find_images([folder]), out, process))
    assert seen == ["03.png", "40.png"]
    assert [round(float(found[f"{n:02d}.png"].keypoint_scores) * 255) for n in range(41)] == [
        *(0, 1, 2, 200),
        *range(4, 40),
        200,
    ]
    assert not list(tmp_path.glob("*.partial"))


def test_a_file_that_cannot_be_written_is_refused_before_the_work(folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*file/f\.h5|cannot write .*file"):
        UnfinishedFeatures(tmp_path / "file" / "f.h5", {})


def count_calls(monkeypatch, module, name):
    calls, function = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *words, **named: calls.append(words) or function(*words, **named))
    return calls


def test_a_second_run_decodes_only_what_is_new(folder, tmp_path, monkeypatch):
    images, out = find_images([folder]), tmp_path / "f.h5"
    (folder / "05.png").write_bytes(b"no image")
    run(images, out)
    before, decoded = out.stat(), count_calls(monkeypatch, stream, "decode_image")
    opened = count_calls(monkeypatch, h5py, "File")
    run(images, out)
    assert [path.name for _, path, _ in decoded] == ["05.png"]  # it could be an image by now
    assert opened == []
    assert (out.stat().st_ino, out.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    (folder / "07.png").write_bytes((folder / "20.png").read_bytes())
    run(images, out)
    assert sorted(path.name for _, path, _ in decoded) == ["05.png", "05.png", "07.png"]
    assert out.stat().st_mtime_ns > before.st_mtime_ns
    drawn = []
    run(images, out, draw=lambda key, grey, record: drawn.append(float(grey.mean())))
    assert [round(grey * 255) for grey in drawn] == [0, 1, 2, 3, 4, 6, 20, *range(8, 40)]


def test_an_image_that_can_be_read_at_last_is_added(folder, tmp_path):
    images, out = find_images([folder]), tmp_path / "f.h5"
    content = (folder / "05.png").read_bytes()
    (folder / "05.png").write_bytes(b"no image")
    assert list(read_features(run(images, out)).skipped) == ["05.png"]
    (folder / "05.png").write_bytes(content)
    found = read_features(run(images, out))
    assert list(found) == list(images)
    assert found.skipped == {}


def test_keypoints_are_counted_without_reading_them(tmp_path, monkeypatch):
    counts = {"b/1.png": 3, "a.png": 0, "b/0.png": 5}
    images = {key: Features(torch.zeros(n, 2), torch.zeros(n), torch.zeros(n, 8), (9, 9)) for key, n in counts.items()}
    found = read_features(write_features(tmp_path / "f.h5", images))
    opened = count_calls(monkeypatch, h5py, "File")
    monkeypatch.setattr(h5py.Dataset, "__getitem__", None)
    assert found.keypoint_counts() == counts
    assert opened == []
