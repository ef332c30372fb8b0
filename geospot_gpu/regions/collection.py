"""The collection of all regions: one flat array per attribute, resident on one device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from geospot_gpu.devices import find_device
from geospot_gpu.displayed import Displayed
from geospot_gpu.encoders import Spaces
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.names import Name, Names, name_of
from geospot_gpu.points.labels import together
from geospot_gpu.points.readers import require_geopandas
from geospot_gpu.regions.construction import FromPoints
from geospot_gpu.regions.counts import describe_counts
from geospot_gpu.regions.drawing import Drawn, building
from geospot_gpu.sphere import centre

if TYPE_CHECKING:
    import geopandas


_SHOWN = 12


@dataclass(frozen=True, eq=False, repr=False)
class Regions(FromPoints, Drawn, Displayed):
    """A ragged collection of named, weighted point clouds.

    Region ``r`` is rows ``offsets[r]:offsets[r + 1]`` of every flat array. Points with the same
    coordinates (and features, and labels) are merged into one that carries their mass. Its
    attributes are those of :class:`~geospot_gpu.regions.drawing.Drawn`.
    """

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return self._position.find(name, "region") is not None

    def __getitem__(self, name: Name) -> Regions:
        """One region, as a collection of one; see :meth:`subset`."""
        return self.subset([name])

    def __repr__(self) -> str:
        kind = "no features" if self.features is None else f"{self.features.shape[1]} features each"
        most = self.sampling.max_points
        shown = [f"{name} ({size})" for name, size in zip(self.names, self.sizes, strict=True)]
        return (
            f"<Regions: {len(self):,} of {int(self.offsets[-1]):,} points"
            f"{'' if self.located else ' without coordinates'}, {kind} "
            f"({self.encoder}), on {self.device}, "
            f"{'all points' if most is None else f'at most {most:,} points of each'}>\n"
            f"{', '.join(shown[:_SHOWN])}{', ...' if len(shown) > _SHOWN else ''}"
        )

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
    def located(self) -> bool:
        """Whether all points have coordinates."""
        return not np.isnan(self.lon).any()

    @property
    def device(self) -> torch.device:
        """Where the flat arrays live."""
        return self.xyz.device

    def subset(self, names: Iterable[Name]) -> Regions:
        """Some of the regions, in this order: the same points and features, nothing is drawn anew.

        Args:
            names: of the regions, each once.

        Raises:
            GeospotError: there is no such region, none is named, or one is named twice.

        >>> regions = Regions.from_points(lon=[0, 5, 9], lat=[0, 0, 0], region=["a", "b", "c"])
        >>> regions.subset(["c", "a"]).names, regions["b"].lon.tolist(), "d" in regions
        (('c', 'a'), [5.0], False)
        """
        index = [self.position(name) for name in checks.listed(names, "names")]
        if len(set(index)) < len(index):
            raise GeospotError("names: a region is named twice: name each once")
        return self.take(index)

    def take(self, index: ArrayLike) -> Regions:
        """The regions at ``index`` [K], as :meth:`subset` by their positions."""
        some = checks.positions(index, len(self), "index")
        if len(some) == 0:
            raise GeospotError("no region is named: name one at least")
        sizes = self.sizes[some]
        rows = np.concatenate([np.arange(*self.offsets[k : k + 2]) for k in some])
        where = torch.from_numpy(rows).to(self.device)
        return replace(
            self,
            names=tuple(self.names[k] for k in some),
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            xyz=self.xyz[where],
            weight=self.weight[where],
            square_weight=self.square_weight[where],
            features=None if self.features is None else self.features[where],
            lon=self.lon[rows],
            lat=self.lat[rows],
            row=self.row[rows],
            label=None if self.label is None else self.label[rows],
            n_points=self.n_points[some],
            n_available=self.n_available[some],
            mass=self.mass[some],
            digests=tuple(self.digests[k] for k in some),
            sources=tuple(self.sources[k] for k in some),
            counts={},  # they are of the whole table
        )

    @property
    def spaces(self) -> tuple[str, ...]:
        """Names of the spaces that their points have features in, where these are several."""
        encoder = self.sources[0].encoder if self.sources else None
        return encoder.names if isinstance(encoder, Spaces) else ()

    def space(self, name: str) -> Regions:
        """The same points of the same regions with their features of one space.

        Those of the first are there already; of the others they are encoded anew.

        Args:
            name: one of :attr:`spaces`.

        >>> from geospot_gpu.encoders import Precomputed, Spaces
        >>> table = pd.DataFrame({"lon": [0, 9], "lat": 0, "region": ["a", "b"], "f": 1, "g": 2})
        >>> encoder = Spaces({key: Precomputed(columns=[key]) for key in "fg"})
        >>> regions = Regions.from_table(table, region="region", encoder=encoder)
        >>> regions.spaces, regions.space("g").features.tolist()
        (('f', 'g'), [[1.0], [1.0]])
        """
        checks.one_of(name, self.spaces, "space")
        sources = tuple(
            source._replace(encoder=source.encoder.only(name))
            for source in self.sources
            if isinstance(source.encoder, Spaces)
        )
        if name == self.spaces[0]:
            return replace(self, sources=sources)
        found = self.from_sources(self.names, sources, self.sampling)
        return replace(found, counts=self.counts)

    def points_of(self, name: Name) -> pd.DataFrame:
        """The distinct points of a region: ``lon``, ``lat`` in degrees, and ``weight``.

        Weights sum to one. Rows are in the order of the region's features. Of points without
        coordinates it is ``row``, in the table and counted from 1, and ``weight``.

        >>> regions = Regions.from_points(lon=[0, 5, 5], lat=[0, 1, 1], region=["a", "b", "b"])
        >>> regions.points_of("b").to_dict("list")
        {'lon': [5.0], 'lat': [1.0], 'weight': [1.0]}
        """
        k = self.position(name)
        own = slice(*self.offsets[k : k + 2].tolist())
        weight = self.weight[own].cpu().numpy()
        return which_points(self, np.arange(len(self.lon))[own]).assign(weight=weight)

    def to_geopandas(self) -> geopandas.GeoDataFrame:
        """One row per point: ``region``, ``weight`` and its geometry, in WGS84.

        Raises:
            GeospotError: geopandas is not installed, or points have no coordinates.
        """
        if not self.located:
            raise GeospotError("points without coordinates have no geometries: use points_of")
        geopandas = require_geopandas()
        table = {
            "region": np.repeat(np.array(self.names, object), self.sizes),
            "weight": self.weight.cpu().numpy(),
        }
        shapes = geopandas.points_from_xy(self.lon, self.lat, crs="EPSG:4326")
        return geopandas.GeoDataFrame(table, geometry=shapes)

    @classmethod
    def _of(cls, drawn: Drawn) -> Regions:
        return cls(**vars(drawn)).to(drawn.sources[0].device)

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
            parts.append(self.from_sources(names, sources, sampling))
        return reduce(Regions.concatenated, parts)

    @building
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

    def bare(self) -> Regions:
        """The same on the CPU without the tables that they were drawn from, for other processes."""
        return replace(self.to("cpu"), sources=(), counts={})

    @building
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
            row=np.concatenate([self.row, other.row]),
            label=together([(side.label, len(side.lon)) for side in (self, other)]),
            n_points=np.concatenate([self.n_points, other.n_points]),
            n_available=np.concatenate([self.n_available, other.n_available]),
            mass=np.concatenate([self.mass, other.mass]),
            digests=self.digests + other.digests,
            sources=self.sources + other.sources,
            counts={},  # each of the two has its own
        )

    def account(self, by: str = "column") -> str:
        """One line that accounts for every point of the table; see :func:`describe_counts`.

        Raises:
            GeospotError: these are some of the regions of a table, or of several tables.
        """
        if not self.counts:
            raise GeospotError("points are accounted for by the regions of a whole table only")
        return describe_counts(self.counts, self.sources[0].points.origin, by)

    def table(self) -> pd.DataFrame:
        """One row per region: name, n_points, n_available, n_distinct, weight, and its centre.

        The centre (``lon``, ``lat``, degrees) is the mean direction of its points; NaN where they
        have no coordinates.
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


def which_points(regions: Regions, index: NDArray[np.int64]) -> pd.DataFrame:
    """What says which points those at ``index`` [k] are.

    Returns:
        Columns ``lon`` and ``lat`` in degrees; where one of them has no coordinates ``row`` alone,
        in its table and counted from 1.
    """
    lon, lat = regions.lon[index], regions.lat[index]
    if np.isnan(lon).any():
        return pd.DataFrame({"row": regions.row[index]})
    return pd.DataFrame({"lon": lon, "lat": lat})
