"""Predicted times of whole workloads: ``python -m benchmarks.gpu --predict``. None is measured.

What is in the model is in ``roofline``. Iterations are those that the same problems take on a CPU
(``iterations``). Left out: reading points, the tables of work on the host, what numpy does with
results, and the compiling of a first run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.gpu_checks.cards import CARDS
from benchmarks.gpu_checks.roofline import (
    Pass,
    Phase,
    Range,
    device_seconds,
    host_seconds,
    rates,
    seconds,
)
from benchmarks.record import RESULTS, write

KIND = "predicted from compiled code, bytes and launches; not measured"

PASSES = {
    "range": Pass("keep_costs: mixed, D 512", 1),
    "keep": Pass("keep_costs write: mixed, D 512", 1, bytes=2.0),
    "step": Pass("quick_step: 1024 columns", bytes=2.1),
    "wide step": Pass("kept_step: more columns", bytes=5.0),
    "cheap": Pass("log_sums: mixed, D 512", 1),
    "exact": Pass("log_sums exact: mixed, D 512", 3),
    "marginals": Pass("plan_integrals marginals exact: mixed, D 512", 3),
    "plan": Pass("plan_integrals exact: mixed, D 512", 3),
    "small step": Pass("quick_step: 60 columns", bytes=2.3),
    "small exact": Pass("log_sums exact: mixed, D 512, small", 3),
    "small range": Pass("keep_costs: mixed, D 512, small", 1),
    "small keep": Pass("keep_costs write: mixed, D 512, small", 1, bytes=2.0),
    "small plan": Pass("plan_integrals exact: mixed, D 512, small", 3),
    "cheap, D 64": Pass("log_sums: squares, D 64", 1, 64),
    "exact, D 64": Pass("log_sums exact: squares, D 64", 3, 64),
    "nearest": Pass("plan_integrals marginals nearest exact: mixed, D 512", 3),
}
"""Those of ``aot``; where it has not quite the same, the nearest that it has."""

KEPT, COVERAGE = "divergence, triton kept", "coverage, triton kept"
STREAMED, SELF = "divergence, triton streamed", "self term, triton kept"


class Workload(NamedTuple):
    """What is predicted, and where the benchmark measures it."""

    phases: tuple[Phase, ...]
    around: str = ""
    """What the host does beside: of ``per_iteration``."""
    measured: tuple[str, str] | None = None
    """Part of the benchmark's figures, and the name of the seconds there."""


def sweep(
    costs: Mapping[str, float], found: Mapping[str, Mapping[str, float]], default: bool, size: str
) -> tuple[Phase, ...]:
    """Phases of a sweep in one batch, of the default columns or of divergences alone.

    Args:
        costs: of each kind of problem.
        found: mean and most iterations of each.
        default: standard errors, coverage and nearest costs, too.
        size: the kind of step: ``step``, ``wide step`` or ``small step``.
    """
    small = "small " if size == "small step" else ""
    wanted = ["divergence", "self terms"]
    if default:
        wanted += [kind for kind in ("half samples", "half samples of self terms") if costs[kind]]
    phases = []
    for kind in wanted:
        phases.append(
            Phase(f"{kind}: costs kept", costs[kind], {f"{small}range": 1, f"{small}keep": 1})
        )
        case = SELF if "self" in kind else KEPT
        steps, most = {size: found[kind]["mean"]}, int(found[kind]["most"])
        phases.append(Phase(f"{kind}: iterations", costs[kind], steps, most, case))
        last = {f"{small}exact": 2.0}
        if "half" not in kind:
            first = "nearest" if default and "self" not in kind else "marginals"
            last |= {"small plan": 2.0} if small else {first: 1.0, "plan": 1.0}
        phases.append(Phase(f"{kind}: exact iteration, certificate", costs[kind], last))
    if default:
        steps, most = {size: 2 * found["coverage"]["mean"]}, 2 * int(found["coverage"]["most"])
        both = costs["divergence"]
        phases.append(Phase("coverage, both ways: iterations", both, steps, most, COVERAGE))
        marginals = {"small plan": 2.0} if small else {"marginals": 2.0}
        last = {f"{small}exact": 4.0} | marginals
        phases.append(Phase("coverage, both ways: exact iteration, certificate", both, last))
    return tuple(phases)


def _square(points: int, passes: Mapping[str, float], rounds: int, case: str) -> tuple[Phase, ...]:
    return (Phase("all", float(points) ** 2, passes, rounds, case),)


