"""Every command on points that have features and no coordinates."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import geospot_gpu as gs
from geospot_gpu.regions import countries
from tests.helpers.commands import Geospot, code_of
from tests.helpers.unlocated import COUNTRIES, both, table, write_scores

TABLE = ("points=table", "points.path=geode.csv", "points.region=ip_country")
FEATURES = ("encoder=precomputed", "encoder.columns=[f0,f1,f2,f3]", "regions.min_points=1")
SWEEP = ("sweep", *TABLE, *FEATURES, "device=cpu")
BY_COUNTRY = "points have no coordinates: regions are drawn at the countries of their names"
CAMERAS = tuple(f"camera {k}" for k in range(10))
NO_COUNTRY = "points have no coordinates, and regions are no countries: no map is drawn"


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep ``run`` of countries and its table ``geode.csv``."""
    return swept_folder(tmp_path_factory.mktemp("countries"), COUNTRIES)


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of regions that are no countries."""
    return swept_folder(tmp_path_factory.mktemp("cameras"), CAMERAS)


def swept_folder(folder: Path, names: tuple[str, ...]) -> Path:
    table(names=names).to_csv(folder / "geode.csv", index=False)
    write_scores(folder / "scores.csv")
    assert code_of(*SWEEP, "cost.geo_weight=0", "out=run", folder=folder) == 0
    return folder


def test_a_sweep_of_features_alone(
    geospot_here: Geospot, swept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    without, _ = both(table())
    expected = gs.pairwise(without, engine=gs.Engine(device="cpu")).divergence
    np.testing.assert_array_equal(gs.Run.open(swept / "run").matrix(), expected.astype("f4"))
    regions = pq.read_table(swept / "run" / "regions.parquet")
    assert regions["lon"].null_count == regions["lat"].null_count == 10
    assert geospot_here("verify", "sweep=run", folder=swept).returncode == 0
    again = geospot_here(*SWEEP, "points.located=false", "out=run", folder=swept)
    assert "computed=0 reused=45" in again.stdout  # geo_weight=0 follows from it
    assert not caplog.messages
    nearest = ("cost.geo_weight=0", "pairs=nearest", "k=2", "out=nearest")
    assert geospot_here(*SWEEP, *nearest, folder=swept).returncode == 0
    said = "geode.csv: has no coordinates: regions differ by their features alone"
    assert caplog.messages == [said]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((), "geode.csv: no lon column found"),
        (
            ("points.located=false", "cost.geo_weight=0.5"),
            "cost.geo_weight=0.5 needs coordinates, and points of Brazil have none",
        ),
        (
            ("cost.geo_weight=0", "regions=grid"),
            "geode.csv: its points have no coordinates, which regions=grid needs: name the column",
        ),
        (
            ("cost.geo_weight=0", "encoder=geoclip"),
            "geode.csv: its points have no coordinates, which encoder geoclip",
        ),
        (("cost.geo_weight=0", "regions.cell_degrees=1"), "which regions.cell_degrees needs"),
    ],
)
def test_what_needs_coordinates_is_refused(
    settings: tuple[str, ...], message: str, geospot_here: Geospot, tmp_path: Path
) -> None:
    table(per_region=3).to_csv(tmp_path / "geode.csv", index=False)
    encoder = [setting for setting in FEATURES if "encoder=geoclip" not in settings]
    encoder = ["regions.min_points=1"] if "encoder=geoclip" in settings else encoder
    done = geospot_here("sweep", *TABLE, *encoder, *settings, "device=cpu", "out=run")
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert message in error


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["swept", "cameras"])
def test_maps_are_of_countries_or_left_out(
    kind: str,
    geospot_here: Geospot,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder, known = request.getfixturevalue(kind), kind == "swept"
    target = f"target={(COUNTRIES if known else CAMERAS)[2]}"
    said = BY_COUNTRY if known else NO_COUNTRY

    def drawn(*arguments: str, out: str) -> set[str]:
        caplog.clear()
        done = geospot_here(*arguments, f"out={out}", folder=folder)
        assert done.returncode == 0, done.stderr
        assert [line for line in caplog.messages if "points have no" in line] == [said]
        return {name for name in written(folder / out) if name.endswith(".png")}

    near = drawn("nearest", *SWEEP[1:], "cost.geo_weight=0", target, "k=3", out="near")
    assert near == ({"nearest.png"} if known else set())
    # The steps of a choice are drawn in any case.
    chosen = drawn("select", "sweep=run", target, "budget=10", out="chosen")
    assert chosen == {"selection.png"}
    points = drawn("select", "sweep=run", target, "budget=5", "over=points", out="points")
    assert points == ({"points.png"} if known else set())
    found = pd.read_parquet(folder / "points" / "points.parquet")
    assert [*found] == ["order", "id", "weight", "by", "region"]


def test_points_of_a_pool(
    geospot_here: Geospot, swept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table(per_region=3, seed=5).to_csv(swept / "pool.csv", index=False)
    done = geospot_here(
        *("select", "sweep=run", "target=Peru", "budget=4", "over=points"),
        *("pool.path=pool.csv", "pool.id=file_path", "out=pool"),
        folder=swept,
    )
    assert done.returncode == 0, done.stderr
    assert caplog.messages[-1] == "points have no coordinates: no map is drawn"
    assert written(swept / "pool") == {"points.parquet", "summary.json"}
    names = pd.read_parquet(swept / "pool" / "points.parquet")["id"]
    assert names.str.match(r"images/\d+\.jpg$").all()


@pytest.mark.slow
@pytest.mark.usefixtures("few_models")
def test_what_is_learned_is_learned_without_geography(geospot_here: Geospot, swept: Path) -> None:
    scores = ("sweep=run", "scores=scores.csv", "scores.kind=accuracy")
    done = geospot_here("transfer", *scores, "out=transfer", folder=swept)
    assert done.returncode == 0, done.stderr
    compared = pd.read_parquet(swept / "transfer" / "correlations.parquet")["distance"]
    assert "mean_great_circle_km" not in set(compared)
    assert "centroid_cosine" in set(compared)
    new = ("targets=geode.csv", "targets.region=ip_country")
    done = geospot_here("predict", *scores, *new, "out=predicted", folder=swept)
    assert done.returncode == 0, done.stderr
    assert len(pd.read_parquet(swept / "predicted" / "predictions.parquet")) == 100
    grid = geospot_here("predict", *scores, "out=grid", folder=swept)
    assert "error: a grid over the land has no features but those of its coord" in grid.stderr
    km = ("method=nearest", "by=mean_great_circle_km", "out=km")
    refused = geospot_here("select", "sweep=run", "target=Peru", "budget=5", *km, folder=swept)
    assert "error: by=mean_great_circle_km needs coordinates, and points have none" in (
        refused.stderr
    )


def test_explained_by_rows(geospot_here: Geospot, swept: Path) -> None:
    explain = ("explain", "sweep=run", "source=Peru", "target=Japan", "out=explained")
    done = geospot_here(*explain, folder=swept)
    assert done.returncode == 0, done.stderr
    assert "points have no coordinates: no map is drawn, and rows are those of" in done.stdout
    assert written(swept / "explained") == {"contributions.parquet", "summary.json"}
    found = pd.read_parquet(swept / "explained" / "contributions.parquet")
    own = table()["ip_country"].to_numpy()[found["row"] - 1]
    assert (own == found["region"]).all()


def test_country_names_need_their_package(
    geospot_here: Geospot,
    swept: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    countries._converter.cache_clear()
    monkeypatch.setitem(sys.modules, "country_converter", None)
    choice = ("select", "sweep=run", "target=Peru", "budget=10", "out=bare")
    assert geospot_here(*choice, folder=swept).returncode == 0
    (said,) = [line for line in caplog.messages if "no map" in line]
    assert "(names of countries are known by country_converter: install it with pip" in said


def test_targets_without_coordinates_for_a_run_with_them(
    geospot_here: Geospot, tmp_path: Path
) -> None:
    frame = table()
    frame.to_csv(tmp_path / "targets.csv", index=False)
    located = frame.assign(lon=np.arange(len(frame)), lat=0.0)
    located.to_csv(tmp_path / "geode.csv", index=False)
    assert geospot_here(*SWEEP, "cost.geo_weight=0", "out=run").returncode == 0
    write_scores(tmp_path / "scores.csv")
    done = geospot_here(
        *("predict", "sweep=run", "scores=scores.csv", "scores.kind=accuracy", "out=new"),
        *("targets=targets.csv", "targets.region=ip_country"),
    )
    assert "error: targets.csv: no lon column found" in done.stderr
