"""The collection of all regions: one flat array per attribute, resident on one device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from geospot_gpu import checks
from geospot_gpu.devices import device_name, find_device
from geospot_gpu.encoders import Encoder, NoEncoder, Precomputed, get_encoder
from geospot_gpu.encoders.base import usable_rows
from geospot_gpu.errors import GeospotError
from geospot_gpu.memory import out_of_memory
from geospot_gpu.names import Names, name_of
from geospot_gpu.points.gallery import read_gallery
from geospot_gpu.points.readers import read_points
from geospot_gpu.points.table import Invalid, Points
from geospot_gpu.regions import grouping
from geospot_gpu.regions.cloud import digest, merge_duplicates
from geospot_gpu.regions.counts import check_counts, describe_counts, union_of
from geospot_gpu.regions.rows import rows_of
from geospot_gpu.regions.selection import Sampling, select_groups
from geospot_gpu.sphere import centre, unit_vectors

if TYPE_CHECKING:
    import geopandas


_building = out_of_memory(
    "building regions",
    "lower regions.max_points, or leave regions out with regions.exclude or regions.min_points",
)


class Source(NamedTuple):
    """Where the points of a region come from, all of them."""

    points: Points
    rows: NDArray[np.int64]
    """Of the region, in a canonical order."""
    mass: NDArray[np.float64]
    """Of each row."""
    encoder: Encoder
    device: str


@dataclass(frozen=True, eq=False)
class Regions:
    """A ragged collection of named, weighted point clouds.

    Region ``r`` is rows ``offsets[r]:offsets[r + 1]`` of every flat array. Points with the same
    coordinates (and features) are merged into one that carries their mass.

    Attributes:
        names: region names, in order.
        offsets: int64 [R + 1], on the CPU.
        xyz: unit vectors of the points, float64 [N, 3].
        weight: mass of the points, float64 [N]; sums to one within a region.
        square_weight: sum of the squared masses of the points that were merged into one,
            float64 [N]; what the variance of a weighted mean is made of.
        features: feature vectors, float32 [N, D], or None.
        unit_features: whether feature vectors have length one.
        lon, lat: coordinates in degrees, float64 [N], on the CPU.
        n_points: how many points were taken into each region, duplicates counted, int64 [R].
        n_available: how many points there were before subsampling, int64 [R].
        mass: total weight of a region before normalising and subsampling, float64 [R].
        digests: hash of each region's content.
        encoder: version of the encoder the features come from.
        sampling: how points were subsampled.
        sources: where the points of each region come from.
        counts: where the points of the table went, each once: ``given`` is the sum of ``used``,
            the distinct points that are in a region, and of those that are not, by reason.
    """

    names: tuple[str, ...]
    offsets: NDArray[np.int64]
    xyz: Tensor
    weight: Tensor
    square_weight: Tensor
    features: Tensor | None
    unit_features: bool
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    n_points: NDArray[np.int64]
    n_available: NDArray[np.int64]
    mass: NDArray[np.float64]
    digests: tuple[str, ...]
    encoder: str
    sampling: Sampling
    sources: tuple[Source, ...]
    counts: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many distinct points each region has, [R]."""
        return np.diff(self.offsets)

    @cached_property
    def _position(self) -> Names:
        return Names(self.names)

    def position(self, name: object, key: str = "region") -> int:
        """Where a region stands in this collection; the first of that name.

        Args:
            name: of the region, or whatever else names it (:func:`~geospot_gpu.names.name_of`).
            key: the setting that names it, for the message.

        Raises:
            GeospotError: there is no such region.

        >>> regions = Regions.from_points(lon=[0, 9], lat=[0, 0], region=["a", "b"])
        >>> regions.position("b"), regions.position(" a ")
        (1, 0)
        """
        at = self._position.find(name, key)
        if at is None:
            text = name_of(name, key)
            raise GeospotError(f"{key}={text} is no region here; {self._position.hint(text)}")
        return at

    @property
    def device(self) -> torch.device:
        """Where the flat arrays live."""
        return self.xyz.device

    @classmethod
    def from_gallery(
        cls,
        *,
        encoder: str | Encoder = "geoclip",
        min_points: int = 100,
        max_points: int | None = 1000,
        **options: Any,
    ) -> Regions:
        """The countries of GeoCLIP's gallery of photo locations.

        Args:
            encoder: ``geoclip``, ``none`` or an :class:`~geospot_gpu.encoders.Encoder`.
            min_points: countries with fewer points are left out, aloud.
            max_points: countries with more are subsampled to this many points.
            options: as in :meth:`from_groups`.
        """
        points = read_gallery()
        groups = grouping.by_country(points)
        return cls.from_groups(
            points, groups, encoder=encoder, min_points=min_points, max_points=max_points, **options
        )

    @classmethod
    def from_table(
        cls,
        table: str | Path | pd.DataFrame | geopandas.GeoDataFrame,
        *,
        region: str | None = None,
        lon: str | None = None,
        lat: str | None = None,
        weight: str | None = None,
        invalid: Invalid = "error",
        encoder: str | Encoder = "geoclip",
        **options: Any,
    ) -> Regions:
        """Regions of a table of points.

        Args:
            table: a CSV (also .gz), Parquet, GeoParquet or GeoJSON file, or a data frame.
            region: column with region names; the country of each point if not given.
            lon: longitude column; the usual spellings are found if not given.
            lat: latitude column, likewise.
            weight: column of positive masses; equal masses if not given.
            invalid: ``error`` refuses invalid rows, ``drop`` leaves them out.
            encoder: ``geoclip``, ``none`` or an :class:`~geospot_gpu.encoders.Encoder`.
            options: as in :meth:`from_groups`.

        Raises:
            GeospotError: the input is missing or invalid; the message says what and where.
        """
        encoder = get_encoder(encoder)
        text = (region, encoder.id)
        points = read_points(table, lon=lon, lat=lat, weight=weight, text=text, invalid=invalid)
        groups = (
            grouping.by_country(points) if region is None else grouping.by_column(points, region)
        )
        return cls.from_groups(points, groups, encoder=encoder, **options)

    @classmethod
    def from_points(
        cls,
        *,
        lon: ArrayLike,
        lat: ArrayLike,
        region: Iterable[object],
        weight: ArrayLike | None = None,
        features: ArrayLike | None = None,
        normalize: bool = True,
        **options: Any,
    ) -> Regions:
        """Regions of points in memory.

        Args:
            lon: longitudes in degrees [n].
            lat: latitudes in degrees [n].
            region: region name of each point [n]; a point without one belongs to none.
            weight: positive masses [n]; equal ones if not given.
            features: feature vectors [n, d]; none if not given.
            normalize: scale feature vectors to length one.
            options: as in :meth:`from_groups`.

        Raises:
            GeospotError: the arguments are not equally long, or one of them is invalid.

        >>> regions = Regions.from_points(lon=[0, 1, 9], lat=[0, 0, 0], region=["a", "a", "b"])
        >>> regions.names, regions.sizes.tolist()
        (('a', 'b'), [2, 1])
        """
        table = pd.DataFrame({"region": _one_each(region, "region")})
        encoder: Encoder = NoEncoder()
        if features is not None:
            vectors = _matrix(features, len(table))
            names = [f"feature_{k}" for k in range(vectors.shape[1])]
            table = pd.concat([table, pd.DataFrame(vectors, columns=names)], axis=1)
            encoder = Precomputed(columns=names, normalize=normalize)
        points = Points.build(lon=lon, lat=lat, weight=weight, attributes=table)
        return cls.from_groups(
            points, grouping.by_column(points, "region"), encoder=encoder, **options
        )

    @classmethod
    @_building
    def from_groups(
        cls,
        points: Points,
        groups: Mapping[Any, ArrayLike],
        *,
        encoder: str | Encoder = "geoclip",
        min_points: int = 1,
        max_points: int | None = None,
        seed: int = 0,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        unions: Sequence[str] = (),
        cell_degrees: float | None = None,
        device: str | torch.device = "cpu",
    ) -> Regions:
        """Regions from rows of a table of points.

        Args:
            points: the table.
            groups: rows of the points of each region, counted from 0, or masks of all points, by
                name: as ``df.groupby(...).indices``. Labels of an index are refused.
            encoder: ``geoclip``, ``none`` or an :class:`~geospot_gpu.encoders.Encoder`.
            min_points: smaller regions are left out, aloud.
            max_points: larger regions are subsampled to this many points.
            seed: seed of the subsample. It is drawn region by region, so that a region's sample
                depends neither on which other regions there are nor on the order of places.
            include: names of the regions to keep; all if not given.
            exclude: names of regions to leave out.
            unions: regions to add that are unions of others, as ``FR+DE``.
            cell_degrees: give every lon/lat cell of this size the same mass within a region, to
                undo uneven sampling.
            device: where the flat arrays will live.

        Raises:
            GeospotError: the groups are not rows of these points, a name is unknown or not
                allowed, a region asked for is too small, or no region is left.

        >>> points = Points.build(lon=[0, 1, 9], lat=[0, 0, 0])
        >>> Regions.from_groups(points, {"a": [0, 1], 7: points.lon > 1}, encoder="none").names
        ('7', 'a')
        """
        checks.instance(points, Points, "points", "as read_points gives them")
        encoder = get_encoder(encoder)
        device = device_name(device)
        max_points = checks.optional(checks.whole)(max_points, "regions.max_points")
        sampling = Sampling(max_points, checks.whole(seed, "regions.seed"))
        given = rows_of(groups, points)
        grouped = union_of(given.values())
        usable = usable_rows(encoder, points, grouped)
        if len(usable) < len(grouped):
            given = {name: rows[np.isin(rows, usable)] for name, rows in given.items()}
        least = max(1, checks.whole(min_points, "regions.min_points"))
        chosen = select_groups(
            given, points.origin, least, include=include, exclude=exclude, unions=unions
        )
        ordered = {name: _in_order(points, rows) for name, rows in chosen.kept.items()}
        sources = [
            Source(points, rows, _mass(points, rows, cell_degrees), encoder, str(device))
            for rows in ordered.values()
        ]
        regions = cls._drawn(list(ordered), sources, sampling)
        asked = union_of([*chosen.kept.values(), *chosen.small.values()])
        counts = {
            "given": len(points) + points.dropped,
            "invalid": points.dropped,
            "without_region": len(points) - len(grouped),
            "unusable_features": len(grouped) - len(usable),
            "excluded": len(usable) - len(asked),
            "too_small": len(asked) - len(union_of(chosen.kept.values())),
        }
        return replace(regions, counts=check_counts(counts | regions.counts))

    @classmethod
    @_building
    def _drawn(cls, names: Sequence[str], sources: Sequence[Source], sampling: Sampling) -> Regions:
        """Samples of regions of one table."""
        points, _, _, encoder, device = sources[0]
        sampled = [
            sampling.draw(name, source.rows, source.mass)
            for name, source in zip(names, sources, strict=True)
        ]
        rows = union_of(rows for rows, _ in sampled)
        with out_of_memory(f"encoding {len(rows):,} points", "lower regions.max_points"):
            features = encoder.encode(points, rows, device)
        clouds, distinct = [], []
        for name, source, (region_rows, weight) in zip(names, sources, sampled, strict=True):
            cloud = merge_duplicates(
                points.lon[region_rows],
                points.lat[region_rows],
                weight,
                None if features is None else features[np.searchsorted(rows, region_rows)],
                encoder.reads_coordinates,
            )
            distinct.append(region_rows[cloud.first])
            if len(region_rows) < len(source.rows):  # its first half is a sample, too
                cloud = cloud.take(sampling.order(name, len(cloud.lon)))
            clouds.append(cloud)
        lon, lat, weight, square_weight = (
            np.concatenate([cloud[k] for cloud in clouds]) for k in range(4)
        )
        sizes = [len(cloud.lon) for cloud in clouds]
        regions = cls(
            names=tuple(names),
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            xyz=torch.from_numpy(unit_vectors(lon=lon, lat=lat)),
            weight=torch.from_numpy(weight),
            square_weight=torch.from_numpy(square_weight),
            features=None
            if features is None
            else torch.from_numpy(np.concatenate([cloud.features for cloud in clouds])),
            unit_features=encoder.unit_length,
            lon=lon,
            lat=lat,
            n_points=np.array([len(rows) for rows, _ in sampled]),
            n_available=np.array([len(source.rows) for source in sources]),
            mass=np.array([source.mass.sum() for source in sources]),
            digests=tuple(digest(cloud, encoder.reads_coordinates) for cloud in clouds),
            encoder=encoder.version,
            sampling=sampling,
            sources=tuple(sources),
            counts={
                "beyond_max_points": len(union_of(source.rows for source in sources)) - len(rows),
                "merged": len(rows) - len(union_of(distinct)),
                "used": len(union_of(distinct)),
            },
        )
        return regions.to(device)

    def resampled(self, index: NDArray[np.int64], max_points: int) -> Regions:
        """The regions at ``index`` [K] from samples of another size, drawn and encoded anew.

        >>> regions = Regions.from_points(
        ...     lon=range(9), lat=range(9), region=["a"] * 5 + ["b"] * 4, max_points=2
        ... )
        >>> regions.sizes.tolist(), regions.resampled(np.array([0]), 4).sizes.tolist()
        ([2, 2], [4])
        """
        index = checks.positions(index, len(self), "index")
        if len(index) == 0:
            raise GeospotError("index=[]: give the position of a region at least")
        sampling = replace(self.sampling, max_points=checks.whole(max_points, "max_points"))
        by_table = groupby(index.tolist(), key=lambda k: id(self.sources[k].points))
        parts = []
        for _, members in by_table:
            some = list(members)
            names, sources = [self.names[k] for k in some], [self.sources[k] for k in some]
            parts.append(self._drawn(names, sources, sampling))
        return reduce(Regions.concatenated, parts)

    @_building
    def to(self, device: str | torch.device) -> Regions:
        """The same regions with their flat arrays on ``device``.

        Raises:
            GeospotError: there is no such device.
        """
        device = find_device(device)
        return replace(
            self,
            xyz=self.xyz.to(device),
            weight=self.weight.to(device),
            square_weight=self.square_weight.to(device),
            features=None if self.features is None else self.features.to(device),
        )

    @_building
    def concatenated(self, other: Regions) -> Regions:
        """These regions followed by the others, on this device; names may occur twice.

        Raises:
            GeospotError: the features of the two do not compare.
        """
        checks.instance(other, Regions, "against", "as Regions.from_table makes them")
        other = other.to(self.device)
        mine, theirs = self.features, other.features
        shape = None if mine is None else mine.shape[1]
        other_shape = None if theirs is None else theirs.shape[1]
        if self.encoder != other.encoder or shape != other_shape:
            raise GeospotError(
                f"regions do not compare: features from {self.encoder} ({shape or 0} per point) "
                f"against {other.encoder} ({other_shape or 0} per point)"
            )

        return replace(
            self,
            names=self.names + other.names,
            offsets=np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]]),
            xyz=torch.cat([self.xyz, other.xyz]),
            weight=torch.cat([self.weight, other.weight]),
            square_weight=torch.cat([self.square_weight, other.square_weight]),
            features=None if mine is None or theirs is None else torch.cat([mine, theirs]),
            lon=np.concatenate([self.lon, other.lon]),
            lat=np.concatenate([self.lat, other.lat]),
            n_points=np.concatenate([self.n_points, other.n_points]),
            n_available=np.concatenate([self.n_available, other.n_available]),
            mass=np.concatenate([self.mass, other.mass]),
            digests=self.digests + other.digests,
            sources=self.sources + other.sources,
            counts={},  # each of the two has its own
        )

    def account(self, by: str = "column") -> str:
        """One line that accounts for every point of the table; see :func:`describe_counts`."""
        return describe_counts(self.counts, self.sources[0].points.origin, by)

    def table(self) -> pd.DataFrame:
        """One row per region: name, n_points, n_available, n_distinct, weight, and its centre.

        The centre (``lon``, ``lat``, degrees) is the mean direction of its points.
        """
        xyz, weight = self.xyz.cpu().numpy(), self.weight.cpu().numpy()
        centres = [
            centre(xyz[start:end], weight[start:end])
            for start, end in zip(self.offsets[:-1], self.offsets[1:], strict=True)
        ]
        return pd.DataFrame(
            {
                "name": list(self.names),
                "n_points": self.n_points,
                "n_available": self.n_available,
                "n_distinct": self.sizes,
                "weight": self.mass,
                "lon": [lon for lon, _ in centres],
                "lat": [lat for _, lat in centres],
            }
        )


