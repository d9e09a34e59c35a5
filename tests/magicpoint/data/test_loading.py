"""Processes that prepare batches: what goes wrong in one ends the run, and none is left, whatever happens."""

import multiprocessing
import os
import subprocess
import sys
import time

import pytest
from torch.utils.data import Dataset

from magicpoint.core.errors import InputError, MachineError
from magicpoint.data.loading import prepared_batches


class Unsendable(Exception):
    def __init__(self, first, second):
        super().__init__("one argument")


class Failing(Dataset):
    """Item 1 is what goes wrong."""

    def __init__(self, fault):
        self.fault = fault

    def __getitem__(self, step):
        if step != 1:
            return step, os.getpid()
        if self.fault == "unreadable":
            raise InputError("d/3.jpg is truncated or damaged")
        if self.fault == "unsendable":
            raise Unsendable(1, 2)
        if self.fault == "killed":
            time.sleep(1)  # so that what came before is sent
            os._exit(9)
        time.sleep(1000)


def test_without_processes_items_are_made_here():
    with prepared_batches(Failing("unreadable"), 2, 4, 0) as items:
        assert list(items) == [(2, os.getpid()), (3, os.getpid())]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("unreadable", InputError, "^d/3.jpg is truncated or damaged"),
        ("unsendable", RuntimeError, "Unsendable: one argument"),
        ("killed", MachineError, "ended with status 9 .*short of memory"),
    ],
)
def test_what_goes_wrong_in_a_process_is_raised_in_its_turn(fault, error, said):
    with prepared_batches(Failing(fault), 0, 9, 1) as items:
        step, process = next(items)
        assert (step, process == os.getpid()) == (0, False)
        with pytest.raises(error, match=said) as raised:
            next(items)
    assert fault != "unreadable" or "in __getitem__" in raised.value.__notes__[0]
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_process_that_hangs_does_not_outlive_the_block():
    with prepared_batches(Failing("hanging"), 0, 9, 2) as items:
        assert next(items)[0] == 0
        assert len(multiprocessing.active_children()) == 2
        began = time.monotonic()
    assert multiprocessing.active_children() == []
    assert time.monotonic() - began < 5


SCRIPT = """
import multiprocessing, os, signal, sys
sys.path[:0] = [{folder!r}]
from test_loading import Failing
from magicpoint.data.loading import prepared_batches
with prepared_batches(Failing(""), 2, 10**9, 1) as items:
    if {first}:
        next(items)
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks for the process in /proc")
@pytest.mark.parametrize("first", [False, True], ids=["as it starts", "at work"])
def test_a_process_ends_when_its_parent_is_killed(first):
    script = SCRIPT.format(folder=os.path.dirname(__file__), first=first)
    # Its standard error is a file, as a pipe to it would be open as long as the process in question.
    told = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    process, deadline = int(told.stdout), time.monotonic() + 20
    while _runs(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(process)


def _runs(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
