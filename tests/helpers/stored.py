"""A sweep of the four towns, and what it stores."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.runs import pair_store
from geospot_gpu.runs.block import file_name
from geospot_gpu.runs.proof import proven_file
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


def blocks(out: Path) -> list[Path]:
    """The files of a run that hold its pairs."""
    return sorted((out / "distances").glob("block-*.parquet"))


def pairs_in(block: Path) -> set[tuple[str, str]]:
    """Names of the regions of each pair in a file."""
    table = pq.read_table(block)
    return set(zip(table["source"].to_pylist(), table["target"].to_pylist(), strict=True))


def regions_of(out: Path) -> pd.DataFrame:
    """What is stored of the regions of a run, by name."""
    return pd.concat(map(pd.read_parquet, (out / "regions").glob("*.parquet"))).set_index("name")


def stored(out: Path) -> pd.DataFrame:
    """All rows of pairs as they lie in the files of a run."""
    return pd.concat([pd.read_parquet(path) for path in blocks(out)], ignore_index=True)


def all_pairs(out: Path) -> pd.DataFrame:
    """The same in the order of their names, times aside."""
    rows = stored(out).drop(columns="seconds")
    return rows.sort_values(["source", "target"], ignore_index=True)


def read_pairs(out: Path) -> pd.DataFrame:
    """The pairs of the run in a folder, as a process that has read nothing yet finds them."""
    pair_store.forget()
    return gs.Run.open(out).pairs.sort_values(["source", "target"], ignore_index=True)


def put_block(out: Path, table: pa.Table, folder: str = "distances") -> Path:
    """Store a table as it is: its columns are values, its metadata say which pairs these are."""
    content = proven_file(table, table.schema.metadata or {})
    path = out / folder / file_name(content)
    path.write_bytes(content)
    return path


def with_seconds(table: pa.Table, seconds: float) -> pa.Table:
    """The same pairs as another process would have stored them, in another time."""
    at = table.column_names.index("seconds")
    return table.set_column(at, "seconds", pa.array([seconds] * len(table), pa.float32()))
