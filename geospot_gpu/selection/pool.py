"""A pool of single points to choose from: millions of them, read a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.arrays import Indices
from geospot_gpu.devices import IN_FLIGHT, streamed, upload
from geospot_gpu.distances.nearest.rounded import cost_error, rounded, rounds
from geospot_gpu.encoders import Encoder
from geospot_gpu.encoders.base import Features, usable_rows
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.kernels.clouds import CloudBatch, PointArrays
from geospot_gpu.kernels.costs import costs_between, cover_gains, mean_costs
from geospot_gpu.kernels.tiles import tile_entries
from geospot_gpu.names import labels
from geospot_gpu.points.readers import column
from geospot_gpu.points.table import Points
from geospot_gpu.regions import Regions
from geospot_gpu.sphere import unit_vectors

_TILE_ENTRIES = {"cpu": 1 << 22, "cuda": 1 << 27}


class Pool:
    """Points of a table, and their features where they are.

    Args:
        points: the table.
        rows: which of its rows, [n].
        encoder: where features come from; they are read when they are needed.
        region: name of the region of each row, [n]; none if not given.
        device: where a model runs that encodes them.
    """

    def __init__(
        self,
        points: Points,
        rows: NDArray[np.int64],
        encoder: Encoder,
        region: NDArray[np.object_] | None = None,
        device: str = "cpu",
    ) -> None:
        self.points, self.rows, self.encoder, self.region = points, rows, encoder, region
        self.device = device
        self.xyz = unit_vectors(lon=points.lon[rows], lat=points.lat[rows])

    @cached_property
    def features(self) -> Features | None:
        """Vectors of the points, which may stay on disk; None where there are none."""
        return self.encoder.open(self.points, self.rows, self.device)

    @classmethod
    @out_of_memory("preparing the pool", "give fewer points in pool=...")
    def of_table(cls, points: Points, encoder: Encoder, device: str = "cpu") -> Pool:
        """All points of a table; without those that have no features, where such are dropped."""
        rows = usable_rows(encoder, points, np.arange(len(points)))
        return cls(points, rows, encoder, None, device)

    @classmethod
    def of_regions(cls, regions: Regions, index: Indices) -> Pool:
        """All points of the regions at ``index``, not only those of their samples, each once.

        Raises:
            GeospotError: the regions are of several tables.
        """
        sources = [regions.sources[k] for k in index]
        first = sources[0]
        if any(source.points is not first.points for source in sources):
            raise GeospotError("points can be chosen from one table only: give them as a pool")
        rows = np.concatenate([source.rows for source in sources])
        names = np.repeat(
            np.array([regions.names[k] for k in index], dtype=object),
            [len(source.rows) for source in sources],
        )
        rows, once = np.unique(rows, return_index=True)
        return cls(first.points, rows, first.encoder, names[once], first.device)

    def take(self, index: Indices) -> Pool:
        """The points at ``index``."""
        region = None if self.region is None else self.region[index]
        return Pool(self.points, self.rows[index], self.encoder, region, self.device)

    def __len__(self) -> int:
        return len(self.rows)

    def ids(self, name: str | None) -> NDArray[np.object_] | NDArray[np.int64]:
        """What names each point, [n]: a column of the table.

        If None that called ``id``, or its row, counted from 1, where there is none.
        """
        if name is None and "id" in self.points.attributes:
            name = "id"
        if name is None:
            return self.points.attributes.index.to_numpy(np.int64)[self.rows]
        values = column(self.points.attributes, name, "pool.id", self.points.origin)
        return labels(pd.Series(values.iloc[self.rows])).to_numpy(object)


class PoolCosts:
    """Costs between the points of a pool and those of targets, a piece at a time.

    Args:
        engine: regions and their cost, on one scale.
        targets: positions of the target regions.
        shares: what each counts; they sum to one.
        pool: the points.

    Raises:
        GeospotError: the features of the pool do not compare with those of the targets.
    """

    def __init__(
        self, engine: PairEngine, targets: Indices, shares: NDArray[np.float64], pool: Pool
    ) -> None:
        points, regions = engine.points, engine.regions
        parts = [slice(*regions.offsets[t : t + 2].tolist()) for t in targets]
        features = None
        if engine.cost.uses_features and regions.features is not None:
            # Exact ones, whatever the engine holds.
            features = torch.cat([regions.features[part] for part in parts])
            _check_alike(engine, pool, features.shape[1])
            features = upload(features, engine.device)
        xyz = torch.cat([points.xyz[part] for part in parts])
        weights = zip(parts, shares, strict=True)
        mass = torch.cat([points.mass[part] * float(share) for part, share in weights])
        self.mass, self.pool = mass, pool
        self._cost, self._device = engine.cost, engine.device
        self._goal = _one_cloud(PointArrays(features, xyz, mass))
        self._near = None
        if rounds(engine.cost, self._goal.points):
            self._near = rounded(self._goal.points)
        entries, self.held = _TILE_ENTRIES[engine.device.type], len(pool)
        """Points of the pool that may be on the device at once, beside a piece that is compared."""
        if engine.device.type == "cuda":
            entries = min(entries, tile_entries(mass.dtype, engine.budget // 2, "cuda"))
            of_point = (3 + (0 if features is None else features.shape[1])) * mass.element_size()
            self.held = max(16, engine.budget // (4 * of_point))
            entries = min(entries, self.held // IN_FLIGHT * len(mass))
        self.rows = max(16, entries // len(mass))
        """Points of the pool whose costs are found at once."""

    @property
    def uses_features(self) -> bool:
        """Whether costs depend on features, and not on places alone."""
        return self._cost.uses_features

    def pieces(self) -> Iterator[tuple[NDArray[np.int64], PointArrays]]:
        """All points of the pool, as many at a time as suit the processor, and their positions.

        A GPU never holds more than a few pieces. The next one is read and copied while it works on
        the present one, for as long as the caller waits for nothing.
        """
        everything = np.arange(len(self.pool))
        pieces = [everything[low : low + self.rows] for low in range(0, len(self.pool), self.rows)]
        blocks = (self._on_host(piece) for piece in pieces)
        for piece, block in zip(pieces, streamed(blocks, self._device), strict=True):
            yield piece, _points(*block)

    def part(self, index: NDArray[np.int64]) -> PointArrays:
        """Points of the pool at ``index`` [k], on the device."""
        return _points(*(upload(values, self._device) for values in self._on_host(index)))

    def _on_host(self, index: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Unit vectors of points of the pool, and features where the cost reads them."""
        xyz = torch.from_numpy(self.pool.xyz[index]).to(self.mass.dtype)
        if not self._cost.uses_features:
            return (xyz,)
        assert self.pool.features is not None
        return xyz, torch.from_numpy(self.pool.features[index]).to(self.mass.dtype)

    def tile(self, part: PointArrays) -> Tensor:
        """Costs [k, M] from points of the pool to all points of the targets."""
        return costs_between(self._cost, _one_cloud(part), self._goal)

    def gains(self, part: PointArrays, cover: Tensor) -> Tensor:
        """By how much each of some points lowers the mean cost of the targets, [k].

        Args:
            part: the points.
            cover: cost of each target point so far, [M].
        """
        return cover_gains(self.tile(part), cover, self.mass)

    def gain_bounds(self, part: PointArrays, cover: Tensor) -> tuple[Tensor, bool]:
        """Upper bounds on gains [k], and whether they are the gains themselves."""
        if self._near is None:
            return self.gains(part, cover), True
        near = rounded(part)
        costs = costs_between(self._cost, _one_cloud(near.points), _one_cloud(self._near.points))
        error = cost_error(self._cost, near, self._near)
        return cover_gains(costs, cover + error, self.mass), False

    def mean(self, part: PointArrays) -> Tensor:
        """Mean cost [k] from points of the pool to the targets; cheaper than all costs."""
        return mean_costs(self._cost, _one_cloud(part), self._goal)


def _points(xyz: Tensor, features: Tensor | None = None) -> PointArrays:
    """Points of a pool, each as good as any other."""
    return PointArrays(features, xyz, torch.ones_like(xyz[:, 0]))


def _one_cloud(points: PointArrays) -> CloudBatch:
    """All points as a batch of one cloud."""
    return CloudBatch(points, np.zeros(1, np.int64), np.array([len(points.mass)]))


def _check_alike(engine: PairEngine, pool: Pool, dimension: int) -> None:
    version = pool.encoder.version
    first = np.zeros(1, np.int64)
    found = 0 if pool.features is None else pool.features[first].shape[1]
    if version != engine.regions.encoder or found != dimension:
        raise GeospotError(
            f"{pool.points.origin}: features from {version} ({found} per point) do not compare "
            f"with {engine.regions.encoder} ({dimension} per point) of the targets"
        )
