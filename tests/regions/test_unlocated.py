"""Regions of points without coordinates: all but geography is as with them, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.encoders.mixture import Mixture
from geospot_gpu.engine.method import default_cost
from geospot_gpu.regions.countries import country_codes, country_places
from geospot_gpu.regions.grouping import GROUPINGS
from tests.helpers.unlocated import FEATURES, both, table

FRAME = table()
COST = gs.GroundCost(geo_weight=0.0)
ENGINE = gs.Engine(device="cpu")


def assert_same(found: Any, expected: Any) -> None:
    """Every variable is the same to the last bit, how long it took aside."""
    assert set(found) == set(expected)
    for name in set(found) - {"seconds"}:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize("max_points", [None, 7])
@pytest.mark.parametrize(
    "cost",
    [
        COST,
        gs.GroundCost(geo_weight=0.0, feature="euclidean"),
        gs.GroundCost(geo_weight=0.0, scaling="pair_max"),
    ],
)
def test_distances_are_those_with_coordinates(max_points: int | None, cost: gs.GroundCost) -> None:
    without, with_places = both(FRAME, max_points=max_points)
    assert not without.located
    assert with_places.located
    outputs = None if cost.scaling == "global" else ["transport_cost", "divergence"]
    found, expected = (
        gs.pairwise(regions, cost=cost, engine=ENGINE, outputs=outputs)
        for regions in (without, with_places)
    )
    assert_same(found, expected)
    assert np.isfinite(found.divergence).all()


@pytest.mark.parametrize(
    ("backend", "storage"), [("torch", "kept"), ("torch", "streamed"), ("compiled", "kept")]
)
def test_no_kernel_reads_coordinates(backend: str, storage: str) -> None:
    without, with_places = both(FRAME)
    engine = gs.Engine(device="cpu", backend=backend, storage=storage)
    found, expected = (
        gs.pairwise(regions, cost=COST, engine=engine, outputs=["divergence", "coverage"])
        for regions in (without, with_places)
    )
    assert_same(found, expected)


def test_geomloss_reads_none() -> None:
    without, with_places = both(FRAME)
    found, expected = (
        gs.pairwise(regions, cost=COST, solver=gs.GeomLoss(), engine=ENGINE)
        for regions in (without, with_places)
    )
    assert_same(found, expected)


def test_the_order_of_rows_changes_nothing() -> None:
    encoder = gs.Precomputed(columns=FEATURES)
    shuffled = FRAME.sample(frac=1, random_state=0)
    one, other = (
        gs.Regions.from_table(frame, region="ip_country", encoder=encoder, located=False)
        for frame in (FRAME, shuffled)
    )
    assert one.digests == other.digests


def test_equal_features_are_one_point() -> None:
    regions = gs.Regions.from_points(
        region=["a", "a", "a", "b"], features=[[1, 0], [0, 1], [1, 0], [1, 0]]
    )
    assert regions.sizes.tolist() == [2, 1]
    assert regions.n_points.tolist() == [3, 1]
    own = regions.points_of("a").sort_values("row")
    assert own.columns.tolist() == ["row", "weight"]
    assert own["row"].tolist() == [1, 2]
    np.testing.assert_allclose(own["weight"], [2 / 3, 1 / 3])
    assert regions.counts["merged"] == 1


def test_neighbours_and_choices_are_those_with_coordinates() -> None:
    without, with_places = both(FRAME)
    near = [
        gs.nearest_regions(regions, "Peru", 3, cost=COST, engine=ENGINE).table
        for regions in (without, with_places)
    ]
    pd.testing.assert_frame_equal(near[0], near[1])
    chosen = [
        gs.select_regions(regions, "Peru", 20, cost=COST, engine=ENGINE).table
        for regions in (without, with_places)
    ]
    pd.testing.assert_frame_equal(chosen[0], chosen[1])
    points = [
        gs.select_points(regions, "Peru", 5, cost=COST, engine=ENGINE).table
        for regions in (without, with_places)
    ]
    assert "lon" not in points[0]
    pd.testing.assert_frame_equal(points[0], points[1].drop(columns=["lon", "lat"]))
    shares = [
        gs.contributions(
            regions, source="Peru", target="Japan", cost=COST, solver=gs.Sinkhorn(), engine=ENGINE
        )
        for regions in (without, with_places)
    ]
    assert "lon" not in shares[0]
    pd.testing.assert_frame_equal(
        shares[0].drop(columns="row"), shares[1].drop(columns=["lon", "lat"])
    )
    own = shares[0][shares[0]["side"] == "source"]
    assert set(own["row"]) == set(without.points_of("Peru")["row"])


def test_baselines_are_those_with_coordinates_but_those_of_geography() -> None:
    without, with_places = both(FRAME)
    left, right = np.array([0, 3, 5]), np.array([1, 2, 9])
    found, expected = (gs.baselines(regions, left, right) for regions in (without, with_places))
    geography = [name for name in expected if "great_circle_km" in str(name)]
    assert len(geography) == 3
    pd.testing.assert_frame_equal(found.drop(columns=geography), expected.drop(columns=geography))
    assert found[geography].isna().all(axis=None)
    assert expected[geography].notna().all(axis=None)


def test_regions_without_coordinates_compare_with_others_by_features() -> None:
    without, with_places = both(FRAME)
    together = without.concatenated(with_places)
    assert not together.located
    found = gs.pairwise(without, with_places, cost=COST, engine=ENGINE)
    np.testing.assert_allclose(np.diag(found.divergence), 0.0, atol=1e-6)
    centres = together.table()[["lon", "lat"]].isna().all(axis=1)
    assert centres.tolist() == [True] * 10 + [False] * 10


def test_a_run_made_in_python_is_opened_again(tmp_path: Path) -> None:
    without, with_places = both(FRAME, max_points=7)
    made = gs.sweep(tmp_path / "run", without, engine=ENGINE)
    assert made.cost == default_cost(without) == COST
    again = gs.Run.open(tmp_path / "run", engine=ENGINE)
    assert again.regions.digests == without.digests
    assert not again.regions.located
    assert again.regions.row.tolist() == without.row.tolist()
    stored = again.matrix().to_numpy()
    np.testing.assert_array_equal(
        stored, gs.pairwise(with_places, cost=COST, engine=ENGINE).divergence.astype("float32")
    )
    regions = pd.read_parquet(tmp_path / "run" / "regions.parquet")
    assert regions[["lon", "lat"]].isna().all(axis=None)
    larger = without.resampled(np.array([0]), 12)
    assert larger.sizes.tolist() == [12]
    assert not larger.located


FEW = gs.Regions.from_points(region=["a", "b"], features=[[1, 0], [0, 1]])
POINTS = gs.Points.build(attributes=pd.DataFrame({"r": ["a", "b"], "f": [1.0, 2.0]}), origin="t")
NO_PLACES = r"^t: its points have no coordinates, which "


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: gs.pairwise(FEW, cost=gs.GroundCost(geo_weight=0.25)),
            r"^cost\.geo_weight=0\.25 needs coordinates, and points of a have none: set cost\.geo",
        ),
        (FEW.to_geopandas, r"^points without coordinates have no geometries: use points_of$"),
        (lambda: POINTS.balanced(1.0), NO_PLACES + r"regions\.cell_degrees needs: give them lon"),
        (
            lambda: gs.Regions.from_groups(POINTS, {"a": [0]}, encoder="none"),
            NO_PLACES + r"encoder none needs: use features of your own, encoder=precomputed$",
        ),
        (
            lambda: gs.Pool.of_table(POINTS, gs.NoEncoder()),
            NO_PLACES + r"encoder none needs: use features",
        ),
        (
            lambda: gs.GeoClip().encode(POINTS, np.array([0]), "cpu"),
            NO_PLACES + r"encoder geoclip\S* needs: use features",
        ),
        (
            lambda: gs.Regions.from_groups(
                POINTS,
                {"a": [0]},
                encoder=Mixture([(gs.Precomputed(columns=["f"]), 0.5), (gs.GeoClip(), 0.5)]),
            ),
            NO_PLACES + r"encoder geoclip\S* needs: use features",
        ),
        (lambda: gs.Points.build(lon=[1.0]), r"^points: there is lon without lat: give both or"),
        (lambda: gs.Points.build(lat=[1.0]), r"^points: there is lat without lon: give both or"),
        (lambda: gs.Points.build(weight=[1.0]), r"^points: there are no coordinates: give lon"),
        (
            lambda: gs.Points.build(attributes=pd.DataFrame({"r": ["a"]}), weight=[1.0, 2.0]),
            r"^points: weight has 2 rows and attributes 1: give every point one$",
        ),
        (
            lambda: gs.Regions.from_points(region=["a"]),
            r"^points have neither places nor features: give lon and lat, or features$",
        ),
        (
            lambda: gs.read_points(pd.DataFrame({"a": [1]}), lon="a", located=False),
            r"^points\.located=false takes no coordinates: leave out points\.lon, lat and crs$",
        ),
    ],
)
def test_what_needs_coordinates_is_refused(call: Any, message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        call()


ARGUMENTS: dict[str, dict[str, Any]] = {
    "grid": {"degrees": 1.0}, "polygons": {"path": "x"}, "levels": {"path": "x", "level": 1},
    "h3": {"resolution": 1}, "s2": {"level": 1}, "kmeans": {"count": 1}, "kd": {"count": 1},
}  # fmt: skip


@pytest.mark.parametrize("by", [by for by in GROUPINGS if by != "column"])
def test_only_a_column_groups_points_without_coordinates(by: str) -> None:
    message = rf"{NO_PLACES}regions={by} needs: name the column of their regions, points\.region="
    with pytest.raises(gs.GeospotError, match=message):
        GROUPINGS[by](POINTS, **ARGUMENTS.get(by, {}))
    assert [*GROUPINGS["column"](POINTS, name="r")] == ["a", "b"]


def test_tables_are_read_with_and_without_coordinates(caplog: pytest.LogCaptureFixture) -> None:
    plain = pd.DataFrame({"r": ["a", "b"]})
    full = plain.assign(lon=[1.0, 2.0], lat=[3.0, np.nan])
    assert not gs.read_points(plain, located=False).located
    assert not gs.read_points(full, located=False).located
    assert gs.read_points(full.head(1), located=None).located
    assert not caplog.messages
    assert not gs.read_points(plain, located=None).located
    assert caplog.messages == ["table: has no coordinates: regions differ by their features alone"]
    with pytest.raises(
        gs.GeospotError, match=r"no lon column found .* cost\.geo_weight=0 where poi"
    ):
        gs.read_points(plain)
    with pytest.raises(gs.GeospotError, match="no lat column found"):
        gs.read_points(full[["lon"]], located=None)


def test_countries_are_known_by_any_name() -> None:
    names = ["Côte d'Ivoire", "South_Korea", "NA", "NAM", "516", "004", "UK", "Dem. Rep. Congo"]
    assert country_codes(names) == ["CI", "KR", "NA", "NA", "NA", "AF", "GB", "CD"]
    assert country_codes(["Bavaria", "", "TX", "Congo"]) == [None, None, None, "CG"]
    places = country_places(["Namibia", "NZL"])
    assert places is not None
    np.testing.assert_allclose(places, [[16.8, -21.5], [174.5, -38.8]], atol=1.5)
    assert country_places(["Namibia", "Bavaria"]) is None
