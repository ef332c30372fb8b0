"""Regions that are clusters of points on the sphere."""

from __future__ import annotations

import numpy as np

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.table import Points
from geospot_gpu.regions.grouping.base import Groups, check_places, distinct_places, grouping
from geospot_gpu.regions.grouping.districts import check_count, districts
from geospot_gpu.sphere import unit_vectors


@grouping
def by_kmeans(points: Points, count: int, seed: int = 0) -> Groups:
    """Clusters of k-means on unit vectors, by the masses of the points: compact regions.

    They are named by where they lie, the mean direction of their points: ``48.9N 002.3E``.

    Args:
        points: the points.
        count: how many clusters.
        seed: of where they start (k-means++, Arthur & Vassilvitskii 2007).

    Raises:
        GeospotError: there are fewer places than clusters, or the points have no coordinates.
    """
    from sklearn.cluster import KMeans

    check_places(points, "kmeans")
    seed = checks.whole(seed, "regions.seed", least=0)
    places, at = distinct_places(points)
    count = check_count(count, len(places), points.origin)
    if seed >= 2**32:
        raise GeospotError(f"regions.seed={seed}: k-means takes seeds below {2**32}")
    mass = np.bincount(at, points.weight)
    xyz = unit_vectors(lon=places[:, 0], lat=places[:, 1])
    found = KMeans(count, random_state=seed, n_init=3).fit(xyz, sample_weight=mass)
    return districts(found.labels_, at, points)
