"""Columns of a person's own, registered in Python."""

from __future__ import annotations

import dataclasses
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import geospot_gpu as gs
from geospot_gpu.distances import columns

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """The register as it is, again after each test."""
    monkeypatch.setattr(columns, "REGISTER", columns.REGISTER)


def test_the_example_computes_and_stores_a_distance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", ["own_distance.py", str(folder)])
    made = runpy.run_path(str(ROOT / "examples" / "own_distance.py"))
    gap = gs.open_run(folder).latitude_gap
    assert gap.attrs == {"long_name": "Gap in latitude", "units": "degrees"}
    np.testing.assert_array_equal(
        gap.where(gap.source != gap.target), made["distances"].latitude_gap.astype(np.float32)
    )
    assert float(gap.sel(source="Oslo", target="Suva")) == pytest.approx(78, abs=3)
    assert "latitude_gap" in capsys.readouterr().out
    chosen = gs.select_regions(
        made["regions"], "Rome", 5, method="nearest", by="latitude_gap", max_regions=1
    )
    assert chosen.table["region"].tolist() == ["Oslo"]


def test_a_column_that_was_not_there_is_computed_for_stored_pairs(tmp_path: Path) -> None:
    regions = gs.Regions.from_points(lon=[0, 1, 9, 8], lat=[0, 1, 5, 5], region=list("aabb"))
    before = gs.sweep(tmp_path, regions)
    assert "ones" not in before.pairs
    gs.register_column(ones())
    assert gs.sweep(tmp_path, regions).pairs["ones"].tolist() == [1.0]


def ones() -> gs.Column:
    return gs.Column(
        *("ones", "float32", "Ones", "nothing", "own"),
        compute=lambda regions, left, right: np.ones(len(left)),
    )


@pytest.mark.parametrize("taken", ["divergence", "lower", "coverage_source_to_target", "ones"])
def test_a_name_that_is_taken_is_refused(taken: str) -> None:
    gs.register_column(ones())
    with pytest.raises(gs.GeospotError, match=f"column {taken}: there is one of this name"):
        gs.register_column(dataclasses.replace(ones(), name=taken))


def test_what_nobody_computes_is_refused() -> None:
    with pytest.raises(gs.GeospotError, match="column ones: give compute"):
        gs.register_column(dataclasses.replace(ones(), compute=None))
    with pytest.raises(gs.GeospotError, match="column is"):
        gs.register_column("ones")  # type: ignore[arg-type]


def test_none_is_lost_among_threads() -> None:
    several = [dataclasses.replace(ones(), name=f"ones_{k}") for k in range(64)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(gs.register_column, several))
    assert {column.name for column in columns.REGISTER} >= {column.name for column in several}
