"""All distances of a sweep as matrices, baselines among them, and what else predicts transfer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.distances.columns import compared, predictors, stored_in
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.errors import GeospotError
from geospot_gpu.regions import Regions
from geospot_gpu.runs.baselines import stored_baselines
from geospot_gpu.runs.reading import check_all_pairs
from geospot_gpu.runs.run import Run
from geospot_gpu.sphere import EARTH_RADIUS_KM
from geospot_gpu.transfer.spaces import Space, named, split

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
    """A run with its distances and its baselines, in all of its spaces."""

    runs: dict[Space, Run]
    """Of the spaces by name, that which was asked for first; it alone where it has one space."""
    distances: dict[str, Array]
    """Matrices by name: ``SPACE.NAME`` where there are several spaces, but for what is the same in
    all of them."""
    solved: NDArray[np.bool_]
    """Which pairs are solved in every space, [R, R]."""

    @property
    def run(self) -> Run:
        """That of the first space."""
        return next(iter(self.runs.values()))

    @property
    def names(self) -> list[str]:
        """Of the regions, in the order of the matrices."""
        return list(self.run.names)

    def among(self, spaces: Collection[Space]) -> Loaded:
        """The same without the distances of other spaces than these."""
        kept = {
            name: values
            for name, values in self.distances.items()
            if (space := split(name)[0]) is None or space in spaces
        }
        return self._replace(
            runs={space: run for space, run in self.runs.items() if space in spaces}, distances=kept
        )


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
        GeospotError: it is not one of all pairs, its points are not there any more, or one of its
            spaces has other regions, or none yet.
    """
    check_square(run)
    runs: dict[Space, Run] = dict(run.spaces.items()) or {None: run}
    left, right = all_pairs(len(run.names), None)
    found: dict[str, Array] = {}
    solved = np.ones((len(run.names), len(run.names)), np.bool_)
    for space, one in runs.items():
        if one.names != run.names:
            raise GeospotError(
                f"{one.folder}: has other regions than {run.folder}: finish the sweep by running "
                "it again"
            )
        # What is the same in all spaces is computed in the first alone.
        outputs = [c.name for c in stored_in("baselines") if c.of_features or not found]
        simple_ = stored_baselines(
            one.place, one.keys, one.regions, left, right, one.engine, outputs
        )
        merged = simple_.merge(one.pairs, on=["source", "target"], how="left")
        own = matrices(merged, list(one.names))
        solved &= np.isfinite(own.get("n_source", np.nan))
        for name, values in own.items():
            found.setdefault(named(name, space), values)
    return Loaded(runs, found, solved)


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
    order = {name: place for place, name in enumerate(predictors())}
    some = [name for name in distances if split(name)[1] in order]
    found = {name: distances[name] for name in sorted(some, key=lambda n: order[split(n)[1]])}
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
