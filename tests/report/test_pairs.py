"""Which pairs a page holds, and with which values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.ordering import profile_order
from geospot_gpu.report import pairs as module
from geospot_gpu.report.arrangement import arrangement, block_means
from geospot_gpu.report.pairs import pairs_of
from tests.helpers.unpacked import unpacked


@pytest.fixture(scope="module")
def regions() -> gs.Regions:
    generator = np.random.default_rng(0)
    n = 9
    centres = np.column_stack([generator.uniform(-90, 90, n), generator.uniform(-50, 50, n)])
    places = np.repeat(centres, 5, axis=0) + generator.normal(0, 1, (5 * n, 2))
    names = np.repeat([f"r{k}" for k in range(n)], 5)
    return gs.Regions.from_points(lon=places[:, 0], lat=places[:, 1], region=names)


@pytest.fixture(scope="module")
def run(regions: gs.Regions, tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    return gs.sweep(tmp_path_factory.mktemp("nine") / "run", regions)


def held(pairs: module.Pairs, run: gs.Run) -> pd.DataFrame:
    names = np.array(run.names)
    columns = {
        "source": names[pairs.left],
        "target": names[pairs.right],
        "divergence": unpacked(pairs.arrays, "divergence"),
        "lower": unpacked(pairs.arrays, "divergence_lower"),
        "there": unpacked(pairs.arrays, "coverage"),
        "back": unpacked(pairs.arrays, "coverage_back"),
    }
    return pd.DataFrame(columns).set_index(["source", "target"])


def test_all_pairs_of_few_regions(run: gs.Run) -> None:
    pairs = pairs_of(run)
    assert (pairs.kind, pairs.missing, pairs.unconverged, pairs.total) == ("all", 0, 0, 36)
    found, data = held(pairs, run), run.dataset()
    for row in found.reset_index().to_dict("records"):
        source, target = row["source"], row["target"]
        of = data.sel(source=source, target=target)
        assert row["divergence"] == of.divergence.item()
        assert row["lower"] == of.lower.item()
        assert row["there"] == pytest.approx(of.coverage.item(), rel=1e-4)
        back = data.coverage.sel(source=target, target=source).item()
        assert row["back"] == pytest.approx(back, rel=1e-4)


def test_the_nearest_of_many(run: gs.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 5)
    monkeypatch.setattr(module, "NEAREST", 2)
    pairs = pairs_of(run)
    assert pairs.kind == "listed"
    found = set(held(pairs, run).index)
    expected = {
        tuple(sorted((name, other))) for name in run.names for other in run.row(name).index[:2]
    }
    assert found == expected


def test_a_run_of_the_nearest_alone(regions: gs.Regions, tmp_path: Path) -> None:
    run = gs.sweep(tmp_path / "near", regions, nearest=2)
    pairs = pairs_of(run)
    assert (pairs.kind, pairs.values) == ("listed", None)
    found = held(pairs, run)["divergence"]
    for name in run.names:
        for other, value in run.row(name)["divergence"].items():
            assert found[tuple(sorted((name, str(other))))] == np.float32(value)


def test_two_tables(regions: gs.Regions, tmp_path: Path) -> None:
    one, other = regions.subset(["r0", "r1"]), regions.subset(["r2", "r3", "r4"])
    run = gs.sweep(tmp_path / "two", one, other)
    pairs = pairs_of(run)
    assert (pairs.square, len(pairs.left)) == (False, 6)
    values = unpacked(pairs.arrays, "divergence").reshape(2, 3)
    assert np.array_equal(values, run.matrix().to_numpy().astype(np.float32))
    assert "coverage_back" not in pairs.arrays


def test_the_plane_and_tree_of_points_in_a_plane() -> None:
    points = np.random.default_rng(0).random((12, 2))
    apart = np.linalg.norm(points[:, None] - points, axis=2).astype(np.float32)
    found = arrangement(apart)
    again = np.linalg.norm(found.plane[:, None] - found.plane, axis=2)
    assert again == pytest.approx(apart, abs=1e-5)
    assert found.fidelity == pytest.approx(1.0)
    assert sorted(found.order) == list(range(12))
    assert found.heights[0] == apart[~np.eye(12, dtype=bool)].min()
    assert sorted(profile_order(apart[:5])) == list(range(5))


def test_what_is_not_known_takes_no_part_in_means() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    values[0, 1] = np.nan
    means, rows, columns = block_means(values, np.array([2, 0, 1]), np.arange(4))
    assert np.array_equal(means, values[[2, 0, 1]], equal_nan=True)
    assert list(rows) == [0, 1, 2]
    assert list(columns) == [0, 1, 2, 3]
