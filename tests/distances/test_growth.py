"""Samples that grow until the sampling error meets its target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.distances.growth import above_target
from geospot_gpu.engine.method import Method
from geospot_gpu.runs.sweep import SweepResult, run_sweep
from tests.helpers.commands import Geospot

CPU = gs.Engine(device="cpu")
GEOGRAPHY = gs.GroundCost(geo_weight=1.0, geo_scale=3000.0)
SOLVER = gs.Sinkhorn(epsilon=0.05)
TARGET = 0.02
EAST = {"a": 0.0, "b": 0.5, "c": 20.0, "d": 40.0}
"""Regions by how far east they are: a and b are nearly one."""


def table() -> pd.DataFrame:
    generator = np.random.default_rng(1)
    count = 800
    return pd.DataFrame(
        {
            "region": np.repeat(list(EAST), count),
            "lon": generator.normal(0.0, 5.0, 4 * count) + np.repeat(list(EAST.values()), count),
            "lat": generator.normal(0.0, 5.0, 4 * count),
        }
    )


def regions(*names: str, max_points: int | None = 50) -> gs.Regions:
    return gs.Regions.from_table(
        table(), region="region", encoder="none", max_points=max_points, include=names or None
    )


def sweep(
    out: Path,
    target: float | None,
    one: gs.Regions | None = None,
    other: gs.Regions | None = None,
) -> SweepResult:
    method = Method(GEOGRAPHY, SOLVER)
    return run_sweep(out, one or regions(), other, method=method, engine=CPU, target_error=target)


def above(pairs: pd.DataFrame) -> NDArray[np.bool_]:
    error, bias, upper = (pairs[name].to_numpy() for name in ("std_error", "bias", "upper"))
    return above_target(error, bias, upper, TARGET)


def test_every_pair_meets_the_target_with_no_more_points_than_it_needs(tmp_path: Path) -> None:
    result = sweep(tmp_path, TARGET)
    pairs = result.pairs.to_pandas()
    assert not above(pairs).any()
    sizes = pairs["n_source"]
    assert set(sizes) <= {50, 100, 200, 400, 800}
    assert sizes.nunique() > 1, "not all pairs need the same"
    assert (pairs["n_source"] == pairs["n_target"]).all()
    exact = gs.pairwise(regions(max_points=None), cost=GEOGRAPHY, solver=SOLVER, engine=CPU)
    for _, row in pairs.iterrows():
        source, target = row["source"], row["target"]
        # The truth lies within bias and three standard errors, where those are claimed.
        slack = TARGET if np.isnan(row["bias"]) else abs(row["bias"]) + 3 * row["std_error"]
        assert abs(row["divergence"] - float(exact.divergence.loc[source, target])) <= slack + 1e-3
        if row["n_source"] > 50:  # the sample before was not enough
            before = regions(source, target, max_points=row["n_source"] // 2)
            half = gs.pairwise(before, cost=GEOGRAPHY, solver=SOLVER, engine=CPU)
            half = half.sel(source=source, target=target)
            few = {name: [float(half[name])] for name in ("std_error", "bias", "upper")}
            assert above(pd.DataFrame(few)).all()


def test_the_run_reads_back_and_goes_on_where_it_was(tmp_path: Path) -> None:
    base = sweep(tmp_path, None).pairs.to_pandas()
    first = sweep(tmp_path, TARGET)
    pairs = first.pairs.to_pandas()
    assert first.total == 6
    assert 0 < first.computed <= 6, "the small samples were there already"
    again = sweep(tmp_path, TARGET)
    assert (again.computed, again.reused) == (0, 6)
    pd.testing.assert_frame_equal(again.pairs.to_pandas(), pairs)
    finer = sweep(tmp_path, TARGET / 2)
    assert (finer.pairs.to_pandas()["n_source"] >= pairs["n_source"]).all()
    assert sweep(tmp_path, TARGET).computed == 0, "and back"
    dataset = gs.open_run(tmp_path)
    for _, row in pairs.iterrows():
        for name in ("divergence", "std_error", "bias", "ot_value"):
            stored = float(dataset[name].loc[row["source"], row["target"]])
            np.testing.assert_equal(stored, row[name])
    in_memory = gs.pairwise(
        regions(), cost=GEOGRAPHY, solver=SOLVER, target_error=TARGET, engine=CPU
    )
    np.testing.assert_allclose(in_memory.divergence, dataset.divergence, rtol=1e-6)
    sweep(tmp_path, None)
    plain = gs.open_run(tmp_path).divergence
    for _, row in base.iterrows():
        assert float(plain.loc[row["source"], row["target"]]) == row["divergence"]


def test_rectangular_sweeps_grow_both_sides(tmp_path: Path) -> None:
    result = sweep(tmp_path, TARGET, regions("a", "c"), regions("a", "d"))
    assert result.total == 4
    pairs = result.pairs.to_pandas()
    assert not above(pairs).any()
    dataset = gs.open_run(tmp_path)
    for _, row in pairs.iterrows():
        assert float(dataset.divergence.loc[row["source"], row["target"]]) == row["divergence"]


def test_without_subsamples_there_is_nothing_to_grow(tmp_path: Path) -> None:
    everything = regions(max_points=None)
    result = sweep(tmp_path, 1e-9, everything)
    assert result.computed == 6
    assert (result.pairs.to_pandas()[["std_error", "bias"]] == 0.0).all(axis=None)


@pytest.mark.slow
def test_the_command_says_how_large_samples_became(tmp_path: Path, geospot: Geospot) -> None:
    table().to_csv(tmp_path / "points.csv", index=False)
    arguments = (
        *("sweep", "out=run", "points=table", "points.path=points.csv", "points.region=region"),
        *("encoder=none", "regions.max_points=50", "solver.epsilon=0.05"),
        *("cost.geo_scale=3000", f"target_error={TARGET}"),
    )
    done = geospot(*arguments)
    assert done.returncode == 0, done.stderr
    assert f"target error {TARGET}: pairs by their larger sample:" in done.stdout
    assert "pairs total=6 computed=6 reused=0" in done.stdout
    assert "pairs total=6 computed=0 reused=6" in geospot(*arguments).stdout


@pytest.mark.parametrize("target", [0.0, -1.0, float("inf"), float("nan")])
def test_a_target_is_positive(target: float) -> None:
    with pytest.raises(gs.GeospotError, match=r"^target_error=.* must be positive"):
        gs.pairwise(regions(), cost=GEOGRAPHY, target_error=target)


def test_a_target_needs_the_divergence() -> None:
    with pytest.raises(gs.GeospotError, match="needs std_error: add it to outputs"):
        gs.pairwise(regions(), cost=GEOGRAPHY, outputs=["divergence"], target_error=0.01)
