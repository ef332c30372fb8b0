"""Baselines of the pairs of a sweep, stored beside it as they are asked for."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.distances import baselines as simple
from geospot_gpu.distances.column import Column
from geospot_gpu.distances.columns import schema, stored_in
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.engine.settings import Engine
from geospot_gpu.errors.kept import kept
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.files import Unwritable
from geospot_gpu.files.places import Place
from geospot_gpu.progress import Progress
from geospot_gpu.regions import Regions
from geospot_gpu.runs.block import Side
from geospot_gpu.runs.catalogue import Catalogue
from geospot_gpu.runs.merging import merge
from geospot_gpu.runs.pair_store import PairStore
from geospot_gpu.runs.plan import Grid

log = logging.getLogger("geospot_gpu")

_SIDE = 70
"""Regions on either side of the pairs whose baselines are computed and stored at once."""


@out_of_memory("computing baselines", "take fewer regions, or lower regions.max_points")
def stored_baselines(
    place: Place,
    keys: list[str],
    regions: Regions,
    left: Indices,
    right: Indices,
    engine: Engine,
    outputs: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Baselines of pairs, from a sweep's place where they are stored, else computed and stored.

    What a store lacks is computed and stored together with what it has of the same pairs.

    Args:
        place: of the sweep.
        keys: what the regions are stored under.
        regions: the regions.
        left, right: positions of the regions of each pair, the left one first, [K].
        engine: who computes.
        outputs: names of the baselines; all if not given.

    Returns:
        Columns ``source``, ``target`` and the baselines, one row per pair.
    """
    store, catalogue, width = _stored(place, keys, regions)
    columns = stored_in("baselines")
    asked = np.array([outputs is None or column.name in outputs for column in columns])
    known, found = _known(catalogue, left, right, columns)
    stored_some = False
    for rows, there in _alike(known):
        some = tuple(columns[k].name for k in np.flatnonzero(asked & ~there))
        beside = [name for k in np.flatnonzero(there) for name in columns[k].stored]
        if some:
            job = BaselineJob(place, tuple(keys), regions, width, some)
            stored_some |= _compute(engine, job, left, right, rows, found, beside)
    if stored_some:
        catalogue.refresh()
        merge(store, catalogue)
    names = [name for k in np.flatnonzero(asked) for name in columns[k].stored]
    return PairTable(left, right, {n: found[n] for n in names}).to_pandas(regions.names)


def kept_baselines(
    place: Place, keys: list[str], regions: Regions, left: Indices, right: Indices
) -> Columns:
    """Baselines of pairs as far as they are stored in a sweep's place; none is computed.

    Args:
        place, keys, regions, left, right: as for :func:`stored_baselines`.

    Returns:
        Values [K] of every stored column of which some pair has one, NaN of the others.
    """
    _, catalogue, _ = _stored(place, keys, regions)
    found: Columns = {}
    for column in stored_in("baselines"):
        there, values = catalogue.find(left, right, column.stored, [column.name])
        if there.any():
            found |= {name: np.where(there, values[name], np.nan) for name in column.stored}
    return found


def _stored(place: Place, keys: list[str], regions: Regions) -> tuple[PairStore, Catalogue, float]:
    """Where baselines are stored, what of them there is, and the width of their kernel."""
    width = simple.kernel_width(regions)  # some depend on all regions by it
    store = PairStore(place.child("baselines"), "baselines", f"width {width!r}")
    grid = Grid(np.ones(len(regions), np.int64), None, "cpu")
    return store, Catalogue(store, keys, grid, len(regions)), width


def _known(
    catalogue: Catalogue, left: Indices, right: Indices, columns: Sequence[Column]
) -> tuple[NDArray[np.bool_], Columns]:
    """Which of the columns C are stored of each pair, [K, C], and values [K] by name."""
    names = [name for column in columns for name in column.stored]
    complete, found = catalogue.find(left, right, names, [column.name for column in columns])
    known = np.repeat(complete[:, None], len(columns), axis=1)
    some = np.flatnonzero(~complete)
    for k, column in enumerate(columns if len(some) else ()):
        there, values = catalogue.find(left[some], right[some], column.stored, [column.name])
        known[some, k] = there
        for name in column.stored:
            found[name][some] = values[name]
    return known, found


def _alike(known: NDArray[np.bool_]) -> Iterator[tuple[Indices, NDArray[np.bool_]]]:
    """Rows [K, C] that are alike, and what they are."""
    kinds, kind = np.unique(known, axis=0, return_inverse=True)
    for k, there in enumerate(kinds):
        yield np.flatnonzero(kind.ravel() == k), there


@out_of_memory("computing baselines", "take fewer regions, or lower regions.max_points")
def shared_baselines(
    regions: Regions,
    left: Indices,
    right: Indices,
    outputs: Sequence[str],
    engine: Engine,
    width: float | None = None,
) -> pd.DataFrame:
    """What :func:`~geospot_gpu.distances.baselines.baselines` returns, by the pool of an engine.

    Args:
        regions: the regions.
        left, right: positions of the regions of each pair, [K].
        outputs: names of the baselines to compute.
        engine: who computes.
        width: of kernels; that of the regions if not given.
    """
    names = [name for c in stored_in("baselines") if c.name in outputs for name in c.stored]
    found: Columns = {name: np.empty(len(left)) for name in names}
    if names:
        width = simple.kernel_width(regions) if width is None else width
        job = BaselineJob(None, (), regions, width, tuple(outputs))
        _compute(engine, job, left, right, np.arange(len(left)), found)
    return pd.DataFrame(found)


