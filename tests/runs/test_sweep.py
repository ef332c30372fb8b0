"""The sweep from Python: what is computed, what is reused, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import image
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.arrays import Indices
from geospot_gpu.commands.sweep_summary import summary
from geospot_gpu.engine.batching import batches_of_similar_size
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.errors import GeospotError
from geospot_gpu.files import content_hash
from geospot_gpu.pictures.sweep import _cluster_order, write_heatmap
from geospot_gpu.runs import sweep as run
from geospot_gpu.runs.plan import plan_batches
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.sweep import SweepResult, run_sweep
from geospot_gpu.sinkhorn.divergence import SelfTerms

GEOGRAPHY = gs.GroundCost(geo_weight=1.0)
CPU = gs.Engine(device="cpu")
TOWNS = ["lima", "oslo", "rome", "suva"]
EVIDENCE = ["divergence", "lower", "upper", "ot_value", "ot_lower", "ot_upper", "transport_cost"]


def regions_of(table: pd.DataFrame | Path, *names: str, seed: int = 0) -> gs.Regions:
    return gs.Regions.from_table(
        table, region="town", encoder="none", include=list(names) or None, seed=seed
    )


def sweep(
    out: Path,
    regions: gs.Regions,
    against: gs.Regions | None = None,
    cost: gs.GroundCost = GEOGRAPHY,
    solver: gs.Sinkhorn | gs.GeomLoss | None = None,
    outputs: Sequence[str] | None = None,
) -> SweepResult:
    method = Method(cost, solver or gs.Sinkhorn())
    return run_sweep(out, regions, against, method=method, engine=CPU, outputs=outputs)


def counts(result: SweepResult) -> tuple[int, int, int]:
    return result.total, result.computed, result.reused


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "distances").iterdir()}


def stored(out: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in (out / "distances").glob("*.parquet")])


def assert_same(run: xarray.Dataset, memory: xarray.Dataset) -> None:
    assert set(run.data_vars) == set(memory.data_vars)
    for name in run.data_vars:
        np.testing.assert_allclose(run[name], memory[name], atol=1e-6, err_msg=str(name))
    for name in run.coords:
        if run[name].dtype.kind in "if":
            np.testing.assert_allclose(run[name], memory[name], atol=1e-6, err_msg=str(name))
        else:
            assert run[name].to_numpy().tolist() == memory[name].to_numpy().tolist()


def test_each_unordered_pair_is_stored_once_and_comes_back(tmp_path: Path, towns: Path) -> None:
    regions = regions_of(towns)
    result = sweep(tmp_path, regions)
    assert counts(result) == (6, 6, 0)
    assert result.unconverged == 0
    pairs = stored(tmp_path)
    assert (pairs["source"] < pairs["target"]).all()
    assert len(pairs) == len(set(zip(pairs["source"], pairs["target"], strict=True))) == 6
    assert pairs["key"].is_unique

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
        return solve(engine, index, *needs)

    monkeypatch.setattr(PairEngine, "self_terms", watched)
    assert counts(sweep(tmp_path, regions_of(towns))) == (6, 3, 3)
    assert solved == [TOWNS.index("rome")]
    after = contents(tmp_path)
    assert before.items() <= after.items(), "old shards never change"
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
    assert set(result.pairs["source"]) | set(result.pairs["target"]) == {"lima", "rome", "suva"}
    assert gs.open_run(tmp_path).source.to_numpy().tolist() == ["lima", "rome", "suva"]
    monkeypatch.delattr(PairEngine, "_solve")  # neither pairs nor self terms are solved again
    assert counts(sweep(tmp_path, regions_of(towns))) == (6, 0, 6)
    assert not gs.open_run(tmp_path).divergence.isnull().any()


def test_a_changed_region_is_computed_again_and_its_old_rows_stay_hidden(
    tmp_path: Path, towns: Path
) -> None:
    table = pd.read_csv(towns)
    sweep(tmp_path, regions_of(table))
    original = gs.open_run(tmp_path)
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
            gs.GeomLoss(),
            None,
            {
                *("lower", "upper", "ot_lower", "ot_upper", "iterations", "converged"),
                *("transport_cost_lower", "transport_cost_upper"),
                *("std_error", "bias", *COVERAGE),
            },
        ),
    ],
    ids=["paper", "geomloss"],
)
def test_what_a_solver_cannot_certify_is_null(
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
    assert set(pairs.columns[pairs.isna().all()]) == null
    assert not pairs[[*set(pairs.columns) - null]].isna().any().any()
    assert result.unconverged == (6 if "converged" in null else 0), "unknown is not converged"
    dataset = gs.open_run(tmp_path)
    assert dataset.attrs["value"] == ("transport_cost" if outputs else "divergence")
    assert dataset.transport_cost.notnull().sum() == 12
    assert all(dataset[name].isnull().all() for name in null & set(dataset) - {"converged"})
    assert_same(dataset, gs.pairwise(regions_of(towns), **how, engine=CPU))
    assert sweep(tmp_path, regions_of(towns), **how).computed == 0


def test_pairs_that_did_not_converge_are_counted_and_shown(tmp_path: Path, towns: Path) -> None:
    solver = gs.Sinkhorn(tolerance=1e-7, max_iterations=2)
    result = sweep(tmp_path, regions_of(towns), solver=solver)
    assert result.unconverged == 6
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
    with monkeypatch.context() as patch:
        some = {4: np.arange(4), 6: np.array([2, 4])}  # all self terms, and two of the six pairs
        patch.setattr(run, "plan_batches", lambda n, *_: [some[len(n)]])
        sweep(tmp_path, regions)
    first = contents(tmp_path)
    dataset = gs.open_run(tmp_path)
    known = [("lima", "suva"), ("oslo", "suva")]
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
    assert stored(tmp_path)["key"].is_unique
    assert_same(gs.open_run(tmp_path), gs.pairwise(regions, cost=GEOGRAPHY, engine=CPU))


def test_a_run_killed_before_its_manifest_leaves_the_old_one_whole(
    tmp_path: Path, towns: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    sweep(tmp_path, regions_of(towns, "lima", "oslo", "rome"))
    before = gs.open_run(tmp_path)
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


def test_one_region_is_not_enough(tmp_path: Path, towns: Path) -> None:
    with pytest.raises(GeospotError, match=r"only one region \(lima\): distances need two"):
        sweep(tmp_path / "run", regions_of(towns, "lima"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("square", [True, False])
def test_names_are_plain_text_in_the_heatmap(
    square: bool, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """Neither formulas nor missing letters stop the picture or clutter the terminal."""
    names = ["$x^$", "$\\frac$", "東京", "b", "c"]
    position = np.array([0.0, 10.0, 0.1, 10.1, 0.2])
    values = np.abs(position[:, None] - position)
    dataset = xarray.Dataset(
        {"divergence": (("source", "target"), values)},
        coords={"source": names, "target": names},
        attrs={"value": "divergence"},
    )
    write_heatmap(dataset, tmp_path / "map.png", square=square)
    pixels = image.imread(tmp_path / "map.png")
    assert min(pixels.shape[:2]) > 300
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 50
    assert not recwarn.list
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]
    order = _cluster_order(values).tolist()
    assert {frozenset(order[:2]), frozenset(order[:3])} & {frozenset({1, 3}), frozenset({0, 2, 4})}


sizes = st.lists(st.tuples(st.integers(1, 10**5), st.integers(1, 10**5)), max_size=200)


def assert_partition(batches: list[NDArray[np.int64]], count: int) -> None:
    assert sorted(np.concatenate([[], *batches]).tolist()) == list(range(count))
    assert all(len(batch) > 0 for batch in batches)


@given(pairs=sizes, device=st.sampled_from(["cpu", "cuda"]))
def test_a_plan_covers_every_pair_exactly_once(pairs: list[tuple[int, int]], device: str) -> None:
    n, m = np.array(pairs, np.int64).reshape(-1, 2).T
    batches = plan_batches(n, m, device)
    assert_partition(batches, len(pairs))
    again = plan_batches(n, m, device)
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]
    # Equal work: beyond its largest pair, no batch is larger than the share that it aims at.
    least = {"cpu": 2 * 10**7, "cuda": 10**9}[device]
    share = max(least, int((n * m).sum()) // 400)
    assert all((n * m)[batch].sum() <= share + (n * m)[batch].max() for batch in batches)


@given(pairs=sizes, limit=st.integers(1, 10**8), seed=st.integers(0, 10))
def test_batches_of_similar_size_cover_everything_within_the_limit(
    pairs: list[tuple[int, int]], limit: int, seed: int
) -> None:
    n, m = np.array(pairs, np.int64).reshape(-1, 2).T
    growth = np.random.default_rng(seed).choice([1.2, 4.0], len(n))
    batches = batches_of_similar_size(n, m, limit, 300, growth)
    assert_partition(batches, len(pairs))
    for batch in batches:
        padded = len(batch) * int(n[batch].max()) * int(m[batch].max())
        assert len(batch) == 1 or padded <= limit
        (ratio,) = set(growth[batch])
        assert n[batch].max() <= ratio * n[batch].min() * (1 + 1e-9)
        assert m[batch].max() <= ratio * m[batch].min() * (1 + 1e-9)


def test_a_folder_takes_more_outputs_and_keeps_those_it_has(tmp_path: Path, towns: Path) -> None:
    few, more = ["divergence"], ["coverage", "divergence"]
    assert counts(sweep(tmp_path, regions_of(towns), outputs=few)) == (6, 6, 0)
    assert "coverage" not in gs.open_run(tmp_path)
    assert counts(sweep(tmp_path, regions_of(towns, "lima", "oslo"), outputs=more)) == (1, 1, 0)
    assert counts(sweep(tmp_path, regions_of(towns), outputs=few)) == (6, 0, 6)
    assert counts(sweep(tmp_path, regions_of(towns))) == (6, 6, 0)
    every = gs.pairwise(regions_of(towns), cost=GEOGRAPHY, engine=CPU)
    assert_same(gs.open_run(tmp_path), every)
    assert counts(sweep(tmp_path, regions_of(towns), outputs=["nearest"])) == (6, 0, 6)
    assert list(gs.open_run(tmp_path).data_vars)[0] == "nearest"
    rows = stored(tmp_path)
    assert not rows["key"].duplicated().any(), "rows that say less are tidied away"
    assert counts(sweep(tmp_path, regions_of(towns))) == (6, 0, 6)


def test_outputs_without_self_terms_leave_these_for_later(tmp_path: Path, towns: Path) -> None:
    sweep(tmp_path, regions_of(towns), outputs=["transport_cost"])
    sweep(tmp_path, regions_of(towns), outputs=["divergence"])
    every = gs.pairwise(regions_of(towns), cost=GEOGRAPHY, engine=CPU, outputs=["divergence"])
    assert_same(gs.open_run(tmp_path), every)


def test_rows_of_before_say_by_their_values_what_they_have(tmp_path: Path, towns: Path) -> None:
    """Rows of version 0.1 do not name their outputs, and its identity says that it debiased."""
    sweep(tmp_path, regions_of(towns))
    for path in (tmp_path / "distances").iterdir():
        table = pq.read_table(path).drop_columns(["outputs"])
        path.unlink()
        content = pa.BufferOutputStream()
        pq.write_table(table, content)
        content = content.getvalue().to_pybytes()
        (path.parent / f"part-{content_hash(content)}.parquet").write_bytes(content)
    assert counts(sweep(tmp_path, regions_of(towns))) == (6, 0, 6)
    assert not gs.open_run(tmp_path).coverage.isnull().all()
