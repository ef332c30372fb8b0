"""Classes of points by their positions in the table of a ground cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.cost import GroundCost
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.labels import Labels, are_numbers, known
from geospot_gpu.regions import Regions


def positions_of(labels: Labels, classes: Sequence[str] | Sequence[float]) -> NDArray[np.int64]:
    """Which of the classes each label [n] is of, -1 where it is of none or unknown.

    Args:
        labels: the labels.
        classes: names of classes, or of numbers the lowest of each bin, ascending; numbers below
            the first are in the first bin.
    """
    if are_numbers(labels):
        at = np.searchsorted(np.asarray(classes[1:], np.float64), labels, side="right")
        return np.where(known(labels), at, -1)
    return np.asarray(pd.Index(list(map(str, classes))).get_indexer(pd.Index(labels)), np.int64)


def check_labels(regions: Regions, cost: GroundCost) -> None:
    """Raise where labels enter the cost, and points lack one."""
    if not cost.labelled:
        return
    name = "label_weight" if cost.class_costs is None else "class_costs"
    if regions.label is None:
        raise GeospotError(
            f"cost.{name} needs labels of points, and regions have none: name their column with "
            "points.label=..."
        )
    unknown = int((~known(regions.label)).sum())
    if unknown:
        raise GeospotError(
            f"cost.{name} needs a label of every point, and {unknown:,} of "
            f"{len(regions.label):,} have none: leave these out with regions.labelled=true"
        )


def classes_of(regions: Regions, cost: GroundCost) -> NDArray[np.int64] | None:
    """The class of each point [N] in the table of the cost; None where the cost has none.

    Raises:
        GeospotError: a point has no label, or one that the table does not know; or the table is
            not there yet.
    """
    if not cost.labelled:
        return None
    check_labels(regions, cost)
    assert regions.label is not None
    if cost.class_costs is None:
        raise GeospotError(
            "cost.label_weight has no table of distances between classes yet: take the cost of a "
            "sweep (run.cost), or geospot_gpu.with_class_costs(cost, regions)"
        )
    if cost.classes is None:
        raise GeospotError("cost.class_costs needs cost.classes: what its rows are of labels")
    numbers = are_numbers(regions.label)
    if numbers is isinstance(cost.classes[0], str):
        kinds = ("numbers", "classes") if numbers else ("classes", "numbers")
        raise GeospotError(
            f"labels are {kinds[0]}, and cost.classes are {kinds[1]}: sweep in a new folder"
        )
    found = positions_of(regions.label, cost.classes)
    if (found < 0).any():
        first = regions.label[int((found < 0).argmax())]
        raise GeospotError(
            f"label {checks.shown(first)} is none of the {len(cost.classes)} that cost.class_costs "
            "has: sweep in a new folder"
        )
    return found
