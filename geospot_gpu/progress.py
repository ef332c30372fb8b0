"""How far long work has come: drawn where that is asked for, and nowhere else."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

P = ParamSpec("P")
R = TypeVar("R")

_MANY = 100_000
"""Totals from here on are written with prefixes, as in 1.25M."""

_asked: ContextVar[bool] = ContextVar("progress", default=False)
_counted: ContextVar[bool] = ContextVar("counted", default=False)
"""Whether other work is being counted outside."""
_drawn: ContextVar[tqdm[Any] | None] = ContextVar("drawn", default=None)
"""The innermost bar."""


def note(text: str) -> None:
    """Say something beside the count that is drawn, as in ``8 workers``; nothing without one."""
    bar = _drawn.get()
    if bar is not None:
        bar.set_postfix_str(text)


@contextlib.contextmanager
def progress_shown(asked: bool = True) -> Iterator[None]:
    """Draw the progress of all that happens in the block, if asked; it may be asked outside, too.

    Bars are drawn deep inside, by whatever encodes or solves. That they may be is a wish of the
    caller's alone, which no function in between has to hand on, and no result depends on.
    """
    before = _asked.set(_asked.get() or asked)
    try:
        yield
    finally:
        _asked.reset(before)


def shows_progress(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function draw its progress where its argument ``progress``, by keyword, is true."""
    from geospot_gpu.errors import checks  # loads NumPy, which the commands' help does without

    @functools.wraps(function)
    def showing(*args: P.args, **kwargs: P.kwargs) -> R:
        with progress_shown(checks.flag(kwargs.get("progress", False), "progress")):
            return function(*args, **kwargs)

    return showing


class Progress:
    """A count of what is done, as a context; drawn where that is asked for.

    Within other counted work it is drawn below, and goes when it is done, or not at all.

    Args:
        what: that is done, as in ``encoding``.
        unit: what is counted, as in ``points``.
        total: how many there are.
        done: how many of them were done before.
        below: whether it is drawn within other counted work.

    >>> with Progress("encoding", "points", total=3) as progress:
    ...     progress.update(2)
    >>> progress.done
    2
    """

    def __init__(
        self, what: str, unit: str, *, total: int, done: int = 0, below: bool = True
    ) -> None:
        self.done = done
        self._below = below
        self._what, self._unit, self._total = what, unit, total
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Progress:
        drawn = self._below or not _counted.get()
        self._before = _counted.set(True)
        if _asked.get() and drawn and self.done < self._total:
            from tqdm import tqdm  # of no use to those who do not ask

            self._bar = tqdm(
                desc=self._what,
                unit=f" {self._unit}",
                total=self._total,
                initial=self.done,
                unit_scale=self._total >= _MANY,
                leave=None,  # stays where it stands alone
            )
        self._outside = _drawn.set(self._bar or _drawn.get())
        return self

    def update(self, count: int = 1) -> None:
        """Count more that is done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)

    def __exit__(self, *error: object) -> None:
        _counted.reset(self._before)
        _drawn.reset(self._outside)
        if self._bar is not None:
            self._bar.close()
