"""Runs that store the nearest regions of each region alone."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.arrays import Indices
from geospot_gpu.cluster import LocalPool, Ray
from geospot_gpu.distances.nearest import lists
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.runs import nearest_work
from geospot_gpu.runs.manifest import seal
from geospot_gpu.runs.nearest import run_nearest
from geospot_gpu.runs.nearest_work import NearestWorker
from geospot_gpu.runs.pair_store import forget
from tests.helpers.nearest import brute_force, towns_on_earth

CPU = gs.Engine("cpu")
GEOGRAPHY = gs.GroundCost(geo_weight=1.0)
COUNT = 24


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several groups, and several items of work, of few regions."""
    monkeypatch.setattr(lists, "_LEAF", 4)
    monkeypatch.setattr(nearest_work, "_PAIRS", {"cpu": 30, "cuda": 30})


@pytest.fixture(scope="module")
def regions() -> gs.Regions:
    return towns_on_earth(COUNT)


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Names of the pairs that are solved."""
    found: list[tuple[str, str]] = []
    solve = PairSolver.solve

    def noted(self: PairSolver, left: Indices, right: Indices, *rest: Any) -> PairTable:
        names = self.regions.names
        found.extend((names[i], names[j]) for i, j in zip(left, right, strict=True))
        return solve(self, left, right, *rest)

    monkeypatch.setattr(PairSolver, "solve", noted)
    return found


def swept(out: Path, regions: gs.Regions, k: int = 3, **settings: Any) -> gs.Run:
    every: dict[str, Any] = {"cost": GEOGRAPHY, "engine": CPU} | settings
    return gs.sweep(out, regions, nearest=k, **every)


def neighbours(run: gs.Run) -> dict[str, list[str]]:
    entries = run.manifest["targets"] or run.manifest["sources"]
    return {entry["name"]: run.row(entry["name"]).index.tolist() for entry in entries}


def files(out: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("nothing is left to solve")


@pytest.mark.parametrize("k", [1, 4, 100])
def test_each_region_has_its_nearest(tmp_path: Path, regions: gs.Regions, k: int) -> None:
    run = swept(tmp_path, regions, k)
    expected = brute_force(regions, k, GEOGRAPHY)
    assert neighbours(run) == expected
    pairs = {(min(a, b), max(a, b)) for a, row in expected.items() for b in row}
    every = run.distances()
    assert len(every) == len(run.pairs) == len(pairs)
    assert set(zip(run.pairs["source"], run.pairs["target"], strict=True)) == pairs
    exact = gs.pairwise(regions, cost=GEOGRAPHY, engine=CPU)
    for pair in run.pairs[::9].itertuples():
        there = exact.sel(source=pair.source, target=pair.target)
        back = exact.sel(source=pair.target, target=pair.source)
        assert pair.divergence == pytest.approx(float(there.divergence), abs=1e-5)
        assert pair.coverage_source_to_target == pytest.approx(float(there.coverage), abs=1e-5)
        assert pair.coverage_target_to_source == pytest.approx(float(back.coverage), abs=1e-5)
    table = pd.read_parquet(tmp_path / "neighbours.parquet")
    assert table.groupby("region")["neighbour"].apply(list).to_dict() == expected
    assert table["rank"].tolist() == [*range(1, min(k, COUNT - 1) + 1)] * COUNT
    row = run.row("r07", ["divergence", "iterations"])
    assert list(row.columns) == ["rank", "divergence", "iterations"]
    of_region = table[table["region"] == "r07"]
    np.testing.assert_array_equal(row["divergence"], of_region["divergence"])
    assert (table["lower"] <= table["divergence"]).all()
    assert run.nearest == k
    assert f"{k} nearest of each" in repr(run)


def test_some_of_the_pairs(tmp_path: Path, regions: gs.Regions) -> None:
    run = swept(tmp_path, regions)
    every = run.pairs
    some = run.distances(["source", "target", "divergence"], source="r03").to_pandas()
    own = every[(every["source"] == "r03") | (every["target"] == "r03")]
    assert (some["source"] == "r03").all()
    assert set(some["target"]) == ({*own["source"], *own["target"]} - {"r03"})
    assert set(run.row("r03").index) <= set(some["target"]), "and those that it is a neighbour of"


def test_a_second_run_computes_nothing(
    tmp_path: Path, regions: gs.Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept(tmp_path, regions)
    before = files(tmp_path)
    monkeypatch.setattr(PairEngine, "_solve", refuse)
    run = swept(tmp_path, regions)
    assert files(tmp_path) == before
    assert neighbours(swept(tmp_path, regions, 2)) == {
        name: row[:2] for name, row in neighbours(run).items()
    }, "a shorter list is the beginning of a longer one"


def test_more_neighbours_are_found_from_those_that_are_there(
    tmp_path: Path, regions: gs.Regions, solved: list[tuple[str, str]]
) -> None:
    expected = brute_force(regions, 5, GEOGRAPHY)
    before = {(a, b) for a, b in swept(tmp_path, regions, 2).pairs[["source", "target"]].to_numpy()}
    solved.clear()
    assert neighbours(swept(tmp_path, regions, 5)) == expected
    assert solved
    assert not before & set(solved)


def test_an_interrupted_run_goes_on(
    tmp_path: Path, regions: gs.Regions, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    whole = swept(tmp_path / "whole", regions)
    store, done = NearestWorker.store, list[Indices]()

    def stop(self: NearestWorker, computed: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(computed.lists.targets)
        return store(self, computed)

    with monkeypatch.context() as patch:
        patch.setattr(NearestWorker, "store", stop)
        with pytest.raises(KeyboardInterrupt) as stopped:
            swept(tmp_path / "cut", regions)
    assert "lists are kept" in stopped.value.__notes__[0]
    opened = gs.Run.open(tmp_path / "cut")
    with caplog.at_level(logging.WARNING):
        assert 0 < len(opened.distances()) < len(whole.distances())
    assert (
        f"neighbours of {COUNT - sum(map(len, done))} of {COUNT} regions are missing" in caplog.text
    )
    found = neighbours(opened)
    there = {regions.names[k] for part in done for k in part}
    assert {name for name, row in found.items() if row} == there

    searched: list[int] = []
    compute = NearestWorker.compute

    def noted(self: NearestWorker, item: tuple[int, ...]) -> Any:
        found = compute(self, item)
        searched.extend(found.lists.targets.tolist())
        return found

    monkeypatch.setattr(NearestWorker, "compute", noted)
    run = swept(tmp_path / "cut", regions)
    assert neighbours(run) == neighbours(whole)
    assert {regions.names[k] for k in searched} == {*regions.names} - there
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "cut" / "neighbours.parquet"),
        pd.read_parquet(tmp_path / "whole" / "neighbours.parquet"),
        atol=1e-6,
    )


def test_with_another_region_lists_are_found_anew(
    tmp_path: Path, regions: gs.Regions, solved: list[tuple[str, str]]
) -> None:
    fewer = gs.Regions.from_table(_table(regions), region="region", exclude=["r05"], encoder="none")
    every = gs.Regions.from_table(_table(regions), region="region", encoder="none")
    expected = [brute_force(some, 3, GEOGRAPHY) for some in (fewer, every)]
    before = swept(tmp_path, fewer).pairs[["source", "target"]]
    solved.clear()
    assert neighbours(swept(tmp_path, every)) == expected[1]
    known = {tuple(pair) for pair in before.to_numpy()}
    assert not known & set(solved), "pairs that are there are not solved again"
    solved.clear()
    assert neighbours(swept(tmp_path, fewer)) == expected[0]
    assert not solved, "lists of the first regions are there still"


def _table(regions: gs.Regions) -> pd.DataFrame:
    region = np.repeat(np.array(regions.names), regions.sizes)
    return pd.DataFrame({"lon": regions.lon, "lat": regions.lat, "region": region})


def test_the_nearest_beside_all_pairs(
    tmp_path: Path, regions: gs.Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = gs.sweep(tmp_path, regions, cost=GEOGRAPHY, engine=CPU).dataset()
    with monkeypatch.context() as patch:
        patch.setattr(PairSolver, "solve", refuse)
        run = swept(tmp_path, regions)
    assert neighbours(run) == brute_force(regions, 3, GEOGRAPHY)
    row = run.row("r00")
    np.testing.assert_array_equal(
        row["divergence"], everything.divergence.sel(source="r00", target=row.index.to_numpy())
    )
    monkeypatch.setattr(PairEngine, "_solve", refuse)
    again = gs.sweep(tmp_path, regions, cost=GEOGRAPHY, engine=CPU)
    assert again.nearest is None
    assert not again.dataset().divergence.isnull().any()
    assert not (tmp_path / "neighbours.parquet").exists(), "of another run"


def test_all_pairs_after_the_nearest(
    tmp_path: Path, regions: gs.Regions, solved: list[tuple[str, str]]
) -> None:
    stored = len(swept(tmp_path, regions).pairs)
    solved.clear()
    run = gs.sweep(tmp_path, regions, cost=GEOGRAPHY, engine=CPU)
    assert len(solved) == COUNT * (COUNT - 1) // 2 - stored
    assert not run.dataset().divergence.isnull().any()


def test_neighbours_of_others(tmp_path: Path, regions: gs.Regions) -> None:
    others = towns_on_earth(9, seed=5)
    run = swept(tmp_path, regions, 4, against=others)
    assert neighbours(run) == brute_force(regions, 4, GEOGRAPHY, others)
    assert len(run.pairs) == 36
    table = pd.read_parquet(tmp_path / "neighbours.parquet")
    assert table["region"].astype(str).unique().tolist() == list(others.names)
    fewer = swept(tmp_path / "few", towns_on_earth(2, seed=1), 4, against=others)
    assert len(fewer.pairs) == 18


def test_an_output_that_is_added_is_computed(tmp_path: Path, regions: gs.Regions) -> None:
    first = swept(tmp_path, regions, outputs=["divergence"])
    assert first.pairs["ot_value"].isna().all()
    second = swept(tmp_path, regions, outputs=["divergence", "ot_value"])
    assert not second.pairs["ot_value"].isna().any()
    assert neighbours(second) == neighbours(first)


@pytest.mark.parametrize("what", ["distances", "neighbours"])
def test_damage_is_mended(
    tmp_path: Path, regions: gs.Regions, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = neighbours(swept(tmp_path, regions))
    path = next((tmp_path / what).glob("*.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    forget()
    with caplog.at_level(logging.WARNING):
        assert neighbours(swept(tmp_path, regions)) == expected
    assert "is damaged" in caplog.text
    assert neighbours(gs.Run.open(tmp_path)) == expected


def test_all_that_was_done_is_said(tmp_path: Path, regions: gs.Regions) -> None:
    method = gs.sweep(tmp_path, regions, nearest=3, cost=GEOGRAPHY, engine=CPU).method
    result = run_nearest(tmp_path, regions, k=3, method=method, engine=CPU)
    assert (result.total, result.computed) == (len(result.pairs), 0)
    assert result.reused == result.total == result.overview.count
    assert result.every == COUNT * (COUNT - 1)
    assert 3 * COUNT <= result.solved <= result.every
    assert result.neighbours == 3 * COUNT
    assert result.overview.unconverged == result.overlaps == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nearest": 0}, "k=0: give how many regions to find of each, at least 1"),
        ({"nearest": "3"}, "k='3': give a number"),
        ({"shard": "1/2"}, "shard=1/2 is of all pairs: leave it out"),
        ({"target_error": 0.1}, "target_error=0.1 is of all pairs"),
        ({"outputs": ["coverage"]}, "the nearest are those by divergence: add it to outputs"),
        ({"cost": gs.GroundCost(geo_weight=1.0, scaling="pair_max")}, "cost.scaling=pair_max"),
    ],
)
def test_mistakes_are_said(
    tmp_path: Path, regions: gs.Regions, settings: dict[str, Any], message: str
) -> None:
    asked: dict[str, Any] = {"cost": GEOGRAPHY, "nearest": 2} | settings
    with pytest.raises(gs.GeospotError) as error:
        gs.sweep(tmp_path / "r", regions, **asked)
    assert message in str(error.value)
    assert not (tmp_path / "r").exists(), "nothing is begun"


def test_what_needs_all_pairs_says_so(tmp_path: Path, regions: gs.Regions) -> None:
    run = swept(tmp_path, regions)
    alone = "has the 3 nearest regions of each alone, and all pairs are needed"
    scores = pd.DataFrame(
        np.random.default_rng(0).uniform(0.2, 0.9, (COUNT, COUNT)), run.names, run.names
    )
    read = gs.read_scores(scores, kind="accuracy", regions=run.names)
    for ask in (run.dataset, run.matrix, lambda: gs.open_run(tmp_path),
                lambda: gs.assess_transfer(run, read)):  # fmt: skip
        with pytest.raises(gs.GeospotError, match=alone):
            ask()
    with pytest.raises(gs.GeospotError, match="r7: is no region whose neighbours were found"):
        run.row("r7")
    assert gs.explain_distance(run, "r00", "r01").divergence > 0.0


def test_a_manifest_of_another_kind_is_refused(tmp_path: Path, regions: gs.Regions) -> None:
    swept(tmp_path, regions)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["nearest"] = "many"
    del manifest["checksum"], manifest["format"]
    path.write_bytes(seal(manifest))
    with pytest.raises(gs.GeospotError, match="is not of geospot"):
        gs.Run.open(tmp_path)


@pytest.mark.slow
def test_workers_of_a_cluster_find_the_same(tmp_path: Path, regions: gs.Regions) -> None:
    pytest.importorskip("ray")
    here = swept(tmp_path / "here", regions)
    assert isinstance(CPU.pool(), LocalPool)
    there = swept(
        tmp_path / "there", regions, engine=gs.Engine("cpu", cluster=Ray("local", workers=2))
    )
    assert neighbours(there) == neighbours(here)
    both = [run.pairs.sort_values(["source", "target"])["divergence"] for run in (here, there)]
    np.testing.assert_allclose(both[0], both[1], atol=1e-6)
