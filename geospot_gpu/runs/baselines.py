"""Baselines of the pairs of a sweep, stored beside it as they are asked for."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.distances import baselines as simple
from geospot_gpu.distances.columns import schema, stored, stored_in
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

_CHUNK = 5000
"""Pairs whose baselines are stored at once."""


@out_of_memory("computing baselines", "take fewer regions, or lower regions.max_points")
def stored_baselines(
    place: Place,
    keys: list[str],
    regions: Regions,
    left: Indices,
    right: Indices,
    engine: Engine,
) -> pd.DataFrame:
    """Baselines of pairs, from a sweep's place where they are stored, else computed and stored.

    Args:
        place: of the sweep.
        keys: what the regions are stored under.
        regions: the regions.
        left, right: positions of the regions of each pair, the left one first, [K].
        engine: who computes.

    Returns:
        Columns ``source``, ``target`` and the baselines, one row per pair.
    """
    # One of them depends on all regions, by the width of its kernel.
    width = simple.kernel_width(regions)
    store = PairStore(place.child("baselines"), "baselines", f"width {width!r}")
    grid = Grid(np.ones(len(regions), np.int64), None, "cpu")
    catalogue = Catalogue(store, keys, grid, len(regions))
    names, types = stored("baselines"), schema("baselines")
    outputs = [column.name for column in stored_in("baselines")]
    known, found = catalogue.find(left, right, names, outputs)
    missing = np.flatnonzero(~known)
    chunks = [missing[k : k + _CHUNK] for k in range(0, len(missing), _CHUNK)]
    job = BaselineJob(place, tuple(keys), regions, width)
    items = [(left[chunk], right[chunk]) for chunk in chunks]
    done: list[bool] = []
    with (
        engine.pool() as pool,
        kept("finished baselines", lambda: any(done)),
        Progress("baselines", "pairs", total=len(missing)) as counted,
    ):
        costs = [float(len(chunk)) for chunk in chunks]
        for k, result in pool.run(job, items, costs, job.name):
            done.append(result.unwritable is None)
            for name in names:  # as it is stored, so that whoever reads it finds the same
                kind = types.field(name).type.to_pandas_dtype()
                found[name][chunks[k]] = result.columns[name].astype(kind)
            if result.unwritable is not None and sum(not stored for stored in done) == 1:
                log.warning("baselines are not kept: %s", result.unwritable)
            counted.update(len(chunks[k]))
    if any(done):
        catalogue.refresh()
        merge(store, catalogue)
    return PairTable(left, right, found).to_pandas(regions.names)


class Computed(NamedTuple):
    """Baselines of some pairs."""

    pairs: tuple[Indices, Indices]
    columns: Columns
    unwritable: str | None = None
    """Why they could not be stored."""


@dataclass(frozen=True, eq=False)
class BaselineJob:
    """What the baselines of all pairs of a sweep share."""

    place: Place
    keys: tuple[str, ...]
    regions: Regions
    width: float

    def worker(self, device: str) -> BaselineWorker:
        """One who computes baselines."""
        return BaselineWorker(self, device)

    def __getstate__(self) -> dict[str, object]:
        """Arrays, and nothing of the tables that they were drawn from."""
        return vars(self) | {"regions": replace(self.regions, sources=(), counts={})}

    def name(self, item: tuple[Indices, Indices]) -> str:
        """What some pairs are called."""
        names = self.regions.names
        first, last = (f"{names[item[0][k]]} - {names[item[1][k]]}" for k in (0, -1))
        return f"baselines of {len(item[0])} pairs, {first} to {last}"


class BaselineWorker:
    """Computes baselines of pairs, and stores them."""

    def __init__(self, job: BaselineJob, device: str) -> None:
        self._job = job
        self._regions = job.regions.to(device)
        place = job.place.child("baselines")
        self._store = PairStore(place, "baselines", f"width {job.width!r}")

    def compute(self, item: tuple[Indices, Indices]) -> Computed:
        """The baselines of pairs at two sides' positions, [K] each."""
        found = simple.baselines(self._regions, *item, width=self._job.width)
        return Computed(item, {name: found[name].to_numpy() for name in stored("baselines")})

    def store(self, computed: Computed) -> Computed:
        """Write them, if that can be done: they are of use now, and can be computed again."""
        sides, places = [], []
        for positions in computed.pairs:
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
        try:
            self._store.write(
                *((sides[0], sides[1]), "listed", [c.name for c in stored_in("baselines")]),
                places=(places[0], places[1]),
                columns=computed.columns,
            )
        except Unwritable as error:
            return computed._replace(unwritable=str(error))
        return computed
