"""A pool of single points to choose from: millions of them, read a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.encoders import Encoder
from geospot_gpu.encoders.base import Features
from geospot_gpu.engine import Indices, PairEngine, full_precision
from geospot_gpu.errors import GeospotError
from geospot_gpu.kernels.contract import Cloud, Part, PointArrays
from geospot_gpu.kernels.tiles import CostTiles, great_circle_km
from geospot_gpu.points.readers import column, labels
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
    def of_table(cls, points: Points, encoder: Encoder, device: str = "cpu") -> Pool:
        """All points of a table."""
        return cls(points, np.arange(len(points)), encoder, None, device)

    @classmethod
    def of_regions(cls, regions: Regions, index: Indices) -> Pool:
        """All points of the regions at ``index``, not only those of their samples, each once."""
        sources = [regions.sources[k] for k in index]
        first = sources[0]
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
        """What names each point: a column of the table, or its row, counted from 1, [n]."""
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
        features = points.features
        if features is not None:
            features = torch.cat([features[part] for part in parts])
            _check_alike(engine, pool, features.shape[1])
        xyz = torch.cat([points.xyz[part] for part in parts])
        weights = zip(parts, shares, strict=True)
        mass = torch.cat([points.mass[part] * float(share) for part, share in weights])
        size = np.array([len(mass)])
        self.mass = mass
        self.pool, self._device = pool, engine.device
        self._cost = engine.cost
        self._goal = Cloud(PointArrays(features, xyz, mass), np.zeros(1, np.int64), size)
        self._tiles = CostTiles(engine.cost, self._goal, self._goal, 1)
        self.rows = max(16, _TILE_ENTRIES[engine.device.type] // len(mass))
        """Points of the pool whose costs are found at once."""

    def pieces(self) -> Iterator[slice]:
        """All points of the pool, as many at a time as suit the processor."""
        for low in range(0, len(self.pool), self.rows):
            yield slice(low, min(low + self.rows, len(self.pool)))

    def part(self, index: NDArray[np.int64]) -> Part:
        """Points of the pool at ``index`` [k], on the device."""
        xyz = torch.from_numpy(self.pool.xyz[index]).to(self._device, self.mass.dtype)
        features = None
        if self._cost.uses_features:
            assert self.pool.features is not None
            features = torch.from_numpy(self.pool.features[index])
            features = features.to(self._device, self.mass.dtype)[None]
        return Part(features, xyz[None])

    def tile(self, part: Part) -> Tensor:
        """Costs [k, M] from points of the pool to all points of the targets."""
        with full_precision():
            return self._tiles.tile(part, self._goal.part())[0]

    def mean(self, part: Part) -> Tensor:
        """Mean cost [k] from points of the pool to the targets; no product with all of them."""
        cost, goal = self._cost, self._goal.part()
        if cost.uses_features and cost.feature == "euclidean":
            return self.tile(part) @ self.mass
        total = torch.zeros_like(part.xyz[0, :, 0])
        if part.features is not None and goal.features is not None:
            x, y = part.features[0], goal.features[0].to(self.mass.dtype)
            product = x @ (self.mass @ y)
            if cost.feature == "cosine":
                values = 1.0 - product
            else:
                values = x.square().sum(1) - 2.0 * product + self.mass @ y.square().sum(1)
            total += (1.0 - cost.geo_weight) / cost.feature_scale * values
        if cost.uses_geography:
            km = great_circle_km(part.xyz, goal.xyz)[0] @ self.mass
            total += cost.geo_weight / cost.geo_scale * km
        return total


def _check_alike(engine: PairEngine, pool: Pool, dimension: int) -> None:
    version = pool.encoder.version
    first = np.zeros(1, np.int64)
    found = 0 if pool.features is None else pool.features[first].shape[1]
    if version != engine.regions.encoder or found != dimension:
        raise GeospotError(
            f"{pool.points.origin}: features from {version} ({found} per point) do not compare "
            f"with {engine.regions.encoder} ({dimension} per point) of the targets"
        )
