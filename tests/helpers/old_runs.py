"""Runs as version 0.1 left them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import geospot_gpu as gs
from geospot_gpu.runs.manifest import entries

_NUMBERS = [
    *("geo_weight", "epsilon", "divergence", "lower", "upper", "std_error", "bias"),
    *("ot_value", "ot_lower", "ot_upper"),
    *("transport_cost", "transport_cost_lower", "transport_cost_upper"),
    *(f"coverage_source_to_target{bound}" for bound in ("", "_lower", "_upper")),
    *(f"coverage_target_to_source{bound}" for bound in ("", "_lower", "_upper")),
    *("nearest_source_to_target", "nearest_target_to_source"),
]
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("key", "source", "target")),
        *((name, pa.int64()) for name in ("n_source", "n_target")),
        *((name, pa.float64()) for name in _NUMBERS),
        *(("iterations", pa.int64()), ("marginal_error", pa.float64())),
        *(("converged", pa.bool_()), ("kernel", pa.string())),
        *(("outputs", pa.string()), ("seconds", pa.float64())),
    ]
)
"""Columns of a part, with their types."""
EVERY = "divergence,std_error,bias,ot_value,transport_cost,coverage,nearest"


def old_rows(run: gs.Run, outputs: str | None = EVERY) -> pd.DataFrame:
    """The pairs of a run as version 0.1 had them."""
    key = {region["name"]: region["key"] for region in entries(run.manifest)}
    pairs = run.pairs
    return pairs.assign(
        key=[key[a] + key[b] for a, b in zip(pairs["source"], pairs["target"], strict=True)],
        outputs=outputs,
        geo_weight=run.cost.geo_weight,
        epsilon=run.solver.epsilon,
    )


def write_part(folder: Path, rows: pd.DataFrame, schema: pa.Schema = SCHEMA) -> Path:
    """Store rows; columns that are absent become null."""
    columns = rows.reindex(columns=schema.names)
    table = pa.Table.from_pandas(columns, schema=schema, preserve_index=False)
    content = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(None), content, compression="zstd")
    part = content.getvalue().to_pybytes()
    path = folder / f"part-{hashlib.blake2b(part, digest_size=16).hexdigest()}.parquet"
    folder.mkdir(exist_ok=True)
    path.write_bytes(part)
    return path


def aged(folder: Path, each: int = 2) -> pd.DataFrame:
    """Put the pairs of a run into parts of so many rows, and return them.

    Its numbers are no longer such that float32 holds them.
    """
    rows = old_rows(gs.Run.open(folder))
    rows[_NUMBERS] = rows[_NUMBERS].astype(float) * (1 + 1e-9)
    shutil.rmtree(folder / "distances")
    for start in range(0, len(rows), each):
        write_part(folder / "distances", rows[start : start + each])
    return rows


def without_checksum(folder: Path) -> None:
    """Make the manifest one of format 1, which had neither twin, record nor regions by key."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["checksum"], manifest["outputs"]
    for region in manifest["sources"]:
        for key in set(region) - {"name", "key"}:
            del region[key]
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 1}))
    (folder / "identity.json").unlink()
    for name in (".geospot", "manifests", "regions"):
        shutil.rmtree(folder / name)
