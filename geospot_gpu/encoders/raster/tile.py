"""The contract of a raster of vectors, and how its pixels are read block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.encoders.raster.grid import Grid
from geospot_gpu.errors import GeospotError, checks

_PIECE = 1 << 14

Places = NDArray[np.int64]


class Pixels(NamedTuple):
    """Some of the pixels that were asked for."""

    at: Places
    """Which of them, [k]."""
    values: NDArray[Any]
    """As they are stored, [k, bands]."""
    masked: NDArray[np.bool_] | None = None
    """Those that a mask of the file takes out, [k]."""


class Storage(NamedTuple):
    """What a file says of its values; in each of its bands [d], or of all."""

    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    nodata: NDArray[np.float64]
    """NaN where nothing is said."""


class Tile(ABC):
    """One raster of vectors on disk. It holds no open file."""

    name: str
    """In messages."""
    grid: Grid
    bands: int
    """How many are read."""
    names: Sequence[str | None] = ()
    """Of them, where the file has some."""
    storage: Storage

    @abstractmethod
    def pixels(self, rows: Places, columns: Places) -> Iterator[Pixels]:
        """The pixels at rows and columns [n], in pieces, reading each block of the file once."""


def plain_storage(bands: int) -> Storage:
    """Of a file that says nothing of its values."""
    return Storage(np.ones(bands), np.zeros(bands), np.full(bands, np.nan))


def blocks(
    rows: Places, columns: Places, height: int, width: int
) -> Iterator[tuple[Places, slice, slice]]:
    """Pixels [n] grouped by blocks of ``height`` x ``width``.

    Returns:
        For each block that has some their positions, and the rows and columns from the first to
        the last of them.
    """
    if len(rows) == 0:
        return
    across = int(columns.max()) // width + 1
    block = rows // height * across + columns // width
    order = np.argsort(block, kind="stable")
    edges = np.flatnonzero(np.diff(block[order])) + 1
    for index in np.split(order, edges):
        spans = [slice(int(at.min()), int(at.max()) + 1) for at in (rows[index], columns[index])]
        yield index, spans[0], spans[1]


def picked(
    index: Places,
    rows: Places,
    columns: Places,
    values: NDArray[Any],
    mask: NDArray[np.bool_] | None = None,
) -> Iterator[Pixels]:
    """Pixels at ``index`` of a window [bands, h, w] that begins at their first row and column."""
    top, left = rows[index].min(), columns[index].min()
    for low in range(0, len(index), _PIECE):
        few = index[low : low + _PIECE]
        at = rows[few] - top, columns[few] - left
        yield Pixels(few, values[:, at[0], at[1]].T, None if mask is None else mask[at])


def chosen_bands(given: Sequence[str] | None, names: Sequence[str | None], where: str) -> list[int]:
    """Positions of the bands that are asked for, by name or number; of all where none are.

    Raises:
        GeospotError: there is no such band.

    >>> chosen_bands(["A01", "1"], ["A00", "A01"], "x.tif")
    [1, 0]
    """
    if given is None:
        return list(range(len(names)))
    found = []
    for name in given:
        if name in names:
            found.append(list(names).index(name))
        elif name.isdecimal() and 1 <= int(name) <= len(names):
            found.append(int(name) - 1)
        else:
            known = [one for one in names if one]
            there = f", called {', '.join(known[:8])}{', ...' * (len(known) > 8)}" if known else ""
            raise GeospotError(
                f"{where}: encoder.bands: there is no band {checks.shown(name)}; there are "
                f"{len(names)}, counted from 1{there}"
            )
    return found
