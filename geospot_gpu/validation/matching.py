"""The search for folds whose nearest neighbour distances are those of deployment: kNNDM."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import ks_2samp, wasserstein_distance

from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.validation.folds import Fold
from geospot_gpu.validation.neighbours import Neighbours, nearest
from geospot_gpu.validation.samples import Located, Vectors

_LEVEL = 0.05
"""Samples lie as deployment does where the test does not say otherwise at this level."""
_TRIED = 100
"""Numbers of clusters that are tried, closer together where they are few."""


class Matched(NamedTuple):
    """Folds, and how well they match."""

    fold: Fold
    """The fold of each sample, [n]."""
    clusters: int | None
    """How many clusters were merged into the folds; None where samples were assigned at random."""
    wasserstein: float
    """W between distances from fold to fold and from deployment to samples, in their unit."""


def match(places: Located, n_splits: int, max_share: float, seed: int) -> Matched:
    """Folds of the samples that are as far from each other as deployment is from the samples.

    Linnenbrink, Milà, Ludwig & Meyer (2024), Geosci. Model Dev. 17, 5897, section 2.2. Where
    distances between samples, G_j, are not stochastically smaller than those from deployment to
    samples, G_ij (a one-sided Kolmogorov-Smirnov test), samples are assigned at random. Otherwise
    they are clustered (Ward), for each of many numbers of clusters these are merged into folds, and
    the folds are taken whose distances G_j* have the smallest Wasserstein distance from G_ij.

    Args:
        places: samples and deployment.
        n_splits: how many folds.
        max_share: of all samples in one fold.
        seed: of what is assigned at random.

    Raises:
        GeospotError: there are too few samples, or no folds are small enough.
        OutOfMemory: the samples are too many to be clustered.
    """
    count = len(places.samples)
    neighbours = Neighbours.of(places.samples)
    wanted = places.measured(nearest(places.deployment, places.samples))
    apart = places.measured(neighbours.apart())
    if ks_2samp(apart, wanted, alternative="greater", method="asymp").pvalue >= _LEVEL:
        fold = np.random.default_rng(seed).permutation(np.arange(count) % n_splits)
        between = places.measured(neighbours.elsewhere(fold))
        return Matched(fold, None, float(wasserstein_distance(between, wanted)))
    found: Matched | None = None
    with out_of_memory(
        f"clustering {count} samples", "give a part of them, drawn at random, or use SpatialBlocks"
    ):
        merges = linkage(places.samples, "ward")
    along = _first_component(places.samples)
    spread = np.geomspace(n_splits, count - 2, _TRIED).round().astype(int)
    for clusters in np.unique(spread).tolist():
        fold = merged(clustered(merges, clusters), along, n_splits)
        if np.bincount(fold).max() > max_share * count:
            continue
        between = places.measured(neighbours.elsewhere(fold))
        apart_by = float(wasserstein_distance(between, wanted))
        if found is None or apart_by < found.wasserstein:
            found = Matched(fold, clusters, apart_by)
    if found is None:
        raise GeospotError(
            f"max_share={max_share:g}: all folds that were tried have one of more samples: use a "
            "larger one, or another n_splits"
        )
    return found


def clustered(merges: NDArray[np.float64], clusters: int) -> NDArray[np.int64]:
    """The cluster of each of n samples [n], where ``clusters`` are left.

    Args:
        merges: as :func:`scipy.cluster.hierarchy.linkage` has them, [n - 1, 4].
        clusters: exactly how many, also where merges are equally far.
    """
    count = len(merges) + 1
    done = merges[: count - clusters, :2].astype(np.int64)
    parent = np.repeat(np.arange(len(done)) + count, 2)
    nodes = count + len(done)
    graph = coo_array((np.ones(len(parent)), (done.ravel(), parent)), shape=(nodes, nodes))
    _, label = connected_components(graph, directed=False)
    return np.unique(label[:count], return_inverse=True)[1].astype(np.int64)


def merged(
    cluster: NDArray[np.int64], along: NDArray[np.float64], n_splits: int
) -> NDArray[np.int64]:
    """The fold of each sample [n], from its cluster.

    Clusters as large as an even fold stay folds of their own; the others are dealt out to the
    folds that are left, in their order along an axis.

    Args:
        cluster: of each sample, [n].
        along: where the samples lie on the axis, [n].
        n_splits: how many folds.

    >>> merged(np.array([0, 0, 0, 1, 2, 3]), np.array([9, 9, 9, 1, 3, 2]), 2).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    sizes = np.bincount(cluster)
    order = np.argsort(np.bincount(cluster, along) / sizes, kind="stable")
    large = sizes[order] * n_splits >= len(cluster)
    fold = np.empty(len(sizes), np.int64)
    fold[order[large]] = np.arange(large.sum())
    rest = order[~large]
    if len(rest):
        fold[rest] = large.sum() + np.arange(len(rest)) % (n_splits - large.sum())
    return fold[cluster]


def _first_component(x: Vectors) -> NDArray[np.float64]:
    """Where samples [n, D] lie along the axis on which they spread most, [n]."""
    centred = x - x.mean(0)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    found: NDArray[np.float64] = centred @ (axis * np.sign(axis[np.abs(axis).argmax()]))
    return found
