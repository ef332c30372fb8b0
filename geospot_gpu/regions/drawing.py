"""Samples of regions, drawn from a table of points and encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.encoders import Encoder
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.points.table import Points
from geospot_gpu.regions.cloud import digest, merge_duplicates
from geospot_gpu.regions.counts import union_of
from geospot_gpu.regions.sampling import Sampling
from geospot_gpu.sphere import unit_vectors

building = out_of_memory(
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


@dataclass(frozen=True, eq=False, repr=False)
class Drawn:
    """What :class:`~geospot_gpu.Regions` consist of.

    Attributes:
        names: region names, in order.
        offsets: int64 [R + 1], on the CPU.
        xyz: unit vectors of the points, float64 [N, 3]; NaN where points have no coordinates.
        weight: mass of the points, float64 [N]; sums to one within a region.
        square_weight: sum of the squared masses of the points that were merged into one,
            float64 [N]; what the variance of a weighted mean is made of.
        features: feature vectors, float32 [N, D], or None.
        unit_features: whether feature vectors have length one.
        lon, lat: coordinates in degrees, float64 [N], on the CPU; NaN where there are none.
        row: of each point in its table, counted from 1; the first one of those that were merged,
            int64 [N], on the CPU.
        n_points: how many points were taken into each region, duplicates counted, int64 [R].
        n_available: how many points there were before subsampling, int64 [R].
        mass: total weight of a region before normalising and subsampling, float64 [R].
        digests: hash of each region's content.
        encoder: version of the encoder the features come from.
        sampling: how points were subsampled.
        sources: where the points of each region come from.
        label: what the points are labelled with, [N], on the CPU; None where they have no labels.
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
    row: NDArray[np.int64]
    n_points: NDArray[np.int64]
    n_available: NDArray[np.int64]
    mass: NDArray[np.float64]
    digests: tuple[str, ...]
    encoder: str
    sampling: Sampling
    sources: tuple[Source, ...]
    counts: dict[str, int] = field(default_factory=dict)
    label: NDArray[np.object_] | NDArray[np.float64] | None = None


@building
def draw(names: Sequence[str], sources: Sequence[Source], sampling: Sampling) -> Drawn:
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
            None if points.label is None else points.label[region_rows],
        )
        if len(region_rows) < len(source.rows):  # its first half is a sample, too
            cloud = cloud.take(sampling.order(name, len(cloud.lon)))
        distinct.append(region_rows[cloud.first])
        clouds.append(cloud)
    lon, lat, weight, square_weight = (
        np.concatenate([cloud[k] for cloud in clouds]) for k in range(4)
    )
    sizes = [len(cloud.lon) for cloud in clouds]
    labels = [None if points.label is None else points.label[rows] for rows in distinct]
    return Drawn(
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
        row=points.attributes.index.to_numpy(np.int64)[np.concatenate(distinct)],
        n_points=np.array([len(rows) for rows, _ in sampled]),
        n_available=np.array([len(source.rows) for source in sources]),
        mass=np.array([source.mass.sum() for source in sources]),
        digests=tuple(
            digest(cloud, encoder.reads_coordinates, label)
            for cloud, label in zip(clouds, labels, strict=True)
        ),
        encoder=encoder.version,
        sampling=sampling,
        sources=tuple(sources),
        label=None if points.label is None else points.label[np.concatenate(distinct)],
        counts={
            "beyond_max_points": len(union_of(source.rows for source in sources)) - len(rows),
            "merged": len(rows) - len(union_of(distinct)),
            "used": len(union_of(distinct)),
        },
    )