def workloads(measured: Mapping[str, Any]) -> dict[str, Workload]:
    """All of them, from what ``iterations`` measured."""
    costs = measured["costs"]
    thousand = {"divergence": 1953e6, "self terms": 63e6}
    thousand |= {"half samples": 1953e6 / 4, "half samples of self terms": 63e6 / 4}
    found = {}
    for title, where, sizes, kind, size, default, name in (
        ("63 regions of 1,000 points", "", thousand, "countries", "step", True, ""),
        ("63 regions of 1,000 points", "", thousand, "countries", "step", False, ""),
        ("63 countries of the gallery", "countries, geo_weight 0.5", costs["countries"],
         "countries", "step", True, "triton auto, default, seconds"),
        ("63 countries of the gallery", "countries, geo_weight 0.5", costs["countries"],
         "countries", "step", False, "triton auto, divergence, seconds"),
        ("20,000 pairs of 2,048 districts", "districts", costs["districts"],
         "districts", "small step", True, "triton auto, default, seconds"),
        ("20,000 pairs of 2,048 districts", "districts", costs["districts"],
         "districts", "small step", False, "triton auto, divergence, seconds"),
        ("world, all points", "world, all points, all pairs", costs["world"],
         "countries", "wide step", True, "triton auto, default, seconds"),
        ("world, all points", "world, all points, all pairs", costs["world"],
         "countries", "wide step", False, "triton auto, divergence, seconds"),
    ):  # fmt: skip
        phases = sweep(sizes, measured[kind], default, size)
        what = "default" if default else "divergences"
        found[f"{title}: {what}"] = Workload(phases, what, (where, name) if where else None)
    for n in (10_000, 20_000, 50_000):
        passes = {"cheap, D 64": 20.0, "exact, D 64": 2.0}
        found[f"D 64, {n:,} x {n:,}: 10 iterations, streamed"] = Workload(
            _square(n, passes, 11, STREAMED), "",
            (f"FlashSinkhorn's problem, D 64, {n:,} points", "triton streamed, seconds"),
        )  # fmt: skip
    giants: dict[str, tuple[dict[str, float], int, str]] = {
        "kept": ({"range": 1, "keep": 1, "wide step": 2, "exact": 2}, 3, KEPT),
        "streamed": ({"cheap": 4, "exact": 2}, 3, STREAMED),
    }
    for name, (passes, rounds, case) in giants.items():
        found[f"50,000 x 50,000: 2 iterations, {name}"] = Workload(
            _square(50_000, passes, rounds, case), "", ("giant", f"triton {name}, seconds")
        )
    found["50,000 x 50,000: certificate"] = Workload(
        _square(50_000, {"marginals": 1, "plan": 1}, 0, ""), "", ("giant", "certificate, seconds")
    )
    flash: dict[str, tuple[dict[str, float], int, str]] = {
        "kept": ({"range": 1, "keep": 1, "wide step": 100, "exact": 2}, 101, KEPT),
        "streamed": ({"cheap": 200, "exact": 2}, 101, STREAMED),
    }
    for name, (passes, rounds, case) in flash.items():
        found[f"D 512, 40,000 x 40,000: 100 iterations, {name}"] = Workload(
            _square(40_000, passes, rounds, case), "",
            ("FlashSinkhorn's problem, D 512, 40,000 points", f"triton {name}, seconds"),
        )  # fmt: skip
    return found


def _read(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())["figures"]


def total(
    work: Workload, each: Mapping[str, Range | None], counted: Mapping[str, Any]
) -> Range | None:
    """Seconds of a workload on a card; None where one of its passes does not fit."""
    around = counted["around"].get(work.around, {})
    spent = max(host_seconds(around), device_seconds(around))
    whole = Range(spent, spent)
    for phase in work.phases:
        one = seconds(phase, each, counted["per iteration"])
        if one is None:
            return None
        whole += one
    return whole


def predictions(card: str) -> dict[str, Range | None]:
    """Seconds of every workload on a card."""
    counted, compiled = _read("gpu_launches"), _read("gpu_compiled")["passes"]
    of_card = CARDS[card]
    rows = {row["label"]: row for row in compiled if row["architecture"] == of_card.architecture}
    each = rates(of_card, rows, PASSES)
    works = workloads(_read("gpu_iterations"))
    return {name: total(work, each, counted) for name, work in works.items()}


def show() -> None:
    """Print what is predicted for every card."""
    print(KIND)
    print(f"{'predicted, ms':50s} " + " ".join(f"{card:>16s}" for card in CARDS))
    of_cards = {card: predictions(card) for card in CARDS}
    for name in next(iter(of_cards.values())):
        shown = " ".join(f"{shown_ms(found[name]):>16s}" for found in of_cards.values())
        print(f"{name:50s} {shown}")


def shown_ms(value: Range | None) -> str:
    """In milliseconds."""
    if value is None:
        return "does not fit"
    return f"{value.lower * 1e3:.1f} to {value.upper * 1e3:.1f}"


def beside(figures: Mapping[str, Any], device: str) -> dict[str, object]:
    """What was measured beside what is predicted, where there are both.

    Args:
        figures: of ``benchmarks.gpu``.
        device: what CUDA calls the card.
    """
    card = next((name for name in CARDS if name in device), None)
    if card is None:
        return {"not predicted": device}
    predicted, rows = predictions(card), {}
    for name, work in workloads(_read("gpu_iterations")).items():
        part, seconds_of = work.measured or ("", "")
        measured = figures.get(part, {}).get(seconds_of)
        if measured is not None:
            between = shown_ms(predicted[name])
            rows[name] = f"measured {1e3 * measured:.1f} ms, predicted {between} ms"
    return {f"{card}, measured beside predicted": rows}


def main() -> None:
    show()
    figures: dict[str, object] = {"kind": KIND}
    for card in CARDS:
        figures[card] = {name: one and one._asdict() for name, one in predictions(card).items()}
    write("gpu_predicted", figures)


if __name__ == "__main__":
    main()
