"""How regions are made: from a table, from points in memory, from groups of rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from geospot_gpu.devices import device_name
from geospot_gpu.encoders import Encoder, NoEncoder, Precomputed, get_encoder
from geospot_gpu.encoders.base import usable_rows
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points import labels
from geospot_gpu.points.arrays import feature_vectors, one_each
from geospot_gpu.points.gallery import read_gallery
from geospot_gpu.points.readers import read_points
from geospot_gpu.points.table import Invalid, Points
from geospot_gpu.progress import shows_progress
from geospot_gpu.regions import grouping
from geospot_gpu.regions.counts import check_counts, union_of
from geospot_gpu.regions.drawing import Drawn, Source, building, draw
from geospot_gpu.regions.rows import rows_of
from geospot_gpu.regions.sampling import Sampling, select_groups

if TYPE_CHECKING:
    import geopandas


class FromPoints:
    """The constructors of :class:`~geospot_gpu.Regions`."""

    @classmethod
    @abstractmethod
    def _of(cls, drawn: Drawn) -> Self:
        """The collection of what was drawn."""

    @classmethod
    def from_sources(
        cls, names: Sequence[str], sources: Sequence[Source], sampling: Sampling
    ) -> Self:
        """Regions drawn from all that is known of them; the same again wherever it is done.

        Args:
            names: of the regions.
            sources: where the points of each come from; of one table.
            sampling: how points are subsampled.
        """
        return cls._of(draw(names, sources, sampling))

    @classmethod
    def from_gallery(
        cls,
        *,
        encoder: str | Encoder = "geoclip",
        min_points: int = 100,
        max_points: int | None = 1000,
        **options: Any,
    ) -> Self:
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
        table: str | Path | pd.DataFrame | geopandas.GeoDataFrame | Any,
        *,
        region: str | None = None,
        lon: str | None = None,
        lat: str | None = None,
        weight: str | None = None,
        crs: str | None = None,
        located: bool | None = True,
        label: str | None = None,
        labels: str | Path | pd.DataFrame | Any | None = None,
        invalid: Invalid = "error",
        encoder: str | Encoder = "geoclip",
        **options: Any,
    ) -> Self:
        """Regions of a table of points.

        Args:
            table: a file, a folder of Parquet files, or an object that holds a table; see
                :func:`~geospot_gpu.read_points`.
            region: column with region names; the country of each point if not given.
            lon: longitude column; the usual spellings are found if not given.
            lat: latitude column, likewise.
            weight: column of positive masses; equal masses if not given.
            crs: reference system of coordinates that are no degrees, as ``EPSG:32632``.
            located: as for :func:`~geospot_gpu.read_points`: False where points have no
                coordinates, and regions differ by their features alone.
            label: column of labels, classes or numbers; empty cells are unknown ones.
            labels: instead, a file of labels by ids; see :func:`~geospot_gpu.read_points`.
            invalid: ``error`` refuses invalid rows, ``drop`` leaves them out.
            encoder: ``geoclip``, ``none`` or an :class:`~geospot_gpu.encoders.Encoder`.
            options: as in :meth:`from_groups`.

        Raises:
            GeospotError: the input is missing or invalid; the message says what and where.
        """
        encoder = get_encoder(encoder)
        text = (region, *encoder.ids)
        points = read_points(
            table,
            lon=lon,
            lat=lat,
            weight=weight,
            crs=crs,
            located=located,
            label=label,
            labels=labels,
            text=text,
            invalid=invalid,
        )
        groups = (
            grouping.by_country(points) if region is None else grouping.by_column(points, region)
        )
        return cls.from_groups(points, groups, encoder=encoder, **options)

    @classmethod
    def from_points(
        cls,
        *,
        lon: ArrayLike | None = None,
        lat: ArrayLike | None = None,
        region: Iterable[object],
        weight: ArrayLike | None = None,
        features: ArrayLike | None = None,
        normalize: bool = True,
        label: ArrayLike | None = None,
        **options: Any,
    ) -> Self:
        """Regions of points in memory.

        Args:
            lon: longitudes in degrees [n]; without coordinates regions differ by their features
                alone, and costs have ``geo_weight=0``.
            lat: latitudes in degrees [n].
            region: region name of each point [n]; a point without one belongs to none.
            weight: positive masses [n]; equal ones if not given.
            features: feature vectors [n, d]; none if not given.
            normalize: scale feature vectors to length one.
            label: label of each point [n], class or number; None or NaN where it is unknown.
            options: as in :meth:`from_groups`.

        Raises:
            GeospotError: the arguments are not equally long, or one of them is invalid.

        >>> from geospot_gpu import Regions
        >>> regions = Regions.from_points(lon=[0, 1, 9], lat=[0, 0, 0], region=["a", "a", "b"])
        >>> regions.names, regions.sizes.tolist()
        (('a', 'b'), [2, 1])
        >>> Regions.from_points(region=["a", "b"], features=[[1, 0], [0, 1]]).located
        False
        """
        if lon is None and lat is None and features is None:
            raise GeospotError(
                "points have neither places nor features: give lon and lat, or features"
            )
        table = pd.DataFrame({"region": one_each(region, "region")})
        encoder: Encoder = NoEncoder()
        if features is not None:
            vectors = feature_vectors(features, len(table))
            names = [f"feature_{k}" for k in range(vectors.shape[1])]
            table = pd.concat([table, pd.DataFrame(vectors, columns=names)], axis=1)
            encoder = given = Precomputed(columns=names, normalize=normalize)
            given.in_own_units = False  # as those of most models
        points = Points.build(lon=lon, lat=lat, weight=weight, attributes=table, label=label)
        return cls.from_groups(
            points, grouping.by_column(points, "region"), encoder=encoder, **options
        )

    @classmethod
    @building
    @shows_progress
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
        labelled: bool = False,
        device: str | torch.device = "cpu",
        progress: bool = False,
    ) -> Self:
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
            labelled: leave out points of which no label is known, aloud: costs between labels
                need one of every point.
            device: where the flat arrays will live.
            progress: draw how far encoding has come.

        Raises:
            GeospotError: the groups are not rows of these points, a name is unknown or not
                allowed, a region asked for is too small, or no region is left.

        >>> from geospot_gpu import Regions
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
        encoder.fit(points, grouped)
        usable = usable_rows(encoder, points, grouped)
        known = _labelled(points, usable) if checks.flag(labelled, "regions.labelled") else usable
        if len(known) < len(grouped):
            given = {name: rows[np.isin(rows, known)] for name, rows in given.items()}
        least = max(1, checks.whole(min_points, "regions.min_points"))
        chosen = select_groups(
            given, points.origin, least, include=include, exclude=exclude, unions=unions
        )
        ordered = {name: in_order(points, rows) for name, rows in chosen.kept.items()}
        sources = [
            Source(points, rows, _mass(points, rows, cell_degrees), encoder, str(device))
            for rows in ordered.values()
        ]
        drawn = draw(list(ordered), sources, sampling)
        asked = union_of([*chosen.kept.values(), *chosen.small.values()])
        counts = {
            "given": len(points) + points.dropped,
            "invalid": points.dropped,
            "without_region": len(points) - len(grouped),
            "unusable_features": len(grouped) - len(usable),
            "unlabelled": len(usable) - len(known),
            "excluded": len(known) - len(asked),
            "too_small": len(asked) - len(union_of(chosen.kept.values())),
        }
        return cls._of(replace(drawn, counts=check_counts(counts | drawn.counts)))


def _labelled(points: Points, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the rows whose label is known."""
    if points.label is None:
        raise GeospotError(
            f"{points.origin}: regions.labelled=true needs labels: name their column with "
            "points.label=..."
        )
    return rows[labels.known(points.label[rows])]


def in_order(points: Points, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows in an order that depends on their content: sums then agree to the last bit.

    Of points without coordinates it is that of the table, by weight and label.
    """
    keys = (points.weight[rows], points.lat[rows], points.lon[rows])
    label = points.label
    return rows[np.lexsort(keys if label is None else (labels.in_order(label[rows]), *keys))]


def _mass(
    points: Points, rows: NDArray[np.int64], cell_degrees: float | None
) -> NDArray[np.float64]:
    if cell_degrees is None:
        return points.weight[rows]
    return points.take(rows).balanced(cell_degrees).weight
