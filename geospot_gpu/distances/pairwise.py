"""Distances between all pairs of regions, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from geospot_gpu.arrays import Indices
from geospot_gpu.cost import GroundCost
from geospot_gpu.distances.class_costs import with_table
from geospot_gpu.distances.dataset import to_dataset
from geospot_gpu.distances.solve import PairSolver, chosen_outputs
from geospot_gpu.engine.method import Solver, method_for
from geospot_gpu.engine.settings import Engine, settled
from geospot_gpu.engine.warm import WarmStarts
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.progress import shows_progress
from geospot_gpu.regions import Regions

if TYPE_CHECKING:
    import xarray


@shows_progress
@out_of_memory("computing all pairs of regions", "take fewer regions")
def pairwise(
    regions: Regions,
    against: Regions | None = None,
    *,
    cost: GroundCost | None = None,
    solver: Solver | None = None,
    outputs: Sequence[str] | None = None,
    target_error: float | None = None,
    engine: Engine | None = None,
    warm: WarmStarts | None = None,
    progress: bool = False,
) -> xarray.Dataset:
    """The distance between every two regions, with its evidence.

    Args:
        regions: the regions.
        against: compare every region of ``regions`` with every region of these instead.
        cost: ground cost; half features and half great circle if not given, or great circle alone
            where the regions have no features.
        solver: :class:`~geospot_gpu.Sinkhorn` if not given.
        outputs: what to compute, as ``["divergence"]``: names from
            :func:`~geospot_gpu.distances.columns.possible_outputs`, all of them if not given.
            Nothing else is computed; ``divergence`` alone takes about a third of the time.
        target_error: take larger samples of subsampled regions, twice as many points each time,
            for the pairs whose standard error or bias is above this (in units of the scaled cost,
            as the divergence); None leaves samples as they are.
        engine: device, backend, storage and memory budget.
        warm: potentials to start from and to keep, for calls that differ in ``geo_weight`` or
            ``epsilon`` alone.
        progress: draw how far it is.

    Returns:
        A dataset over dimensions ``source`` and ``target`` (region names) with a variable for
        each of the outputs and for the evidence (``iterations``, ``marginal_error``,
        ``converged``), which ``variable.attrs`` says the name and units of. A directed one, such
        as ``coverage``, says at (A, B) how well A covers B. Regions in several
        :class:`~geospot_gpu.Spaces` have a dimension ``space`` before these two.

    Raises:
        GeospotError: there is only one region, the cost needs features that the regions do not
            have, the two collections do not compare, an output is unknown, or the device does not
            exist.
    """
    if len(checks.instance(regions, Regions, "regions").spaces) > 1:
        return _in_all_spaces(
            regions, against, cost=cost, solver=solver, outputs=outputs, target_error=target_error,
            engine=engine, warm=warm,
        )  # fmt: skip
    method, engine = method_for(regions, cost, solver), settled(engine)
    outputs = chosen_outputs(outputs, method.solver)
    if warm is not None:
        checks.instance(warm, WarmStarts, "warm")
    together = joined(regions, against)
    method = with_table(method, together, engine)
    left, right = all_pairs(len(regions), None if against is None else len(against))
    solver_of_pairs = PairSolver(together, method, engine, warm)
    pairs = solver_of_pairs.solve(left, right, outputs, target_error)
    table = together.table().assign(
        **{f"self_{name}": values for name, values in solver_of_pairs.selves._asdict().items()}
    )
    frame = pairs.to_pandas(together.names)
    if against is None:
        return to_dataset(frame, outputs, table)
    return to_dataset(frame, outputs, table[: len(regions)], table[len(regions) :])


def _in_all_spaces(regions: Regions, against: Regions | None, **options: Any) -> xarray.Dataset:
    """The distances in each space, one after another: features of one are in memory at a time."""
    import xarray

    found = [
        pairwise(
            regions.space(name), None if against is None else against.space(name), **options
        )
        for name in regions.spaces
    ]  # fmt: skip
    spaces = pd.Index(regions.spaces, name="space")
    return xarray.concat(found, spaces, data_vars="all", coords="different", join="exact",
                         compat="equals", combine_attrs="override")  # fmt: skip


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
