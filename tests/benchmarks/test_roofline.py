"""Predictions follow from what is counted, and say that they are predictions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.gpu_checks import predicted, roofline
from benchmarks.gpu_checks.cards import ARCHITECTURES, CARDS, Card
from benchmarks.gpu_checks.pretended import LAUNCH
from benchmarks.gpu_checks.pretended_queue import NODE, REPLAY
from benchmarks.gpu_checks.roofline import Pass, Phase, Range
from benchmarks.record import RESULTS

CARD = Card(90, 10, 1e9, 128, 1e12, 1000.0)


def compiled(**changed: Any) -> dict[str, Any]:
    """A pass with 16 costs a thread and 128 instructions for each of them."""
    constants = {"BM": 64, "BN": 64}
    return {
        "fits": True, "warps": 8, "instructions": 16 * 128, "special": 0, "operations": {},
        "constants": constants,
    } | changed  # fmt: skip


def rate(one: Pass, **changed: Any) -> Range:
    found = roofline.per_cost(compiled(**changed), one, CARD)
    assert found is not None
    return found


def test_the_busiest_unit_decides() -> None:
    cycle = 1.0 / (10 * 1e9)
    plain = Pass("some")
    assert rate(plain).lower == pytest.approx(cycle)
    assert rate(plain, special=16 * 32).lower == pytest.approx(2.0 * cycle)
    assert rate(plain, operations={"FFMA": 16 * 384}).lower == pytest.approx(3.0 * cycle)
    products = rate(Pass("some", products=5, features=1000))
    assert products == pytest.approx((10.0 * cycle, 11.0 * cycle))
    memory = rate(Pass("some", bytes=400.0))
    assert memory.lower == pytest.approx(400.0 / 1e12)
    assert memory.upper == pytest.approx(400.0 / 1e12 + cycle)


def test_what_does_not_fit_is_not_predicted() -> None:
    assert roofline.per_cost(compiled(fits=False), Pass("some"), CARD) is None
    phase = Phase("some", 1e9, {"first": 2.0, "second": 1.0})
    first = Range(1e-12, 2e-12)
    assert roofline.seconds(phase, {"first": first, "second": None}, {}) is None
    both = roofline.seconds(phase, {"first": first, "second": first}, {})
    assert both == pytest.approx((3e-3, 6e-3))


def test_the_slower_of_host_and_device_decides() -> None:
    counted = {"some": {"counts": {LAUNCH: 100.0}}, "graph": {"counts": {REPLAY: 0.25, NODE: 2.0}}}
    each = {"step": Range(1e-12, 2e-12)}
    one = Phase("some", 1e9, {"step": 10.0}, rounds=10, case="some")
    host = 10 * 100 * roofline.HOST_S[LAUNCH]
    assert roofline.seconds(one._replace(costs=1e6), each, counted) == pytest.approx((host, host))
    assert roofline.seconds(one._replace(costs=1e12), each, counted) == pytest.approx((10.0, 20.0))
    few = roofline.seconds(one._replace(costs=1e6, case="graph"), each, counted)
    assert few is not None
    assert few.lower == pytest.approx(10 * 2 * roofline.LAUNCHED_S)  # one after the other


def test_what_is_predicted_was_compiled_and_counted() -> None:
    passes = json.loads((RESULTS / "gpu_compiled.json").read_text())["figures"]["passes"]
    counts = json.loads((RESULTS / "gpu_launches.json").read_text())["figures"]
    measured = json.loads((RESULTS / "gpu_iterations.json").read_text())["figures"]
    for architecture in ARCHITECTURES:
        labels = {row["label"] for row in passes if row["architecture"] == architecture}
        assert {one.label for one in predicted.PASSES.values()} <= labels | {"torch"}
    for work in predicted.workloads(measured).values():
        assert work.around in ("", *counts["around"])
        for phase in work.phases:
            assert set(phase.passes) <= set(predicted.PASSES)
            assert phase.case in ("", *counts["per iteration"])


@pytest.mark.parametrize("card", CARDS)
def test_predictions_are_in_order(card: str) -> None:
    found = predicted.predictions(card)
    assert all(one is not None and 0.0 < one.lower <= one.upper for one in found.values())
    for name, one in found.items():
        alone = found.get(name.replace("default", "divergences"))
        assert one is not None
        assert alone is None or alone.lower <= one.lower


def test_measured_times_stand_beside_predicted_ones() -> None:
    figures = {"giant": {"certificate, seconds": 0.05}, "districts": {"pairs": 3}}
    (rows,) = predicted.beside(figures, "NVIDIA H200").values()
    assert isinstance(rows, dict)
    ((name, said),) = rows.items()
    assert name == "50,000 x 50,000: certificate"
    assert said.startswith("measured 50.0 ms, predicted ")
    assert predicted.beside(figures, "some other card") == {"not predicted": "some other card"}


@pytest.mark.parametrize("name", ["gpu_compiled", "gpu_launches", "gpu_predicted", "gpu_before"])
def test_results_say_that_they_are_not_measured(name: str) -> None:
    assert "not measured" in json.loads((RESULTS / f"{name}.json").read_text())["figures"]["kind"]