def _one_each(values: object, key: str) -> list[Any]:
    """One entry of each point, whatever holds them."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise GeospotError(f"{key} is of type {type(values).__name__}: give a list, one per point")
    entries = list(values)
    if any(isinstance(entry, list | dict | set | np.ndarray) for entry in entries):
        raise GeospotError(f"{key} holds lists: give one name per point")
    return entries


def _matrix(features: ArrayLike, count: int) -> NDArray[np.floating]:
    """Feature vectors [n, d] as numbers."""
    try:
        found = np.asarray(features)
        if found.dtype.kind not in "fiub":  # as columns of pandas that may have missing entries
            found = found.astype(object).astype(np.float64)
        found = found.astype(np.result_type(np.float32, found.dtype), copy=False)
    except (TypeError, ValueError) as error:
        raise GeospotError(f"features must hold numbers only ({error})") from error
    if found.ndim != 2 or len(found) != count:
        raise GeospotError(
            f"features {found.shape} must be a matrix with one row per point, {count} in all"
        )
    return found


def _in_order(points: Points, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows in an order that depends on their content: sums then agree to the last bit."""
    return rows[np.lexsort((points.weight[rows], points.lat[rows], points.lon[rows]))]


def _mass(
    points: Points, rows: NDArray[np.int64], cell_degrees: float | None
) -> NDArray[np.float64]:
    taken = points.take(rows)
    return (taken if cell_degrees is None else taken.balanced(cell_degrees)).weight
