"""How far samples, folds and deployment are from each other: three distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from geospot_gpu.errors import GeospotError
from geospot_gpu.validation.neighbours import Neighbours, nearest
from geospot_gpu.validation.samples import By, Located, Vectors, check_by, located

BETWEEN = "sample to sample"
ACROSS = "fold to fold"
BEYOND = "deployment to sample"


@dataclass(frozen=True)
class NearestDistances:
    """Nearest neighbour distances of samples, folds and deployment.

    Attributes:
        table: a row for each distance, with columns ``kind`` (``sample to sample``: to the nearest
            other sample; ``fold to fold``: from a tested sample to the nearest that its model is
            trained on; ``deployment to sample``) and ``distance``.
        summary: a row for each kind: how many there are (``n``), their ``median`` and ``mean``, and
            ``wasserstein``, how far they are from those of deployment (Wasserstein-1, in the unit).
        unit: ``km``, or ``standard deviations`` of features.
    """

    table: pd.DataFrame
    summary: pd.DataFrame
    unit: str


def nearest_distances(
    samples: Any,
    deployment: Any,
    *,
    folds: Any = None,
    groups: Any = None,
    by: By = "geography",
    lon: str | None = None,
    lat: str | None = None,
) -> NearestDistances:
    """Whether cross-validation is as hard as deployment: the nearer the last two, the better.

    Meyer & Pebesma (2022), Nat. Commun. 13, 2208; ``geodist`` of the R package CAST.

    Args:
        samples: a table with coordinates; for ``by="features"`` a table or matrix of numbers.
        deployment: the same of the places where the model will be used, or a ``Regions``.
        folds: how samples are cross-validated: any splitter of scikit-learn that tests each sample
            once, or the fold of each sample, [n]. Without it there is no ``fold to fold``.
        groups: for the splitter; without them it is given the samples.
        by: ``geography`` for great circles in km, ``features`` for Euclidean distances of features
            scaled to mean 0 and deviation 1 over the samples.
        lon, lat: names of the columns of coordinates; the usual ones are found if not given.

    Raises:
        GeospotError: there are no coordinates or features, fewer than two samples, or folds that
            do not test every sample once.

    >>> samples = pd.DataFrame({"lon": [0.0, 0.1, 9.0, 9.1], "lat": 0.0})
    >>> deployment = pd.DataFrame({"lon": [18.0], "lat": 0.0})
    >>> found = nearest_distances(samples, deployment, folds=[0, 0, 1, 1])
    >>> found.summary["median"].round().to_dict()
    {'sample to sample': 11.0, 'fold to fold': 995.0, 'deployment to sample': 990.0}
    """
    places = located(samples, deployment, check_by(by), lon, lat)
    if len(places.samples) < 2:
        raise GeospotError("samples: there is one alone: give two or more")
    found = {BETWEEN: Neighbours.of(places.samples).apart()}
    if folds is not None:
        found[ACROSS] = _across(places.samples, folds, samples, groups)
    elif groups is not None:
        raise GeospotError("groups: without folds they change nothing: give folds, too")
    found[BEYOND] = nearest(places.deployment, places.samples)
    return _tabulated({kind: places.measured(values) for kind, values in found.items()}, places)


def _across(x: Vectors, folds: Any, samples: Any, groups: Any) -> NDArray[np.float64]:
    """Distance of each sample to the nearest that is trained on where it is tested, [n]."""
    if hasattr(folds, "split") and not isinstance(folds, str | bytes):
        try:
            parts = list(folds.split(samples, None, groups))
        except (TypeError, ValueError) as error:
            raise GeospotError(f"folds: {error}") from error
    else:
        fold = np.asarray(folds)
        if fold.shape != (len(x),):
            raise GeospotError(
                f"folds {fold.shape} must be a splitter, or the fold of each of {len(x)} samples"
            )
        if groups is not None:
            raise GeospotError("groups are for a splitter: leave them out beside a fold each")
        parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in pd.unique(fold)]
    tested = np.bincount(np.concatenate([test for _, test in parts]), minlength=len(x))
    if (tested != 1).any():
        raise GeospotError(
            f"folds test sample {int((tested != 1).argmax()) + 1} "
            f"{int(tested[(tested != 1).argmax()])} times: use folds that test each sample once"
        )
    found = np.empty(len(x))
    for train, test in parts:
        if len(train) == 0:
            raise GeospotError("folds: one fold has all samples: give two or more")
        found[test] = nearest(x[test], x[train])
    return found


def _tabulated(found: dict[str, NDArray[np.float64]], places: Located) -> NearestDistances:
    wanted = found[BEYOND]
    rows = {
        kind: {
            "n": len(values),
            "median": float(np.median(values)),
            "mean": float(values.mean()),
            "wasserstein": float(wasserstein_distance(values, wanted)),
        }
        for kind, values in found.items()
    }
    parts = [pd.DataFrame({"kind": kind, "distance": values}) for kind, values in found.items()]
    summary = pd.DataFrame.from_dict(rows, orient="index")
    return NearestDistances(pd.concat(parts, ignore_index=True), summary, places.unit)