def _compute(
    engine: Engine,
    job: BaselineJob,
    left: Indices,
    right: Indices,
    missing: Indices,
    found: Columns,
    beside: Sequence[str] = (),
) -> bool:
    """Have the baselines of those pairs that are missing computed and stored, and fill them in.

    Other columns, which are known of them, are stored beside these.

    Returns:
        Whether any could be stored.
    """
    done: list[bool] = []
    log.debug("%d pairs lack %s", len(missing), ", ".join(job.outputs))
    with (
        engine.pool() as pool,
        kept("finished baselines", lambda: any(done)),
        Progress("baselines", "pairs", total=len(missing)) as counted,
    ):
        sizes = job.regions.sizes
        chunks = [missing[at] for at in tiles(left[missing], right[missing], pool.shares)]
        items = [
            Asked(left[at], right[at], {name: found[name][at] for name in beside}) for at in chunks
        ]
        costs = [float((sizes[i] * sizes[j]).sum()) for i, j, _ in items]
        for k, result in pool.run(job, items, costs, job.name):
            done.append(result.unwritable is None)
            for name, values in result.columns.items():
                found[name][chunks[k]] = values
            if result.unwritable is not None and sum(not stored for stored in done) == 1:
                log.warning("baselines are not kept: %s", result.unwritable)
            counted.update(len(chunks[k]))
    return any(done)


def tiles(left: Indices, right: Indices, shares: int) -> list[Indices]:
    """Positions of the pairs between each group of left regions and each of right ones.

    What baselines need of a region is computed once for all pairs of a tile, so that tiles are as
    square as they can be.

    Args:
        left, right: positions of the two regions of each pair, [K].
        shares: how many tiles there should be at least, as far as there are pairs.

    >>> [tile.tolist() for tile in tiles(np.array([0, 0, 1]), np.array([1, 2, 2]), 1)]
    [[0, 1, 2]]
    """
    tile = np.zeros(len(left), np.int64)
    for side in (left, right):
        regions, place = np.unique(side, return_inverse=True)
        groups = max(math.isqrt(2 * shares), -(-len(regions) // _SIDE))
        tile = tile * groups + place * groups // len(regions)
    order = np.argsort(tile, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(tile[order])) + 1)


class Asked(NamedTuple):
    """Pairs whose baselines are asked for."""

    left: Indices
    """Positions of the two regions of each, [K]."""
    right: Indices
    beside: Columns
    """Values [K] of other baselines, which are known, and stored together with these."""


class Computed(NamedTuple):
    """Baselines of some pairs."""

    pairs: Asked
    columns: Columns
    unwritable: str | None = None
    """Why they could not be stored."""


@dataclass(frozen=True, eq=False)
class BaselineJob:
    """What the baselines of pairs of regions share.

    Attributes:
        place: of the sweep that they are stored with; None where they are not stored.
        keys: what the regions are stored under.
        regions: the regions.
        width: of the Gaussian kernel.
        outputs: names of the baselines.
    """

    place: Place | None
    keys: tuple[str, ...]
    regions: Regions
    width: float
    outputs: tuple[str, ...]

    def worker(self, device: str) -> BaselineWorker:
        """One who computes baselines."""
        return BaselineWorker(self, device)

    def __getstate__(self) -> dict[str, object]:
        """Arrays, and nothing of the tables that they were drawn from."""
        return vars(self) | {"regions": self.regions.bare()}

    def name(self, item: Asked) -> str:
        """What some pairs are called."""
        names = self.regions.names
        first, last = (f"{names[item.left[k]]} - {names[item.right[k]]}" for k in (0, -1))
        count = len(item.left)
        return f"baselines of {count} pairs, {first} to {last}" if count > 1 else first


class BaselineWorker:
    """Computes baselines of pairs, and stores them."""

    def __init__(self, job: BaselineJob, device: str) -> None:
        self._job = job
        self._regions = job.regions.to(device)
        self._store: PairStore | None = None
        if job.place is not None:
            place = job.place.child("baselines")
            self._store = PairStore(place, "baselines", f"width {job.width!r}")

    def compute(self, item: Asked) -> Computed:
        """The baselines of pairs."""
        sides = item.left, item.right
        table = simple.baselines(self._regions, *sides, self._job.outputs, self._job.width)
        found = {str(name): table[name].to_numpy() for name in table}
        if self._store is not None:  # as it is stored, so that whoever reads it finds the same
            types = schema("baselines")
            for name in found:
                found[name] = found[name].astype(types.field(name).type.to_pandas_dtype())
        return Computed(item, found)

    def store(self, computed: Computed) -> Computed:
        """Write them, if that can be done: they are of use now, and can be computed again."""
        if self._store is None:
            return computed
        sides, places = [], []
        for positions in computed.pairs[:2]:
            index, at = np.unique(positions, return_inverse=True)
            some = index.tolist()
            sides.append(
                Side(
                    tuple(self._regions.names[k] for k in some),
                    tuple(self._job.keys[k] for k in some),
                    tuple(self._regions.n_points[index].tolist()),
                )
            )
            places.append(at)
        columns = computed.columns | computed.pairs.beside
        outputs = [c.name for c in stored_in("baselines") if columns.keys() >= set(c.stored)]
        try:
            self._store.write(
                (sides[0], sides[1]), "listed", outputs, (places[0], places[1]), columns
            )
        except Unwritable as error:
            return computed._replace(unwritable=str(error))
        return computed
