"""Which regions there are, unions of them, and samples of their points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from geospot_gpu import Regions
from geospot_gpu.errors import GeospotError
from geospot_gpu.points import Points
from geospot_gpu.regions.sampling import Sampling, select_groups
from tests.helpers.regions import cloud, scattered

# --- selection


def groups(**counts: int) -> dict[str, Any]:
    ends = np.cumsum([*counts.values()])
    return {
        name: np.arange(end - count, end)
        for (name, count), end in zip(counts.items(), ends, strict=True)
    }


def test_small_regions_are_left_out_aloud(caplog: pytest.LogCaptureFixture) -> None:
    regions = Regions.from_points(**scattered(a=3, b=10, c=1), min_points=3)
    assert regions.names == ("a", "b")
    assert "left out 1 regions with fewer than regions.min_points=3 points: c (1)" in caplog.text


def test_include_exclude_and_unions() -> None:
    arguments = scattered(a=3, b=4, c=5)
    assert Regions.from_points(**arguments, include=["c", "a"]).names == ("a", "c")
    assert Regions.from_points(**arguments, exclude=["b"]).names == ("a", "c")
    regions = Regions.from_points(**arguments, include=["c"], unions=["a+b"])
    assert regions.names == ("a+b", "c")
    union = cloud(regions, "a+b").sort_values(["lon", "lat"], ignore_index=True)
    everything = Regions.from_points(**arguments)
    parts = pd.concat([cloud(everything, "a"), cloud(everything, "b")])
    parts = parts.sort_values(["lon", "lat"], ignore_index=True)
    pd.testing.assert_frame_equal(union[["lon", "lat"]], parts[["lon", "lat"]])
    np.testing.assert_allclose(union["weight"], 1 / 7)


def test_a_union_counts_shared_points_once() -> None:
    points = Points.build(lon=[0, 1, 2], lat=[0, 0, 0])
    overlapping = {"a": np.array([0, 1]), "b": np.array([1, 2])}
    regions = Regions.from_groups(points, overlapping, encoder="none", unions=["a+b"])
    assert regions.n_points.tolist() == [2, 3, 2]
    assert cloud(regions, "a+b")["weight"].tolist() == [1 / 3] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"include": ["b"], "min_points": 5},
            r"t\.csv: region 'b' has 4 points, fewer than regions\.min_points=5: lower that, or",
        ),
        ({"unions": ["a+b"], "min_points": 8}, r"region 'a\+b' has 7 points, fewer than "),
        ({"min_points": 9}, r"no region has regions\.min_points=9 points \(the largest has 4\): "),
        ({"include": ["Belgum"]}, r"there is no region 'Belgum'; did you mean 'Belgium'\?$"),
        ({"include": ["zz"]}, r"there is no region 'zz'; there are: Belgium, a, b$"),
        ({"exclude": ["zz"]}, r"there is no region 'zz'; there are: "),
        ({"unions": ["a+zz"]}, r"there is no region 'zz'; there are: "),
        ({"unions": ["ab"]}, r"regions\.unions: 'ab' must join names with \+, as in FR\+DE"),
    ],
)
def test_regions_that_cannot_be_selected(options: dict[str, Any], message: str) -> None:
    settings = {"include": None, "exclude": (), "unions": (), "min_points": 1} | options
    with pytest.raises(GeospotError, match=message) as error:
        select_groups(groups(a=3, b=4, Belgium=1), "t.csv", settings.pop("min_points"), **settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a\nb", r"t\.csv: region name 'a\\nb' contains a line break or another control"),
        ("a\u2028b", r"t\.csv: region name 'a\\u2028b' contains a line break or another control"),
        ("a\x85b", r"t\.csv: region name 'a\\x85b' contains a line break or another control"),
        ("x" * 200, r"t\.csv: region name 'x{40}\.\.\.' has 200 characters, more than 128: rename"),
    ],
)
def test_names_that_are_not_allowed(name: str, message: str) -> None:
    named = {name: np.arange(2), "good": np.arange(2)}
    with pytest.raises(GeospotError, match=message) as error:
        select_groups(named, "t.csv", 1, include=None, exclude=(), unions=())
    assert len(str(error.value).splitlines()) == 1
    kept = select_groups(named, "t.csv", 1, include=None, exclude=(name,), unions=()).kept
    assert list(kept) == ["good"]
    large = named | {"good": np.arange(5)}
    kept = select_groups(large, "t.csv", 3, include=None, exclude=(), unions=()).kept
    assert list(kept) == ["good"], "too small to matter"


@pytest.mark.parametrize(
    "name",
    [
        "Côte d'Ivoire",
        "中国",
        "x" * 128,
        "a b",
        "São\u00a0Tomé",
        "-99",
        "N/A",
        "Etc/GMT+1",
        "Kenya ",
    ],
)
def test_names_that_are_allowed(name: str) -> None:
    assert Regions.from_points(lon=[0.0], lat=[0.0], region=[name]).names == (name,)


# --- sampling


def test_a_sample_depends_on_its_seed_and_not_on_other_regions() -> None:
    arguments = scattered(a=50, b=60, c=5)

    def sample(name: str, **options: Any) -> pd.DataFrame:
        return cloud(Regions.from_points(**arguments, max_points=20, **options), name)

    alone = sample("b", include=["b"])
    assert len(alone) == 20
    pd.testing.assert_frame_equal(sample("b"), alone)
    assert not sample("b", seed=1).equals(alone)
    assert len(sample("c")) == 5
    everything = cloud(Regions.from_points(**arguments), "b")
    places = set(everything[["lon", "lat"]].itertuples(index=False, name=None))
    assert set(alone[["lon", "lat"]].itertuples(index=False, name=None)) < places


def test_regions_of_one_size_are_sampled_independently() -> None:
    everywhere: dict[str, Any] = {"lon": np.tile(np.arange(40), 2), "lat": np.zeros(80)}
    region = ["a"] * 40 + ["b"] * 40
    regions = Regions.from_points(**everywhere, region=region, max_points=20)
    assert cloud(regions, "a")["lon"].tolist() != cloud(regions, "b")["lon"].tolist()


def test_a_sample_is_recorded() -> None:
    regions = Regions.from_points(**scattered(a=50, c=5), max_points=20, seed=3)
    assert regions.n_points.tolist() == [20, 5]
    assert regions.n_available.tolist() == [50, 5]
    assert regions.mass.tolist() == [50, 5]
    assert regions.sampling == Sampling(max_points=20, seed=3)


def test_every_point_has_the_same_chance() -> None:
    rows, weight = np.arange(20), np.ones(20)
    counts = np.zeros(20)
    for seed in range(2000):
        drawn, _ = Sampling(5, seed).draw("a", rows, weight)
        assert len(np.unique(drawn)) == 5
        counts[drawn] += 1
    # Each count is binomial(2000, 1/4): 500 with a standard deviation of 19.
    assert (np.abs(counts - 500) < 6 * 19).all()


# --- weights


def test_cells_carry_equal_mass_within_each_region() -> None:
    regions = Regions.from_points(
        lon=[0.1, 0.2, 0.3, 50.0, 0.4],
        lat=[0.1, 0.2, 0.3, 50.0, 0.4],
        region=["a", "a", "a", "a", "b"],
        cell_degrees=1.0,
    )
    weights = cloud(regions, "a").set_index("lon")["weight"]
    np.testing.assert_allclose(weights[[0.1, 0.2, 0.3]], 1 / 6)
    assert weights[50.0] == pytest.approx(1 / 2)
    assert cloud(regions, "b")["weight"].tolist() == [1.0]


def test_a_name_where_a_list_belongs_is_refused() -> None:
    with pytest.raises(GeospotError, match=r"regions.include='FR' must be a list: \['FR'\]"):
        Regions.from_points(lon=[0], lat=[0], region=["FR"], include="FR")
