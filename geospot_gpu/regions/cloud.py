"""The distinct points of one region, in a canonical order, and the hash of them."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.points.labels import Labels, are_numbers, in_order


class Cloud(NamedTuple):
    """The distinct points of one region."""

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    weight: NDArray[np.float64]
    square_weight: NDArray[np.float64]
    features: NDArray[np.float32] | None
    first: NDArray[np.int64]
    """Where each of them stands among the points, the first of those at one place."""

    def take(self, order: NDArray[np.int64]) -> Cloud:
        """The points in another order."""
        features = None if self.features is None else self.features[order]
        lon, lat, weight, square_weight = (values[order] for values in self[:4])
        return Cloud(lon, lat, weight, square_weight, features, self.first[order])


def merge_duplicates(
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    weight: NDArray[np.float64],
    features: NDArray[np.float32] | None,
    reads_coordinates: bool,
    label: Labels | None,
) -> Cloud:
    """The distinct points in a canonical order, with their masses added up and normalised.

    Points of different labels are distinct.
    """
    bits = np.stack([lon, lat], axis=1).view(np.int64)
    if features is not None and not reads_coordinates:
        digests = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in features]
        codes = np.frombuffer(b"".join(digests), np.int64)
        bits = np.column_stack([bits, codes])
    if label is not None:
        bits = np.column_stack([bits, in_order(label)])
    _, first, inverse = np.unique(bits, axis=0, return_index=True, return_inverse=True)
    mass = np.bincount(inverse.ravel(), weight)
    total = mass.sum()
    return Cloud(
        lon[first],
        lat[first],
        mass / total,
        np.bincount(inverse.ravel(), (weight / total) ** 2).astype(np.float64),
        None if features is None else features[first],
        first,
    )


def digest(cloud: Cloud, reads_coordinates: bool, label: Labels | None) -> str:
    """A hash of what the distances of a region depend on."""
    content = hashlib.blake2b(digest_size=12)
    for values in (cloud.lon, cloud.lat, cloud.weight):
        content.update(np.ascontiguousarray(values).tobytes())
    if (cloud.square_weight != cloud.weight**2).any():  # several points at one place
        content.update(np.ascontiguousarray(cloud.square_weight).tobytes())
    if cloud.features is not None and not reads_coordinates:
        content.update(np.ascontiguousarray(cloud.features).tobytes())
    if label is not None:
        numbers = are_numbers(label)
        content.update(label.tobytes() if numbers else json.dumps(label.tolist()).encode())
    return content.hexdigest()
