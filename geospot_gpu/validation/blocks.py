"""Folds of spatial blocks: cells of equal area on the sphere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.sphere import HALF_CIRCUMFERENCE_KM
from geospot_gpu.validation.folds import Fold, Folds, balanced_folds, check_enough, check_splits
from geospot_gpu.validation.samples import Vectors, coordinates

_SMALLEST_KM = 0.01


class SpatialBlocks(Folds):
    """Folds of whole blocks, so that tested samples have few training samples right beside them.

    Roberts et al. 2017 (Ecography 40, 913); as the R package blockCV has them (Valavi et al. 2019,
    Methods Ecol. Evol. 10, 225), but on the sphere: all blocks have the same area, about
    ``size_km`` squared. Coordinates are columns of ``groups``, or of ``X`` where no groups are
    given. A size as large as the range over which errors correlate is usual.

    Args:
        size_km: side of a block.
        n_splits: how many folds.
        balanced: whether folds have about equally many samples; otherwise they have equally many
            blocks, at random.
        lon, lat: names of the columns of coordinates; the usual ones are found if not given.
        seed: of which block goes into which fold.

    Raises:
        GeospotError: an argument is out of range. Splitting raises it, too, where there are fewer
            blocks than folds, or no coordinates.

    >>> import pandas as pd
    >>> places = pd.DataFrame({"lon": [0, 1, 60, 61], "lat": [10, 11, 10, 11]})
    >>> SpatialBlocks(2000, n_splits=2).fold_of(places).tolist()
    [0, 0, 1, 1]
    """

    def __init__(
        self,
        size_km: float,
        n_splits: int = 5,
        *,
        balanced: bool = True,
        lon: str | None = None,
        lat: str | None = None,
        seed: int = 0,
    ) -> None:
        self.size_km = checks.number(size_km, "size_km")
        if not _SMALLEST_KM <= self.size_km <= HALF_CIRCUMFERENCE_KM:
            raise GeospotError(
                f"size_km={self.size_km:g} is no size of blocks: use km from {_SMALLEST_KM} to "
                f"{HALF_CIRCUMFERENCE_KM:.0f}"
            )
        self.n_splits = check_splits(n_splits)
        self.balanced = checks.flag(balanced, "balanced")
        self.lon, self.lat = lon, lat
        self.seed = checks.whole(seed, "seed", least=0)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many folds there are."""
        return self.n_splits

    def _fold_of(self, X: Any, groups: Any) -> Fold:
        places = coordinates(X if groups is None else groups, "samples", self.lon, self.lat)
        _, block, sizes = np.unique(
            block_of(places, self.size_km), return_inverse=True, return_counts=True
        )
        check_enough(
            len(sizes), self.n_splits, f"blocks of {self.size_km:g} km", "use a smaller size_km"
        )
        order = np.random.default_rng(self.seed).permutation(len(sizes))
        fold = np.empty(len(sizes), np.int64)
        if self.balanced:
            fold[order] = balanced_folds(sizes[order], self.n_splits)
        else:
            fold[order] = np.arange(len(sizes)) % self.n_splits
        return fold[block]


def block_of(places: Vectors, size_km: float) -> NDArray[np.int64]:
    """The block of each place, int64 [n].

    Blocks lie in rows of about equal height, cut into cells about as wide. Rows end where the
    share of the sphere below them, (1 + sin lat) / 2, is that of the cells below: so the areas of
    all cells are equal.

    Args:
        places: unit vectors [n, 3].
        size_km: side of a block.
    """
    rows = max(round(HALF_CIRCUMFERENCE_KM / size_km), 1)
    middle = np.pi * ((np.arange(rows) + 0.5) / rows - 0.5)
    cells = np.maximum(np.rint(2.0 * HALF_CIRCUMFERENCE_KM * np.cos(middle) / size_km), 1.0)
    ends = np.cumsum(cells)
    x, y, z = places.T
    row = np.searchsorted(ends[:-1] / ends[-1], (1.0 + z) / 2.0, side="right")
    turn = (np.arctan2(y, x) / (2.0 * np.pi)) % 1.0
    column = np.minimum(np.floor(turn * cells[row]), cells[row] - 1.0)
    found: NDArray[np.int64] = (ends[row] - cells[row] + column).astype(np.int64)
    return found
