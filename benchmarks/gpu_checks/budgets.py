"""What a GPU may be asked for at most: the one table of budgets, by what is counted.

Launches are those that the device runs, by torch or Triton, in a graph or not. A wait is a number
that the host needs before it goes on, or a copy to the device that it stands by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.gpu_checks.pretended import COPY, LAUNCH, TRITON
from benchmarks.gpu_checks.pretended_queue import EVENT, NODE, WAIT


class Budget(NamedTuple):
    """Of one iteration, one path or one command."""

    launches: float
    waits: float = 0.0
    """For numbers, events and copies."""


def excess(counts: Mapping[str, float], budget: Budget) -> list[str]:
    """Where counts are above the budget, in a few words each.

    >>> excess({LAUNCH: 3.0, WAIT: 1.0}, Budget(launches=4.0))
    ['1 waits, 0 allowed']
    """
    spent = {
        "launches": sum(counts.get(kind, 0) for kind in (LAUNCH, TRITON, NODE)),
        "waits": sum(counts.get(kind, 0) for kind in (WAIT, EVENT, COPY)),
    }
    return [
        f"{spent[what]:.4g} {what}, {allowed:.4g} allowed"
        for what, allowed in budget._asdict().items()
        if spent[what] > allowed
    ]


ITERATIONS = dict.fromkeys(
    ("divergence, triton kept", "divergence, triton kept, not relaxed", "self term, triton kept",
     "coverage, triton kept", "coverage, triton kept, other direction"), Budget(2),
) | dict.fromkeys(
    ("divergence, triton streamed", "divergence, triton, exact costs", "coverage, triton streamed"),
    Budget(4),
) | {
    "nearest (once), triton kept": Budget(12),
    "divergence, torch kept": Budget(120),
    "coverage, torch kept": Budget(130),
    "nearest (once), torch kept": Budget(20),
    "divergence, torch streamed": Budget(210),
    "coverage, torch streamed": Budget(220),
    "nearest (once), torch streamed": Budget(50, 4),
}  # fmt: skip
"""One iteration of each case of ``per_iteration``."""

PATHS = {
    "pairwise": Budget(1500, 220),
    "pairwise, larger samples": Budget(2900, 420),
    "pairwise, warm": Budget(2900, 420),
    "pairwise, high precision": Budget(13_500, 110),
    "pairwise, geomloss": Budget(27_000, 100),
    "contributions": Budget(620, 150),
    "baselines": Budget(520, 65),
    "select_regions, coverage": Budget(460, 50),
    "select_regions, union": Budget(10_500, 135),
    "nearest_regions": Budget(1500, 290),
    "nearest_regions, squares": Budget(1500, 290),
    "select_points": Budget(620, 80),
    "select_points, squares": Budget(690, 80),
    "select_points, have": Budget(700, 100),
    "sweep": Budget(1500, 220),
}
"""Each path of ``pretend`` with Triton's kernel, kept or streamed."""

COMMANDS = {
    "sweep": Budget(1000, 150),
    "sweep, no features": Budget(1000, 150),
    "nearest": Budget(1250, 260),
    "select, regions": Budget(710, 50),
    "select, union": Budget(11_100, 150),
    "select, points": Budget(520, 60),
    "explain": Budget(540, 150),
    "transfer": Budget(2200, 250),
    "predict": Budget(1220, 180),
}
"""Of each call of ``commands``."""


VARIANTS = {
    "finish": 24, "fold_logs": 1, "fold_sums": 2, "keep_costs": 4, "kept_step": 7, "log_sums": 4,
    "plan_integrals": 6, "quick_step": 7,
}  # fmt: skip
"""Variants of each pass, in all sweeps of ``variants`` together."""
