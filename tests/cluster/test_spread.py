"""What is shared out besides sweeps: on a cluster it is what it is in this process, bit for bit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.cluster import RayPool, open_pool
from geospot_gpu.distances.columns import stored_in
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.distances.solve import PairSolver, chosen_outputs
from geospot_gpu.engine.method import Method
from geospot_gpu.runs import plan
from geospot_gpu.runs.baselines import shared_baselines
from geospot_gpu.runs.solving import solve
from geospot_gpu.transfer.evidence import load
from tests.helpers.clouds import random_regions
from tests.helpers.scored import accuracies, points, scores

pytestmark = pytest.mark.slow
HERE = gs.Engine(device="cpu")
METHOD = Method(gs.GroundCost(), gs.Sinkhorn())


@pytest.fixture(scope="module")
def regions() -> gs.Regions:
    return random_regions(list(range(20, 32)))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many of them."""
    monkeypatch.setattr(plan, "_LEAST_ENTRIES", {"cpu": 5000, "cuda": 5000})


def without_times(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: values for name, values in columns.items() if name != "seconds"}


def assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_workers_are_those_of_the_block(cluster: gs.Engine) -> None:
    assert isinstance(cluster.pool(), RayPool)
    assert cluster.pool() is cluster.pool() is open_pool()
    other = gs.Engine(device="cpu", cluster=gs.Ray("local", workers=1))
    assert other.pool() is not open_pool()


@pytest.mark.usefixtures("small_blocks")
def test_pairs(cluster: gs.Engine, regions: gs.Regions) -> None:
    left, right = all_pairs(5, len(regions) - 5)
    found = solve(regions, left, right, METHOD, engine=cluster)
    here = solve(regions, left, right, METHOD, engine=HERE)
    assert_equal(without_times(found.columns), without_times(here.columns))
    at_once = PairSolver(regions, METHOD, HERE).solve(left, right, chosen_outputs(None))
    for name in ("divergence", "std_error", "coverage_source_to_target"):  # in other company
        np.testing.assert_allclose(here[name], at_once[name], atol=1e-6)


def test_baselines(cluster: gs.Engine, regions: gs.Regions) -> None:
    left, right = all_pairs(len(regions), None)
    names = [column.name for column in stored_in("baselines")]
    expected = gs.baselines(regions, left, right)
    for engine in (HERE, cluster):
        found = shared_baselines(regions, left, right, names, engine)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    some = shared_baselines(regions, left, right, ["energy_distance"], cluster)
    pd.testing.assert_frame_equal(some, expected[["energy_distance"]], check_exact=True)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    """A run of regions with scores."""
    regions = gs.Regions.from_table(points(), region="region", encoder="none")
    return gs.sweep(tmp_path_factory.mktemp("swept") / "run", regions, engine=HERE)


def test_baselines_of_a_run(cluster: gs.Engine, swept: gs.Run, tmp_path: Path) -> None:
    shutil.copytree(swept.folder, tmp_path / "run")
    there = load(gs.Run.open(tmp_path / "run", engine=cluster)).distances
    here = load(gs.Run.open(swept.folder, engine=HERE)).distances
    assert_equal(there, here)
    stored = pd.read_parquet(tmp_path / "run" / "baselines")
    assert len(stored) == len(stored.drop_duplicates(["source", "target"])) == 45
    with pytest.MonkeyPatch.context() as patch:  # they are there, and nobody has to work
        patch.setattr(RayPool, "run", None)
        assert_equal(load(gs.Run.open(tmp_path / "run", engine=cluster)).distances, here)


@pytest.mark.usefixtures("few_models", "small_blocks")
def test_predictions(cluster: gs.Engine, swept: gs.Run) -> None:
    score, moved = accuracies(scores()), points().assign(lon=lambda table: table["lon"] + 7)
    places = gs.Points.build(lon=moved["lon"], lat=moved["lat"])
    tables = []
    for engine in (HERE, cluster):
        run = gs.Run.open(swept.folder, engine=engine)
        targets = run.regions_like(places, dict(moved.groupby("region").indices))
        tables.append(gs.predict_scores(run, score, targets=targets).table)
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    assert len(tables[0]) == 100
