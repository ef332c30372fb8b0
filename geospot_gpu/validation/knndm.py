"""Folds whose nearest neighbour distances match those of deployment, as scikit-learn takes them."""

from __future__ import annotations

from typing import Any

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.validation.folds import Fold, Folds, check_splits
from geospot_gpu.validation.matching import match
from geospot_gpu.validation.samples import By, check_by, located


class KNNDM(Folds):
    """Folds as far from each other as the places of deployment are from the samples.

    k-fold nearest neighbour distance matching (Linnenbrink, Milà, Ludwig & Meyer 2024, Geosci.
    Model Dev. 17, 5897). Where samples lie as deployment does, folds are random. Folds may differ
    in size: score all predictions together (``cross_val_predict``).

    It does as ``knndm`` of the R package CAST, but that clusters, and their order along the first
    principal component, are of unit vectors in three dimensions rather than of great-circle
    distances and degrees: neither poles nor the antimeridian matter.

    Args:
        deployment: where the model will be used: a ``Regions``, ``Points`` or a table with
            coordinates; for
            ``by="features"`` a table or matrix of the same features as those of the samples, or a
            ``Regions`` with them. Every distinct point of a ``Regions`` counts once.
        n_splits: how many folds.
        by: ``geography`` compares great circles in km. The samples' coordinates are columns of
            ``groups``, or of ``X`` where no groups are given. ``features`` compares features,
            scaled to mean 0 and deviation 1 over the samples: likewise all columns of ``groups``
            or ``X``.
        max_share: of all samples that one fold may hold, more than 1 / n_splits and below 1.
        lon, lat: names of the columns of coordinates; the usual ones are found if not given.
        seed: of random folds.

    Raises:
        GeospotError: an argument is out of range. Splitting raises it, too, where samples are too
            few or have no coordinates or features, and ``OutOfMemory``, a kind of it, where they
            are too many: clustering takes 8 n^2 bytes.

    >>> import pandas as pd
    >>> europe = pd.DataFrame({"lon": [0, 0.1, 9, 9.1, 20, 20.1], "lat": 50.0})
    >>> asia = pd.DataFrame({"lon": [60.0, 70.0, 80.0], "lat": 50.0})
    >>> KNNDM(asia, n_splits=2, max_share=0.7).fold_of(europe).tolist()
    [0, 0, 0, 0, 1, 1]
    """

    def __init__(
        self,
        deployment: Any,
        n_splits: int = 10,
        *,
        by: By = "geography",
        max_share: float = 0.5,
        lon: str | None = None,
        lat: str | None = None,
        seed: int = 0,
    ) -> None:
        self.deployment = deployment
        self.n_splits = check_splits(n_splits)
        self.by = check_by(by)
        self.max_share = checks.number(max_share, "max_share")
        if not 1.0 / self.n_splits < self.max_share < 1.0:
            raise GeospotError(
                f"max_share={self.max_share:g}: with n_splits={self.n_splits} give a share between "
                f"{1.0 / self.n_splits:.3g} and 1, both excluded"
            )
        self.lon, self.lat = lon, lat
        self.seed = checks.whole(seed, "seed", least=0)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many folds there are."""
        return self.n_splits

    def _fold_of(self, X: Any, groups: Any) -> Fold:
        samples = X if groups is None else groups
        places = located(samples, self.deployment, self.by, self.lon, self.lat)
        if len(places.samples) < self.n_splits + 2:
            raise GeospotError(
                f"n_splits={self.n_splits}: there are too few samples ({len(places.samples)}): use "
                "fewer folds than samples, by two or more"
            )
        return match(places, self.n_splits, self.max_share, self.seed).fold
