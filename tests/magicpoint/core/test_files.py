"""Files and folders that are whole or not there."""

import os

import pytest

from magicpoint.core.files import write_atomically, write_folder, write_text


def test_a_file_is_written_in_a_folder_that_is_made(tmp_path):
    write_text(str(tmp_path / "new" / "a.txt"), "é")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é".encode()
    assert os.listdir(tmp_path / "new") == ["a.txt"]


def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*file/a\.txt"):
        write_text(tmp_path / "file" / "a.txt", "text")
    write_text(tmp_path / "a.txt", "old")

    def stop(temporary):
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a.txt", stop)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "file"]


def test_a_folder_is_whole_or_not_there_and_begun_anew(tmp_path):
    def fill(folder, names, stop=False):
        folder.mkdir()
        for name in names:
            (folder / name).touch()
        if stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "d", lambda folder: fill(folder, "ab", stop=True))
    assert not (tmp_path / "d").exists()
    write_folder(tmp_path / "d", lambda folder: fill(folder, "c"))
    assert os.listdir(tmp_path / "d") == ["c"]
    assert os.listdir(tmp_path) == ["d"]
