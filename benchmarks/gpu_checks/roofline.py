"""A model of the time that passes and iterations take on cards. No number here is measured.

A pass takes what its instructions (counted by ``aot``), its products and its bytes take on a card's
data sheet. The lower time is that of perfect overlap, where the busiest unit of a multiprocessor
decides; the upper one is that of none between arithmetic, products and memory. Loops over the depth
of a product count once, since matrix units do their work. A phase takes as long as its passes or as
the host that launches them, whichever is longer; what the host does was counted by
``per_iteration``, and what that costs it is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.gpu_checks.cards import Card
from benchmarks.gpu_checks.pretended import ASYNC, BACK, COPY, LAUNCH, TRITON
from benchmarks.gpu_checks.pretended_queue import EVENT, NODE, REPLAY, WAIT

LANES, SPECIAL_LANES = 128, 16
"""Instructions of threads that a multiprocessor issues in a cycle; those of the slow unit."""

HOST_S = {
    LAUNCH: 4.5e-6, TRITON: 45e-6, REPLAY: 10e-6, BACK: 8e-6, ASYNC: 8e-6, COPY: 15e-6,
    WAIT: 15e-6, EVENT: 5e-6,
}  # fmt: skip
"""Assumed: seconds of the host for each. A launch of Triton binds its arguments in Python."""

LAUNCHED_S = 2e-6
"""Assumed: seconds of the device from one program to the next that needs it."""


class Pass(NamedTuple):
    """What one pass does for each cost, beside its instructions."""

    label: str
    """As ``aot`` has it."""
    products: int = 0
    """Of feature vectors."""
    features: int = 512
    bytes: float = 0.0
    """Read or written."""


class Range(NamedTuple):
    """Seconds, or seconds per cost, between perfect overlap and none."""

    lower: float
    upper: float

    def __add__(self, other: object) -> Range:
        assert isinstance(other, Range)
        return Range(self.lower + other.lower, self.upper + other.upper)

    def times(self, factor: float) -> Range:
        """So many of it."""
        return Range(self.lower * factor, self.upper * factor)

    def at_least(self, seconds: float) -> Range:
        """No less than this."""
        return Range(max(self.lower, seconds), max(self.upper, seconds))


class Phase(NamedTuple):
    """Passes over the costs of some problems, and how often the host launches them in turn."""

    name: str
    costs: float
    passes: Mapping[str, float]
    """How often each goes over the costs."""
    rounds: int = 0
    """Iterations of a batch, one after the other: those of its slowest problem."""
    case: str = ""
    """Of ``per_iteration``, if there are any."""


def per_cost(compiled: Mapping[str, Any], one: Pass, card: Card) -> Range | None:
    """Seconds for one cost; None where the pass does not fit the card."""
    if not compiled["fits"]:
        return None
    constants = compiled["constants"]
    of_thread = constants["BM"] * constants["BN"] / (compiled["warps"] * 32)
    floats = sum(compiled["operations"].get(name, 0) for name in ("FFMA", "FADD", "FMUL"))
    arithmetic = max(
        floats / of_thread / card.float_lanes,
        compiled["instructions"] / of_thread / LANES,
        compiled["special"] / of_thread / SPECIAL_LANES,
    )
    products = one.products * 2 * one.features / card.products_per_cycle
    memory = one.bytes * card.multiprocessors * card.hertz / card.bytes_per_second
    cycle = 1.0 / (card.multiprocessors * card.hertz)
    lower, upper = max(arithmetic, products, memory), arithmetic + products + memory
    return Range(lower * cycle, upper * cycle)


def rates(
    card: Card, compiled: Mapping[str, Mapping[str, Any]], passes: Mapping[str, Pass]
) -> dict[str, Range | None]:
    """Seconds per cost of every pass, from what ``aot`` found of the card's architecture."""
    return {name: per_cost(compiled[one.label], one, card) for name, one in passes.items()}


def host_seconds(counts: Mapping[str, float]) -> float:
    """Seconds of the host for what was counted."""
    return sum(HOST_S[kind] * n for kind, n in counts.items() if kind in HOST_S)


def device_seconds(counts: Mapping[str, float]) -> float:
    """Seconds of the device for launches that do next to nothing."""
    return LAUNCHED_S * sum(counts.get(kind, 0.0) for kind in (LAUNCH, TRITON, NODE))


def seconds(
    phase: Phase,
    each: Mapping[str, Range | None],
    iterations: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> Range | None:
    """Seconds of a phase on a card; None where one of its passes does not fit.

    Args:
        phase: what is done.
        each: seconds per cost of passes on the card.
        iterations: what ``per_iteration`` counted of one, by case.
    """
    total = Range(0.0, 0.0)
    for name, times in phase.passes.items():
        rate = each[name]
        if rate is None:
            return None
        total += rate.times(times * phase.costs)
    if phase.case:
        counts = iterations[phase.case]["counts"]
        total = total.at_least(phase.rounds * max(host_seconds(counts), device_seconds(counts)))
    return total
