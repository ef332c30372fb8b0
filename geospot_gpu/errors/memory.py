"""What is said when memory is not enough."""

from __future__ import annotations

import contextlib
import errno
import re
import traceback
from collections.abc import Iterator

from geospot_gpu.errors import GeospotError

_TOLD = re.compile(
    r"out[ _]of[ _]memory|(?:not enough|insufficient) memory|bad_?alloc\b|alloc_failed"
    r"|(?:can't|can ?not|could not|failed to|unable to) allocate|failed to map segment"
    r"|\b(?:m|re)alloc of size|can't start new thread",
    re.IGNORECASE,
)
"""How libraries that have no exception of their own for it say that memory is not enough."""

_ASKED = re.compile(r"(?:allocate|of size) (\d+(?:\.\d*)?) ?(?:([KMGTPE]i?B)|bytes|B)?\b")


class OutOfMemory(GeospotError):
    """Memory is not enough: what was too large for it, and which setting helps."""


@contextlib.contextmanager
def out_of_memory(what: str, advice: str) -> Iterator[None]:
    """Where the block, or the function that is decorated, runs out of memory, say what to do.

    Args:
        what: what it does, as in ``reading points.csv``.
        advice: what helps.

    Raises:
        OutOfMemory: memory was not enough, of whatever kind, and whoever noticed.

    >>> with out_of_memory("reading a", "cut it"):
    ...     raise MemoryError("Unable to allocate 3.00 GiB for an array")
    Traceback (most recent call last):
    ...
    geospot_gpu.errors.memory.OutOfMemory: out of memory while reading a (3 GiB asked for): cut it
    """
    try:
        yield
    except Exception as error:
        cause = _cause(error)
        if cause is None or isinstance(cause, OutOfMemory):  # said further in, more precisely
            raise
        traceback.clear_frames(error.__traceback__)  # what they hold is wanted back
        raise OutOfMemory(f"out of memory while {what}{_asked(cause)}: {advice}") from error


def _cause(error: BaseException | None) -> BaseException | None:
    """The error of a chain that says that memory is not enough; None where none does."""
    while error is not None:
        if _is_of_memory(error):
            return error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def _is_of_memory(error: BaseException) -> bool:
    # NumPy's, SciPy's, Numba's and Arrow's are MemoryErrors; PyTorch's, GDAL's, GEOS's and that of
    # the CSV parser of pandas are told by their words. Ours quote names that may hold any words.
    if (
        isinstance(error, MemoryError | OutOfMemory)
        or getattr(error, "errno", None) == errno.ENOMEM
    ):
        return True
    return not isinstance(error, GeospotError) and bool(_TOLD.search(str(error)))


def _asked(error: BaseException) -> str:
    """How much was asked for, where the error says so.

    >>> _asked(RuntimeError("DefaultCPUAllocator: you tried to allocate 9663676416 bytes."))
    ' (9 GiB asked for)'
    """
    found = _ASKED.search(str(error))
    if found is None:
        return ""
    amount, unit = float(found[1]), found[2] or "B"
    for larger in ("KiB", "MiB", "GiB") if unit == "B" else ():
        if amount >= 1024:
            amount, unit = amount / 1024, larger
    return f" ({amount:.3g} {unit} asked for)"
