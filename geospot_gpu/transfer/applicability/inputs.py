"""Training points, test samples and places with the features that the run's encoder gives them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.encoders.spaces import own_of
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.names import Name
from geospot_gpu.points.table import Points
from geospot_gpu.regions import Regions
from geospot_gpu.regions.collection import which_points
from geospot_gpu.runs.run import Run
from geospot_gpu.sphere import unit_vectors
from geospot_gpu.transfer.applicability.folds import folds
from geospot_gpu.transfer.land_cells import land_cells
from geospot_gpu.transfer.scores.membership import own_rows
from geospot_gpu.transfer.scores.samples import Samples

log = logging.getLogger("geospot_gpu")

Vectors = NDArray[np.floating[Any]]


class Training(NamedTuple):
    """Training points."""

    vectors: Vectors
    """Their features, [n, D]."""
    fold: NDArray[np.int64]
    """Of each, [n]."""
    folds: str
    """What the folds are."""
    cloud: Regions
    """The same points as one region."""


class Places(NamedTuple):
    """Places to say something of."""

    table: pd.DataFrame
    """``lon`` and ``lat`` in degrees, or ``row`` where points have no coordinates, [m]."""
    vectors: Vectors


def training_points(
    run: Run, points: Points | None, source: Name | Iterable[Name] | None, seed: int
) -> Training:
    """The training points: a table of them, or those that the run took of its own regions.

    Raises:
        GeospotError: both are given or none, or the run has no such region.
    """
    if (points is None) == (source is None):
        raise GeospotError(
            "a model of its own needs its training points: give training=FILE or source=REGION"
            f"{'' if points is None else ', not both'}"
        )
    if points is not None:
        kind, what = folds(points, seed)
        everything = {"training": np.arange(len(points))}
        return Training(_of(run, points), kind, what, run.regions_like(points, everything))
    own = run.regions.subset(checks.one_or_several(source, "source"))
    bare = pd.DataFrame(index=own.row)
    table = Points(own.lon, own.lat, np.ones(len(own.lon)), bare, str(run.folder))
    kind, what = folds(table, seed)
    cloud = own
    if len(own) > 1:
        rows = np.unique(np.concatenate([one.rows for one in own.sources]))
        cloud = run.regions_like(own.sources[0].points, {"training": rows})
    return Training(_in(own), kind, what, cloud)


def sample_vectors(run: Run, samples: Samples) -> tuple[Samples, Vectors]:
    """Test samples that have features, and these.

    Samples are the run's own points where ids say so, or where features do not follow from
    coordinates and all samples lie at places of such points, the first of each; otherwise they are
    encoded from their own table.

    Raises:
        GeospotError: none has an id that is known, or there are neither ids nor coordinates.
    """
    regions = run.regions
    points = regions.sources[0].points
    rows = own_rows(samples, regions)
    if rows is None and samples.points is not None and not run.encoder.reads_coordinates:
        rows = _at_same_places(samples, points)
        rows = None if (rows < 0).any() else rows
    place = samples.place
    if rows is None:
        if samples.points is None:
            raise GeospotError(
                f"{samples.where}: its samples have neither coordinates nor ids of the sweep's "
                "points: give lon and lat, or name the ids with scores.id=..."
            )
        points, rows = samples.points, place
    known = np.flatnonzero(rows >= 0)
    if not len(known):
        raise GeospotError(
            f"{samples.where}: none of its samples is a point of the sweep: give their lon and lat"
        )
    if len(known) < len(rows):
        log.warning(
            "%s: %d of %d samples have no features, left out",
            *(samples.where, len(rows) - len(known), len(rows)),
        )
    return samples.take(known), _of(run, points, rows[known])


def places_of(run: Run, targets: Points | None, degrees: float, points: int, seed: int) -> Places:
    """Places of a table; else on land, or the run's where coordinates alone give no features."""
    if targets is not None:
        table = pd.DataFrame({"lon": targets.lon, "lat": targets.lat})
        if not targets.located:
            table = pd.DataFrame({"row": targets.attributes.index})
        return Places(table, _of(run, targets))
    regions = run.regions
    encoder = own_of(run.encoder)
    if encoder.reads_coordinates:
        regions = land_cells(degrees, points, seed, encoder, str(regions.device)).regions
    return Places(which_points(regions, np.arange(len(regions.lon))), _in(regions))


def _of(run: Run, points: Points, rows: NDArray[np.int64] | None = None) -> Vectors:
    rows = np.arange(len(points)) if rows is None else rows
    distinct, at = np.unique(rows, return_inverse=True)
    encoded = own_of(run.encoder).encode(points, distinct, str(run.regions.device))
    found: Vectors = (
        unit_vectors(lon=points.lon[distinct], lat=points.lat[distinct])
        if encoded is None
        else encoded
    )
    return found[at]


def _in(regions: Regions) -> Vectors:
    if regions.features is None:
        return regions.xyz.cpu().numpy()
    return regions.features.cpu().numpy()


def _at_same_places(samples: Samples, points: Points) -> NDArray[np.int64]:
    """Rows of points at the very places of samples, -1 where there is none, [n]."""
    assert samples.points is not None
    if not points.located:
        return np.full(len(samples), -1)
    known = points.lon + 1j * points.lat
    order = np.argsort(known, kind="stable")
    place = samples.place
    asked = (samples.points.lon + 1j * samples.points.lat)[np.maximum(place, 0)]
    at = np.minimum(np.searchsorted(known[order], asked), len(order) - 1)
    found = order[at]
    return np.where((known[found] == asked) & (place >= 0), found, -1)
