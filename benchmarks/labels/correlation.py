"""Coverage with and without labels beside what transfer loses, with all labels and with twenty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import geospot_gpu as gs
from benchmarks.transfer.tasks import Task, measured_scores
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine.method import Method
from geospot_gpu.transfer.correlation import correlate as settings
from geospot_gpu.transfer.correlation.statistics import rank_rows

LABELS = 20
NAMES = ("plain", "labelled", "labelled, 20 labels", "label shift", "label shift, 20 labels")


def correlations(
    task: Task, folder: Path, regions: gs.Regions, plain: gs.GroundCost, cost: gs.GroundCost
) -> list[dict[str, object]]:
    """Spearman's rho of every distance with the loss, and its difference from plain coverage.

    With 20 labels a target is known by 20 of its points, all others by all of theirs.

    Args:
        task: whose models are tried.
        folder: of the data.
        regions: with labels of all points.
        plain, cost: ground costs without labels and with them.
    """
    scores = measured_scores(task, folder, 0, regions.names)
    few = _few(regions)
    both = regions.concatenated(few)
    count = len(regions)
    left, right = (side.ravel() for side in np.indices((count, count)))
    own, others = left != right, all_pairs(count, None)
    ends = left[own], right[own] + count
    coverages = [
        _square(_coverage(regions, plain, *others), others, count),
        _square(_coverage(regions, cost, *others), others, count),
        _rectangle(_coverage(both, cost, *ends)[0], ends, count),
    ]
    shifts = [
        _rectangle(gs.baselines(both, *pairs, ["label_shift"])["label_shift"].to_numpy(),
                   pairs, count)
        for pairs in ((left[own], right[own]), ends)
    ]  # fmt: skip
    loss = scores.loss
    at = [regions.names.index(name) for name in scores.regions]
    named = {
        name: loss.copy(data=values[np.ix_(at, at)])
        for name, values in zip(NAMES, [*coverages, *shifts], strict=True)
    }
    settings.KENDALL = 1  # Kendall's tau, which takes most of the time, is in no table
    (table, _), gain = settings.judge(named, loss)
    rows = rank_rows(table)
    rho = rows.set_index("distance")["value"]
    found: list[dict[str, object]] = []
    for name in NAMES:
        row: dict[str, object] = {"task": task.name, "distance": name, "rho": round(rho[name], 3)}
        row["above plain coverage"] = ""
        if name != "plain":
            row["above plain coverage"] = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*gain(name, "plain"))
        found.append(row)
    return found


def _few(regions: gs.Regions) -> gs.Regions:
    """The same regions, of each of which 20 points at random are known."""
    generator = np.random.default_rng(0)
    rows = []
    for first, stop in zip(regions.offsets[:-1], regions.offsets[1:], strict=True):
        rows.append(generator.permutation(np.arange(first, stop))[:LABELS])
    sizes = np.array([len(some) for some in rows])
    chosen = np.concatenate(rows)
    weight = np.repeat(1.0 / sizes, sizes)
    assert regions.label is not None
    assert regions.features is not None
    return gs.Regions.from_points(
        lon=regions.lon[chosen], lat=regions.lat[chosen], weight=weight,
        region=np.repeat([f"{name}, {LABELS} points" for name in regions.names], sizes).tolist(),
        features=regions.features[chosen].numpy(), label=regions.label[chosen],
        min_points=1, max_points=None,
    )  # fmt: skip


def _coverage(
    regions: gs.Regions, cost: gs.GroundCost, left: NDArray[np.int64], right: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How well the left region covers the right one, and the other way, [K] each."""
    solver = PairSolver(regions, Method(cost, gs.Sinkhorn()), gs.Engine("cpu"))
    found = solver.solve(left, right, ["coverage"])
    return found["coverage_source_to_target"], found["coverage_target_to_source"]


def _square(
    both: tuple[NDArray[np.float64], NDArray[np.float64]],
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]],
    count: int,
) -> NDArray[np.float64]:
    found = np.full((count, count), np.nan)
    found[pairs], found[pairs[::-1]] = both
    return found


def _rectangle(
    values: NDArray[np.float64], pairs: tuple[NDArray[np.int64], NDArray[np.int64]], count: int
) -> NDArray[np.float64]:
    found = np.full((count, count), np.nan)
    found[pairs[0], pairs[1] % count] = values
    return found
