"""One comparison: our divergences and what peers do on the same pairs, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import ot
import pandas as pd
import torch

import geospot_gpu as gs
from benchmarks.floor import floor, rates
from benchmarks.peers import ACCURACY, PEERS, installed, pot_as_published, pot_torch, tuned
from benchmarks.record import Stopwatch
from benchmarks.workloads import EPSILON, Indices, Problem, problem, sampled_pairs
from geospot_gpu.distances.solve import PairSolver, chosen_outputs
from geospot_gpu.engine.method import Method

ROUNDS = 3
REFERENCES = 8
"""Pairs that are solved in float64."""
OUR_ERROR = "POT (torch, float32) at our marginal error"
STOPS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6)
"""Thresholds of POT, which are of the L2 norm, the loosest first."""
PATIENCE = 20.0
"""Seconds that a peer may take for all pairs; slower ones get few."""


TOLERANCES = (1e-1, 3e-2, 1e-2, 3e-3)
"""Our settings, the loosest first; the default is finer."""
DEFAULT = gs.Sinkhorn()
DIVERGENCE = ("divergence",)
PAPER = gs.Sinkhorn(tolerance=1e-7, relaxation=False, precision="high")
"""The solver of ``preset=paper``."""
OURS: dict[str, tuple[gs.Sinkhorn, tuple[str, ...] | None]] = {
    "preset=paper, transport costs in float64": (PAPER, ("transport_cost",)),
    "transport costs": (DEFAULT, ("transport_cost",)),
    "divergences": (DEFAULT, DIVERGENCE),
    "divergences, standard errors and bias": (DEFAULT, (*DIVERGENCE, "std_error", "bias")),
    "all outputs": (DEFAULT, None),
}
"""What of ours is timed on the paper's problem, and which outputs it computes with intervals."""
ON_ONE_SCALE = ("divergences", "divergences, standard errors and bias", "all outputs")
"""What is timed on the same pairs on one scale, too."""


def ours(
    regions: gs.Regions,
    left: Indices,
    right: Indices,
    cost: gs.GroundCost,
    solver: gs.Sinkhorn = DEFAULT,
    outputs: tuple[str, ...] | None = DIVERGENCE,
) -> tuple[float, float, pd.DataFrame]:
    """Seconds for pairs, seconds for the self terms of all regions, and the pairs."""
    outputs = chosen_outputs(outputs)
    of_pairs = PairSolver(regions, Method(cost, solver), gs.Engine(device="cpu"))
    with Stopwatch() as selves_watch:
        of_pairs.know(np.arange(len(regions)), outputs)
    with Stopwatch() as watch:
        pairs = of_pairs.solve(left, right, outputs)
    return watch.seconds, selves_watch.seconds, pd.DataFrame(pairs.columns)


def loosest(
    regions: gs.Regions, left: Indices, right: Indices, cost: gs.GroundCost
) -> tuple[gs.Sinkhorn, float]:
    """Our loosest setting whose divergences are accurate, and their worst error.

    Errors are shares of the OT value, as those of peers; the reference is our own solver in float64
    to 1e-8, whose OT values are compared with POT's.
    """
    outputs = (*DIVERGENCE, "ot_value")
    fine = gs.Sinkhorn(tolerance=1e-8, precision="high")
    exact = ours(regions, left, right, cost, fine, outputs)[2]
    for tolerance in TOLERANCES:
        solver = gs.Sinkhorn(tolerance=tolerance)
        solved = ours(regions, left, right, cost, solver, outputs)[2]
        values = ["divergence", "ot_value"]
        worst = float(
            (solved[values] - exact[values]).abs().max(axis=1).div(exact["ot_value"]).max()
        )
        if worst <= ACCURACY:
            return solver, worst
    return DEFAULT, 0.0


