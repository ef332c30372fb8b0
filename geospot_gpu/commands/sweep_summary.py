"""What ``geospot sweep`` says of what came out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from geospot_gpu.distances.columns import find
from geospot_gpu.engine.method import Method, Solver
from geospot_gpu.runs.nearest import NearestResult
from geospot_gpu.runs.sweep import SHOWN, SweepResult


def summary(
    result: SweepResult,
    method: Method,
    target_error: float | None = None,
    accounts: Sequence[str] = (),
) -> list[str]:
    """Lines of a short text: nearest and farthest pairs, what epsilon means, and convergence.

    Args:
        result: what the sweep did.
        method: with what.
        target_error: what larger samples were taken for.
        accounts: a line for each table of points, on where they went.
    """
    cost, solver = method.cost, method.solver
    seen = result.overview
    nearest = seen.nearest[: min(SHOWN, (seen.count + 1) // 2)]
    farthest = seen.farthest[: min(SHOWN, seen.count // 2)]
    width = max([len(name) for side in (nearest, farthest) for name in side["source"]], default=0)
    wide = max([len(name) for side in (nearest, farthest) for name in side["target"]], default=0)
    lines = []
    for title, rows in (("nearest", nearest), ("farthest", farthest)):
        for position, (_, row) in enumerate(rows.iterrows()):
            label = title if position == 0 else ""
            names = f"{row['source']:>{width}} - {row['target']:<{wide}}"
            lines.append(f"  {label:10s}{names}  {_value(row, result.value)}")
    lines += accounts
    if cost.scaling == "pair_max":
        lines.append(
            "every pair has a scale of its own (cost.scaling=pair_max): do not compare pairs"
        )
    lines += _blur(method)
    if target_error is not None:
        lines.append(f"target error {target_error:g}: {_samples(result)}")
    lines.append(_evidence(result, solver))
    return lines


def nearest_summary(
    result: NearestResult, method: Method, accounts: Sequence[str] = ()
) -> list[str]:
    """Lines of a short text on a sweep for the nearest: what was solved, and how sure it is.

    Args:
        result: what the sweep did.
        method: with what.
        accounts: a line for each table of points, on where they went.
    """
    targets = result.neighbours // result.k
    lines = [
        f"{targets} regions, the {result.k} nearest of each, by divergence: {result.total} pairs",
        f"  solved {result.solved / result.every:.2%} of {result.every} pairs, and bounded "
        f"{result.half_steps / result.every:.2%} by a half-step; moments left out the others",
    ]
    if result.overlaps:
        lines.append(
            f"  {result.overlaps} of {result.neighbours} neighbours have intervals that overlap "
            "with the next one's: they may stand in another order"
        )
    else:
        lines.append("  the order is certain: no interval overlaps with the next one's")
    return [*lines, *accounts, *_blur(method), _evidence(result, method.solver)]


def unfinished(result: SweepResult, shard: str) -> list[str]:
    """Lines of a short text on what other shards of a sweep still have to do.

    Args:
        result: what the sweep did.
        shard: which of them it was, as ``1/4``.
    """
    of = shard.partition("/")[2]
    others = ", ".join(f"{number}/{of} ({count})" for number, count in result.missing.items())
    return [
        f"  shard {shard} is done: {result.computed} computed now",
        f"  missing yet: {sum(result.missing.values())} pairs, of shards {others}",
        "  whichever ends last, or the same command without shard, writes the matrix and the rest",
    ]


def _samples(result: SweepResult) -> str:
    """How large the samples became."""
    return "pairs by their larger sample: " + ", ".join(
        f"{number} of {size} points" for size, number in sorted(result.overview.samples.items())
    )


def _blur(method: Method) -> list[str]:
    """What epsilon means on the ground, where that can be said."""
    cost, epsilon = method.cost, method.solver.epsilon
    km = cost.epsilon_km(epsilon)
    if km is None or not epsilon:
        return []
    return [
        f"epsilon {epsilon:g} blurs like {km:,.0f} km of great circle "
        f"(geo_weight {cost.geo_weight:g})"
    ]


def _evidence(result: SweepResult | NearestResult, solver: Solver) -> str:
    """How many pairs did not converge, and what solved them."""
    used = result.overview.kernels.most_common()
    kernels = ", ".join(f"{name} {number}" for name, number in used)
    return f"not converged: {_unconverged(result, solver)}; kernels: {kernels}"


def _unconverged(result: SweepResult | NearestResult, solver: Solver) -> str:
    worst = f"largest marginal error {result.overview.marginal_error:.1e}"
    count = f"{result.overview.unconverged} of {result.total}"
    if result.overview.unconverged == 0:
        return count
    return f"{count}, {worst}; raise {solver.remedy}"


def _value(row: pd.Series, value: str) -> str:
    column = find(value)
    shown, *bounds = (row[name] for name in (column.sides(name)[0] for name in column.variables))
    if not bounds or np.isnan(bounds).any():
        return f"{shown:z.4f}"
    return f"{shown:z.4f}  in [{bounds[0]:z.5f}, {bounds[1]:z.5f}]"
