"""KeOps, whose formulas take long to compile, against float64 and the other kernels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels import make_kernel
from geospot_gpu.kernels.keops import keops_problem
from tests.helpers.clouds import cloud, cost_matrix, random_regions, weights

MIXED = gs.GroundCost(geo_weight=0.5)


@pytest.fixture
def _keops(monkeypatch: pytest.MonkeyPatch) -> None:
    """KeOps, where it runs; what formulas compute is the same without optimisation, and sooner."""
    if problem := keops_problem(torch.device("cpu")):
        pytest.skip(f"KeOps cannot run: {problem}")
    from keopscore.config import config

    flags = config.get_cpp_flags().replace("-O3", "-O0").replace("-flto=auto", "")
    monkeypatch.setattr(config, "cpp_flags", flags)


@pytest.mark.slow
@pytest.mark.usefixtures("_keops")
def test_keops_agrees_with_kept_costs() -> None:
    """On the features of tests of coverage: each formula and dimension takes long to compile."""
    regions = random_regions([60, 40, 50])
    method = Method(MIXED, gs.Sinkhorn(epsilon=0.03, tolerance=1e-4))
    results = {}
    for backend, name in (("auto", "compiled kept"), ("keops", "keops streamed")):
        engine = PairEngine(regions, method, gs.Engine(device="cpu", backend=backend))
        results[backend] = engine.pairs(np.array([0, 0]), np.array([1, 2]))
        assert set(results[backend]["kernel"]) == {name}
    for column in ("ot_value", "ot_lower", "ot_upper", "transport_cost"):
        np.testing.assert_allclose(results["keops"][column], results["auto"][column], rtol=1e-4)
    assert results["keops"]["iterations"].tolist() == results["auto"]["iterations"].tolist()


@pytest.mark.slow
@pytest.mark.usefixtures("_keops")
@pytest.mark.parametrize("feature", ["sqeuclidean", "euclidean"])
def test_keops_knows_every_cost(feature: str) -> None:
    """By one formula, as all reductions take the same costs."""
    regions, epsilon = random_regions([37, 53]), 0.05
    cost = gs.GroundCost(feature=feature, geo_weight=0.5)
    costs, g = cost_matrix(regions, 0, 1, cost), np.random.default_rng(1).normal(size=53)
    source, target = (cloud(regions, k, torch.float32) for k in (0, 1))
    ours = make_kernel(cost, source, target, epsilon, 2**30, backend="keops", storage="streamed")
    expected = -epsilon * logsumexp((g - costs) / epsilon, b=weights(regions, 1), axis=1)
    found = ours.softmin(torch.tensor(g, dtype=torch.float32)[None], "source")[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["compiler", "pykeops"])
def test_keops_falls_back_with_one_warning(missing: str, tmp_path: Path) -> None:
    code = """
import sys
if MISSING == "pykeops":
    sys.modules["pykeops"] = None
import logging; logging.basicConfig(format="%(levelname)s: %(message)s")
import geospot_gpu as gs
regions = gs.Regions.from_points(lon=[0, 1, 2, 9], lat=[0, 0, 1, 1], region=list("aabb"))
engine = gs.Engine(device="cpu", backend="keops")
for epsilon in (0.01, 0.5):
    gs.pairwise(regions, solver=gs.Sinkhorn(epsilon=epsilon), engine=engine)
print("done")
"""
    hidden = {"PATH": str(tmp_path)} if missing == "compiler" else {}
    ran = subprocess.run(
        [sys.executable, "-c", code.replace("MISSING", repr(missing))],
        env=os.environ | hidden | {"KEOPS_CACHE_FOLDER": str(tmp_path / "keops")},
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "done\n"
    lines = [line for line in ran.stderr.splitlines() if line.startswith("WARNING")]
    assert len(lines) == 1, ran.stderr
    assert "engine.backend=keops is not available" in lines[0]
    assert {"compiler": "C++ compiler", "pykeops": "pykeops is not installed"}[missing] in lines[0]
    assert "using what auto would" in lines[0]