def compare(regions: gs.Regions, geo_weight: float, pairs: int, few: int) -> dict[str, object]:
    """Divergences on one scale, ours and what peers do on the same cost.

    Times per pair are medians of interleaved rounds; self terms count by their share.

    Args:
        regions: the collection.
        geo_weight: share of geography in the cost.
        pairs: how many pairs are sampled.
        few: how many of them slow peers take.
    """
    cost = gs.GroundCost(geo_weight=geo_weight)
    left, right = sampled_pairs(len(regions), pairs)
    share = pairs / (len(regions) * (len(regions) - 1) / 2)
    some = [
        problem(regions, i, j, geo_weight) for i, j in zip(left[:few], right[:few], strict=True)
    ]
    exact = [p.exact() for p in some[:REFERENCES]]
    outputs = (*DIVERGENCE, "ot_value")
    _, _, solved = ours(regions, left, right, cost, outputs=outputs)  # also compiles the loops
    error = np.abs(solved["ot_value"][:REFERENCES] / [value for value, _ in exact] - 1.0).max()
    loose, loose_error = loosest(regions, left[:few], right[:few], cost)
    settings = {p.name: tuned(p, some[:REFERENCES], exact) for p in PEERS if installed(p)}
    timed = [p for p in PEERS if p.name in settings and settings[p.name][1] <= ACCURACY]
    times: dict[str, list[float]] = {}
    counts: dict[str, int] = {}
    selves: dict[str, list[float]] = {}
    solvers = {"default": DEFAULT, "tuned": loose}
    for _ in range(ROUNDS):
        for name, solver in solvers.items():
            seconds, of_selves, _ = ours(regions, left, right, cost, solver)
            times.setdefault(name, []).append(seconds + share * of_selves)
            selves.setdefault(name, []).append(of_selves)
        for peer in timed:
            setting = settings[peer.name][0]
            if peer.name not in counts:
                peer.solve(some, setting)  # compiles, where that is done
                with Stopwatch() as watch:
                    peer.solve(some[:REFERENCES], setting)
                slow = watch.seconds / REFERENCES * few > PATIENCE
                counts[peer.name] = REFERENCES if slow else few
            with Stopwatch() as watch:
                peer.solve(some[: counts[peer.name]], setting)
            times.setdefault(peer.name, []).append(watch.seconds / counts[peer.name] * pairs)
    each = {name: float(np.median(seconds)) / pairs for name, seconds in times.items()}
    our_seconds = each["default"] * pairs
    rows: list[dict[str, Any]] = [
        {
            "method": f"geospot_gpu, {name} (divergences, intervals)",
            "ms per pair": round(1e3 * each[name], 3),
            "ours is faster by": "",
            "tuned by": "",
            "worst error": float(f"{worst:.1e}"),
            "accurate": bool(worst <= ACCURACY),
            "setting": f"tolerance {solvers[name].tolerance:g}",
            "pairs": pairs,
        }
        for name, worst in (("default", error), ("tuned", loose_error))
    ]
    for peer in PEERS:
        row: dict[str, Any] = {"method": peer.name, "setting": "not installed"}
        if peer.name in settings:
            setting, worst = settings[peer.name]
            row |= {"worst error": float(f"{worst:.1e}"), "accurate": worst <= ACCURACY}
            row["setting"] = f"{setting:g}" if peer in timed else "none is accurate"
        if peer in timed:
            # On the very same pairs as the peer, since sizes differ.
            count = counts[peer.name]
            on_same = {
                name: _ours_on(regions, left[:count], right[:count], cost, solver)
                + share * float(np.median(selves[name])) / pairs
                for name, solver in solvers.items()
            }
            row |= {
                "ms per pair": round(1e3 * each[peer.name], 3),
                "ours is faster by": round(each[peer.name] / on_same["default"], 1),
                "tuned by": round(each[peer.name] / on_same["tuned"], 1),
                "pairs": count,
            }
        rows.append(row)
    entries = float((regions.sizes[left] * regions.sizes[right]).sum())
    entries_of_selves = share * float((regions.sizes**2).sum())
    side = int(np.sqrt(np.median(regions.sizes[left] * regions.sizes[right])))
    assert regions.features is not None
    rate = rates(max(side, 200), max(side, 200), regions.features.shape[1], 4 * max(side, 200) ** 2)
    geography = geo_weight > 0.0
    work = regions.sizes[left] * regions.sizes[right]
    halves = 2.0 * float((work * solved["iterations"]).sum() / work.sum())
    least = floor(rate, entries, halves, geography=geography)
    least += floor(rate, entries_of_selves, 8.0, geography=geography)
    return {
        "regions": len(regions),
        "pairs": pairs,
        "cost entries, million": round(entries / 1e6, 1),
        "mean iterations": round(halves / 2.0, 1),
        "not converged": int((~solved["converged"]).sum()),
        "ours, seconds (self terms by their share)": round(our_seconds, 3),
        "self terms of all regions, seconds": round(float(np.median(selves["default"])), 3),
        "floor, seconds": round(least, 3),
        "time over floor": round(our_seconds / least, 2),
        "threads": torch.get_num_threads(),
        "methods": rows,
    }


