"""What is written while the next is computed: in order, one at a time, and nothing lost."""

from __future__ import annotations

import threading

import pytest

from geospot_gpu.errors import GeospotError
from geospot_gpu.runs.writer import Writer

LONG = 60.0


def test_one_thing_is_written_while_the_next_is_computed() -> None:
    begun, go_on = threading.Event(), threading.Event()
    written: list[str] = []
    counted: list[int] = []

    def first() -> None:
        begun.set()
        assert go_on.wait(LONG)
        written.append("first")

    with Writer(counted.append) as writer:
        writer.put(3, first)
        assert begun.wait(LONG)
        assert (written, counted) == ([], []), "the caller goes on meanwhile"
        go_on.set()
        writer.put(4, lambda: written.append("second"))
        assert written[:1] == ["first"], "what was before is written when the next is taken"
        assert counted == [3]
    assert (written, counted) == (["first", "second"], [3, 4])


def test_an_error_is_raised_where_the_next_is_handed_over() -> None:
    counted: list[int] = []

    def fail() -> None:
        raise GeospotError("run: cannot be written (No space left on device)")

    def never() -> None:
        raise AssertionError("nothing is written after an error")

    def hand_over() -> None:
        with Writer(counted.append) as writer:
            for write in (lambda: None, fail, never):
                writer.put(1, write)

    with pytest.raises(GeospotError, match="No space left on device") as caught:
        hand_over()
    assert counted == [1]
    assert caught.value.__context__ is None, "it is said once"


def test_an_error_in_the_last_is_raised_at_the_end() -> None:
    def fail() -> None:
        raise MemoryError

    writer = Writer(lambda _: None)
    writer.put(1, fail)
    with pytest.raises(MemoryError), writer:
        pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_was_handed_over_outlives_an_error(error: type[BaseException]) -> None:
    stopped = threading.Event()
    written: list[bool] = []
    counted: list[int] = []

    def computed() -> None:
        with Writer(counted.append) as writer:
            writer.put(5, lambda: written.append(stopped.wait(LONG)))
            stopped.set()
            raise error

    with pytest.raises(error):
        computed()
    assert (written, counted) == ([True], [5])
