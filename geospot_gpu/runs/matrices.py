"""Columns of a sweep as matrices over its regions, of which no more is read than is looked at."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.column import Column
from geospot_gpu.distances.columns import measured
from geospot_gpu.distances.dataset import coordinates_of
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.runs.plan import Cell
from geospot_gpu.runs.stored_pairs import StoredPairs

if TYPE_CHECKING:
    import xarray

_TYPES = {"float32": np.float32, "int32": np.float32, "bool": np.bool_}


class StoredMatrix(BackendArray):
    """A variable of all pairs, sources in rows and targets in columns, [N, M].

    What is not stored is NaN, or not set.

    Args:
        pairs: of the sweep, all of them.
        shape: numbers of sources and targets.
        column: of the register.
        variable: the column itself, or one of its bounds.
        diagonal: what regions have with themselves, [N]; None where that is not known.
    """

    def __init__(
        self,
        pairs: StoredPairs,
        shape: tuple[int, int],
        column: Column,
        variable: str,
        diagonal: NDArray[Any] | None,
    ) -> None:
        self.shape, self.dtype = shape, np.dtype(_TYPES[column.dtype])
        self._pairs, self._sides, self._diagonal = pairs, column.sides(variable), diagonal

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    @out_of_memory("putting pairs into a matrix", "look at some of the regions, as with .sel")
    def _read(self, key: tuple[Any, Any]) -> NDArray[Any]:
        chosen = [np.arange(size)[part] for part, size in zip(key, self.shape, strict=True)]
        rows, columns = map(np.unique, chosen)
        found = np.full((len(rows), len(columns)), False if self.dtype == bool else np.nan,
                        self.dtype)  # fmt: skip
        grid = self._pairs.grid
        start = 0 if grid.square else self.shape[0]
        at_row, at_column = (
            _places(index, size, before)
            for index, size, before in ((rows, self.shape[0], 0), (columns, self.shape[1], start))
        )
        names = list(dict.fromkeys(self._sides[: 1 + grid.square]))
        for part in self._pairs.parts(names, self._cells(rows, columns + start)):
            sides = [(part.left, part.right, self._sides[0])]
            if grid.square:
                sides.append((part.right, part.left, self._sides[1]))
            for source, target, name in sides:
                i, j = at_row[source], at_column[target]
                some = (i >= 0) & (j >= 0)
                found[i[some], j[some]] = part[name][some]
        if grid.square and self._diagonal is not None:
            same = at_row[columns]
            own = np.flatnonzero(same >= 0)
            found[same[own], own] = self._diagonal[columns[own]]
        for axis, side in ((1, columns), (0, rows)):
            place = np.searchsorted(side, chosen[axis])  # which may come twice, or be one alone
            if not np.array_equal(place, np.arange(len(side))):
                found = np.take(found, place, axis)
        return found

    def _cells(self, rows: Indices, columns: Indices) -> list[Cell]:
        """Blocks of the grid that have pairs of these regions."""
        grid = self._pairs.grid
        groups = [np.unique(found).tolist() for found in grid.cells_of(rows, columns)]
        found = {Cell(row, column) for row in groups[0] for column in groups[1]}
        if grid.square:
            found = {Cell(min(cell), max(cell)) for cell in found}
        return sorted(found)


def _places(index: Indices, size: int, before: int) -> Indices:
    """Where regions stand in an index, by their positions in the sweep; -1 where they do not."""
    found = np.full(before + size, -1, np.int64)
    found[before + index] = np.arange(len(index))
    return found


def stored_dataset(
    pairs: StoredPairs,
    outputs: Collection[str],
    sources: pd.DataFrame,
    targets: pd.DataFrame | None,
) -> xarray.Dataset:
    """Pairs as :func:`~geospot_gpu.distances.dataset.to_dataset` has them, read when looked at."""
    import xarray

    shape = len(sources), len(sources if targets is None else targets)
    variables = {}
    for column in measured(outputs):
        owns = column.of_self or (None,) * 3
        for name, own in zip(column.variables, owns, strict=False):
            diagonal = sources[own].to_numpy() if isinstance(own, str) else own
            if isinstance(diagonal, float):
                diagonal = np.full(shape[0], diagonal)
            stored = StoredMatrix(pairs, shape, column, name, diagonal)
            lazy: Any = indexing.LazilyIndexedArray(stored)
            variables[name] = (("source", "target"), lazy, column.attributes(name))
    return xarray.Dataset(variables, coords=coordinates_of(sources, targets))
