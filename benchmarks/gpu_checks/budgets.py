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
    "pairwise": Budget(1400, 4),
    "pairwise, larger samples": Budget(2700, 6),
    "pairwise, warm": Budget(2700, 6),
    "pairwise, high precision": Budget(13_400, 10),
    "pairwise, geomloss": Budget(9200, 12),
    "contributions": Budget(550, 9),
    "baselines": Budget(570, 65),
    "select_regions, coverage": Budget(300, 4),
    "select_regions, union": Budget(3200, 18),
    "nearest_regions": Budget(1320, 9),
    "nearest_regions, squares": Budget(1400, 9),
    "select_points": Budget(545, 13),
    "select_points, squares": Budget(610, 13),
    "select_points, have": Budget(610, 14),
    "sweep": Budget(1400, 4),
}
"""Each path of ``pretend`` with Triton's kernel, kept or streamed."""

COMMANDS = {
    "sweep": Budget(890, 15),
    "sweep, no features": Budget(850, 15),
    "nearest": Budget(1200, 26),
    "select, regions": Budget(540, 21),
    "select, union": Budget(3000, 28),
    "select, points": Budget(510, 19),
    "explain": Budget(475, 16),
    "transfer": Budget(2350, 250),
    "predict": Budget(1130, 40),
}
"""Of each call of ``commands``."""


VARIANTS = {
    "finish": 24, "fold_logs": 1, "fold_sums": 2, "keep_costs": 4, "kept_step": 7, "log_sums": 4,
    "plan_integrals": 6, "quick_step": 7,
}  # fmt: skip
"""Variants of each pass, in all sweeps of ``variants`` together."""
