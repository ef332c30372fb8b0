"""Predicted times: ``python -m benchmarks.gpu_checks.roofline``. No number here is measured.

From the instructions that ``aot`` counted, the bytes that a pass reads, data sheets and the
launches that ``per_iteration`` counted. The lower time is that of perfect overlap, where the
busiest unit of a multiprocessor decides; the upper one is that of none between arithmetic, matrix
products and memory. Loops over the depth of a product count once, since matrix units do their work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.gpu_checks.cards import CARDS, Card
from benchmarks.record import RESULTS, write

LANES, SPECIAL_LANES = 128, 16
"""Instructions of threads that a multiprocessor issues in a cycle; those of the slow unit."""

HOST_S = {"launches": 4.5e-6, "triton": 45e-6}
"""What the host takes to launch an operation of torch, and a pass of Triton: assumed."""

KIND = "predicted from compiled code, bytes and launches; not measured"


class Pass(NamedTuple):
    """What one pass does for each cost, beside its instructions."""

    label: str
    """As ``aot`` has it."""
    products: int = 0
    """Of feature vectors."""
    features: int = 512
    bytes: float = 0.0
    """Read or written."""


PASSES = {
    "range": Pass("keep_costs: mixed, D 512", 1),
    "keep": Pass("keep_costs write: mixed, D 512", 1, bytes=2.0),
    "step": Pass("kept_step whole: 1024 columns", bytes=2.1),
    "wide step": Pass("kept_step: more columns", bytes=5.0),
    "cheap": Pass("log_sums: mixed, D 512", 1),
    "exact": Pass("log_sums exact: mixed, D 512", 3),
    "marginals": Pass("plan_integrals marginals exact: mixed, D 512", 3),
    "plan": Pass("plan_integrals exact: mixed, D 512", 3),
    "cheap, D 64": Pass("log_sums: squares, D 64", 1, 64),
    "exact, D 64": Pass("log_sums exact: squares, D 64", 3, 64),
}


class Workload(NamedTuple):
    """How many costs there are, how often each pass goes over them, and what the host launches."""

    costs: float
    passes: Mapping[str, float]
    iterations: int = 0
    """Of all batches, one after the other."""
    case: str = "divergence, triton kept"
    """Of ``per_iteration``."""


_PAIRS, _SELF = 1953e6, 63e6
_BALANCED = {"range": 1, "keep": 1, "step": 13, "exact": 2, "marginals": 1, "plan": 1}
_HALF = {"range": 1, "keep": 1, "step": 6, "exact": 2}
_COVERAGE = {"exact": 32, "marginals": 2, "range": 1, "keep": 1}

WORKLOADS = {
    "63 countries, 1,000 points: divergences": Workload(_PAIRS + _SELF, _BALANCED, 16),
    "63 countries: half samples": Workload((_PAIRS + _SELF) / 4.0, _HALF, 16),
    "63 countries: coverage": Workload(_PAIRS, _COVERAGE, 32, "coverage, triton kept"),
    "63 countries: coverage, were its steps on kept costs": Workload(
        _PAIRS, {"step": 16, "exact": 4, "marginals": 2}, 32, "coverage, triton kept"
    ),
    "50,000 x 50,000: a step on kept costs": Workload(2.5e9, {"wide step": 1}, 1),
    "50,000 x 50,000: a step, streamed": Workload(
        2.5e9, {"cheap": 2}, 1, "divergence, triton streamed"
    ),
    "50,000 x 50,000: certificate": Workload(2.5e9, {"marginals": 1, "plan": 1}),
    **{
        f"D 64, {n:,} x {n:,}: 10 iterations, streamed": Workload(
            float(n) ** 2,
            {"cheap, D 64": 20, "exact, D 64": 2},
            11,
            "divergence, triton streamed",
        )
        for n in (10_000, 20_000, 50_000)
    },
}


class Predicted(NamedTuple):
    """Seconds, or seconds per cost."""

    lower: float
    upper: float


def per_cost(compiled: Mapping[str, Any], one: Pass, card: Card) -> Predicted | None:
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
    return Predicted(lower * cycle, upper * cycle)


def predict(card: Card, passes: Mapping[str, Mapping[str, Any]]) -> dict[str, Predicted | None]:
    """Seconds per cost of every pass, from what ``aot`` found of the card's architecture."""
    return {name: per_cost(passes[one.label], one, card) for name, one in PASSES.items()}


def seconds(work: Workload, rates: Mapping[str, Predicted | None]) -> Predicted | None:
    """Seconds of a workload on the card; None where one of its passes does not fit."""
    lower = upper = 0.0
    for name, times in work.passes.items():
        rate = rates[name]
        if rate is None:
            return None
        lower += times * rate.lower * work.costs
        upper += times * rate.upper * work.costs
    return Predicted(lower, upper)


def host_seconds(work: Workload, counts: Mapping[str, Mapping[str, float]]) -> float:
    """Seconds that the host takes to launch the iterations of one batch."""
    each = counts[work.case]
    return work.iterations * sum(each[kind] * cost for kind, cost in HOST_S.items())


def main() -> None:
    found = json.loads((RESULTS / "gpu_compiled.json").read_text())["figures"]["passes"]
    counts = json.loads((RESULTS / "gpu_launches.json").read_text())["figures"]["per iteration"]
    figures: dict[str, object] = {"kind": KIND}
    print(KIND)
    for name, card in CARDS.items():
        passes = {row["label"]: row for row in found if row["architecture"] == card.architecture}
        rates = predict(card, passes)
        works = {title: seconds(work, rates) for title, work in WORKLOADS.items()}
        print(f"\n{name}: predicted ps per cost")
        for one, rate in rates.items():
            print(f"  {one:54s} {_shown(rate, 1e12)}")
        print(f"{name}: predicted ms")
        for title, taken in works.items():
            host = 1e3 * host_seconds(WORKLOADS[title], counts)
            print(f"  {title:54s} {_shown(taken, 1e3)}, the host at least {host:.1f}")
        figures[name] = {
            "predicted seconds per cost": {k: v and v._asdict() for k, v in rates.items()},
            "predicted seconds": {k: v and v._asdict() for k, v in works.items()},
        }
    hosts = {title: host_seconds(work, counts) for title, work in WORKLOADS.items()}
    write("gpu_predicted", figures | {"predicted seconds of the host, a batch": hosts})


def _shown(value: Predicted | None, unit: float) -> str:
    if value is None:
        return "a pass does not fit"
    return f"{value.lower * unit:.2f} to {value.upper * unit:.2f}"


if __name__ == "__main__":
    main()
