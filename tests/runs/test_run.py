"""Runs: the same object from Python and from a folder, and commands that go on from either."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.regions.sampling import Sampling
from tests.helpers.commands import Geospot

CPU = gs.Engine(device="cpu")
GEOGRAPHY = gs.GroundCost(geo_weight=1.0)
NAMES = [f"r{k}" for k in range(9)]


def places() -> pd.DataFrame:
    """Twelve places of each region, two of them at one place; weights, and two features."""
    generator = np.random.default_rng(0)
    centres = np.column_stack([generator.uniform(-20, 50, 9), generator.uniform(0, 60, 9)])
    lonlat = np.repeat(centres, 12, axis=0) + generator.normal(0, 3, (108, 2))
    lonlat[1::12] = lonlat[::12]
    return pd.DataFrame(
        {
            "region": np.repeat(NAMES, 12),
            "lon": lonlat[:, 0],
            "lat": lonlat[:, 1],
            "weight": generator.uniform(1, 2, 108),
            "f": generator.normal(size=108),
            "g": generator.normal(size=108),
        }
    )


def with_features(**options: Any) -> gs.Regions:
    return gs.Regions.from_table(
        places(),
        region="region",
        weight="weight",
        encoder=gs.Precomputed(columns=["f", "g"]),
        **options,
    )


def without_features() -> gs.Regions:
    return gs.Regions.from_table(places(), region="region", encoder="none")


def scores() -> pd.DataFrame:
    """Scores that fall with the great circle between centres."""
    centres = places().groupby("region")[["lon", "lat"]].mean().to_numpy()
    away = np.linalg.norm(centres[:, None] - centres, axis=2)
    noise = 0.02 * np.random.default_rng(1).normal(size=(9, 9))
    return pd.DataFrame((0.9 - 0.008 * away + noise).clip(0, 1), NAMES, NAMES)


@pytest.mark.parametrize(
    "options", [{}, {"max_points": 5, "seed": 3, "unions": ["r0+r1"], "cell_degrees": 1.0}]
)
def test_regions_made_in_python_are_drawn_again_bit_for_bit(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    regions = with_features(**options)
    made = gs.sweep(tmp_path, regions, engine=CPU, outputs=["divergence"])
    assert made.regions is regions
    opened = gs.Run.open(tmp_path, engine=CPU)
    again = opened.regions
    assert again.digests == regions.digests
    for name in ("xyz", "weight", "square_weight", "features"):
        np.testing.assert_array_equal(getattr(again, name), getattr(regions, name))
    for name in ("lon", "lat", "n_points", "n_available", "mass", "offsets"):
        np.testing.assert_array_equal(getattr(again, name), getattr(regions, name))
    assert (again.names, again.sampling, again.encoder) == (
        regions.names,
        Sampling(options.get("max_points"), options.get("seed", 0)),
        "precomputed",
    )
    assert again.account() == regions.account()
    assert opened.regions is again, "they are read once"
    assert (opened.cost, opened.solver) == (made.cost, made.solver)
    assert opened.names == made.names == regions.names
    assert opened.dataset().equals(made.dataset())
    assert gs.open_run(tmp_path).equals(made.dataset())
    goes_on = gs.sweep(tmp_path, again, engine=CPU, outputs=["divergence"])
    assert goes_on.dataset().equals(made.dataset())
    assert len(list((tmp_path / "points").iterdir())) == 1, "the same points are kept once"


def test_two_tables_stay_two(tmp_path: Path) -> None:
    regions = without_features()
    left, right = regions.subset(NAMES[:2]), regions.subset(NAMES[2:5])
    made = gs.sweep(tmp_path, left, right, engine=CPU, outputs=["divergence"])
    opened = gs.Run.open(tmp_path)
    assert opened.against is not None
    assert (opened.regions.names, opened.against.names) == (left.names, right.names)
    assert "features" not in pd.read_parquet(next(iter((tmp_path / "points").iterdir())))
    assert repr(opened) == f"<Run: {tmp_path}: 2 x 3 regions by divergence, none>"
    with pytest.raises(gs.GeospotError, match="compares two tables"):
        gs.assess_transfer(made, gs.read_scores(scores(), kind="accuracy", regions=NAMES))


@pytest.mark.usefixtures("few_models")
def test_commands_go_on_from_a_run_made_in_python(tmp_path: Path, geospot_here: Geospot) -> None:
    gs.sweep(tmp_path / "run", with_features(), engine=CPU)
    scores().to_csv(tmp_path / "scores.csv")
    report = ("sweep=run", "scores=scores.csv", "scores.kind=accuracy", "scores.change=raw")
    for command in (
        ("transfer", *report, "out=transfer"),
        ("explain", "sweep=run", "source=r1", "target=r7", "out=explain"),
        ("select", "sweep=run", "target=r1", "budget=20", "out=select"),
        ("select", "sweep=run", "target=r1", "budget=5", "over=points", "out=points"),
    ):
        done = geospot_here(*command)
        assert done.returncode == 0, (command, done.stderr)
    read = gs.read_scores(scores(), kind="accuracy", change="raw", regions=NAMES)
    found = gs.assess_transfer(gs.Run.open(tmp_path / "run"), read)
    summary = json.loads((tmp_path / "transfer" / "summary.json").read_text())
    del summary["scores"]["change"]
    assert found.summary == summary
    done = geospot_here("predict", *report, "out=predict")
    assert done.returncode == 1
    assert "a grid over the land has no features but those of its coordinates" in done.stderr
    places().to_csv(tmp_path / "new.csv", index=False)
    done = geospot_here("predict", *report, "targets=new.csv", "out=predict")
    assert done.returncode == 1
    assert "the run has features of its own points alone" in done.stderr


@pytest.mark.usefixtures("few_models")
def test_python_predicts_and_explains_as_the_commands_do(
    tmp_path: Path, geospot_here: Geospot
) -> None:
    run = gs.sweep(tmp_path / "run", without_features(), engine=CPU)
    scores().to_csv(tmp_path / "scores.csv")
    report = ("sweep=run", "scores=scores.csv", "scores.kind=accuracy", "scores.change=raw")
    grid = ("source=r3", "targets.degrees=45", "targets.points=20")
    done = geospot_here("predict", *report, *grid, "out=predict")
    assert done.returncode == 0, done.stderr
    read = gs.read_scores(scores(), kind="accuracy", change="raw", regions=run.names)
    found = gs.predict_scores(run, read, source="r3", degrees=45, points=20)
    pd.testing.assert_frame_equal(
        found.table, pd.read_parquet(tmp_path / "predict" / "predictions.parquet")
    )
    assert found.verdict in done.stdout
    points = gs.read_points(places())
    targets = run.regions_like(points, gs.by_column(points, "region"))
    assert len(gs.predict_scores(run, read, targets=targets).best) == 9
    assert geospot_here("explain", "sweep=run", "source=r1", "target=r7", "out=e").returncode == 0
    explained = gs.explain_distance(run, "r1", "r7")
    assert json.loads((tmp_path / "e" / "summary.json").read_text()) == explained.summary
    assert explained.divergence == pytest.approx(
        float(run.dataset().divergence.sel(source="r1", target="r7")), rel=1e-4
    )


def test_points_that_are_damaged_or_gone_are_refused(tmp_path: Path) -> None:
    gs.sweep(tmp_path, with_features(max_points=5), engine=CPU, outputs=["divergence"])
    (kept,) = (tmp_path / "points").iterdir()
    with pytest.raises(gs.GeospotError, match="features of the points in its samples alone"):
        gs.Run.open(tmp_path).regions.resampled(np.array([0]), 10)
    content = kept.read_bytes()
    kept.write_bytes(content[:-1] + b"x")
    with pytest.raises(gs.GeospotError, match="is damaged: sweep the same regions again"):
        _ = gs.Run.open(tmp_path).regions
    with pytest.raises(gs.GeospotError, match="the points of this run are not there"):
        _ = gs.Run.open(tmp_path).regions
    assert len(gs.Run.open(tmp_path).pairs) == 36, "what is stored can be read without them"
    gs.sweep(tmp_path, with_features(max_points=5), engine=CPU, outputs=["divergence"])
    assert kept.read_bytes() == content
    assert len(gs.Run.open(tmp_path).regions) == 9
