"""Distances between all pairs of regions, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from geospot_gpu.cost import GroundCost
from geospot_gpu.distances.dataset import to_dataset
from geospot_gpu.engine.engine import Engine, Indices, PairEngine, Solver, settled
from geospot_gpu.engine.growth import Larger, grow
from geospot_gpu.engine.warm import WarmStarts
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.regions import Regions
from geospot_gpu.sinkhorn.divergence import add_divergence
from geospot_gpu.sinkhorn.solver import Sinkhorn

if TYPE_CHECKING:
    import xarray


@out_of_memory("computing all pairs of regions", "take fewer regions")
def pairwise(
    regions: Regions,
    against: Regions | None = None,
    *,
    cost: GroundCost | None = None,
    solver: Solver | None = None,
    engine: Engine | None = None,
    warm: WarmStarts | None = None,
) -> xarray.Dataset:
    """The distance between every two regions, with its evidence.

    Args:
        regions: the regions.
        against: compare every region of ``regions`` with every region of these instead.
        cost: ground cost; half features and half great circle if not given, or great circle alone
            where the regions have no features.
        solver: :class:`~geospot_gpu.Sinkhorn` if not given.
        engine: device, backend, storage and memory budget.
        warm: potentials to start from and to keep, for calls that differ in ``geo_weight`` or
            ``epsilon`` alone.

    Returns:
        A dataset over dimensions ``source`` and ``target`` (region names) with a variable for
        whatever is :func:`~geospot_gpu.distances.columns.measured` of a pair, which
        ``variable.attrs`` says the name and units of. A directed one, such as ``coverage``, says
        at (A, B) how well A covers B.

    Raises:
        GeospotError: there is only one region, the cost needs features that the regions do not
            have, the two collections do not compare, or the device does not exist.
    """
    cost, solver, engine = settled(regions, cost, solver, engine)
    if warm is not None:
        checks.instance(warm, WarmStarts, "warm")
    together = joined(regions, against)
    left, right = all_pairs(len(regions), None if against is None else len(against))

    def solve(sample: Regions, left: Indices, right: Indices) -> tuple[pd.DataFrame, pd.DataFrame]:
        engine_of_pairs = PairEngine(sample, cost, solver, engine, warm)
        selves = self_terms(engine_of_pairs, np.arange(len(sample)))
        return solve_pairs(engine_of_pairs, left, right, selves), selves

    pairs, selves = solve(together, left, right)
    if isinstance(solver, Sinkhorn) and solver.target_error is not None:

        def solve_larger(sample: Larger) -> pd.DataFrame:
            return solve(sample.regions, sample.left, sample.right)[0]

        pairs = grow(together, left, right, pairs, solver.target_error, solve_larger)
    table = together.table().join(selves.add_prefix("self_"))
    names = np.array(together.names, dtype=object)
    pairs = pairs.assign(source=names[left], target=names[right])
    if against is None:
        return to_dataset(pairs, table)
    return to_dataset(pairs, table[: len(regions)], table[len(regions) :])


def joined(regions: Regions, against: Regions | None) -> Regions:
    """The regions of a comparison in one collection, those of ``against`` last.

    Raises:
        GeospotError: there is only one region, or the two collections do not compare.
    """
    if against is not None:
        return regions.concatenated(against)
    if len(regions) < 2:
        raise GeospotError(
            f"only one region ({regions.names[0]}): distances need two; group the points "
            "differently"
        )
    return regions


def all_pairs(n: int, m: int | None) -> tuple[Indices, Indices]:
    """Positions of the pairs of ``n`` regions, each once, or of ``n`` with the ``m`` after them.

    >>> [side.tolist() for side in all_pairs(3, None)], [side.tolist() for side in all_pairs(1, 2)]
    ([[0, 0, 1], [1, 2, 2]], [[0, 0], [1, 2]])
    """
    if m is None:
        left, right = np.triu_indices(n, k=1)
        return left.astype(np.int64), right.astype(np.int64)
    return np.repeat(np.arange(n), m), np.tile(np.arange(n, n + m), n)


def self_terms(engine: PairEngine, index: Indices) -> pd.DataFrame:
    """Self terms of the regions at ``index`` [K], null where the solver does not debias.

    Returns:
        Columns ``ot``, ``lower``, ``upper`` and ``converged``.
    """
    if len(index) == 0 or not isinstance(engine.solver, Sinkhorn) or not engine.solver.debias:
        return pd.DataFrame(
            {"ot": np.nan, "lower": np.nan, "upper": np.nan, "converged": True},
            index=range(len(index)),
        )
    solved = engine.self_terms(index)
    return pd.DataFrame(
        {
            "ot": solved["ot_value"],
            "lower": solved["ot_lower"],
            "upper": solved["ot_upper"],
            "converged": solved["converged"],
        }
    )


def solve_pairs(
    engine: PairEngine, left: Indices, right: Indices, selves: pd.DataFrame
) -> pd.DataFrame:
    """Pairs of regions [K] with every column that the solver can fill; others are absent.

    Args:
        engine: the engine.
        left, right: positions of the two regions of each pair.
        selves: what :func:`self_terms` returned, for all regions of the engine.
    """
    return debiased(engine, engine.pairs(left, right), left, right, selves)


def debiased(
    engine: PairEngine, pairs: pd.DataFrame, left: Indices, right: Indices, selves: pd.DataFrame
) -> pd.DataFrame:
    """Solved pairs [K] with their divergences and what sampling leaves uncertain about them."""
    if engine.sampling_error is not None:
        pairs = add_divergence(pairs, selves.iloc[left], selves.iloc[right])
        return engine.sampling_error.add_bias(pairs, left, right)
    return pairs
