"""A run: distances in a folder, with what they were made from, each read once."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
import psutil
from numpy.typing import ArrayLike

from geospot_gpu.cost import GroundCost
from geospot_gpu.displayed import Displayed
from geospot_gpu.distances.columns import find
from geospot_gpu.distances.pairwise import joined
from geospot_gpu.encoders import Encoder, Spaces
from geospot_gpu.encoders.spaces import own_of
from geospot_gpu.engine.method import Method, Solver
from geospot_gpu.engine.settings import Engine
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import OutOfMemory
from geospot_gpu.files.places import Place
from geospot_gpu.names import Name
from geospot_gpu.points.table import Points
from geospot_gpu.regions import Regions
from geospot_gpu.runs.catalogue import Catalogue
from geospot_gpu.runs.identity import method_of, region_keys
from geospot_gpu.runs.listed_pairs import ListedPairs, neighbour_rows
from geospot_gpu.runs.manifest import Manifest, entries
from geospot_gpu.runs.origin import drawn_again, engine_of
from geospot_gpu.runs.reading import (
    check_all_pairs,
    dataset_of,
    required_manifest,
    stored_regions,
)
from geospot_gpu.runs.spaces import folder_of, others
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.stored_pairs import StoredPairs

if TYPE_CHECKING:
    import xarray

log = logging.getLogger("geospot_gpu")


class Run(Displayed):
    """Distances in a folder, with what they were made from.

    Whatever is asked for is read when it is first asked for, and once: regions are drawn from
    their points and encoded, which may take a while; cost, solver and names are there at once.
    Make one with :func:`geospot_gpu.sweep`, or :meth:`open` what a sweep has stored.

    Args:
        folder: of the run.
        manifest: what it was made from.
        engine: device, kernel and memory budget for what follows; those of the run if not given.
        drawn: its regions, and those of the second table or None, where they are at hand.
    """

    def __init__(
        self,
        folder: str | Path,
        manifest: Manifest,
        *,
        engine: Engine | None = None,
        drawn: tuple[Regions, Regions | None] | None = None,
    ) -> None:
        self.folder, self.manifest = folder, manifest
        self._engine, self._given = engine, drawn

    @classmethod
    def open(cls, folder: str | Path, *, engine: Engine | None = None) -> Self:
        """A finished or unfinished run.

        Args:
            folder: of the run, or its URL on object storage.
            engine: as for :class:`Run`.

        Raises:
            GeospotError: the folder holds no sweep, or a damaged one.
        """
        store = Store(checks.location(folder, "folder"))
        if engine is not None:
            checks.instance(engine, Engine, "engine")
        store.check_form()
        return cls(store.folder, required_manifest(store), engine=engine)

    def __repr__(self) -> str:
        found = f"<Run: {self.folder}: {len(self.names):,}"
        if self.manifest["targets"] is not None:
            found += f" x {len(self.manifest['targets']):,}"
        encoder = self.manifest["identity"]["encoder"]
        if self.nearest is not None:
            return (
                f"{found} regions, the {self.nearest} nearest of each by {self.value}, {encoder}>"
            )
        return f"{found} regions by {self.value}, {encoder}>"

    @property
    def value(self) -> str:
        """The column that is the distance: ``divergence``, or ``transport_cost``."""
        return str(self.manifest["value"])

    @property
    def nearest(self) -> int | None:
        """Of how many nearest regions the pairs are stored alone; None where all pairs are."""
        found: int | None = self.manifest.get("nearest")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Of the regions, those of a second table not among them."""
        return tuple(entry["name"] for entry in self.manifest["sources"])

    @property
    def keys(self) -> list[str]:
        """What the regions are stored under, those of a second table last."""
        return [entry["key"] for entry in entries(self.manifest)]

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """All pairs that are computed, one row each, with all columns: :meth:`distances` in memory.

        Raises:
            OutOfMemory: they are too many.
        """
        return self.distances().to_pandas()

    def distances(
        self,
        columns: Sequence[str] | None = None,
        source: Name | Collection[Name] | None = None,
        target: Name | Collection[Name] | None = None,
    ) -> StoredPairs:
        """The pairs that are computed, of which no more is read than is asked for.

        Args:
            columns: names of columns: ``source``, ``target``, ``n_source``, ``n_target``, and those
                of the register that are stored; all of them if not given.
            source: names of regions that one side of a pair is among, which is the source then;
                any if not given.
            target: the same of the other side.

        Returns:
            A table that DuckDB, polars, pandas and pyarrow read as a stream of Arrow, with
            ``batches()``, ``to_table()`` and ``to_pandas()``.

        Raises:
            GeospotError: there is no such column or region.
        """
        if self.nearest is not None:
            pairs = ListedPairs(self._store, self.manifest, columns, source, target)
            if missing := int((~pairs.table.there).sum()):
                log.warning(
                    "%s: neighbours of %d of %d regions are missing: run the same geospot sweep "
                    "again to have them",
                    *(self.folder, missing, len(pairs.table.there)),
                )
            return pairs
        catalogue = self._catalogue
        catalogue.look()
        return StoredPairs(self._store.pairs, self.manifest, columns, source, target, catalogue)

    def table(self) -> pd.DataFrame:
        """One row per region, as :meth:`Regions.table` has it; those of a second table not."""
        columns = ["name", "n_points", "n_available", "n_distinct", "weight", "lon", "lat"]
        return stored_regions(self._store, self.manifest)[columns][: len(self.names)]

    def row(self, name: Name, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The pairs of one region with all others, or with its neighbours, the nearest first.

        Args:
            name: of the region.
            columns: as for :meth:`distances`; the distance and its bounds if not given.

        Returns:
            A table indexed by the other region, with a column ``rank`` where the run stores the
            nearest alone.
        """
        value = find(self.value)
        chosen = [value.sides(variable)[0] for variable in value.variables]
        if columns is not None:
            chosen = list(columns)
        if self.nearest is not None:
            return neighbour_rows(self._store, self.manifest, name, chosen)
        wanted = list(dict.fromkeys(["source", "target", *chosen]))
        names = None if self.manifest["targets"] is None or name in self.names else name
        found = self.distances(wanted, source=None if names else name, target=names).to_pandas()
        found = found.set_index("source" if names else "target")[chosen]
        return found.sort_values(chosen[0], kind="stable")

    def matrix(self, column: str | None = None) -> xarray.DataArray:
        """One column as a dense matrix over ``source`` and ``target``, in memory.

        Args:
            column: of :meth:`dataset`; the distance if not given.

        Raises:
            OutOfMemory: it is larger than the memory that is free; the message says how large.
        """
        dataset = self.dataset()
        found = dataset[
            checks.one_of(column or self.value, [*map(str, dataset.data_vars)], "column")
        ]
        free = psutil.virtual_memory().available
        if found.nbytes > free:
            raise OutOfMemory(
                f"{self.folder}: a matrix of {' x '.join(f'{n:,}' for n in found.shape)} takes "
                f"{found.nbytes / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free: look at "
                "some of it, as with run.dataset().sel, or take run.distances()"
            )
        return found.load()

    @cached_property
    def _catalogue(self) -> Catalogue:
        return StoredPairs(self._store.pairs, self.manifest).catalogue

    @property
    def spaces(self) -> dict[str, Run]:
        """The runs of all spaces of its points by name, this one first; none where it has one."""
        names, every = others(self.manifest), self.manifest.get("spaces", [])
        found = {self.manifest["space"]: self} if names else {}
        for name in names:
            found[name] = Run.open(folder_of(self.folder, name, every), engine=self._engine)
        return found

    @property
    def place(self) -> Place:
        """Where its files lie."""
        return self._store.place

    @cached_property
    def _store(self) -> Store:
        return Store(self.folder)

    @property
    def cost(self) -> GroundCost:
        """The ground cost."""
        return self.method.cost

    @property
    def solver(self) -> Solver:
        """What solved the pairs."""
        return self.method.solver

    @property
    def target_error(self) -> float | None:
        """What larger samples were taken for."""
        found: float | None = self.manifest.get("target_error")
        return found

    @cached_property
    def method(self) -> Method:
        """Cost and solver."""
        try:
            return method_of(self.manifest["identity"])
        except GeospotError as error:
            raise GeospotError(f"{self.folder}: {error}") from error

    @cached_property
    def engine(self) -> Engine:
        """Device, kernel and memory budget."""
        return self._engine or engine_of(self.manifest, self.folder)

    @property
    def regions(self) -> Regions:
        """The regions, drawn from their points and encoded.

        Raises:
            GeospotError: their points are not there any more, or have changed.
        """
        return self._drawn[0]

    @property
    def against(self) -> Regions | None:
        """Those of the second table, where there is one."""
        return self._drawn[1]

    @property
    def encoder(self) -> Encoder:
        """Where features come from."""
        return self.regions.sources[0].encoder

    def encoder_in(self, spaces: Sequence[str]) -> Spaces:
        """Where features come from in some of its spaces at once."""
        if isinstance(self.encoder, Spaces):
            known = self.encoder.encoders
        else:
            known = {name: own_of(run.encoder) for name, run in self.spaces.items()}
        return Spaces({name: known[name] for name in spaces})

    @cached_property
    def _drawn(self) -> tuple[Regions, Regions | None]:
        if self._given is not None:
            return self._given
        with self.engine.pool():
            drawn = drawn_again(self.manifest, self.folder, str(self.engine.torch_device()))
        if region_keys(joined(*drawn), self.manifest["identity"]) != self.keys:
            raise GeospotError(
                f"{self.folder}: its points have changed since: run geospot sweep again with its "
                "settings"
            )
        return drawn

    def regions_like(self, points: Points, groups: Mapping[Any, ArrayLike]) -> Regions:
        """Other regions, sampled and encoded as those of the run, in all of its spaces.

        Args:
            points: a table of points.
            groups: its rows by region, as for :meth:`geospot_gpu.Regions.from_groups`.
        """
        sampling, encoder = self.regions.sampling, self.encoder
        if others(self.manifest):
            encoder = self.encoder_in(self.manifest["spaces"])
        return Regions.from_groups(
            points,
            groups,
            encoder=encoder,
            max_points=sampling.max_points,
            seed=sampling.seed,
            device=self.regions.device,
        )

    def dataset(self) -> xarray.Dataset:
        """The pairs as an xarray.Dataset over ``source`` and ``target``, read when looked at.

        ``dataset.divergence.sel(source="FR")`` reads what it needs; a variable that is looked at as
        a whole is in memory from then on. Pairs that are not computed yet are NaN, and not
        converged.

        Returns:
            The variables of :func:`geospot_gpu.pairwise`, in float32, with attributes ``value``
            (the variable that the matrix shows) and ``manifest`` (the manifest as JSON).

        Raises:
            GeospotError: the run stores the nearest regions of each alone.
        """
        check_all_pairs(self.manifest, self.folder)
        pairs = self.distances()
        total, missing = pairs.grid.total, pairs.catalogue.count_missing(())
        if missing:
            log.warning(
                "%s: %d of %d pairs are missing: run the same geospot sweep again to have them",
                *(self.folder, missing, total),
            )
        regions = stored_regions(self._store, self.manifest)
        dataset = dataset_of(self.manifest, regions, pairs)
        dataset.attrs = {"value": self.value, "manifest": json.dumps(self.manifest)}
        return dataset


def open_run(out: str | Path) -> xarray.Dataset:
    """What a finished or unfinished sweep has stored: :meth:`Run.dataset` of the run in a folder.

    Args:
        out: folder of the run, or its URL on object storage.

    Raises:
        GeospotError: the folder holds no sweep, or a damaged one.
    """
    return Run.open(checks.location(out, "out")).dataset()
