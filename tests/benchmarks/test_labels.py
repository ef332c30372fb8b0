"""What the benchmarks of labels compare with is right."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import geospot_gpu as gs
from benchmarks.labels.correlation import LABELS, _few, _square
from benchmarks.labels.peer import Augmented, exact, loosest, transport_costs
from benchmarks.labels.priors import corrections
from benchmarks.transfer.tasks import DAMS


def problem_of(n: int) -> Augmented:
    """A few points of two classes, and others near them."""
    generator = torch.Generator().manual_seed(0)
    x, noise = (torch.randn(n, 5, generator=generator) for _ in range(2))
    x, y = (torch.nn.functional.normalize(side, dim=1) for side in (x, x + 0.3 * noise))
    at, equal = torch.arange(n) % 2, torch.full((n,), 1 / n)
    table = torch.tensor([[0.0, 0.5], [0.5, 0.0]], dtype=torch.float64)
    return Augmented(x, y, at, at, equal, equal, table)


def test_pot_sees_features_and_labels() -> None:
    one = problem_of(5)
    costs = one.cost(torch.float64)
    for i, j in ((0, 0), (0, 1), (3, 2)):
        feature = 1.0 - float(one.x[i] @ one.y[j])
        label = 0.0 if i % 2 == j % 2 else 0.5
        assert float(costs[i, j]) == pytest.approx(feature + label, abs=1e-6)
    value, transport = exact(one)
    assert transport == pytest.approx(float(costs.diagonal().mean()), rel=1e-3)
    assert value > transport
    stop, kind, worst = loosest([one], np.array([transport]))
    assert worst <= 1e-3
    assert transport_costs([one], stop, kind)[0] == pytest.approx(transport, rel=1e-3)


def test_twenty_points_stand_for_a_region() -> None:
    generator = np.random.default_rng(0)
    regions = gs.Regions.from_points(
        lon=generator.uniform(0, 9, 60), lat=np.zeros(60), region=["a"] * 30 + ["b"] * 30,
        features=generator.normal(size=(60, 3)), label=generator.choice(["u", "v"], 60),
    )  # fmt: skip
    few = _few(regions)
    assert few.sizes.tolist() == [LABELS, LABELS]
    assert few.label is not None
    assert not set(few.names) & set(regions.names)
    both = (np.array([0.1]), np.array([0.2]))
    square = _square(both, (np.array([0]), np.array([1])), 2)
    assert (square[0, 1], square[1, 0]) == (0.1, 0.2)


def test_gains_are_averaged_by_what_is_known() -> None:
    pairs = pd.DataFrame(
        {
            "source": ["a", "b", "c"] * 2, "target": ["b", "c", "a"] * 2,
            "method": ["em"] * 3 + ["labels"] * 3,
            "score_home": 0.9, "score": 0.5, "corrected": [0.4] * 3 + [0.7] * 3, "expected": 0.6,
            "expected_corrected": 0.65, "given": 20, "probabilities": True,
        }
    )  # fmt: skip
    blind, few = corrections(DAMS, [pairs, pairs])
    assert blind["corrected by"] == "probabilities in the target, no label"
    assert (blind["of the loss"], blind["worse for"]) == ("-25%", "100%")
    assert few["corrected by"] == "20 labels of the target, probabilities"
    assert (few["after"], few["of the loss"], few["expected gain"]) == (0.7, "50%", 0.05)
