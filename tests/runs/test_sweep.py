"""The sweep from Python: what is computed, what is reused, and what comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray

import geospot_gpu as gs
from geospot_gpu.arrays import Indices
from geospot_gpu.commands.sweep_summary import summary
from geospot_gpu.distances.columns import schema
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.errors import GeospotError
from geospot_gpu.runs import plan
from geospot_gpu.runs.identity import describe_difference, method_of, run_identity, same
from geospot_gpu.runs.store import Store
from geospot_gpu.sinkhorn.divergence import SelfTerms
from tests.helpers.stored import blocks, pairs_in, stored
from tests.helpers.sweeps import (
    CPU,
    GEOGRAPHY,
    TOWNS,
    assert_same,
    contents,
    counts,
    regions_of,
    sweep,
)


def test_each_unordered_pair_is_stored_once_and_comes_back(tmp_path: Path, towns: Path) -> None:
    regions = regions_of(towns)
    result = sweep(tmp_path, regions)
    assert counts(result) == (6, 6, 0)
    assert result.overview.unconverged == 0
    pairs = stored(tmp_path)
    assert (pairs["source"] < pairs["target"]).all()
    assert len(pairs) == len(set(zip(pairs["source"], pairs["target"], strict=True))) == 6
    assert len(result.pairs) == result.overview.count == 6

    run, memory = gs.open_run(tmp_path), gs.pairwise(regions, cost=GEOGRAPHY, engine=CPU)
    assert run.source.to_numpy().tolist() == run.target.to_numpy().tolist() == TOWNS
    assert run.attrs["value"] == "divergence"
    assert_same(run, memory)
    np.testing.assert_array_equal(run.divergence, run.divergence.T)
    assert run.converged.all()


def test_a_second_run_computes_nothing(
    tmp_path: Path, towns: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(tmp_path, regions_of(towns))
    before = contents(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing is left to solve")

    monkeypatch.setattr(PairEngine, "_solve", refuse)
    assert counts(sweep(tmp_path, regions_of(towns))) == (6, 0, 6)
    assert contents(tmp_path) == before


def test_the_order_of_the_table_and_its_other_columns_do_not_matter(
    tmp_path: Path, towns: Path
) -> None:
    table = pd.read_csv(towns)
    sweep(tmp_path, regions_of(table))
    shuffled = table.sample(frac=1, random_state=1).drop(columns="id").assign(note="x")
    assert sweep(tmp_path, regions_of(shuffled)).computed == 0


def test_adding_a_region_computes_only_its_row(
    tmp_path: Path, towns: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(tmp_path, regions_of(towns, "lima", "oslo", "suva"))
    before = contents(tmp_path)
    solved: list[int] = []
    solve = PairEngine.self_terms

    def watched(engine: PairEngine, index: Indices, *needs: Any) -> SelfTerms:
        solved.extend(index.tolist())
        found: SelfTerms = solve(engine, index, *needs)
        return found

    monkeypatch.setattr(PairEngine, "self_terms", watched)
    assert counts(sweep(tmp_path, regions_of(towns))) == (6, 3, 3)
    assert solved == [TOWNS.index("rome")]
    after = contents(tmp_path)
    assert before.items() <= after.items(), "old blocks never change"
    (new,) = after.keys() - before.keys()
    pairs = pd.read_parquet(tmp_path / "distances" / new)
    assert {frozenset(pair) for pair in zip(pairs["source"], pairs["target"], strict=True)} == {
        frozenset({"rome", other}) for other in ("lima", "oslo", "suva")
    }
    assert_same(gs.open_run(tmp_path), gs.pairwise(regions_of(towns), cost=GEOGRAPHY, engine=CPU))


def test_a_removed_region_never_surfaces_and_is_reused_when_it_returns(
    tmp_path: Path, towns: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(tmp_path, regions_of(towns))
    result = sweep(tmp_path, regions_of(towns, "lima", "rome", "suva"))
    assert counts(result) == (3, 0, 3)
    ends = result.pairs.to_pandas()[["source", "target"]]
    assert set(ends.stack()) == {"lima", "rome", "suva"}
    assert gs.open_run(tmp_path).source.to_numpy().tolist() == ["lima", "rome", "suva"]
    monkeypatch.delattr(PairEngine, "_solve")  # neither pairs nor self terms are solved again
    assert counts(sweep(tmp_path, regions_of(towns))) == (6, 0, 6)
    assert not gs.open_run(tmp_path).divergence.isnull().any()


def test_a_changed_region_is_computed_again_and_its_old_rows_stay_hidden(
    tmp_path: Path, towns: Path
) -> None:
    table = pd.read_csv(towns)
    sweep(tmp_path, regions_of(table))
    original = gs.open_run(tmp_path).load()
    moved = table.copy()
    moved.loc[moved["town"] == "oslo", "lat"] -= 40.0
    assert counts(sweep(tmp_path, regions_of(moved))) == (6, 3, 3)
    changed = gs.open_run(tmp_path)
    assert_same(changed, gs.pairwise(regions_of(moved), cost=GEOGRAPHY, engine=CPU))
    assert abs(float((changed.divergence - original.divergence).loc["oslo", "lima"])) > 0.01
    # One point more is another region, too.
    more = pd.concat([table, table[table["town"] == "rome"].iloc[:1].assign(lat=40.0)])
    assert counts(sweep(tmp_path, regions_of(more))) == (6, 3, 3)
    assert sweep(tmp_path, regions_of(table)).computed == 0
    xarray.testing.assert_equal(gs.open_run(tmp_path), original)


def test_a_renamed_region_is_another_one(tmp_path: Path, towns: Path) -> None:
    table = pd.read_csv(towns)
    sweep(tmp_path, regions_of(table))
    renamed = regions_of(table.replace({"town": {"lima": "quito"}}))
    assert counts(sweep(tmp_path, renamed)) == (6, 3, 3)
    assert gs.open_run(tmp_path).source.to_numpy().tolist() == ["oslo", "quito", "rome", "suva"]


@pytest.mark.parametrize("names", [("lima", "oslo"), ("rome", "oslo", "suva")])
def test_a_rectangular_sweep_compares_every_region_with_every_other(
    names: tuple[str, ...], tmp_path: Path, towns: Path
) -> None:
    """Names may occur on both sides: regions of one name may differ, and order matters."""
    table = pd.read_csv(towns)
    later = table.assign(lat=table["lat"] - 5.0)
    regions, against = regions_of(table), regions_of(later, *names)
    result = sweep(tmp_path, regions, against)
    assert counts(result) == (4 * len(names), 4 * len(names), 0)
    dataset = gs.open_run(tmp_path)
    assert dataset.source.to_numpy().tolist() == TOWNS
    assert dataset.target.to_numpy().tolist() == sorted(names)
    assert_same(dataset, gs.pairwise(regions, against, cost=GEOGRAPHY, engine=CPU))
    assert float(dataset.divergence.loc["oslo", "oslo"]) > 0.001, "not the same place"
    assert sweep(tmp_path, regions, against).computed == 0
    # The same folder takes the square sweep of one side, and neither shows in the other.
    assert counts(sweep(tmp_path, regions)) == (6, 6, 0)
    assert_same(gs.open_run(tmp_path), gs.pairwise(regions, cost=GEOGRAPHY, engine=CPU))


def test_a_rectangular_sweep_of_a_table_against_itself(tmp_path: Path, towns: Path) -> None:
    regions = regions_of(towns)
    assert counts(sweep(tmp_path, regions, regions)) == (16, 16, 0)
    dataset = gs.open_run(tmp_path)
    square = gs.pairwise(regions, cost=GEOGRAPHY, engine=CPU)
    np.testing.assert_allclose(dataset.divergence, square.divergence, atol=1e-3)
    assert np.all(np.diag(dataset.lower) <= 1e-6)
    assert np.all(np.diag(dataset.upper) >= -1e-6)


def test_a_single_pair_of_a_rectangular_sweep(tmp_path: Path, towns: Path) -> None:
    one, other = regions_of(towns, "lima"), regions_of(towns, "oslo")
    assert counts(sweep(tmp_path, one, other)) == (1, 1, 0)


OT_VALUE = {"ot_value", "ot_lower", "ot_upper"}
COVERAGE = {
    *("nearest_source_to_target", "nearest_target_to_source"),
    *(f"coverage_source_to_target{bound}" for bound in ("", "_lower", "_upper")),
    *(f"coverage_target_to_source{bound}" for bound in ("", "_lower", "_upper")),
}


@pytest.mark.parametrize(
    ("cost", "solver", "outputs", "null"),
    [
        (
            gs.GroundCost(geo_weight=1.0, scaling="pair_max"),
            gs.Sinkhorn(precision="high", relaxation=False),
            ["transport_cost"],
            {"divergence", "lower", "upper", "std_error", "bias", *OT_VALUE, *COVERAGE},
        ),
        (
            GEOGRAPHY,
            gs.GeomLoss(tolerance=0.9),
            None,
            set(),
        ),
    ],
    ids=["paper", "geomloss"],
)
def test_what_is_not_computed_is_null(
    cost: gs.GroundCost,
    solver: gs.Sinkhorn | gs.GeomLoss,
    outputs: list[str] | None,
    null: set[str],
    tmp_path: Path,
    towns: Path,
) -> None:
    how: dict[str, Any] = {"cost": cost, "solver": solver, "outputs": outputs}
    result = sweep(tmp_path, regions_of(towns), **how)
    pairs = stored(tmp_path)
    assert set(pairs.columns) == {"source", "target", *schema("pairs").names} - null
    assert not pairs.isna().any().any()
    read = result.pairs.to_pandas()
    assert set(read.columns[read.isna().all()]) == null
    assert result.overview.unconverged == 0
    dataset = gs.open_run(tmp_path)
    assert dataset.attrs["value"] == ("transport_cost" if outputs else "divergence")
    assert dataset.transport_cost.notnull().sum() == 12
    assert all(dataset[name].isnull().all() for name in null & set(dataset))
    assert_same(dataset, gs.pairwise(regions_of(towns), **how, engine=CPU))
    assert sweep(tmp_path, regions_of(towns), **how).computed == 0


def test_pairs_that_did_not_converge_are_counted_and_shown(tmp_path: Path, towns: Path) -> None:
    solver = gs.Sinkhorn(tolerance=1e-7, max_iterations=2)
    result = sweep(tmp_path, regions_of(towns), solver=solver)
    assert result.overview.unconverged == 6
    dataset = gs.open_run(tmp_path)
    assert not dataset.converged.any()
    assert (dataset.lower < dataset.upper).sum() == 12, "their intervals still hold, and are wide"
    text = "\n".join(summary(result, Method(GEOGRAPHY, solver)))
    assert "not converged: 6 of 6, largest marginal error" in text
    assert "raise solver.max_iterations" in text


def test_the_summary_ranks_pairs_without_repeating_one(tmp_path: Path, towns: Path) -> None:
    for names, nearest, farthest in (
        (("lima", "oslo"), ["lima - oslo"], []),
        (("lima", "oslo", "rome"), ["oslo - rome", "lima - rome"], ["lima - oslo"]),
    ):
        result = sweep(tmp_path, regions_of(towns, *names))
        text = "\n".join(summary(result, Method(GEOGRAPHY, gs.Sinkhorn())))
        lines = [line for line in text.split("\n") if " - " in line]
        assert [line[12:23] for line in lines] == nearest + farthest
        assert lines[0].startswith("  nearest ")
        assert "epsilon 0.01 blurs like 200 km of great circle" in text


def test_an_unfinished_run_opens_with_gaps_and_is_finished_later(
    tmp_path: Path,
    towns: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    regions = regions_of(towns)
    solve, solved = PairSolver.solve, []

    def twice(*arguments: Any) -> PairTable:
        solved.append(arguments)
        if len(solved) > 2:
            raise KeyboardInterrupt
        return solve(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(plan, "_LARGEST_GROUP", 1)
        patch.setattr(plan, "_MOST_PAIRS", 1)
        patch.setattr(PairSolver, "solve", twice)
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path, regions)
    first = contents(tmp_path)
    dataset = gs.open_run(tmp_path)
    known = set().union(*map(pairs_in, blocks(tmp_path)))
    assert len(known) == 2
    for a, b in known:
        assert dataset.divergence.loc[a, b] == dataset.divergence.loc[b, a] > 0
        assert dataset.converged.loc[a, b]
    assert int(dataset.divergence.isnull().sum()) == 12 - 2 * len(known)
    assert int(dataset.converged.sum()) == 4 + 2 * len(known)

    assert f"{tmp_path}: 4 of 6 pairs are missing: run the same geospot sweep again" in caplog.text
    caplog.clear()
    assert counts(sweep(tmp_path, regions)) == (6, 4, 2)
    assert gs.open_run(tmp_path).divergence.notnull().all()
    assert caplog.text == ""
    assert first.items() <= contents(tmp_path).items()
    assert not stored(tmp_path).duplicated(["source", "target"]).any()
    assert_same(gs.open_run(tmp_path), gs.pairwise(regions, cost=GEOGRAPHY, engine=CPU))


def test_a_run_killed_before_its_manifest_leaves_the_old_one_whole(
    tmp_path: Path, towns: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    sweep(tmp_path, regions_of(towns, "lima", "oslo", "rome"))
    before = gs.open_run(tmp_path).load()
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path, regions_of(towns, "oslo", "suva"))
    xarray.testing.assert_equal(gs.open_run(tmp_path), before)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"cost": gs.GroundCost(geo_weight=1.0, geo_scale=1.0)}, "cost.geo_scale=20015.1.* there"),
        ({"solver": gs.Sinkhorn(epsilon=0.02)}, "solver.epsilon=0.01 there, 0.02 here"),
        ({"solver": gs.GeomLoss()}, "solver.name=sinkhorn there, geomloss here"),
        ({"seed": 7}, "seed=0 there, 7 here"),
    ],
)
def test_a_folder_of_another_identity_is_refused(
    change: dict[str, object], difference: str, tmp_path: Path, towns: Path
) -> None:
    sweep(tmp_path, regions_of(towns))
    before = contents(tmp_path), (tmp_path / "manifest.json").read_bytes()
    seed = int(str(change.pop("seed", 0)))
    with pytest.raises(GeospotError, match=difference) as caught:
        sweep(tmp_path, regions_of(towns, seed=seed), **change)  # type: ignore[arg-type]
    assert f"{tmp_path} holds another sweep" in str(caught.value)
    assert "continue it with its settings, or choose another folder with out=" in str(caught.value)
    assert (contents(tmp_path), (tmp_path / "manifest.json").read_bytes()) == before


def test_distances_of_geomloss_are_others_than_before() -> None:
    """When it solved one pair at a time, nothing said at which error one counts as solved."""
    now = run_identity("none", 0, Method(GEOGRAPHY, gs.GeomLoss()))
    before = now | {"solver": {"name": "geomloss", "epsilon": 0.01, "scaling": 0.95}}
    assert not same(before, now)
    assert describe_difference(before, now) == (
        "solver.rho=absent there, 0.01 here; solver.tolerance=absent there, 0.1 here"
    )
    assert method_of(before).solver == gs.GeomLoss()


def test_one_region_is_not_enough(tmp_path: Path, towns: Path) -> None:
    with pytest.raises(GeospotError, match=r"only one region \(lima\): distances need two"):
        sweep(tmp_path / "run", regions_of(towns, "lima"))
    assert not (tmp_path / "run").exists()
