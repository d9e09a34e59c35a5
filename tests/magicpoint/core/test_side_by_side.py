"""Work that threads do side by side comes in its order."""

import contextlib
import threading

import pytest
import torch

from magicpoint.core.side_by_side import MOST, side_by_side, workers_on


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(workers):
    released = [threading.Event() for _ in range(6)]
    for event in released[1:]:
        event.set()

    def late_first(number):
        if workers > 1 and number == 0:
            assert released[0].wait(10)
        if number == 1:
            released[0].set()  # the first ends after the second
        return number * 10

    found = [(item, future.result()) for item, future in side_by_side(range(6), late_first, workers)]
    assert found == [(number, number * 10) for number in range(6)]


@pytest.mark.parametrize(("workers", "threads"), [(1, 4), (2, 2), (3, 1), (8, 1)])
def test_torch_shares_its_threads_out_and_has_them_back(workers, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        # Threads of this pool are begun one after the other, and each says what it was given.
        seen = {future.result() for _, future in side_by_side(range(20), lambda _: torch.get_num_threads(), workers)}
        assert seen == {threads} or workers == 1
        assert torch.get_num_threads() == 4
        assert next(side_by_side([0], lambda _: torch.get_num_threads(), 1))[1].result() == 4
    finally:
        torch.set_num_threads(before)


def test_an_error_comes_with_its_item():
    found = []
    for item, future in side_by_side([1, 0, 2], lambda number: 6 // number, 2):
        with contextlib.suppress(ZeroDivisionError):
            found.append((item, future.result()))
    assert found == [(1, 6), (2, 3)]


@pytest.mark.parametrize("workers", [1, 3])
def test_where_the_items_end_in_an_error_those_before_it_count(workers):
    def draw():
        yield from range(5)
        raise OSError("the fifth is not there")

    found = side_by_side(draw(), str, workers)
    assert [next(found)[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="fifth"):
        next(found)


def test_no_more_is_drawn_than_is_worked_on():
    drawn = []

    def draw():
        for number in range(100):
            drawn.append(number)
            yield number

    with contextlib.closing(side_by_side(draw(), str, 3)) as found:
        next(found)
        assert drawn == [0, 1, 2, 3]
    assert len(drawn) == 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("side_by_side")]


@pytest.mark.parametrize(
    ("device", "backend", "threads", "workers"),
    [("cpu", "torch", 2, 2), ("cpu", "torch", 64, MOST), ("cpu", "onnxruntime", 4, 1), ("cuda", "torch", 4, 1)],
)
def test_as_many_as_there_are_cores(monkeypatch, device, backend, threads, workers):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert workers_on(torch.device(device), backend) == workers
