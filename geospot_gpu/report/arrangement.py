"""How regions lie to each other by their distances: an order, a tree, a plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.ordering import OPTIMAL

_SAMPLED = 100_000
BLOCKS = 250

Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Arrangement:
    """Of regions whose distances to each other are known.

    Attributes:
        order: positions of the regions along the leaves of the tree, [R].
        merges: the two nodes that every step joins, [R - 1, 2]; those from R on are earlier steps.
        heights: mean distance between the two, [R - 1].
        plane: coordinates [R, 2] whose distances are like those of the regions: classical scaling
            (Torgerson, Psychometrika 1952).
        fidelity: Spearman's correlation between distances in the plane and distances.
    """

    order: Indices
    merges: NDArray[np.int64]
    heights: Floats
    plane: Floats
    fidelity: float


def arrangement(values: Matrix, seed: int = 0) -> Arrangement:
    """The arrangement by average linkage and classical scaling.

    Args:
        values: symmetric distances, [R, R], of at least three regions; what is not known is as far
            as regions are in the mean.
        seed: of the pairs that the fidelity is measured on, where there are very many.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform
    from scipy.stats import spearmanr

    distances = np.maximum(np.nan_to_num(values.astype(float), nan=float(np.nanmean(values))), 0)
    np.fill_diagonal(distances, 0.0)
    condensed = squareform(distances, checks=False)
    tree = linkage(condensed, "average", optimal_ordering=len(values) <= OPTIMAL)
    plane = _plane(distances)
    some = np.arange(len(condensed))
    left, right = np.triu_indices(len(values), k=1)
    if len(some) > _SAMPLED:
        some = np.random.default_rng(seed).choice(len(some), _SAMPLED, replace=False)
    apart = np.linalg.norm(plane[left[some]] - plane[right[some]], axis=1)
    fidelity = float(spearmanr(apart, condensed[some]).statistic)
    order = leaves_list(tree).astype(np.int64)
    return Arrangement(order, tree[:, :2].astype(int), tree[:, 2], plane, fidelity)


def _plane(distances: Floats) -> Floats:
    from sklearn.decomposition import KernelPCA

    scaling = KernelPCA(2, kernel="precomputed", eigen_solver="arpack", random_state=0)
    found: Floats = scaling.fit_transform(-0.5 * distances**2)
    found = np.pad(found, ((0, 0), (0, 2 - found.shape[1])))
    return found * np.where(found[np.abs(found).argmax(0), [0, 1]] < 0, -1.0, 1.0)


def block_means(values: Matrix, rows: Indices, columns: Indices) -> tuple[Matrix, Indices, Indices]:
    """Means over blocks of a matrix in an order, and where the blocks begin.

    Args:
        values: the matrix, [N, M], NaN where a value is not known.
        rows, columns: the order of both sides.

    Returns:
        Means [B, C], and the positions in the order at which blocks begin, [B] and [C].
    """
    starts = [
        np.unique(np.linspace(0, len(side), min(BLOCKS, len(side)), endpoint=False).astype(int))
        for side in (rows, columns)
    ]
    ordered = values[np.ix_(rows, columns)]
    known = ~np.isnan(ordered)

    def summed(table: NDArray[np.float64]) -> Floats:
        by_row = np.add.reduceat(table, starts[0], axis=0)
        found: Floats = np.add.reduceat(by_row, starts[1], axis=1)
        return found

    counts = summed(known.astype(float))
    sums = summed(np.where(known, ordered, 0.0).astype(float))
    with np.errstate(invalid="ignore"):
        means = sums / np.where(counts > 0, counts, np.nan)
    return means.astype(np.float32), starts[0], starts[1]
