"""What all splitters share: every sample is tested once, in the fold that it is assigned to."""

from __future__ import annotations

import heapq
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_consistent_length

from geospot_gpu.errors import GeospotError, checks

Fold = NDArray[np.int64]
"""The number of a fold for each of some things, from 0."""


class Folds(BaseCrossValidator):  # type: ignore[misc]
    """A splitter of scikit-learn that assigns every sample to one fold."""

    __metadata_request__split: ClassVar = {"groups": True}  # scikit-learn's routing hands them on

    def fold_of(self, X: Any, groups: Any = None) -> Fold:
        """The fold that each sample is tested in, int64 [n].

        Args:
            X: the samples, [n] rows.
            groups: what is said of each sample besides its features, [n] rows.

        Raises:
            GeospotError: the two have different numbers of rows, or there can be no such folds.
        """
        check_rows(X, groups)
        return self._fold_of(X, groups)

    @abstractmethod
    def _fold_of(self, X: Any, groups: Any) -> Fold:
        """The same, of as many groups as samples."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Fold, Fold]]:
        """Positions of the samples to train on and to test, for each fold; as scikit-learn has it.

        Raises:
            GeospotError: as :meth:`fold_of`.
        """
        check_rows(X, y, groups)
        yield from super().split(X, y, groups)

    def _iter_test_masks(
        self, X: Any = None, y: Any = None, groups: Any = None
    ) -> Iterator[NDArray[np.bool_]]:
        fold = self.fold_of(X, groups)
        for k in range(fold.max() + 1):
            yield fold == k


def check_rows(*tables: Any) -> None:
    """Raise where there are not equally many rows in all that is given of samples."""
    if tables[0] is None:
        raise GeospotError("X is None: give the samples, a row for each")
    try:
        check_consistent_length(*tables)
    except (TypeError, ValueError) as error:
        raise GeospotError(
            f"give a row for each sample in all of X, y and groups ({error})"
        ) from error


def check_splits(value: object) -> int:
    """How many folds there shall be: 2 or more."""
    return checks.whole(value, "n_splits", least=2)


def check_enough(count: int, n_splits: int, what: str, remedy: str) -> None:
    """Raise where there are fewer things than folds.

    Args:
        count: how many things there are.
        n_splits: how many folds.
        what: the things, for the message.
        remedy: what to do, likewise.
    """
    if count < n_splits:
        raise GeospotError(f"n_splits={n_splits}: there are too few {what} ({count}): {remedy}")


def balanced_folds(sizes: NDArray[np.int64], n_splits: int) -> Fold:
    """Folds of things with ``sizes`` [K] so that all become about equally large, [K].

    The largest goes first, each to the fold that is smallest then (Graham 1969, "Bounds on
    multiprocessing timing anomalies"); of equal ones the first.

    >>> balanced_folds(np.array([1, 5, 2, 2]), 2).tolist()
    [1, 0, 1, 1]
    """
    fold = np.empty(len(sizes), np.int64)
    load = [(0, k) for k in range(n_splits)]
    for thing in np.argsort(-sizes, kind="stable"):
        held, k = heapq.heappop(load)
        fold[thing] = k
        heapq.heappush(load, (held + int(sizes[thing]), k))
    return fold
