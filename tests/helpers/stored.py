"""A sweep of the four towns, and what it stores."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.runs.sweep import SweepResult, run_sweep


def sweep(out: Path, towns: Path, *names: str, epsilon: float = 0.01) -> SweepResult:
    regions = gs.Regions.from_table(
        towns, region="town", encoder="none", include=list(names) or None
    )
    return run_sweep(
        out,
        regions,
        method=Method(gs.GroundCost(geo_weight=1.0), gs.Sinkhorn(epsilon=epsilon)),
        engine=gs.Engine(device="cpu"),
    )


def shards(out: Path) -> list[Path]:
    return sorted((out / "distances").glob("part-*.parquet"))


def keys_of(shard: Path) -> pa.Array:
    return pq.read_table(shard)["key"].combine_chunks().cast(pa.large_string())


def regions_of(out: Path) -> pd.DataFrame:
    """What is stored of the regions of a run, by name."""
    return pd.concat(map(pd.read_parquet, (out / "regions").glob("*.parquet"))).set_index("name")


def all_pairs(out: Path) -> pd.DataFrame:
    """All rows of pairs as they are stored, in the order of their keys, times aside."""
    rows = pd.concat([pd.read_parquet(path) for path in shards(out)])
    return rows.drop(columns="seconds").sort_values("key", ignore_index=True)
