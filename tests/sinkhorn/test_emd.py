"""Exact transport against POT itself, closed forms, and Sinkhorn's intervals."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine import pair_engine
from geospot_gpu.engine.method import Method
from geospot_gpu.sphere import HALF_CIRCUMFERENCE_KM
from tests.helpers.clouds import cost_matrix, random_regions, weights
from tests.helpers.commands import Geospot

CPU = gs.Engine("cpu")
MIXED, GEOGRAPHY = gs.GroundCost(geo_weight=0.5), gs.GroundCost(geo_weight=1.0)


@pytest.mark.parametrize("storage", ["kept", "streamed"])
@pytest.mark.parametrize("cost", [MIXED, GEOGRAPHY, gs.GroundCost(feature="euclidean")])
def test_values_are_those_of_pot(storage: str, cost: gs.GroundCost) -> None:
    regions = random_regions([7, 12, 30, 31], dimension=5)
    found = gs.pairwise(
        regions, cost=cost, solver=gs.EMD(), engine=gs.Engine("cpu", storage=storage)
    )
    for i, j in [(0, 1), (1, 2), (2, 3), (0, 3)]:
        a, b = weights(regions, i), weights(regions, j)
        exact = ot.emd2(a / a.sum(), b / b.sum(), cost_matrix(regions, i, j, cost).clip(0))
        for name in ("divergence", "ot_value", "transport_cost"):
            assert found[name][i, j].item() == pytest.approx(exact, abs=1e-9)
            assert found[name][j, i].item() == found[name][i, j].item()
        assert found.lower[i, j] <= exact <= found.upper[i, j]
        assert found.upper[i, j] - found.lower[i, j] < 1e-9
        assert found.marginal_error[i, j] < 1e-9
        assert found.iterations[i, j] == 0
    assert found.converged.all()
    assert np.diag(found.divergence).tolist() == [0.0] * 4


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), min_size=1, max_size=12))
def test_on_a_line_sorted_points_go_to_sorted_points(pairs: list[tuple[int, int]]) -> None:
    """Along the equator costs are convex: the monotone plan is optimal (Santambrogio 2015, 2.2)."""
    left, right = (np.sort(np.array(side, float)) for side in zip(*pairs, strict=True))
    n = len(pairs)
    regions = gs.Regions.from_points(
        lon=[*left, *right], lat=[0.0] * 2 * n, region=["a"] * n + ["b"] * n
    )
    found = gs.pairwise(regions, cost=GEOGRAPHY, solver=gs.EMD(), engine=CPU)
    per_degree = HALF_CIRCUMFERENCE_KM / 180 / GEOGRAPHY.geo_scale
    exact = np.abs(left - right).mean() * per_degree
    assert found.divergence[0, 1].item() == pytest.approx(exact, abs=1e-9)


def test_a_permutation_costs_nothing() -> None:
    lon, lat = np.random.default_rng(0).uniform(-60, 60, (2, 40))
    order = np.random.default_rng(1).permutation(40)
    regions = gs.Regions.from_points(
        lon=[*lon, *lon[order]], lat=[*lat, *lat[order]], region=["a"] * 40 + ["b"] * 40
    )
    found = gs.pairwise(regions, cost=GEOGRAPHY, solver=gs.EMD(), engine=CPU)
    assert found.divergence[0, 1].item() == pytest.approx(0.0, abs=1e-12)
    assert found.lower[0, 1] <= 0.0 <= found.upper[0, 1]


def test_nearest_costs_are_as_they_are_with_any_solver() -> None:
    regions = random_regions([9, 20], dimension=4)
    exact, entropic = (
        gs.pairwise(regions, solver=solver, outputs=["nearest"], engine=CPU)
        for solver in (gs.EMD(), gs.Sinkhorn())
    )
    np.testing.assert_allclose(exact.nearest, entropic.nearest, atol=1e-6)


def test_sinkhorn_comes_near_as_epsilon_falls() -> None:
    """The entropic value lies above by at most epsilon times an entropy, which falls with it."""
    regions = random_regions([20, 25], dimension=4)
    exact = gs.pairwise(regions, solver=gs.EMD(), engine=CPU).ot_value[0, 1].item()
    gaps = []
    for epsilon in (0.05, 0.01, 0.002):
        solver = gs.Sinkhorn(epsilon, max_iterations=20_000, precision="high")
        found = gs.pairwise(regions, solver=solver, outputs=["ot_value"], engine=CPU)
        most = epsilon * np.log(25)
        assert exact <= found.ot_upper[0, 1]
        assert found.ot_lower[0, 1] <= exact + most
        gaps.append(found.ot_value[0, 1].item() - exact)
    assert gaps == sorted(gaps, reverse=True)
    assert 0 < gaps[-1] < 0.2 * gaps[0]


def test_what_was_not_solved_is_not_converged_and_still_bounded() -> None:
    regions = random_regions([60, 60], dimension=4)
    exact = gs.pairwise(regions, solver=gs.EMD(), engine=CPU)
    few = gs.pairwise(regions, solver=gs.EMD(max_iterations=3), engine=CPU)
    assert not few.converged[0, 1]
    assert few.lower[0, 1] <= exact.divergence[0, 1] <= few.upper[0, 1]


def test_outputs_that_rest_on_regularisation_are_left_out() -> None:
    regions = random_regions([9, 20], dimension=4)
    found = gs.pairwise(regions, solver=gs.EMD(), engine=CPU)
    assert {"divergence", "ot_value", "transport_cost", "nearest"} <= set(found)
    assert not {"coverage", "std_error", "bias"} & set(found)
    for name in ("coverage", "std_error", "bias"):
        with pytest.raises(gs.GeospotError, match=f"outputs={name} rests on regularisation, and"):
            gs.pairwise(regions, solver=gs.EMD(), outputs=["divergence", name], engine=CPU)
    with pytest.raises(gs.GeospotError, match="target_error needs std_error: add it to outputs"):
        gs.pairwise(regions, solver=gs.EMD(), target_error=0.1, engine=CPU)


def test_what_needs_potentials_is_refused() -> None:
    regions, solver = random_regions([9, 20, 8], dimension=4), gs.EMD()
    message = "geospot explain needs an entropic solver, and solver=emd is exact: use solver=sinkh"
    with pytest.raises(gs.GeospotError, match=message):
        gs.contributions(regions, source="r00", target="r01", cost=MIXED, solver=solver, engine=CPU)
    with pytest.raises(
        gs.GeospotError, match="the search for the nearest needs an entropic solver"
    ):
        gs.nearest_regions(regions, "r00", solver=solver, engine=CPU)


def test_large_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_engine, "MOST_COSTS", 100)
    regions = random_regions([9, 20, 4], dimension=4)
    one, two, _ = regions.names
    message = (
        rf"{one} \(9 points\) - {two} \(20\): solver=emd takes pairs of up to 0.0001 million costs:"
        r" set regions.max_points=10 or less, or use solver=sinkhorn"
    )
    with pytest.raises(gs.GeospotError, match=message):
        gs.pairwise(regions, solver=gs.EMD(), engine=CPU)


def test_pot_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(gs.GeospotError, match=r"needs POT: .* pip install 'geospot_gpu\[emd\]'"):
        PairSolver(random_regions([5, 5]), Method(MIXED, gs.EMD()), CPU)


def test_another_backend_has_no_effect(caplog: pytest.LogCaptureFixture) -> None:
    regions = random_regions([5, 6])
    gs.pairwise(regions, solver=gs.EMD(), engine=gs.Engine("cpu", backend="compiled"))
    assert "engine.backend=compiled has no effect with solver=emd: torch" in caplog.text


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(gs.GeospotError, match=r"solver\.max_iterations=0 must be at least 1"):
        gs.EMD(max_iterations=0)


@pytest.mark.slow
def test_a_sweep_is_stored_and_read_again(
    geospot_here: Geospot, towns: Path, tmp_path: Path
) -> None:
    asked = (
        *("sweep", "points=table", f"points.path={towns}", "points.region=town", "encoder=none"),
        *("regions.min_points=1", "solver=emd", "device=cpu", "out=run"),
    )
    done = geospot_here(*asked)
    assert done.stdout.splitlines()[-1] == "pairs total=6 computed=6 reused=0 unconverged=0"
    assert "blurs like" not in done.stdout
    assert "reused=6" in geospot_here(*asked).stdout
    assert geospot_here("verify", "run").returncode == 0
    run = gs.Run.open(tmp_path / "run")
    assert run.solver == gs.EMD()
    own = gs.Regions.from_table(towns, region="town", encoder="none", device="cpu")
    direct = gs.pairwise(own, solver=gs.EMD(), engine=CPU)
    stored = run.dataset().divergence.sel(source="lima", target="oslo").item()
    assert stored == pytest.approx(direct.divergence.sel(source="lima", target="oslo").item(), 1e-6)
    nearest = geospot_here(*asked, "pairs=nearest", "k=1")
    assert "the search for the nearest needs an entropic solver" in nearest.stderr
