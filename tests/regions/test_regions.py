"""Clouds of points by name: what is in them, and how they are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu import Regions
from geospot_gpu.encoders import Precomputed
from geospot_gpu.errors import GeospotError
from geospot_gpu.regions.sampling import Sampling
from geospot_gpu.sphere import unit_vectors
from tests.helpers.regions import cloud, scattered

# --- the collection


@given(
    st.lists(
        st.tuples(
            st.integers(-180, 360),
            st.integers(-2, 2),
            st.floats(1e-3, 1e3),
            st.sampled_from("abc"),
        ),
        min_size=1,
        max_size=40,
    )
)
@settings(deadline=None)
def test_invariants(rows: list[tuple[int, int, float, str]]) -> None:
    lon, lat, weight, region = zip(*rows, strict=True)
    regions = Regions.from_points(lon=lon, lat=lat, weight=weight, region=region)
    assert regions.names == tuple(sorted(set(region)))
    assert regions.offsets[0] == 0
    assert regions.offsets[-1] == len(regions.xyz) == len(regions.weight) == len(regions.lon)
    table = pd.DataFrame(
        {"lon": (np.array(lon) + 180) % 360 - 180, "lat": lat, "weight": weight, "region": region}
    )
    for k, (name, group) in enumerate(table.groupby("region")):
        merged = group.groupby(["lon", "lat"])["weight"].sum() / group["weight"].sum()
        found = cloud(regions, str(name)).set_index(["lon", "lat"])["weight"]
        assert found.sum() == pytest.approx(1, abs=1e-12)
        pd.testing.assert_series_equal(found.sort_index(), merged, check_index_type=False)
        assert regions.n_points[k] == regions.n_available[k] == len(group)
        assert regions.mass[k] == pytest.approx(group["weight"].sum())
    np.testing.assert_array_equal(
        regions.xyz.numpy(), unit_vectors(lon=regions.lon, lat=regions.lat)
    )


@given(st.permutations(range(12)), st.sampled_from([None, 5.0]), st.sampled_from([None, 3]))
@settings(deadline=None)
def test_digests_do_not_depend_on_the_order_of_rows(
    order: list[int], cell_degrees: float | None, max_points: int | None
) -> None:
    lon = np.array([0, 0, 0, 0, 1, 1, 1, 7, 7, 20, 30, 40.0])
    weight = np.array([0.1, 0.2, 0.3, 0.7, 1e-3, 1 / 3, 0.9, 1, 2, 3, 4, 5])
    region = np.array(["a"] * 11 + ["b"])

    def digests(rows: list[int]) -> tuple[str, ...]:
        return Regions.from_points(
            lon=lon[rows],
            lat=lon[rows] / 3,
            weight=weight[rows],
            region=region[rows].tolist(),
            cell_degrees=cell_degrees,
            max_points=max_points,
        ).digests

    assert digests(order) == digests(list(range(12)))


def test_digests_change_with_the_content_and_with_nothing_else() -> None:
    base: dict[str, Any] = {
        "lon": [0.0, 1.0, 5.0],
        "lat": [0.0, 1.0, 2.0],
        "region": ["a", "a", "b"],
        "weight": [1.0, 2.0, 1.0],
        "features": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
    }

    def digests(**changes: Any) -> tuple[str, ...]:
        return Regions.from_points(**(base | changes)).digests

    a, b = digests()
    assert a != b
    assert digests(region=["x", "x", "y"]) == (a, b)
    assert digests(weight=[10.0, 20.0, 3.0]) == (a, b)
    for changes in (
        {"lon": [0.0, 1.0 + 1e-12, 5.0]},
        {"lat": [0.0, -1.0, 2.0]},
        {"weight": [1.0, 2.1, 1.0]},
        {"features": [[1.0, 0.0], [0.0, -1.0], [1.0, 1.0]]},
    ):
        changed = digests(**changes)
        assert changed[0] != a
        assert changed[1] == b


def test_duplicates_merge_only_where_their_features_agree() -> None:
    regions = Regions.from_points(
        lon=[180.0, -180.0, 180.0, 3.0],
        lat=[1.0, 1.0, 1.0, 3.0],
        region=["a"] * 4,
        weight=[1.0, 2.0, 4.0, 1.0],
        features=[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]],
    )
    assert regions.sizes.tolist() == [3]
    assert regions.n_points.tolist() == [4]
    assert regions.features is not None
    mass = {
        (lon, tuple(vector)): weight
        for lon, vector, weight in zip(
            regions.lon, regions.features.tolist(), regions.weight.tolist(), strict=True
        )
    }
    assert mass == {
        (-180.0, (1.0, 0.0)): 3 / 8,
        (-180.0, (0.0, 1.0)): 4 / 8,
        (3.0, (1.0, 0.0)): 1 / 8,
    }


def test_a_table_of_the_regions() -> None:
    regions = Regions.from_points(
        lon=[170.0, -170.0, 10.0, 10.0],
        lat=[0.0, 0.0, 90.0, 90.0],
        region=["pacific", "pacific", "pole", "pole"],
        weight=[1.0, 1.0, 2.0, 3.0],
    )
    table = regions.table().set_index("name")
    assert abs(table.loc["pacific", "lon"]) == pytest.approx(180)  # type: ignore[arg-type]
    assert table.loc["pacific", "lat"] == pytest.approx(0)
    assert table.loc["pole", "lat"] == pytest.approx(90)
    assert table["weight"].tolist() == [2.0, 5.0]
    assert table["n_points"].tolist() == [2, 2]
    assert table["n_distinct"].tolist() == [2, 1]


def test_concatenated_keeps_both_sides() -> None:
    left = Regions.from_points(**scattered(a=3, b=4))
    right = Regions.from_points(**scattered(b=2, c=5))
    both = left.concatenated(right)
    assert both.names == ("a", "b", "b", "c")
    assert both.sizes.tolist() == [3, 4, 2, 5]
    assert both.digests == left.digests + right.digests
    assert both.offsets.tolist() == [0, 3, 7, 9, 14]
    pd.testing.assert_frame_equal(cloud(both, "c"), cloud(right, "c"))
    assert both.xyz.shape == (14, 3)


@pytest.mark.parametrize(
    ("features", "normalize", "message"),
    [
        (None, True, r"features from precomputed \(2 per point\) against none \(0 per point\)"),
        (np.ones((2, 3)), True, r"\(2 per point\) against precomputed \(3 per point\)"),
        (np.ones((2, 2)), False, r"against precomputed-raw \(2 per point\)"),
    ],
)
def test_features_that_do_not_compare(features: Any, normalize: bool, message: str) -> None:
    left = Regions.from_points(**scattered(a=2), features=np.ones((2, 2)))
    right = Regions.from_points(**scattered(b=2), features=features, normalize=normalize)
    with pytest.raises(GeospotError, match=message):
        left.concatenated(right)


# --- sources


def test_from_table_by_column_and_by_country(towns: Path) -> None:
    by_town = Regions.from_table(towns, region="town", encoder="none")
    assert by_town.names == ("lima", "oslo", "rome", "suva")
    assert by_town.n_points.tolist() == [30] * 4
    by_country = Regions.from_table(towns, encoder="none", include=["FJ", "PE"])
    assert by_country.names == ("FJ", "PE")
    frame = Regions.from_table(pd.read_csv(towns), region="town", encoder="none")
    assert frame.digests == by_town.digests


def test_from_table_encodes_columns_by_row(towns: Path) -> None:
    table = pd.read_csv(towns)
    table["f0"], table["f1"] = table["lon"], table["lat"]
    encoder = Precomputed(columns=["f*"], normalize=False)
    regions = Regions.from_table(table, region="town", encoder=encoder, max_points=7)
    assert regions.features is not None
    expected = np.stack([regions.lon, regions.lat], axis=1).astype(np.float32)
    np.testing.assert_array_equal(regions.features.numpy(), expected)


def test_from_gallery() -> None:
    regions = Regions.from_gallery(encoder="none")
    assert len(regions) == 63
    assert regions.n_points.max() == 1000
    assert regions.n_points.min() >= 100
    assert (regions.n_available >= regions.n_points).all()
    assert regions.sampling == Sampling(max_points=1000, seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"region": ["a"]}, r"points: attributes has 1 rows and lon 2: give every point one"),
        ({"features": [[1.0, 2.0]]}, r"features \(1, 2\) must be a matrix with one row per point"),
        ({"features": [1.0, 2.0]}, r"features \(2,\) must be a matrix with one row per point"),
        ({"features": [[0, 0], [1, 1]]}, r"points: row 1: feature vector of length zero: "),
        ({"features": [[1, 1], [1, np.nan]]}, r"points: row 2: feature vector with an entry that"),
        ({"weight": [1.0, 0.0]}, r"points: weight not a positive finite number in row 2: "),
        ({"lat": [0.0, 95.0]}, r"points: latitude outside \[-90, 90\] in row 2: "),
        ({"max_points": 0}, r"regions\.max_points=0: give at least 1, or null"),
        ({"seed": -1}, r"regions\.seed=-1: give a seed of 0 or more"),
        ({"cell_degrees": 0.0}, r"regions\.cell_degrees=0 is not a size of grid cells"),
    ],
)
def test_from_points_with_bad_input(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"lon": [1, 2], "lat": [1, 2], "region": ["a", "b"]} | changes
    with pytest.raises(GeospotError, match=message):
        Regions.from_points(**arguments)


def test_regions_by_other_groupings_from_the_public_names(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("lon,lat,name\n1,1,a\n11,1,b\n12,2,b\n")
    points = gs.read_points(path)
    by_grid = gs.Regions.from_groups(points, gs.by_grid(points, degrees=10), encoder="none")
    assert by_grid.sizes.tolist() == [1, 2]
    by_column = gs.Regions.from_groups(points, gs.by_column(points, "name"), encoder="none")
    assert by_column.digests == by_grid.digests
    assert all(getattr(gs, name) is not None for name in gs.__all__)
