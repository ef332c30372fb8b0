"""The commands select and nearest, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import geospot_gpu as gs
from tests.helpers.commands import Geospot
from tests.helpers.scored import NAMES, PLAIN, points
from tests.helpers.stored import put_block

SELECT = ("select", "sweep=run", "target=r03")
NEAREST = ("nearest", *PLAIN, "target=r03")


@pytest.mark.draws
def test_select_writes_regions_quotas_and_steps(run: Geospot, tmp_path: Path) -> None:
    done = run(*SELECT, "budget=40", "max_regions=4", "out=chosen")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "chosen" / "selection.csv", dtype={"region": str})
    assert {"order", "region", "quota", "distance", "lower", "upper"} <= set(table)
    assert table["quota"].tolist() == [10] * 4
    expected = gs.select_regions(
        gs.Regions.from_table(points(), region="region", encoder="none"), "r03", 40, max_regions=4
    )
    assert table["region"].tolist() == expected.table["region"].tolist()
    np.testing.assert_allclose(table["distance"], expected.table["distance"], rtol=1e-5)
    summary = json.loads((tmp_path / "chosen" / "summary.json").read_text())
    assert summary["verdict"] in done.stdout
    assert summary["samples"] == 40
    assert summary["targets"] == ["r03"]
    assert 0.6 < summary["guarantee"] <= 1.0
    assert (tmp_path / "chosen" / "selection.png").stat().st_size > 10_000
    beside = expected.scatter
    assert summary["scatter"]["samples"] == 40
    assert summary["scatter"]["coverage"] == pytest.approx(beside.scattered.value, rel=1e-5)
    assert summary["scatter"]["gain"] == pytest.approx(beside.gain.value, rel=1e-4)
    assert summary["coverage_interval"] == pytest.approx(beside.chosen[1:], rel=1e-5)
    assert summary["recommended"] is None
    np.testing.assert_allclose(table["scatter_coverage"], beside.scattered.value, rtol=1e-5)
    said = f"; 40 samples scattered over {beside.regions} region"
    assert said in done.stdout
    assert " (method=scatter) reach 0." in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("regions=4 samples=40 coverage=")
    assert last.endswith(f"improves_until={summary['improves_until']}")


@pytest.mark.parametrize("method", ["union", "all"])
def test_select_by_other_methods(run: Geospot, tmp_path: Path, method: str) -> None:
    most = ("max_regions=3",) if method == "union" else ()
    done = run(*SELECT, "budget=30", f"method={method}", *most, "out=chosen")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "chosen" / "selection.csv")
    assert len(table) == (9 if method == "all" else 3)
    assert table["quota"].sum() == 30


@pytest.mark.draws
def test_select_scatters_where_transfer_is_not_predicted(run: Geospot, tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    summary = tmp_path / "report" / "summary.json"
    summary.write_text('{"verdict": "no evidence"}')
    settings = (*SELECT, "budget=20", "method=scatter", "transfer=report")
    done = run(*settings, "out=chosen")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "chosen" / "selection.csv")
    expected = gs.select_regions(
        gs.Regions.from_table(points(), region="region", encoder="none"), "r03", 20,
        method="scatter",
    )  # fmt: skip
    for name in ("region", "quota"):
        assert table[name].tolist() == expected.table[name].tolist()
    assert ", by what a plan of coverage takes from each" in done.stdout
    assert (
        "recommended: over=regions method=scatter: the verdict of transfer is 'no evidence'"
        in done.stdout
    )
    assert json.loads((tmp_path / "chosen" / "summary.json").read_text())["recommended"] == {
        "over": "regions",
        "method": "scatter",
    }
    assert (tmp_path / "chosen" / "selection.png").stat().st_size > 10_000
    refused = run(*settings, "out=report")
    assert refused.returncode == 1
    assert "report/summary.json" in refused.stderr
    assert summary.read_text() == '{"verdict": "no evidence"}'


def test_select_by_what_is_stored_and_by_what_is_not(run: Geospot, tmp_path: Path) -> None:
    """A stored distance is read, a column the sweep lacks is computed: the same choice."""
    order = {}
    for name in ("run", "bare"):
        if name == "bare":
            assert run("sweep", *PLAIN, "outputs=[divergence]", "out=bare").returncode == 0
            assert "coverage" not in gs.open_run(tmp_path / "bare")
        done = run(
            *("select", f"sweep={name}", "target=r03", "budget=30", "max_regions=3"),
            *("method=nearest", "by=coverage", f"out=by_{name}"),
        )
        assert done.returncode == 0, done.stderr
        order[name] = pd.read_csv(tmp_path / f"by_{name}" / "selection.csv")["region"].tolist()
    assert order["run"] == order["bare"]
    stored = gs.open_run(tmp_path / "run").coverage.sel(target="r03").drop_sel(source="r03")
    assert order["run"] == stored.to_pandas().sort_values().index[:3].tolist()
    baseline = run(*SELECT, "budget=30", "method=nearest", "by=mean_great_circle_km", "out=by_km")
    assert baseline.returncode == 0, baseline.stderr
    (part,) = (tmp_path / "run" / "baselines").iterdir()
    km = pq.read_table(part)
    assert len(km) == 9
    # What is stored is what counts.
    part.unlink()
    at = km.column_names.index("mean_great_circle_km")
    turned = km.set_column(at, "mean_great_circle_km", pc.negate(km["mean_great_circle_km"]))
    put_block(tmp_path / "run", turned, "baselines")
    again = run(*SELECT, "budget=30", "method=nearest", "by=mean_great_circle_km", "out=turned")
    assert again.returncode == 0, again.stderr
    first, second = (
        pd.read_csv(tmp_path / name / "selection.csv")["region"].tolist()
        for name in ("by_km", "turned")
    )
    assert not set(first[:4]) & set(second[:4])


def test_select_for_several_targets_with_what_is_there(run: Geospot, tmp_path: Path) -> None:
    done = run(
        *("select", "sweep=run", "target={r03:2,r05:1}", "have={r00:5}", "exclude=[r01]"),
        *("budget=20", "max_regions=2", "out=chosen"),
    )
    assert done.returncode == 0, done.stderr
    chosen = set(pd.read_csv(tmp_path / "chosen" / "selection.csv")["region"])
    assert not chosen & {"r00", "r01", "r03", "r05"}
    summary = json.loads((tmp_path / "chosen" / "summary.json").read_text())
    assert summary["targets"] == ["r03", "r05"]


def test_select_with_prices(run: Geospot, tmp_path: Path) -> None:
    prices = pd.DataFrame({"region": NAMES, "per_region": 5, "per_sample": 1})
    prices.to_csv(tmp_path / "prices.csv", index=False)
    done = run(*SELECT, "budget=35", "quota=10", "prices=prices.csv", "out=chosen")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "chosen" / "selection.csv")
    assert table["price"].tolist() == [15.0, 15.0]
    prices.assign(per_sample=-1).to_csv(tmp_path / "prices.csv", index=False)
    refused = run(*SELECT, "budget=35", "quota=10", "prices=prices.csv", "out=o")
    assert refused.returncode == 1
    assert "per_sample of r00 is -1: give numbers of 0 or more" in refused.stderr


def test_a_budget_beyond_everything(
    run: Geospot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done = run(*SELECT, "budget=100000", "out=chosen")
    assert done.returncode == 0, done.stderr
    assert "the 9 regions chosen have only 270 samples: all are taken" in caplog.text
    table = pd.read_csv(tmp_path / "chosen" / "selection.csv")
    assert table["quota"].tolist() == [30] * 9


@pytest.mark.draws
def test_select_points(run: Geospot, tmp_path: Path) -> None:
    done = run(*SELECT, "over=points", "budget=6", "out=chosen")
    assert done.returncode == 0, done.stderr
    table = pd.read_parquet(tmp_path / "chosen" / "points.parquet")
    assert list(table) == ["order", "id", "weight", "by", "lon", "lat", "region"]
    assert len(table) == 6
    source = points().set_axis(range(1, 301)).loc[table["id"]]
    np.testing.assert_allclose(source["lon"], table["lon"])
    assert (source["region"] != "r03").all()
    assert (tmp_path / "chosen" / "points.png").stat().st_size > 10_000
    assert done.stdout.splitlines()[-1].startswith(f"points={len(table)} coverage=")
    to_try = run(*SELECT, "over=points", "budget=6", "purpose=score", "have=r01", "out=tries")
    assert to_try.returncode == 0, to_try.stderr
    assert "6 of its 30 points, a stratified sample whose plain mean is unbiased" in to_try.stdout
    assert set(pd.read_parquet(tmp_path / "tries" / "points.parquet")["region"]) == {"r03"}
    weights = run(*SELECT, "over=points", "method=importance", "out=weights")
    assert weights.returncode == 0, weights.stderr
    table = pd.read_parquet(tmp_path / "weights" / "points.parquet")
    assert len(table) == 270
    assert table["weight"].sum() == pytest.approx(1.0)


def test_select_points_of_a_pool_with_features_on_disk(
    towns: Path, geospot_here: Geospot, tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)

    def write(name: str, ids: list[str]) -> None:
        np.save(tmp_path / f"{name}.npy", generator.normal(size=(len(ids), 6)).astype(np.float32))
        np.save(tmp_path / f"{name}.ids.npy", np.array(ids))

    write("features", pd.read_csv(towns)["id"].tolist())
    pool = pd.DataFrame({"id": [f"p{k}" for k in range(50)], "lon": range(50), "lat": range(50)})
    pool.to_csv(tmp_path / "pool.csv", index=False)
    write("pool", pool["id"].tolist())
    swept = geospot_here(
        *("sweep", "points=table", "points.path=towns.csv", "points.region=town"),
        *("encoder=precomputed", "encoder.path=features.npy", "encoder.id=id"),
        *("regions.min_points=1", "out=run"),
    )
    assert swept.returncode == 0, swept.stderr
    select = ("select", "sweep=run", "target=lima", "over=points", "budget=5", "pool=pool.csv")
    done = geospot_here(*select, "pool.features=pool.npy", "pool.id=id", "out=chosen")
    assert done.returncode == 0, done.stderr
    table = pd.read_parquet(tmp_path / "chosen" / "points.parquet")
    assert len(table) == 5
    assert set(table["id"]) <= set(pool["id"])
    lost = geospot_here(*select, "out=o")  # the features of the sweep are of other points
    assert lost.returncode == 1
    assert "features.npy: no features for 50 of 50 points" in lost.stderr


@pytest.mark.draws
def test_nearest_lists_neighbours(run: Geospot, tmp_path: Path) -> None:
    done = run(*NEAREST, "k=4", "out=near")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "near" / "nearest.csv")
    row = gs.open_run(tmp_path / "run").divergence.sel(target="r03").drop_sel(source="r03")
    assert table["region"].tolist() == row.to_pandas().sort_values().index[:4].tolist()
    assert list(table)[:5] == ["rank", "region", "divergence", "lower", "upper"]
    summary = json.loads((tmp_path / "near" / "summary.json").read_text())
    assert summary["candidates"] == 9
    assert summary["order_is_certain"]
    assert summary["verdict"] in done.stdout
    assert (tmp_path / "near" / "nearest.png").stat().st_size > 10_000
    assert done.stdout.splitlines()[-1].startswith("nearest=4 candidates=9 solved=")
    more = run(*NEAREST, "k=40", "out=all")
    assert "k=40: there are only 9 other regions: all are listed" in more.stdout
    assert "did not converge" not in more.stdout
    assert "overlap" not in more.stdout


def test_nearest_says_what_is_not_certain(run: Geospot, tmp_path: Path) -> None:
    done = run(*NEAREST, "k=4", "solver.max_iterations=1", "solver.tolerance=1e-7", "out=near")
    assert done.returncode == 0, done.stderr
    assert "4 of them did not converge: raise solver.max_iterations" in done.stdout
    table = points()
    twin = table[table["region"] == "r01"].assign(region="twin")
    pd.concat([table, twin]).to_csv(tmp_path / "points.csv", index=False)
    done = run(*NEAREST, "k=4", "out=twins")
    assert "intervals of neighbours overlap: they may stand in another order" in done.stdout
    assert not json.loads((tmp_path / "twins" / "summary.json").read_text())["order_is_certain"]


def test_nearest_of_a_target_in_another_table(run: Geospot, tmp_path: Path) -> None:
    table = points()
    table[table["region"] == "r03"].assign(region="new").to_csv(tmp_path / "new.csv", index=False)
    done = run(*NEAREST[:-1], "target=new", "against.path=new.csv", "k=1", "out=near")
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(tmp_path / "near" / "nearest.csv")["region"].tolist() == ["r03"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*SELECT, "out=o"), "budget is needed: give budget=..."),
        (("select", "sweep=no", "target=r03", "budget=9", "out=o"), "no: holds no sweep"),
        (("select", "sweep=run", "target=r33", "budget=9", "out=o"), "did you mean 'r03'?"),
        ((*SELECT, "budget=many", "out=o"), "budget: Value 'many'"),
        ((*SELECT, "budget=9", "pool=x.csv", "out=o"), "pool.path=x.csv has no effect"),
        ((*SELECT, "budget=9", "transfer=no", "out=o"), "transfer=no: holds no report of geospot"),
        ((*SELECT, "budget=9", "over=points", "transfer=x", "out=o"), "transfer=x has no effect"),
        ((*SELECT, "budget=9", "purpose=score", "out=o"), "purpose=score has no effect without"),
        (
            (*SELECT, "over=points", "budget=9", "purpose=score", "include_target=true", "out=o"),
            "include_target=true has no effect without purpose=train",
        ),
        ((*SELECT, "budget=9", "have=3", "out=o"), "have=3 is no region here"),
        ((*SELECT, "budget=9", "over=points", "pool.features=x.npy", "out=o"), "without pool=FILE"),
        ((*NEAREST, "kk=3", "out=o"), "there is no setting 'kk'; did you mean 'k'?"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(
    run: Geospot, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, done.stderr
    assert message in lines[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o").exists()
