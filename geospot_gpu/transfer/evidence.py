"""All distances of a sweep as matrices, baselines among them, and what else predicts transfer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.distances.columns import compared, predictors
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.errors import GeospotError
from geospot_gpu.regions import Regions
from geospot_gpu.runs.baselines import stored_baselines
from geospot_gpu.runs.reading import check_all_pairs
from geospot_gpu.runs.run import Run
from geospot_gpu.sphere import EARTH_RADIUS_KM

Array = NDArray[np.float64]


def matrices(
    pairs: pd.DataFrame, sources: Sequence[str], targets: Sequence[str] | None = None
) -> dict[str, Array]:
    """Distances by name, sources in rows and targets in columns, [R, R'].

    Directed ones say how far the column's region is for a model from the row's; their names end in
    ``_reversed`` where it is the other way round. The numbers of points are among them.

    Args:
        pairs: columns of a sweep and of :func:`~geospot_gpu.distances.baselines.baselines`; each
            unordered pair once where ``targets`` is None. What is not known becomes NaN.
        sources: names of the regions in rows.
        targets: of those in columns; the sources again if not given.
    """
    square = targets is None
    rows, columns = pd.Index(sources), pd.Index(sources if targets is None else targets)
    i, j = (
        rows.get_indexer(pd.Index(pairs["source"])),
        columns.get_indexer(pd.Index(pairs["target"])),
    )

    def matrix(there: str, back: str) -> Array:
        values = np.full((len(rows), len(columns)), np.nan)
        if square and back in pairs:
            values[j, i] = pairs[back]
        if there in pairs:
            values[i, j] = pairs[there]
        return values

    found = {}
    for column in compared():
        there, back = column.sides()
        for name, sides in zip(column.matrices, ((there, back), (back, there)), strict=False):
            found[name] = matrix(*sides)
    # A solver that does not debias has no divergence; a transport cost every solver has.
    return {
        name: values
        for name, values in found.items()
        if name == "transport_cost" or not np.isnan(values).all()
    }


class Loaded(NamedTuple):
    """A run with its distances and its baselines."""

    run: Run
    distances: dict[str, Array]

    @property
    def names(self) -> list[str]:
        """Of the regions, in the order of the matrices."""
        return list(self.run.names)


def check_square(run: Run) -> None:
    """Raise unless a run is one of all pairs of its regions."""
    check_all_pairs(run.manifest, run.folder)
    if run.manifest["targets"] is not None:
        raise GeospotError(
            f"{run.folder}: compares two tables: make a sweep of all pairs of regions, without "
            "against"
        )


def load(run: Run) -> Loaded:
    """The distances of a run of all pairs of regions, with baselines, which are stored beside it.

    Raises:
        GeospotError: it is not one of all pairs, or its points are not there any more.
    """
    check_square(run)
    regions, pairs = run.regions, run.pairs
    left, right = all_pairs(len(regions), None)
    simple_ = stored_baselines(run.place, run.keys, regions, left, right, run.engine)
    merged = simple_.merge(pairs, on=["source", "target"], how="left")
    return Loaded(run, matrices(merged, list(regions.names)))


def spreads(regions: Regions) -> Array:
    """Mean great circle in km from the points of each region to its centre, [R]."""
    xyz, weight = regions.xyz.cpu().numpy(), regions.weight.cpu().numpy()
    found = np.empty(len(regions))
    for k, (start, end) in enumerate(zip(regions.offsets[:-1], regions.offsets[1:], strict=True)):
        mean = weight[start:end] @ xyz[start:end]
        centre = mean / max(np.linalg.norm(mean), 1e-12)
        angle = np.arccos(np.clip(xyz[start:end] @ centre, -1.0, 1.0))
        found[k] = EARTH_RADIUS_KM * (weight[start:end] @ angle)
    return found


def features(
    distances: Mapping[str, Array],
    sources: Regions,
    targets: Regions,
    in_domain: Array | None,
) -> dict[str, Array]:
    """What predictions are made from, [R, R'] by name; the distances among them come first.

    Beside the distances these are the absolute latitudes and the spreads of both regions, the
    difference of the latitudes, and the score of each source in itself. Where points have no
    coordinates, there are no latitudes and spreads.

    Args:
        distances: what :func:`matrices` returned.
        sources, targets: the regions.
        in_domain: score of each source's model at home, [R]; None where it is not known for all.
    """
    found = {name: distances[name] for name in predictors() if name in distances}
    shape = len(sources), len(targets)
    if sources.located and targets.located:
        found |= _of_places(sources, targets)
    if in_domain is not None:
        found["score_source"] = np.broadcast_to(in_domain[:, None], shape)
    return found


def _of_places(sources: Regions, targets: Regions) -> dict[str, Array]:
    """What follows from where regions lie, [R, R'] by name."""
    shape = len(sources), len(targets)
    latitude = [np.abs(side.table()["lat"].to_numpy()) for side in (sources, targets)]
    spread = [spreads(side) for side in (sources, targets)]
    found = {"latitude_difference": np.abs(latitude[0][:, None] - latitude[1])}
    for name, (source, target) in (("latitude", latitude), ("spread_km", spread)):
        found[f"{name}_source"] = np.broadcast_to(source[:, None], shape)
        found[f"{name}_target"] = np.broadcast_to(target, shape)
    return found


def tidy(matrices_: Mapping[str, Array], sources: list[str], targets: list[str]) -> pd.DataFrame:
    """One row per pair: ``source``, ``target`` and the matrices."""
    i, j = (side.ravel() for side in np.indices((len(sources), len(targets))))
    table = pd.DataFrame(
        {"source": np.array(sources, object)[i], "target": np.array(targets, object)[j]}
    )
    for name, values in matrices_.items():
        table[name] = values.ravel()
    return table
