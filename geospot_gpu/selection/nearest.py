"""The command ``geospot nearest``: the regions most like one of them."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from geospot_gpu import checks
from geospot_gpu import config as settings
from geospot_gpu.cost import GroundCost
from geospot_gpu.engine import Engine, PairEngine, Solver, settled
from geospot_gpu.errors import GeospotError
from geospot_gpu.memory import out_of_memory
from geospot_gpu.names import Name
from geospot_gpu.outputs import OutputFolder, write_csv, write_summary
from geospot_gpu.regions import Regions
from geospot_gpu.say import say
from geospot_gpu.selection.pictures import neighbour_map
from geospot_gpu.selection.search import Neighbours, NeighbourSearch
from geospot_gpu.sinkhorn.solver import Sinkhorn

_FILES = ("nearest.csv", "nearest.png", "summary.json")


@out_of_memory("finding neighbours", "lower regions.max_points, or take fewer regions")
def nearest_regions(
    regions: Regions,
    target: Name,
    k: int = 10,
    *,
    against: Regions | None = None,
    cost: GroundCost | None = None,
    solver: Solver | None = None,
    engine: Engine | None = None,
) -> Neighbours:
    """The ``k`` regions of smallest Sinkhorn divergence from a target, exactly.

    Most pairs are left out by lower bounds; few are solved. For many targets over the same regions
    make a :class:`~geospot_gpu.selection.search.NeighbourSearch` once.

    Args:
        regions: the regions.
        target: name of one of them, which is not its own neighbour; of one of ``against`` where
            that is given.
        k: how many to find; all where there are fewer.
        against: a collection with the target, to look for its neighbours among ``regions``.
        cost: ground cost, on one scale; as for :func:`~geospot_gpu.pairwise` if not given.
        solver: :class:`~geospot_gpu.Sinkhorn` if not given; it debiases.
        engine: device, kernel and memory budget.

    Raises:
        GeospotError: there is no such region or no other, k is not positive, or the cost or solver
            does not fit.

    >>> regions = Regions.from_points(
    ...     lon=[0, 1, 5, 6, 90, 91], lat=[0] * 6, region=["a", "a", "b", "b", "c", "c"]
    ... )
    >>> nearest_regions(regions, "a", 1).table.region.tolist()
    ['b']
    """
    k = checks.whole(k, "k")
    if k < 1:
        raise GeospotError(f"k={k}: give how many regions to find, at least 1")
    cost, solver, engine = settled(regions, cost, solver, engine)
    if isinstance(solver, Sinkhorn):
        if solver.target_error is not None:
            raise GeospotError(
                "solver.target_error draws samples pair by pair, which proves no order: raise "
                "regions.max_points instead"
            )
        solver = replace(solver, rho=None)
    together = regions if against is None else regions.concatenated(against)
    where = regions if against is None else against
    at = where.position(target, "target")
    candidates = np.arange(len(regions))
    if against is None:
        candidates = np.delete(candidates, at)
        if len(candidates) == 0:
            raise GeospotError(
                f"{where.names[at]} is the only region: there are no others to be near"
            )
    else:
        at += len(regions)
    pair_engine = PairEngine(together, cost, solver, engine)
    return NeighbourSearch(pair_engine).nearest(at, candidates, k)


def nearest(config: DictConfig) -> None:
    """Find the neighbours that ``config`` asks for, and say which they are."""
    typed = settings.typed(config, settings.NearestConfig)
    results = OutputFolder(
        typed.out, _FILES, inputs=settings.inputs(typed), overwrite=typed.overwrite
    )
    results.check_writable()
    cost, solver = settings.make_cost(typed), settings.make_solver(typed)
    engine, encoder = settings.make_engine(typed), settings.make_encoder(typed)
    regions, against = settings.make_regions(typed, encoder, str(engine.torch_device()))
    started = time.perf_counter()
    found = nearest_regions(
        regions, typed.target, typed.k, against=against, cost=cost, solver=solver, engine=engine
    )
    seconds = time.perf_counter() - started
    where = regions if against is None else against
    table, target = found.table, where.names[where.position(typed.target, "target")]
    share = found.solved / found.candidates
    unconverged, certain = int((~table["converged"]).sum()), _certain(table)
    text = (
        f"the {len(table)} regions nearest to {target} of {found.candidates}, "
        f"{found.solved} of which were solved ({share:.1%})"
    )
    summary = {
        "verdict": text,
        "target": target,
        "candidates": found.candidates,
        "half_steps": found.half_steps,
        "solved": found.solved,
        "unconverged": unconverged,
        "order_is_certain": certain,
        "seconds": round(seconds, 3),
    }
    with results.replacing() as staged:
        write_csv(table, staged / "nearest.csv", index=False, float_format="%.9g")
        neighbour_map(table, regions, where, target, staged / "nearest.png")
        write_summary(staged, summary)
    if len(table) < typed.k:
        say(f"k={typed.k}: there are only {found.candidates} other regions: all are listed")
    say(f"{text}:")
    say(*_report(table))
    if unconverged:
        say(
            f"{unconverged} of them did not converge: raise solver.max_iterations, "
            "solver.tolerance or solver.epsilon"
        )
    if not certain:
        say("intervals of neighbours overlap: they may stand in another order")
    for side in (regions, against):
        if side is not None:
            say(side.account(typed.regions.by))
    say(
        f"results in {results.folder}",
        f"nearest={len(table)} candidates={found.candidates} "
        f"solved={found.solved} unconverged={unconverged}",
    )


def _certain(table: pd.DataFrame) -> bool:
    """Whether the intervals of successive regions are disjoint."""
    return bool((table["upper"].to_numpy()[:-1] < table["lower"].to_numpy()[1:]).all())


def _report(table: pd.DataFrame) -> list[str]:
    width = table["region"].str.len().max()
    return [
        f"  {row.rank:3d}  {row.region:{width}}  {row.divergence:z.4f}  "
        f"in [{row.lower:z.5f}, {row.upper:z.5f}]"
        for row in table.itertuples()
    ]
