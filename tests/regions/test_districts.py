"""Regions made of where points lie: cells of H3 and S2, clusters, and districts of equal mass."""

from __future__ import annotations

import sys
from typing import Any

import h3
import numpy as np
import pytest
import s2cell
from hypothesis import given, settings
from hypothesis import strategies as st

from geospot_gpu.errors import GeospotError
from geospot_gpu.points import Points
from geospot_gpu.regions.grouping import Groups, by_h3, by_kd, by_kmeans, by_s2
from geospot_gpu.sphere import EARTH_RADIUS_KM, unit_vectors


def everywhere(n: int, seed: int = 0) -> Points:
    """Points spread evenly over the sphere, and at its edges."""
    generator = np.random.default_rng(seed)
    lon, lat = generator.uniform(-180, 180, n), np.degrees(np.arcsin(generator.uniform(-1, 1, n)))
    edges = np.array([[180.0, 0.0], [-180.0, 0.0], [0.0, 90.0], [7.0, -90.0]])
    return Points.build(lon=[*lon, *edges[:, 0]], lat=[*lat, *edges[:, 1]])


def is_partition(groups: Groups, points: Points) -> bool:
    return sorted(np.concatenate([*groups.values()]).tolist()) == list(range(len(points)))


def partition(groups: Groups) -> set[frozenset[int]]:
    return {frozenset(rows.tolist()) for rows in groups.values()}


def turned(points: Points, degrees: float) -> Points:
    return Points.build(lon=(points.lon + degrees + 540) % 360 - 180, lat=points.lat)


@pytest.mark.parametrize("resolution", [0, 3, 15])
def test_points_lie_in_the_h3_cell_that_they_are_named_by(resolution: int) -> None:
    points = everywhere(200)
    groups = by_h3(points, resolution)
    assert is_partition(groups, points)
    longest = 1.6 * h3.average_hexagon_edge_length(resolution, unit="km")
    xyz = unit_vectors(lon=points.lon, lat=points.lat)
    for name, rows in groups.items():
        assert h3.get_resolution(name) == resolution
        lat, lon = h3.cell_to_latlng(name)
        away = np.linalg.norm(xyz[rows] - unit_vectors(lon=[lon], lat=[lat]), axis=1)
        assert (EARTH_RADIUS_KM * away < longest).all()


@pytest.mark.parametrize("level", [1, 7, 30])
def test_cells_of_s2_lie_within_those_of_the_level_before(level: int) -> None:
    points = everywhere(200)
    groups, coarser = by_s2(points, level), by_s2(points, level - 1)
    assert is_partition(groups, points)
    for name, rows in groups.items():
        assert s2cell.token_to_level(name) == level
        assert {*rows} <= {*coarser[s2cell.token_to_parent_token(name)].tolist()}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: by_h3(everywhere(1), 16), r"^regions\.resolution=16: H3 has resolutions 0 to 15$"),
        (lambda: by_s2(everywhere(1), -1), r"^regions\.level=-1: S2 has levels 0 to 30$"),
        (lambda: by_kd(everywhere(4), 9), r"^points: has 7 places, fewer than regions\.count=9: "),
        (lambda: by_kmeans(everywhere(4), 0), r"^regions\.count=0: give a whole number of 1 or m"),
        (lambda: by_kmeans(everywhere(9), 2, 2**32), r"^regions\.seed=4294967296: k-means takes"),
    ],
)
def test_what_there_is_not(call: Any, message: str) -> None:
    with pytest.raises(GeospotError, match=message):
        call()


@pytest.mark.parametrize(("module", "by"), [("h3", by_h3), ("s2cell", by_s2)])
def test_a_package_that_is_not_there(module: str, by: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        GeospotError, match=rf"need {module}: .* pip install 'geospot_gpu\[cells\]'"
    ):
        by(everywhere(1), 1)


def test_every_point_is_in_the_cluster_whose_mean_is_nearest() -> None:
    points = everywhere(300)
    groups = by_kmeans(points, 7)
    assert len(groups) == 7
    assert is_partition(groups, points)
    xyz = unit_vectors(lon=points.lon, lat=points.lat)
    means = np.array([xyz[rows].mean(axis=0) for rows in groups.values()])
    nearest = ((xyz[:, None] - means) ** 2).sum(-1).argmin(axis=1)
    for k, rows in enumerate(groups.values()):
        assert (nearest[rows] == k).all()
    again = by_kmeans(points, 7)
    assert partition(again) == partition(groups)
    assert [*again] == [*groups]


def test_clusters_know_no_antimeridian() -> None:
    """Three far clouds are the clusters, whichever meridian one of them lies across."""
    generator = np.random.default_rng(1)
    lon = np.concatenate([centre + generator.normal(0, 2, 20) for centre in (0, 120, 240)])
    points = Points.build(lon=lon % 360, lat=generator.normal(0, 2, 60))
    clouds = {frozenset(range(k, k + 20)) for k in (0, 20, 40)}
    for degrees in (0.0, 60.0, 180.0):
        assert partition(by_kmeans(turned(points, degrees), 3)) == clouds
        assert partition(by_kd(turned(points, degrees), 3)) == clouds
    assert [*by_kmeans(points, 3)] == ["00N 000E", "00N 120E", "00N 120W"]


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_districts_are_equally_large(n: int, count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    points = Points.build(lon=generator.uniform(-180, 180, n), lat=generator.uniform(-90, 90, n))
    count = min(n, count)
    groups = by_kd(points, count)
    assert len(groups) == count
    assert is_partition(groups, points)
    sizes = [len(rows) for rows in groups.values()]
    assert max(sizes) - min(sizes) <= 1


def test_districts_are_of_equal_mass_and_keep_places_whole() -> None:
    generator = np.random.default_rng(2)
    lon, lat = np.round(generator.normal(0, 5, (2, 2000)))  # many at one place
    points = Points.build(lon=lon, lat=lat, weight=generator.uniform(0.5, 2, 2000))
    groups = by_kd(points, 6)
    places = [{*zip(points.lon[rows], points.lat[rows], strict=True)} for rows in groups.values()]
    assert sum(map(len, places)) == len(set.union(*places))
    mass = np.array([points.weight[rows].sum() for rows in groups.values()])
    _, at = np.unique(np.stack([lon, lat]), axis=1, return_inverse=True)
    largest = np.bincount(at.ravel(), points.weight).max()
    assert np.abs(mass - mass.mean()).max() <= 3 * largest  # three cuts, each within a place


def test_turning_the_globe_changes_no_district() -> None:
    generator = np.random.default_rng(3)
    points = Points.build(lon=generator.uniform(-180, 180, 64), lat=generator.uniform(-60, 60, 64))
    found = partition(by_kd(points, 8))
    assert {len(rows) for rows in found} == {8}
    for degrees in (57.0, 180.0, 291.0):
        assert partition(by_kd(turned(points, degrees), 8)) == found


def test_districts_at_one_centre_have_names_of_their_own() -> None:
    ring = Points.build(lon=[0.0, 90.0, 180.0, -90.0], lat=[0.0] * 4)
    assert len(by_kd(ring, 2)) == 2
    assert len(by_kd(ring, 4)) == 4
