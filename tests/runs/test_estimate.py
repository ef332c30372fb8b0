"""What a sweep would do is what it then does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import geospot_gpu as gs
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.errors import GeospotError
from geospot_gpu.runs import estimate as estimating
from geospot_gpu.runs.estimate import Estimate
from geospot_gpu.runs.plan import Grid
from geospot_gpu.runs.sample import stratified
from geospot_gpu.runs.store import Store
from tests.helpers.regions import scattered
from tests.helpers.stored import blocks
from tests.helpers.sweeps import CPU, GEOGRAPHY, regions_of, sweep

METHOD = Method(GEOGRAPHY, gs.Sinkhorn())


def estimate(out: Path, regions: gs.Regions, *others: gs.Regions, **options: Any) -> Estimate:
    engine = options.pop("engine", CPU)
    return estimating.estimate(
        Store(out), regions, *others, method=METHOD, engine=engine, **options
    )


def ragged(count: int, largest: int) -> gs.Regions:
    """Regions of 2 to so many points, most of them small."""
    sizes = np.geomspace(2, largest, count).astype(int).tolist()
    return gs.Regions.from_points(**scattered(**{f"r{k:03d}": n for k, n in enumerate(sizes)}))


@pytest.mark.parametrize("outputs", [None, ["divergence"]])
def test_files_are_as_large_as_they_were_said_to_be(
    outputs: list[str] | None, tmp_path: Path
) -> None:
    regions = ragged(90, 12)
    found = estimate(tmp_path / "run", regions, outputs=outputs)
    assert not (tmp_path / "run").exists()
    assert (found.regions, found.pairs, found.missing, found.workers) == (90, 4005, 4005, 1)
    sweep(tmp_path / "run", regions, outputs=outputs)
    files = blocks(tmp_path / "run")
    assert found.blocks == len(files)
    size = sum(path.stat().st_size for path in files)
    assert size / 1.4 < found.bytes < size * 1.4  # of a small block, names weigh most


class Clock:
    """Time that only passes where pairs are solved, as they cost."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now, self.calls, self.most = 0.0, 0, 0
        patch.setattr("geospot_gpu.runs.sample.time.perf_counter", lambda: self.now)
        patch.setattr(PairSolver, "know", lambda *given: self._know(*given))
        patch.setattr(PairSolver, "solve", lambda *given: self._solve(*given))

    @staticmethod
    def seconds(engine: PairEngine, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Of pairs: a batch takes a while, and small pairs take much for their size."""
        entries = engine.sizes[left] * engine.sizes[right]
        batch = engine.batches(left, right)
        of_batch = 2e-3 + np.bincount(batch, 1e-7 * entries**0.9)
        return np.asarray(of_batch[batch] * entries / np.bincount(batch, entries)[batch])

    def _know(self, solver: PairSolver, index: np.ndarray, outputs: object) -> None:
        self.now += float(self.seconds(solver.engine, index, index).sum())

    def _solve(
        self, solver: PairSolver, left: np.ndarray, right: np.ndarray, outputs: object
    ) -> PairTable:
        seconds = self.seconds(solver.engine, left, right)
        self.calls, self.most = self.calls + 1, max(self.most, len(left))
        self.now += float(seconds.sum()) + (5.0 if self.calls == 1 else 0.0)  # it compiles
        columns = {
            "divergence": seconds, "seconds": seconds, "converged": np.ones(len(left), bool),
            "kernel": np.full(len(left), "compiled kept"),
        }  # fmt: skip
        return PairTable(left, right, columns)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize(("count", "largest"), [(90, 12), (300, 10), (400, 900), (40, 2000)])
def test_time_is_that_of_all_pairs_however_ragged(
    count: int, largest: int, clock: Clock, tmp_path: Path
) -> None:
    """Whatever it costs to compile, and although large pairs are few and small ones many."""
    regions = ragged(count, largest)
    found = estimate(tmp_path, regions, outputs=["divergence"])
    engine, grid = PairEngine(regions, METHOD, CPU), Grid(regions.sizes, None, "cpu")
    every = np.arange(count)
    expected = sum(float(clock.seconds(engine, *grid.pairs(cell)).sum()) for cell in grid)
    expected += float(clock.seconds(engine, every, every).sum())
    assert found.seconds == pytest.approx(expected, rel=0.3)
    assert found.sampled == clock.most <= grid.total
    assert clock.now - 5.0 < 7.0, "sampling takes seconds"


def test_no_more_is_sampled_than_is_missing(clock: Clock, tmp_path: Path, towns: Path) -> None:
    found = estimate(tmp_path, regions_of(towns), outputs=["divergence"])
    expected = 2 * 2e-3 + (6 + 4) * 1e-7 * 900**0.9
    assert found.seconds == pytest.approx(expected), "two batches of little"
    assert (found.sampled, clock.most, clock.calls) == (6, 6, 2)


def test_time_is_divided_by_the_workers(
    clock: Clock, tmp_path: Path, towns: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = estimate(tmp_path, regions_of(towns), outputs=["divergence"])
    assert alone.seconds is not None
    pool = SimpleNamespace(device_type="cpu", workers=4, shares=1)
    pool_of = type(
        "Pool", (SimpleNamespace,), {"__enter__": lambda self: self, "__exit__": lambda *_: None}
    )
    monkeypatch.setattr(gs.Engine, "pool", lambda self: pool_of(**vars(pool)))
    four = estimate(tmp_path, regions_of(towns), outputs=["divergence"])
    assert four.workers == 4
    assert four.seconds == pytest.approx(alone.seconds / 4)
    pool.device_type = "cuda"
    assert estimate(tmp_path, regions_of(towns), outputs=["divergence"]).seconds is None


def test_pairs_are_counted_as_the_sweep_counts_them(
    tmp_path: Path, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "run"
    three, four = regions_of(towns, "lima", "oslo", "rome"), regions_of(towns)
    sweep(out, three, outputs=["divergence"])
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    plans = [
        (estimate(out, three, outputs=["divergence"]), (3, 0, 0)),
        (estimate(out, four, outputs=["divergence"]), (6, 3, 1)),
        (estimate(out, three, outputs=["divergence", "nearest"]), (3, 3, 1)),
        (estimate(out, three, three, outputs=["divergence"]), (9, 3, 1)),
    ]
    assert [(p.pairs, p.missing, p.blocks) for p, _ in plans] == [counts for _, counts in plans]
    (block,) = blocks(out)
    content = block.read_bytes()
    block.write_bytes(content[: len(content) // 2])
    assert estimate(out, three, outputs=["divergence"]).missing == 3
    assert "is damaged" in caplog.text
    block.write_bytes(content)
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(GeospotError, match="holds another sweep"):
        estimating.estimate(
            *(Store(out), three), method=Method(GEOGRAPHY, gs.Sinkhorn(epsilon=0.5)), engine=CPU
        )


def test_a_shard_is_planned_as_it_is_solved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geospot_gpu.runs.plan._LEAST_ENTRIES", {"cpu": 2_000, "cuda": 2_000})
    regions = ragged(20, 12)
    shards = [
        estimate(tmp_path, regions, shard=f"{k}/3", outputs=["divergence"]) for k in (1, 2, 3)
    ]
    whole = estimate(tmp_path, regions, outputs=["divergence"])
    for name in ("pairs", "missing", "blocks"):
        assert sum(getattr(shard, name) for shard in shards) == getattr(whole, name)
    assert max(shard.largest for shard in shards) == whole.largest
    assert whole.blocks > 3


def test_samples_have_pairs_of_all_sizes() -> None:
    stratum = np.repeat(np.arange(8), [5000, 800, 200, 100, 40, 20, 10, 3])
    for count in (8, 32, 128):
        at = stratified(stratum, count, np.random.default_rng(0))
        assert len(set(at.tolist())) == count
        of_each = np.bincount(stratum[at], minlength=8)
        fair = np.minimum(np.bincount(stratum), count // 8)
        assert (of_each >= fair).all()
    everything = stratified(stratum, 10**6, np.random.default_rng(0))
    assert everything.tolist() == list(range(len(stratum)))
