"""The pool of one worker: in order, storing meanwhile, and nothing lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from geospot_gpu.cluster import LocalPool, Pool
from geospot_gpu.errors import GeospotError

LONG = 60.0


@dataclass
class Spy:
    """A job whose methods a test gives, and its own worker; notes what is done."""

    computing: Callable[[int], int] = lambda item: item
    storing: Callable[[int], int] = lambda computed: computed
    devices: list[str] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)

    def worker(self, device: str) -> Spy:
        self.devices.append(device)
        return self

    def compute(self, item: int) -> int:
        return self.computing(item)

    def store(self, computed: int) -> int:
        found = self.storing(computed)
        self.stored.append(computed)
        return found


def run(spy: Spy, items: Sequence[int]) -> Iterator[tuple[int, int]]:
    pool: Pool = LocalPool("cpu")
    with pool:
        yield from pool.run(spy, items, [1.0] * len(items), str)


def test_items_are_done_in_order_by_one_worker() -> None:
    spy = Spy(storing=lambda computed: -computed)
    assert list(run(spy, [5, 3, 4])) == [(0, -5), (1, -3), (2, -4)]
    assert (spy.devices, spy.stored) == (["cpu"], [5, 3, 4])
    assert list(run(spy, [])) == []
    assert LocalPool("cpu").device_type == "cpu"
    assert (LocalPool("cpu").workers, LocalPool("cpu").shares) == (1, 1)


def test_one_item_is_stored_while_the_next_is_computed() -> None:
    computing_next, stored_first = threading.Event(), threading.Event()

    def compute(item: int) -> int:
        if item == 1:
            computing_next.set()
            assert stored_first.wait(LONG)
        if item == 2:
            assert spy.stored == [0], "it takes the next when the one before is on disk"
        return item

    def store(computed: int) -> int:
        if computed == 0:
            assert computing_next.wait(LONG)
            stored_first.set()
        return computed

    spy = Spy(compute, store)
    assert list(run(spy, range(3))) == [(0, 0), (1, 1), (2, 2)]


def test_what_is_yielded_is_stored() -> None:
    spy = Spy()
    for _, item in run(spy, range(5)):
        assert item in spy.stored


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_was_computed_outlives_an_error(error: type[BaseException]) -> None:
    failing = threading.Event()

    def compute(item: int) -> int:
        if item == 1:
            failing.set()
            raise error
        return item

    def store(computed: int) -> int:
        assert failing.wait(LONG)
        return computed

    spy, got = Spy(compute, store), list[tuple[int, int]]()

    def collect() -> None:
        for found in run(spy, range(3)):
            got.append(found)  # what extend would have taken is lost with the error

    with pytest.raises(error):
        collect()
    assert (spy.stored, got) == ([0], [(0, 0)])


def test_an_error_in_storing_is_raised_once_and_ends_the_run() -> None:
    def store(computed: int) -> int:
        if computed == 1:
            raise GeospotError("run: cannot be written (No space left on device)")
        return computed

    spy, got = Spy(storing=store), list[tuple[int, int]]()

    def collect() -> None:
        for found in run(spy, range(5)):
            got.append(found)

    with pytest.raises(GeospotError, match="No space left on device"):
        collect()
    assert (spy.stored, got) == ([0], [(0, 0)])


def test_who_stops_asking_loses_nothing() -> None:
    spy = Spy()
    found = run(spy, range(5))
    assert next(found) == (0, 0)
    found.close()  # type: ignore[attr-defined]
    assert spy.stored == [0, 1]
