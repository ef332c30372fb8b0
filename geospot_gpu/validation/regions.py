"""Folds of whole regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.names import Names, keys, labels, name_of
from geospot_gpu.runs.run import Run
from geospot_gpu.validation.folds import Fold, Folds, balanced_folds, check_enough, check_splits
from geospot_gpu.validation.similar import similar_folds

if TYPE_CHECKING:
    import xarray


class RegionFolds(Folds):
    """Folds of whole regions: no region is trained on and tested in.

    The region of each sample is given as ``groups``; names are compared as everywhere in this
    package, without surrounding blanks and Unicode forms.

    Args:
        n_splits: how many folds; each region is one if not given.
        distances: between regions. With them, regions that are alike are in one fold, so that what
            is tested is as unlike what was trained on as it gets; a directed distance is averaged
            over both ways. Without them folds have about equally many samples. A ``Run``, of which
            it is the distance, or a matrix over regions: of :func:`geospot_gpu.pairwise`, or a
            DataFrame. More regions than the samples have do no harm.

    Raises:
        GeospotError: an argument is out of range. Splitting raises it, too, where a sample has no
            region, there are fewer regions than folds, or a region has no distances.

    >>> folds = RegionFolds(n_splits=2)
    >>> folds.fold_of(X=[[1], [2], [3], [4]], groups=["KEN", "KEN ", "UGA", "FRA"]).tolist()
    [0, 0, 1, 1]
    >>> km = pd.DataFrame([[0, 1, 8], [1, 0, 9], [8, 9, 0]], *[["KEN", "UGA", "FRA"]] * 2)
    >>> folds = RegionFolds(n_splits=2, distances=km)
    >>> folds.fold_of(X=[[1], [2], [3], [4]], groups=["KEN", "KEN ", "UGA", "FRA"]).tolist()
    [1, 1, 1, 0]
    """

    def __init__(
        self,
        n_splits: int | None = None,
        *,
        distances: Run | xarray.DataArray | pd.DataFrame | None = None,
    ) -> None:
        self.n_splits = None if n_splits is None else check_splits(n_splits)
        self.distances = distances
        if distances is not None and n_splits is None:
            raise GeospotError(
                "distances: where each region is a fold of its own they change nothing: give "
                "n_splits, or leave them out"
            )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many folds there are; ``groups`` says so where each region is one."""
        return self.n_splits or len(_regions(groups)[1])

    def _fold_of(self, X: Any, groups: Any) -> Fold:
        region, names = _regions(groups)
        if self.n_splits is None:
            if len(names) < 2:
                raise GeospotError(f"groups: all samples are of {names[0]!r}: give several regions")
            return region
        check_enough(len(names), self.n_splits, "regions", "use fewer folds")
        sizes = np.bincount(region).astype(np.int64)
        if self.distances is None:
            return balanced_folds(sizes, self.n_splits)[region]
        return similar_folds(_between(self.distances, names), sizes, self.n_splits)[region]


def _regions(groups: Any) -> tuple[NDArray[np.int64], list[str]]:
    """The number of each sample's region, [n], and the names of the regions in that order.

    Args:
        groups: a name for each sample.
    """
    if groups is None:
        raise GeospotError("groups: give the name of each sample's region, as groups=table['iso3']")
    given = np.asarray(groups, object)
    if given.ndim != 1:
        raise GeospotError(f"groups {given.shape} must be a vector of names: one for each sample")
    names = labels(pd.Series(groups if isinstance(groups, pd.Series) else given, name="groups"))
    code, distinct = pd.factorize(keys(names), sort=True)
    if (code < 0).any():
        raise GeospotError(
            f"groups: {int((code < 0).sum())} samples have no region, as row "
            f"{int(np.flatnonzero(code < 0)[0]) + 1}: leave them out first"
        )
    return code.astype(np.int64), [str(name) for name in distinct]


def _between(
    distances: Run | xarray.DataArray | pd.DataFrame, names: list[str]
) -> NDArray[np.float64]:
    """Distances between the regions of these names, averaged over both ways, [R, R]."""
    import xarray

    table: Any = distances.matrix() if isinstance(distances, Run) else distances
    if isinstance(table, xarray.DataArray) and set(table.dims) == {"source", "target"}:
        table = table.transpose("source", "target").to_pandas()
    checks.instance(table, pd.DataFrame, "distances", "a Run, or gs.pairwise(...).divergence")
    rows, columns = (
        Names([name_of(name, "distances") for name in axis])
        for axis in (table.index, table.columns)
    )
    for known, axis in ((rows, table.index), (columns, table.columns)):
        if len(known) < len(axis):
            raise GeospotError("distances: a region is named twice: name each once")
    for name in names:
        for known in (rows, columns):
            if name not in known:
                raise GeospotError(
                    f"distances have no region {name!r}, which samples are in; {known.hint(name)}"
                )
    try:
        values = table.to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise GeospotError(f"distances must be numbers ({error})") from error
    found: NDArray[np.float64] = values[
        np.ix_([rows[name] for name in names], [columns[name] for name in names])
    ]
    found = (found + found.T) / 2.0
    missing = np.argwhere(~np.isfinite(found) & ~np.eye(len(found), dtype=bool))
    if len(missing):
        one, other = (names[k] for k in missing[0])
        raise GeospotError(
            f"distances: that of {one!r} and {other!r} is missing: give those of every two regions"
        )
    return found