def loosest_stop(problems: Sequence[Problem]) -> float:
    """POT's loosest threshold at which it meets our tolerance, the L1 violation of a marginal."""
    for stop in STOPS:
        worst = 0.0
        for p in problems:
            a, b = p.a / p.a.sum(), p.b / p.b.sum()
            settings = {"numItermax": 1000, "stopThr": stop, "warn": False}
            plan = ot.sinkhorn(a, b, p.cost(), EPSILON, **settings)
            sides = (plan.sum(1) - a, plan.sum(0) - b)
            worst = max(worst, *(float(side.abs().sum()) for side in sides))
        if worst <= DEFAULT.tolerance:
            return stop
    raise RuntimeError("no threshold of POT meets our tolerance")


def compare_published(regions: gs.Regions, geo_weight: float, pairs: int) -> dict[str, object]:
    """The paper's problem, each pair's costs over their largest: POT as published, and ours.

    Times per pair are medians of interleaved rounds; self terms count by their share. Errors are
    of transport costs, against POT in float64. The last rows are of what a sweep solves in place of
    that: the same pairs on one scale, which is another problem.
    """
    cost = gs.GroundCost(geo_weight=geo_weight, scaling="pair_max")
    one_scale = gs.GroundCost(geo_weight=geo_weight)
    left, right = sampled_pairs(len(regions), pairs)
    share = pairs / (len(regions) * (len(regions) - 1) / 2)
    problems = [
        problem(regions, i, j, geo_weight)._replace(pair_max=True)
        for i, j in zip(left, right, strict=True)
    ]
    exact = np.array([p.exact()[1] for p in problems[:REFERENCES]])

    def worst(values: Any) -> float:
        return float(f"{np.abs(np.array(values[:REFERENCES]) / exact - 1.0).max():.1e}")

    runs = {f"ours, {name}": (cost, *how) for name, how in OURS.items()} | {
        f"on one scale: ours, {name}": (one_scale, *OURS[name]) for name in ON_ONE_SCALE
    }
    for own, solver, outputs in runs.values():
        ours(regions, left[:2], right[:2], own, solver, outputs)  # compiles the loops
    stop = loosest_stop(problems[:REFERENCES])
    times: dict[str, list[float]] = {}
    errors: dict[str, float] = {}
    each_pair = np.empty((ROUNDS, pairs))
    twice = 0
    for k in range(ROUNDS):
        values, again = [], 0
        for at, one in enumerate(problems):
            with Stopwatch() as watch:
                value, of_these = pot_as_published([one])
            each_pair[k, at] = watch.seconds
            values += value
            again += of_these
        times.setdefault("POT", []).append(float(each_pair[k].sum()))
        errors["POT"], twice = worst(values), again
        with Stopwatch() as watch:
            values = pot_torch(problems, stop)
        times.setdefault(OUR_ERROR, []).append(watch.seconds)
        errors[OUR_ERROR] = worst(values)
        for name, (own, solver, outputs) in runs.items():
            seconds, of_selves, solved = ours(regions, left, right, own, solver, outputs)
            needs = "divergence" in solved
            times.setdefault(name, []).append(seconds + (share * of_selves if needs else 0.0))
            if own is cost and "transport_cost" in solved:
                errors[name] = worst(solved["transport_cost"])
    each = {name: float(np.median(seconds)) / pairs for name, seconds in times.items()}
    rows: list[dict[str, Any]] = [
        {
            "method": "POT as published (torch, float32)" if name == "POT" else name,
            "ms per pair": round(1e3 * seconds, 3),
            "POT takes": "" if name == "POT" else f"{each['POT'] / seconds:.1f} times as long",
            "POT at our marginal error takes": f"{each[OUR_ERROR] / seconds:.1f} times as long",
            "worst error": errors.get(name, "computes another thing"),
        }
        for name, seconds in each.items()
    ]
    typical = float(np.median(np.median(each_pair, axis=0)))
    return {
        "pairs": pairs,
        "of these, solved again in the log domain by POT": twice,
        "median pair, POT, ms": round(1e3 * typical, 3),
        **{
            f"median pair, POT, over {name}": round(typical / each[name], 1)
            for name, (own, _, _) in runs.items()
            if own is one_scale
        },
        "threads": torch.get_num_threads(),
        "methods": rows,
    }


def _ours_on(
    regions: gs.Regions, left: Indices, right: Indices, cost: gs.GroundCost, solver: gs.Sinkhorn
) -> float:
    """Our seconds per pair, without self terms."""
    seconds = [ours(regions, left, right, cost, solver)[0] for _ in range(ROUNDS)]
    return float(np.median(seconds)) / len(left)
