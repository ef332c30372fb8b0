"""One comparison: our divergences and what peers do on the same pairs, in one run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

import geospot_gpu as gs
from benchmarks.floor import floor, rates
from benchmarks.peers import ACCURACY, PEERS, installed, tuned
from benchmarks.record import Stopwatch
from benchmarks.workloads import Indices, problem, sampled_pairs
from geospot_gpu.engine import PairEngine
from geospot_gpu.pairs import self_terms, solve_pairs

ROUNDS = 3
REFERENCES = 8
"""Pairs that are solved in float64."""
PATIENCE = 20.0
"""Seconds that a peer may take for all pairs; slower ones get few."""


def ours(
    regions: gs.Regions, left: Indices, right: Indices, geo_weight: float
) -> tuple[float, float, pd.DataFrame]:
    """Seconds for pairs, seconds for the self terms of all regions, and the pairs."""
    cost = gs.GroundCost(geo_weight=geo_weight)
    engine = PairEngine(regions, cost, gs.Sinkhorn(), gs.Engine(device="cpu"))
    with Stopwatch() as selves_watch:
        selves = self_terms(engine, np.arange(len(regions)))
    with Stopwatch() as watch:
        pairs = solve_pairs(engine, left, right, selves)
    return watch.seconds, selves_watch.seconds, pairs


def compare(regions: gs.Regions, geo_weight: float, pairs: int, few: int) -> dict[str, object]:
    """Times per pair, medians of interleaved rounds; self terms counted by their share.

    Args:
        regions: the collection.
        geo_weight: share of geography in the cost.
        pairs: how many pairs are sampled.
        few: how many of them slow peers take.
    """
    left, right = sampled_pairs(len(regions), pairs)
    share = pairs / (len(regions) * (len(regions) - 1) / 2)
    some = [
        problem(regions, i, j, geo_weight) for i, j in zip(left[:few], right[:few], strict=True)
    ]
    exact = [p.exact() for p in some[:REFERENCES]]
    _, _, solved = ours(regions, left, right, geo_weight)  # also compiles the loops
    error = np.abs(solved["ot_value"][:REFERENCES] / [value for value, _ in exact] - 1.0).max()
    settings = {p.name: tuned(p, some[:REFERENCES], exact) for p in PEERS if installed(p)}
    # What is used as it comes is timed as it is; of the others, those that can be accurate.
    timed = [
        peer
        for peer in PEERS
        if peer.name in settings and (len(peer.settings) == 1 or settings[peer.name][1] <= ACCURACY)
    ]
    times: dict[str, list[float]] = {}
    counts: dict[str, int] = {}
    selves: list[float] = []
    for _ in range(ROUNDS):
        seconds, of_selves, _ = ours(regions, left, right, geo_weight)
        times.setdefault("ours", []).append(seconds + share * of_selves)
        selves.append(of_selves)
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
    our_seconds = float(np.median(times["ours"]))
    rows: list[dict[str, Any]] = [
        {
            "method": "geospot_gpu (divergences, intervals)",
            "ms per pair": round(1e3 * our_seconds / pairs, 3),
            "ours is faster by": 1.0,
            "worst error": float(f"{error:.1e}"),
            "accurate": bool(error <= ACCURACY),
            "setting": "tolerance 1e-3",
            "pairs": pairs,
        }
    ]
    for peer in PEERS:
        if peer.name not in settings:
            rows.append({"method": peer.name, "setting": "not installed"})
            continue
        setting, worst = settings[peer.name]
        if peer not in timed:
            rows.append(
                {
                    "method": peer.name,
                    "worst error": float(f"{worst:.1e}"),
                    "accurate": False,
                    "setting": "none is accurate",
                }
            )
            continue
        seconds = float(np.median(times[peer.name]))
        # On the very same pairs as the peer, since sizes differ.
        on_same = _ours_on(regions, left, right, geo_weight, counts[peer.name], share, selves)
        each = seconds / pairs
        rows.append(
            {
                "method": peer.name,
                "ms per pair": round(1e3 * each, 3),
                "ours is faster by": round(each / on_same, 1),
                "worst error": float(f"{worst:.1e}"),
                "accurate": worst <= ACCURACY,
                "setting": f"{setting:g}",
                "pairs": counts[peer.name],
            }
        )
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
        "self terms of all regions, seconds": round(float(np.median(selves)), 3),
        "floor, seconds": round(least, 3),
        "time over floor": round(our_seconds / least, 2),
        "threads": torch.get_num_threads(),
        "methods": rows,
    }


def _ours_on(
    regions: gs.Regions, left: Indices, right: Indices, geo_weight: float, count: int,
    share: float, selves: list[float],
) -> float:  # fmt: skip
    """Our seconds per pair on the first pairs, self terms by their share of all pairs."""
    seconds = [ours(regions, left[:count], right[:count], geo_weight)[0] for _ in range(ROUNDS)]
    return float(np.median(seconds)) / count + share * float(np.median(selves)) / len(left)
