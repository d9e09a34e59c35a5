import os
import subprocess
import sys
import time

import pytest

from magicpoint.core.errors import InputError
from magicpoint.core.locks import locked, locked_folder

BOTH = pytest.mark.parametrize("lock", [locked, locked_folder])


@BOTH
def test_one_at_a_time_and_nothing_is_left(tmp_path, lock):
    for _ in range(2):
        with lock(tmp_path / "new" / "out"), pytest.raises(InputError, match=r"new.out is being written by another"):
            lock(tmp_path / "new" / "out").__enter__()
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_is_the_file_itself(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "there" / "out")
    with locked(tmp_path / "there" / "out"), pytest.raises(InputError, match="link is being written"):
        locked(tmp_path / "link").__enter__()


@BOTH
def test_what_cannot_be_written_is_named(tmp_path, lock):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*file.out"):
        lock(tmp_path / "file" / "out").__enter__()


@BOTH
def test_a_folder_with_content_stays(tmp_path, lock):
    with lock(tmp_path / "out"):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "file").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["file"]


HOLD = """
import sys, time
from magicpoint.core.locks import {lock}
with {lock}(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
@BOTH
def test_another_process_is_refused_until_the_first_is_dead(tmp_path, lock):
    words = [sys.executable, "-c", HOLD.format(lock=lock.__name__), str(tmp_path / "out")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().strip() == b"held"
        with pytest.raises(InputError, match="out is being written by another process"):
            lock(tmp_path / "out").__enter__()
        process.kill()
    start = time.monotonic()
    with lock(tmp_path / "out"):
        assert time.monotonic() - start < 1
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith("lock")]
