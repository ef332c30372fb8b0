"""Baselines beside a run: what a store lacks is computed, and what it has is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.arrays import Indices
from geospot_gpu.distances import baselines as simple
from geospot_gpu.distances.baselines import baselines
from geospot_gpu.distances.columns import stored, stored_in
from geospot_gpu.files.urls import place
from geospot_gpu.runs.baselines import stored_baselines
from tests.helpers.clouds import random_regions

CPU = gs.Engine(device="cpu")
LEFT, RIGHT = np.triu_indices(4, 1)
NEW = ("proxy_a_distance", "nearest_great_circle_km")
OLD = [column.name for column in stored_in("baselines") if column.name not in NEW]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[str, ...], int]]:
    """What is computed: names of baselines, and of how many pairs."""
    found: list[tuple[tuple[str, ...], int]] = []

    def watched(regions: gs.Regions, left: Indices, *others: Any) -> pd.DataFrame:
        found.append((tuple(others[1]), len(left)))
        return baselines(regions, left, *others)

    monkeypatch.setattr(simple, "baselines", watched)
    return found


def test_an_old_store_gets_what_it_lacks(
    tmp_path: Path, computed: list[tuple[tuple[str, ...], int]]
) -> None:
    regions, folder = random_regions([9, 8, 7, 6]), place(tmp_path)
    common = folder, list("abcd"), regions
    before = stored_baselines(*common, LEFT[:4], RIGHT[:4], CPU, OLD)
    found = stored_baselines(*common, LEFT, RIGHT, CPU)
    every = tuple(column.name for column in stored_in("baselines"))
    assert computed == [(tuple(OLD), 4), (every, 2), (NEW, 4)]
    wanted = baselines(regions, LEFT, RIGHT).astype("float32")
    np.testing.assert_allclose(found[list(stored("baselines"))], wanted, rtol=1e-6)
    pd.testing.assert_frame_equal(found[before.columns][:4], before)
    (whole, rest) = sorted(tmp_path.joinpath("baselines").iterdir(), key=lambda p: p.stat().st_size)
    assert len(pd.read_parquet(whole)) + len(pd.read_parquet(rest)) == 6, "the old one is not kept"
    computed.clear()
    again = stored_baselines(*common, LEFT, RIGHT, CPU)
    assert computed == []
    pd.testing.assert_frame_equal(again, found)
    some = stored_baselines(*common, LEFT, RIGHT, CPU, ["energy_distance"])
    assert list(some) == ["source", "target", "energy_distance"]
    assert computed == []


def test_regions_in_another_order_have_the_same_directed_baselines(
    tmp_path: Path, computed: list[tuple[tuple[str, ...], int]]
) -> None:
    """The store has a pair from its right region to its left one then."""
    regions, folder = random_regions([9, 8, 7, 6]), place(tmp_path)
    stored_baselines(folder, list("abcd"), regions, LEFT, RIGHT, CPU)
    computed.clear()
    turned = regions.subset(list(regions.names)[::-1])
    assert turned.names == regions.names[::-1]
    found = stored_baselines(folder, list("dcba"), turned, LEFT, RIGHT, CPU)
    assert computed == []
    wanted = baselines(turned, LEFT, RIGHT).astype("float32")
    np.testing.assert_allclose(found[list(stored("baselines"))], wanted, rtol=1e-5)
