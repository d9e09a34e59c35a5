import os
import subprocess
import sys

import pytest

from magicpoint.core.errors import InputError
from magicpoint.core.files import remove_leftovers_of, temporary_beside, write_folder
from magicpoint.core.outputs import check_writable, claimed, claimed_folder


def is_own(path):
    return path.read_text().startswith("own")


def test_only_our_own_is_replaced(tmp_path):
    out = tmp_path / "new" / "out"
    for text in (None, "own"):
        if text:
            out.write_text(text)
        with claimed(out, "a thing", is_own):
            assert (out.exists(), len(os.listdir(out.parent))) == (text is not None, 1 + (text is not None))
    out.write_text("theirs")
    with pytest.raises(InputError, match=r"out is there and not known as a thing of this program; it is not"):
        claimed(out, "a thing", is_own).__enter__()
    with pytest.raises(InputError, match="new is a folder"):
        claimed(out.parent, "a thing", is_own).__enter__()
    assert os.listdir(out.parent) == ["out"]


def test_in_a_folder_other_files_may_be(tmp_path):
    (tmp_path / "theirs").write_text("theirs")
    with claimed_folder(tmp_path, ["a", "b"], "a thing", is_own):
        (tmp_path / "a").write_text("own")
    assert sorted(os.listdir(tmp_path)) == ["a", "theirs"]
    with pytest.raises(InputError, match="theirs is there"):
        claimed_folder(tmp_path, ["a", "theirs"], "a thing", is_own).__enter__()
    with pytest.raises(InputError, match="a is a file"):
        claimed_folder(tmp_path / "a", ["b"], "a thing", is_own).__enter__()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_pipes_are_refused_unopened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe is a"):
        claimed(tmp_path / "pipe", "a thing", is_own).__enter__()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write in .*file.folder"):
        check_writable(tmp_path / "file" / "folder")


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.slow
def test_what_a_dead_process_left_goes_and_nothing_else(tmp_path):
    out, dead = tmp_path / "v.mp4", dead_process()
    ours = [f".v.mp4.{dead}.tmp", f".v.mp4.{dead}.tmp.mp4", temporary_beside(out).name]
    others = [f".w.mp4.{dead}.tmp", ".v.mp4.tmp", f"v.mp4.{dead}.tmp", f".v.mp4.{os.getppid()}.tmp", ".x.tmp"]
    for name in ours + others:
        (tmp_path / name).touch()
    remove_leftovers_of(out)
    assert sorted(os.listdir(tmp_path)) == sorted(others)


def test_a_folder_is_written_whole_and_foreign_ones_stay(tmp_path):
    (tmp_path / "d.partial").mkdir()
    (tmp_path / "d.partial" / "notes").touch()
    write_folder(tmp_path / "d", lambda folder: folder.mkdir())
    assert sorted(os.listdir(tmp_path)) == ["d", "d.partial"]
    assert os.listdir(tmp_path / "d.partial") == ["notes"]
