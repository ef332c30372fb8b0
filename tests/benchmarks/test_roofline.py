"""Predictions follow from what is counted, and say that they are predictions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.gpu_checks import roofline
from benchmarks.gpu_checks.cards import ARCHITECTURES, Card
from benchmarks.gpu_checks.roofline import Pass, Predicted, Workload
from benchmarks.record import RESULTS

CARD = Card(90, 10, 1e9, 128, 1e12, 1000.0)


def compiled(**changed: Any) -> dict[str, Any]:
    """A pass with 16 costs a thread and 128 instructions for each of them."""
    constants = {"BM": 64, "BN": 64}
    return {
        "fits": True, "warps": 8, "instructions": 16 * 128, "special": 0, "operations": {},
        "constants": constants,
    } | changed  # fmt: skip


def rate(one: Pass, **changed: Any) -> Predicted:
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
    work = Workload(1e9, {"first": 2.0, "second": 1.0})
    first = Predicted(1e-12, 2e-12)
    assert roofline.seconds(work, {"first": first, "second": None}) is None
    both = roofline.seconds(work, {"first": first, "second": first})
    assert both == pytest.approx((3e-3, 6e-3))


def test_what_is_predicted_was_compiled_and_counted() -> None:
    passes = json.loads((RESULTS / "gpu_compiled.json").read_text())["figures"]["passes"]
    counts = json.loads((RESULTS / "gpu_launches.json").read_text())["figures"]["per iteration"]
    for architecture in ARCHITECTURES:
        labels = {row["label"] for row in passes if row["architecture"] == architecture}
        assert {one.label for one in roofline.PASSES.values()} <= labels
    for work in roofline.WORKLOADS.values():
        assert set(work.passes) <= set(roofline.PASSES)
        assert roofline.host_seconds(work, counts) >= 0.0


@pytest.mark.parametrize("name", ["gpu_compiled", "gpu_launches", "gpu_predicted"])
def test_results_say_that_they_are_not_measured(name: str) -> None:
    assert "not measured" in json.loads((RESULTS / f"{name}.json").read_text())["figures"]["kind"]
