"""Shards of a sweep: a partition of its pairs, and together the same table, to the last bit."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu.arrays import Indices
from geospot_gpu.errors import GeospotError
from geospot_gpu.runs import plan
from geospot_gpu.runs.missing import missing_blocks
from geospot_gpu.runs.plan import Cell, Grid
from geospot_gpu.runs.shard import Shard, share_of
from tests.helpers.stored import all_pairs, blocks, pairs_in, regions_of
from tests.helpers.sweeps import GEOGRAPHY

ENGINE = gs.Engine(device="cpu", memory_budget="64MiB")
"""Torch, whose sums depend on what else is in a batch."""
side = st.lists(st.integers(1, 20_000), min_size=2, max_size=40)
devices = st.sampled_from(["cpu", "cuda"])


def grid_of(sizes: list[int], others: list[int] | None, device: str) -> Grid:
    return Grid(np.array(sizes), None if others is None else np.array(others), device)


@given(left=side, right=st.none() | side, of=st.integers(1, 8), device=devices)
def test_shards_are_a_partition_into_blocks_of_about_equal_work(
    left: list[int], right: list[int] | None, of: int, device: str
) -> None:
    grid = grid_of(left, right, device)
    if of > len(grid):
        with pytest.raises(GeospotError, match=rf"shard=1/{of}: the .* of work on {device}"):
            share_of(Shard(1, of), grid)
        return
    shares = [share_of(Shard(number, of), grid) for number in range(1, of + 1)]
    assert sorted(cell for share in shares for cell in share.own) == list(grid)
    assert all(share.owner == shares[0].owner for share in shares)
    loads = [sum(map(grid.work, share.own)) for share in shares]
    assert min(loads) > 0
    assert max(loads) - min(loads) <= max(map(grid.work, grid))


@pytest.mark.parametrize("of", [2, 4, 8])
def test_shards_of_a_large_sweep_are_within_3_percent_of_each_other(of: int) -> None:
    grid = Grid(np.random.default_rng(0).integers(100, 1000, 300), None, "cpu")
    loads = dict.fromkeys(range(1, of + 1), 0)
    for cell, number in share_of(Shard(1, of), grid).owner.items():
        loads[number] += grid.work(cell)
    assert max(loads.values()) <= 1.03 * min(loads.values())


class Held(NamedTuple):
    """A catalogue of a store that lacks some pairs of one grid."""

    grid: Grid
    lacks: set[tuple[int, int]]

    def missing(self, cell: Cell, outputs: object) -> dict[tuple[str, ...], Indices]:
        pairs = zip(*(side.tolist() for side in self.grid.pairs(cell)), strict=True)
        at = [k for k, pair in enumerate(pairs) if pair in self.lacks]
        return {(): np.array(at, np.int64)} if at else {}


@given(left=side, right=st.none() | side, seed=st.integers(0, 5), device=devices)
def test_of_what_is_missing_untouched_blocks_stay_as_they_are(
    left: list[int], right: list[int] | None, seed: int, device: str
) -> None:
    grid = grid_of(left, right, device)
    generator = np.random.default_rng(seed)
    pairs = [pair for cell in grid for pair in zip(*map(np.ndarray.tolist, grid.pairs(cell)))]  # noqa: B905
    lacks = {pair for pair in pairs if generator.random() < seed / 5}
    lacks |= {pair for pair in zip(*map(np.ndarray.tolist, grid.pairs(next(iter(grid)))))}  # noqa: B905, C416
    sizes = np.array(left + (right or []))
    job: Any = SimpleNamespace(grid=grid, outputs=("divergence",), regions=SimpleNamespace())
    job.regions.sizes = sizes
    catalogue: Any = Held(grid, lacks)
    blocks = missing_blocks(job, catalogue, grid.shuffled(), device)
    found: list[tuple[int, int]] = []
    whole = set()
    for block in blocks:
        if isinstance(block.pairs, Cell):
            whole.add(block.pairs)
        i, j = grid.pairs(block.pairs) if isinstance(block.pairs, Cell) else block.pairs
        found += zip(i.tolist(), j.tolist(), strict=True)
    assert sorted(found) == sorted(lacks)
    assert whole == {cell for cell in grid if len(catalogue.missing(cell, ())) and
                     len(catalogue.missing(cell, ())[()]) == grid.count(cell)}  # fmt: skip


@pytest.mark.parametrize(
    "value", ["0/4", "5/4", "a/b", "1", "1/4/2", " 1/4", "1/0", "-1/4", 1, 0.5]
)
def test_what_is_no_shard_is_one_line(value: object, tmp_path: Path, towns: Path) -> None:
    regions = gs.Regions.from_table(towns, region="town", encoder="none")
    with pytest.raises(GeospotError, match=r"^shard=\S.*: give k/n, with k from 1 to n, as in 1/4"):
        gs.sweep(tmp_path / "run", regions, shard=value)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_more_shards_than_blocks(tmp_path: Path, towns: Path) -> None:
    regions = gs.Regions.from_table(towns, region="town", encoder="none")
    with pytest.raises(GeospotError, match=r"6 pairs .* are 1 block of work on cpu: leave shard"):
        gs.sweep(tmp_path / "run", regions, shard="1/2", engine=ENGINE)
    assert not (tmp_path / "run" / "distances").exists()
    with pytest.raises(GeospotError, match="shard=1/2 and target_error do not go together"):
        gs.sweep(tmp_path / "run", regions, shard="1/2", target_error=0.1)


@pytest.fixture
def regions(monkeypatch: pytest.MonkeyPatch) -> gs.Regions:
    """Nine regions, most of them samples, whose 36 pairs are some eight blocks."""
    monkeypatch.setattr(plan, "_LEAST_ENTRIES", {"cpu": 2000})
    generator = np.random.default_rng(0)
    counts = [20, 30, 45, 25, 28, 22, 50, 24, 9]
    names = np.repeat([f"r{k}" for k in range(9)], counts)
    lon, lat = generator.uniform(-60, 60, (2, len(names)))
    return gs.Regions.from_points(
        lon=lon + np.repeat(np.arange(9), counts), lat=lat, region=names, max_points=24
    )


def self_terms(folder: Path) -> pd.DataFrame:
    return regions_of(folder).sort_index()


def solve(folder: Path, regions: gs.Regions, shard: str | None = None) -> gs.Run:
    return gs.sweep(folder, regions, cost=GEOGRAPHY, engine=ENGINE, shard=shard)


def test_shards_in_any_order_leave_the_table_of_one_run(
    tmp_path: Path, regions: gs.Regions
) -> None:
    solve(tmp_path / "whole", regions)
    expected, selves = all_pairs(tmp_path / "whole"), self_terms(tmp_path / "whole")
    assert len(expected) == 36
    assert expected["std_error"].notna().any(), "half samples are among it"
    for order in list(permutations("123"))[::2]:
        folder = tmp_path / "".join(order)
        for at, number in enumerate(order):
            run = solve(folder, regions, f"{number}/3")
            assert (folder / "manifest.json").exists() == (at == 2), "the last one to end"
            assert (len(run.pairs) == 36) == (at == 2)
            assert np.isnan(run.dataset().divergence).sum() == 2 * (36 - len(run.pairs))
        pd.testing.assert_frame_equal(all_pairs(folder), expected, check_exact=True)
        pd.testing.assert_frame_equal(self_terms(folder), selves, check_exact=True)
        assert run.dataset().equals(gs.open_run(tmp_path / "whole"))


def test_what_shards_leave_a_run_without_completes(tmp_path: Path, regions: gs.Regions) -> None:
    solve(tmp_path / "whole", regions)
    solve(tmp_path / "run", regions, "2/3")
    before = all_pairs(tmp_path / "run")
    assert 0 < len(before) < 36
    solve(tmp_path / "run", regions)
    pd.testing.assert_frame_equal(all_pairs(tmp_path / "run"), all_pairs(tmp_path / "whole"))
    # And a shard of what is complete has nothing to do.
    parts = sorted((tmp_path / "run").rglob("*"))
    assert len(solve(tmp_path / "run", regions, "3/3").pairs) == 36
    assert sorted((tmp_path / "run").rglob("*")) == parts


def test_the_split_does_not_depend_on_what_is_there(tmp_path: Path, regions: gs.Regions) -> None:
    """Other shards may have been done by none, one or all, in whichever folder."""
    alone = tmp_path / "alone"
    solve(alone, regions, "1/3")
    own = named(alone)
    solve(tmp_path / "run", regions.subset(regions.names[:4]))
    there = named(tmp_path / "run")
    solve(tmp_path / "run", regions, "1/3")
    assert named(tmp_path / "run") == there | own


def named(folder: Path) -> set[tuple[str, str]]:
    return set().union(*map(pairs_in, blocks(folder)))
