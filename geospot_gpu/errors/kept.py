"""What is not lost where work ends early."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def kept(what: str, anything: Callable[[], bool]) -> Iterator[None]:
    """Note on an interruption or error in the block that finished work is stored.

    Args:
        what: that is stored piece by piece, as in ``finished batches``.
        anything: says whether a piece is stored already.
    """
    try:
        yield
    except BaseException as error:
        if anything():
            error.add_note(f"{what} are kept, and the same command goes on from there")
        raise


def with_notes(message: str, error: BaseException) -> str:
    """A message with what :func:`kept` noted on an error, or on those that it was raised from."""
    one: BaseException | None = error
    while one is not None:
        for note in getattr(one, "__notes__", ()):
            if note not in message:
                message += f"; {note}"
        one = one.__cause__
    return message
