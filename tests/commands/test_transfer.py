"""The commands transfer, predict and explain, as a user runs them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.land import land
from geospot_gpu.transfer.correlation.groups import group_of
from tests.helpers.commands import Geospot
from tests.helpers.folders import mounted_disk, rewrite_manifest
from tests.helpers.scored import NAMES, PLAIN, REPORT, points, scores


@pytest.mark.slow
@pytest.mark.draws
def test_transfer_says_that_distances_predict(run: Geospot, tmp_path: Path) -> None:
    done = run("transfer", *REPORT, "out=report")
    assert done.returncode == 0, done.stderr
    assert "predicts: the farther, the worse the transfer" in done.stdout
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    last = done.stdout.splitlines()[-1]
    assert last == "verdict=predicts regions=10 pairs=90 missing=0"
    assert summary["verdict"] == "predicts"
    assert summary["text"] in done.stdout
    assert (summary["regions"], summary["pairs"], summary["missing_pairs"]) == (10, 90, 0)
    assert group_of(summary["best_distance"]) == "transport"
    assert group_of(summary["best_baseline"]) == "baseline"
    gain = summary["above_baseline"]
    assert gain["lower"] <= gain["rho"] <= gain["upper"]
    said = "and better than the best" if gain["lower"] > 0 else "but a simple baseline does as well"
    assert said in summary["text"]
    # Every region has 30 points.
    assert summary["left_out"] == dict.fromkeys(["n_source", "n_target"], "the same for all pairs")
    said = re.sub(" +", " ", done.stdout)
    assert "left out:\n n_source the same for all pairs\n n_target the same" in said
    assert "covariates" not in done.stdout
    assert summary["predictor"]["error"] < summary["predictor"]["error_of_constant"]
    table = pd.read_parquet(tmp_path / "report" / "correlations.parquet")
    assert {"divergence", "coverage", "nearest_reversed", "energy_distance", "n_source"} <= set(
        table["distance"]
    )
    assert (tmp_path / "report" / "transfer.png").stat().st_size > 10_000
    (stored,) = (tmp_path / "run" / "baselines").iterdir()
    assert len(pd.read_parquet(stored)) == 45
    again = run("transfer", *REPORT, "out=report")
    assert again.stdout == done.stdout
    assert list((tmp_path / "run" / "baselines").iterdir()) == [stored]


@pytest.mark.slow
@pytest.mark.usefixtures("few_models")
def test_sample_sizes_are_reported_apart(run: Geospot, tmp_path: Path) -> None:
    """With the scores of thirty models that say nothing of distance."""
    table = points()
    table = table.drop(table.index[::7]).drop(table.index[::5], errors="ignore")
    table.iloc[:-11].to_csv(tmp_path / "points.csv", index=False)
    swept = run("sweep", *PLAIN, "out=other")
    assert swept.returncode == 0, swept.stderr
    done = run("transfer", "sweep=other", *REPORT[1:], "out=report")
    assert done.returncode == 0, done.stderr
    report, covariates = done.stdout.split("covariates, of which no verdict speaks:\n")
    assert "n_source" not in report
    assert covariates.startswith("  n_source ")
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert summary["left_out"] == {}
    assert "n_source" not in summary["text"]


@pytest.mark.usefixtures("few_models")
def test_few_regions_are_described_and_nothing_is_predicted(run: Geospot, tmp_path: Path) -> None:
    few = scores()
    few[few["source"].isin(NAMES[:5]) & few["target"].isin(NAMES[:5])].to_csv(
        tmp_path / "scores.csv", index=False
    )
    done = run("transfer", *REPORT, "out=report")
    assert done.returncode == 0, done.stderr
    assert "not enough regions: 5" in done.stdout
    assert "predictor" not in json.loads((tmp_path / "report" / "summary.json").read_text())
    refused = run("predict", *REPORT, "out=predictions")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("error: scores of 5 regions are too few")
    assert not (tmp_path / "predictions").exists()


@pytest.mark.slow
def test_predict_new_regions_without_labels(run: Geospot, tmp_path: Path) -> None:
    table = points()
    near = table[table["region"] == "r00"].assign(region="near")
    far = near.assign(region="far", lon=near["lon"] - 150, lat=-near["lat"])
    pd.concat([near, far]).to_csv(tmp_path / "new.csv", index=False)
    done = run("predict", *REPORT, "targets=new.csv", "targets.region=region", "out=predictions")
    assert done.returncode == 0, done.stderr
    found = pd.read_parquet(tmp_path / "predictions" / "predictions.parquet")
    assert list(found) == [
        *("source", "target", "score", "predicted", "lower", "upper", "extrapolates")
    ]
    assert len(found) == 20
    assert found["score"].isna().all()
    best = found.sort_values("predicted").groupby("target").last()
    assert best["predicted"]["near"] > best["predicted"]["far"]
    assert found[found["target"] == "far"]["extrapolates"].all()
    assert not (tmp_path / "predictions" / "map.png").exists()
    one = run(
        "predict", *REPORT, "targets=new.csv", "targets.region=region", "source=r03", "out=one"
    )
    assert one.returncode == 0, one.stderr
    only = pd.read_parquet(tmp_path / "one" / "predictions.parquet")
    merged = only.merge(found, on=["source", "target"])
    np.testing.assert_allclose(merged["predicted_x"], merged["predicted_y"], atol=1e-6)


@pytest.mark.slow
@pytest.mark.draws
def test_predict_draws_the_world(run: Geospot, tmp_path: Path) -> None:
    grid = ("targets.degrees=30", "targets.points=40")
    done = run("predict", *REPORT, *grid, "threshold=0.6", "out=world")
    assert done.returncode == 0, done.stderr
    cells = geopandas.read_parquet(tmp_path / "world" / "map.parquet")
    assert cells.crs.to_epsg() == 4326
    assert cells["target"].is_unique
    assert cells["extrapolates"].any()
    assert not cells["extrapolates"].all()
    assert (tmp_path / "world" / "map.png").stat().st_size > 10_000
    summary = json.loads((tmp_path / "world" / "summary.json").read_text())
    assert summary["targets"] == len(cells)
    above = int((cells["threshold_side"] == "above").sum())
    assert above == (cells["lower"] > 0.6).sum()
    assert f"intervals {above} are likely above 0.6" in summary["verdict"]
    assert summary["verdict"] in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"sources=10 targets={len(cells)} extrapolates=")


@pytest.mark.draws
def test_explain_writes_points_that_sum_to_the_divergence(run: Geospot, tmp_path: Path) -> None:
    done = run("explain", "sweep=run", "source=r01", "target=r07", "out=explained")
    assert done.returncode == 0, done.stderr
    found = geopandas.read_parquet(tmp_path / "explained" / "contributions.parquet")
    divergence = float(gs.open_run(tmp_path / "run").divergence.sel(source="r01", target="r07"))
    assert found["contribution"].sum() == pytest.approx(divergence, rel=1e-4)
    assert re.fullmatch(r"divergence=[0-9.]+ points=60", done.stdout.splitlines()[-1])
    features = geopandas.read_file(tmp_path / "explained" / "contributions.geojson")
    assert len(features) == len(found) == 60
    assert (tmp_path / "explained" / "contributions.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("transfer", "sweep=run", "out=o", "scores.kind=accuracy"), "scores is needed"),
        (("transfer", "sweep=no", *REPORT[1:], "out=o"), "no: holds no sweep"),
        (("transfer", *REPORT[:2], "out=o"), "scores.kind is needed: give scores.kind=..."),
        (("transfer", *REPORT[:2], "scores.kind=loss", "out=o"), "scores.kind='loss' is unknown"),
        (("transfer", *REPORT, "scores.chnge=raw", "out=o"), "did you mean 'scores.change'?"),
        (
            ("transfer", *REPORT, "scores.score=kappa", "out=o"),
            "scores.score=kappa is not a column; there are: source, target, score",
        ),
        (
            ("transfer", *REPORT[:2], "scores.kind=skill", "out=o"),
            "set scores.change=difference or",
        ),
        (("predict", *REPORT, "threshold=60", "out=o"), "threshold=60 is no score of scores.kind"),
        (("predict", *REPORT, "source=XX", "out=o"), "source=XX has no scores: use one of r00"),
        (("predict", *REPORT, "targets.degrees=0.1", "out=o"), "give cells of 1 to 90 degrees"),
        (("predict", *REPORT, "targets=no.csv", "out=o"), "no.csv"),
        (("explain", "sweep=run", "source=r01", "target=XX", "out=o"), "target=XX is no region"),
    ],
)
def test_mistakes_are_one_line(
    run: Geospot, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o").exists()


def test_points_that_changed_since_are_noticed(run: Geospot, tmp_path: Path) -> None:
    # The sweep keeps where its points were when it was made.
    rewrite_manifest(
        tmp_path / "run",
        lambda manifest: manifest["config"]["points"].update(path=str(tmp_path / "points.csv")),
    )
    points().iloc[5:].to_csv(tmp_path / "points.csv", index=False)
    done = run("transfer", *REPORT, "out=report")
    assert done.returncode == 1
    assert "its points have changed since" in done.stderr
    (tmp_path / "points.csv").unlink()
    gone = run("transfer", *REPORT, "out=report")
    assert gone.returncode == 1
    assert "points.csv" in gone.stderr


@pytest.mark.usefixtures("few_models")
def test_predict_says_first_where_it_gains_nothing(run: Geospot, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(0.3, 0.9, 100)
    table = pd.concat([scores().assign(score=noise), scores().head(10).assign(source="r00+r01")])
    table.to_csv(tmp_path / "scores.csv", index=False)
    new = ("targets=points.csv", "targets.region=region", "out=predictions")
    done = run("predict", *REPORT, *new, "source=[r01,r00]", "threshold=0.1")
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert re.match(
        r"no better than always the me(di)?an: mean absolute error 0\.\d+ against", first
    )
    found = pd.read_parquet(tmp_path / "predictions" / "predictions.parquet")
    assert set(found["source"]) == {"r00+r01"}
    assert "likely above the threshold" in done.stdout


@pytest.mark.parametrize("command", ["transfer", "predict"])
def test_help_says_how_scores_are_written(geospot_here: Geospot, command: str) -> None:
    said = geospot_here(command, "--help").stdout
    assert "or a matrix: rows are sources, columns are" in said
    for setting in ("kind", "change", "source: null", "target: null", "score: null"):
        assert f"\n  {setting}" in said


def test_scores_are_checked_before_points_are_read(run: Geospot, tmp_path: Path) -> None:
    rewrite_manifest(
        tmp_path / "run",
        lambda manifest: manifest["config"]["points"].update(path=str(tmp_path / "gone.csv")),
    )
    (tmp_path / "scores.csv").write_text("source,target,score\nr00,nowhere,0.5\n")
    for command in ("transfer", "predict"):
        done = run(command, *REPORT, "out=report")
        assert done.returncode == 1
        assert "regions that the sweep does not have: nowhere" in done.stderr
        assert "gone.csv" not in done.stderr


@pytest.mark.slow
def test_predict_takes_skill_and_names_of_columns(
    run: Geospot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = scores().rename(columns={"source": "Train", "target": "Test", "score": "R2"})
    table.assign(R2=4 * table["R2"] - 4, n=50).to_csv(tmp_path / "scores.csv", index=False)
    skill = ("sweep=run", "scores=scores.csv", "scores.kind=skill", "scores.change=difference")
    new = ("targets=points.csv", "targets.region=region", "out=predictions")
    done = run("predict", *skill, "scores.score=R2", "source= r03 ", *new)
    assert done.returncode == 0, done.stderr
    assert "of its columns source is 'Train', target is 'Test', score is 'R2'" in caplog.text
    assert re.search(r"from r03 +skill -", done.stdout)
    found = pd.read_parquet(tmp_path / "predictions" / "predictions.parquet")
    assert set(found["source"]) == {"r03"}
    assert (found["predicted"] < 0).any(), "no range of other kinds bounds a skill"
    away = np.array([int(name[1:]) for name in found["target"]])
    assert found["predicted"][away == 3].item() == found["predicted"].max()


@pytest.mark.usefixtures("few_models")
def test_damaged_baselines_are_computed_again(
    run: Geospot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = run("transfer", *REPORT, "out=report")
    (part,) = (tmp_path / "run" / "baselines").iterdir()
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    done = run("transfer", *REPORT, "out=report")
    assert done.stdout == before.stdout
    assert f"{part.name}: is damaged, its baselines have to be computed again" in caplog.text


@pytest.mark.usefixtures("few_models")
def test_a_read_only_sweep_can_be_judged(
    swept: Path, tmp_path: Path, geospot_here: Geospot, caplog: pytest.LogCaptureFixture
) -> None:
    with mounted_disk(tmp_path / "disk", "50%") as disk:
        shutil.copytree(swept, disk, dirs_exist_ok=True)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        report = ("sweep=disk/run", "scores=disk/scores.csv", *REPORT[2:])
        assert geospot_here("transfer", *report, "out=report").returncode == 0
        assert "baselines are not kept: " in caplog.text
        assert "baselines: cannot be created (Read-only file system)" in caplog.text
        assert (tmp_path / "report" / "summary.json").exists()
        assert "cannot be created" in geospot_here("transfer", *report, "out=disk/report").stderr


@pytest.mark.slow
@pytest.mark.usefixtures("few_models")
def test_baselines_of_other_regions_are_computed_again(run: Geospot, tmp_path: Path) -> None:
    """The width of the Gaussian kernel depends on all of them."""
    assert run("transfer", *REPORT, "out=report").returncode == 0
    assert run("sweep", *PLAIN, "regions.exclude=[r00]", "out=run").returncode == 0
    fewer = scores().query("source != 'r00' and target != 'r00'")
    fewer.to_csv(tmp_path / "scores.csv", index=False)
    assert run("transfer", *REPORT, "out=report").returncode == 0
    tables = [pd.read_parquet(path) for path in (tmp_path / "run" / "baselines").iterdir()]
    assert sorted(map(len, tables)) == [36, 45]
    both = tables[0].merge(tables[1], on=["source", "target"])
    assert len(both) == 36
    assert (both["energy_distance_x"] == both["energy_distance_y"]).all()
    assert (both["gaussian_mmd_x"] != both["gaussian_mmd_y"]).any()


def test_an_unfinished_sweep_is_not_judged(run: Geospot, tmp_path: Path) -> None:
    for shard in (tmp_path / "run" / "distances").glob("block-*.parquet"):
        shard.unlink()
    done = run("transfer", *REPORT, "out=report")
    assert done.returncode == 1
    assert "finish the sweep by running it again" in done.stderr


def test_land_is_where_it_is() -> None:
    places = {"Paris": (2.3, 48.9), "Atlantic": (-30.0, 30.0), "pole": (0.0, -90.0)}
    lon, lat = np.array(list(places.values())).T
    assert land(lon, lat).tolist() == [True, False, True]
