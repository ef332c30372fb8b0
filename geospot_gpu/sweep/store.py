"""The store: Parquet shards of pairs and a table of regions, in one folder."""

from __future__ import annotations

import json
import logging
import time
import uuid
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import atomic_path
from geospot_gpu.sweep.identity import Identity, describe_difference

log = logging.getLogger("geospot_gpu")

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("source", pa.string()),
        ("target", pa.string()),
        ("n_source", pa.int64()),
        ("n_target", pa.int64()),
        ("geo_weight", pa.float64()),
        ("epsilon", pa.float64()),
        ("divergence", pa.float64()),
        ("lower", pa.float64()),
        ("upper", pa.float64()),
        ("ot_value", pa.float64()),
        ("ot_lower", pa.float64()),
        ("ot_upper", pa.float64()),
        ("transport_cost", pa.float64()),
        ("iterations", pa.int64()),
        ("marginal_error", pa.float64()),
        ("converged", pa.bool_()),
        ("kernel", pa.string()),
        ("seconds", pa.float64()),
    ]
)
"""Columns of a shard. A column that the solver cannot certify is null."""

_STALE_SECONDS = 3600.0


class Store:
    """A folder with ``manifest.json``, ``regions.parquet`` and shards under ``distances/``.

    A shard is written once, under a temporary name that is then changed, and never touched again.
    Which of the stored pairs count is for the manifest to say.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest_path = self.folder / "manifest.json"
        self.regions_path = self.folder / "regions.parquet"
        self.distances = self.folder / "distances"

    def prepare(self) -> None:
        """Create the folder, and clear away what an interrupted run half wrote.

        Raises:
            GeospotError: the folder cannot be created.
        """
        try:
            self.distances.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GeospotError(f"{self.folder}: cannot be created ({error.strerror})") from error
        for leftover in [*self.folder.glob(".*.tmp"), *self.distances.glob(".*.tmp")]:
            # Another process may be writing a recent one.
            if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                leftover.unlink(missing_ok=True)

    def read_manifest(self) -> dict[str, object] | None:
        """The manifest, or None where there is none yet.

        Raises:
            GeospotError: the manifest is damaged.
        """
        if not self.manifest_path.exists():
            return None
        try:
            manifest: dict[str, object] = json.loads(self.manifest_path.read_text())
            _ = manifest["identity"], manifest["sources"], manifest["targets"]
        except (ValueError, KeyError, TypeError) as error:
            raise GeospotError(
                f"{self.manifest_path}: is damaged; delete it and run again: stored distances are "
                "kept and found by their keys"
            ) from error
        return manifest

    def check_identity(self, identity: Identity) -> None:
        """Raise where the folder holds distances of another encoder, cost, solver or seed."""
        manifest = self.read_manifest()
        if manifest is not None and manifest["identity"] != identity:
            stored = manifest["identity"]
            assert isinstance(stored, dict)
            raise GeospotError(
                f"{self.folder} holds another sweep ({describe_difference(stored, identity)}): "
                "continue it with its settings, or choose another folder with out=..."
            )

    def write_manifest(self, manifest: dict[str, object]) -> None:
        with atomic_path(self.manifest_path) as temporary:
            temporary.write_text(json.dumps(manifest, indent=2) + "\n")

    def read_regions(self) -> pd.DataFrame | None:
        """The table of regions, or None where there is none that can be read."""
        try:
            return pd.read_parquet(self.regions_path)
        except FileNotFoundError:
            return None
        except (OSError, pa.ArrowException) as error:
            log.warning("%s: damaged, self terms are computed again (%s)", self.regions_path, error)
            return None

    def write_regions(self, regions: pd.DataFrame) -> None:
        with atomic_path(self.regions_path) as temporary:
            regions.to_parquet(temporary, index=False)

    def write_shard(self, pairs: pd.DataFrame) -> None:
        """Store pairs for good; columns of :data:`SCHEMA` that are absent become null."""
        table = pa.Table.from_pandas(
            pairs.reindex(columns=SCHEMA.names), schema=SCHEMA, preserve_index=False
        )
        table = table.replace_schema_metadata(None)
        with atomic_path(self.distances / f"part-{uuid.uuid4().hex}.parquet") as temporary:
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)

    def read_pairs(self) -> pd.DataFrame:
        """All stored pairs, each key once; damaged shards are set aside with a warning."""
        shards = []
        for path in sorted(self.distances.glob("part-*.parquet")):
            try:
                shards.append(pq.read_table(path, schema=SCHEMA, page_checksum_verification=True))
            except (OSError, pa.ArrowException) as error:
                aside = path.with_suffix(".damaged")
                reason = str(error).strip().split("\n")[0]
                log.warning("%s: damaged, its pairs are computed again (%s)", path, reason)
                path.rename(aside)
        if not shards:
            return SCHEMA.empty_table().to_pandas()
        return pa.concat_tables(shards).to_pandas().drop_duplicates("key", ignore_index=True)
