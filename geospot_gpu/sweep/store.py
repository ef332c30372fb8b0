"""The store: Parquet shards of pairs and a table of regions, in one folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import reason, unreadable, written
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
        ("std_error", pa.float64()),
        ("bias", pa.float64()),
        ("ot_value", pa.float64()),
        ("ot_lower", pa.float64()),
        ("ot_upper", pa.float64()),
        ("transport_cost", pa.float64()),
        ("transport_cost_lower", pa.float64()),
        ("transport_cost_upper", pa.float64()),
        ("coverage_source_to_target", pa.float64()),
        ("coverage_source_to_target_lower", pa.float64()),
        ("coverage_source_to_target_upper", pa.float64()),
        ("coverage_target_to_source", pa.float64()),
        ("coverage_target_to_source_lower", pa.float64()),
        ("coverage_target_to_source_upper", pa.float64()),
        ("nearest_source_to_target", pa.float64()),
        ("nearest_target_to_source", pa.float64()),
        ("iterations", pa.int64()),
        ("marginal_error", pa.float64()),
        ("converged", pa.bool_()),
        ("kernel", pa.string()),
        ("seconds", pa.float64()),
    ]
)
"""Columns of a shard. What the solver cannot certify is null, and what older versions did not."""

_STALE_SECONDS = 3600.0
_KEPT = "finished batches are kept, and the same command goes on from there"


class Store:
    """A folder with ``manifest.json``, ``regions.parquet`` and shards under ``distances/``.

    A shard is written once, under a temporary name that is then changed, and never touched again.
    Its name is the hash of its content, so that damage anywhere in it is noticed: Parquet's own
    checksums leave page headers out. Which of the stored pairs and regions count is for the
    manifest to say.
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
            raise GeospotError(f"{self.folder}: cannot be created ({reason(error)})") from error
        for leftover in [*self.folder.glob(".*.tmp"), *self.distances.glob(".*.tmp")]:
            # Another process may be writing a recent one, or clearing up as well.
            with contextlib.suppress(OSError):
                if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                    leftover.unlink()

    def read_manifest(self) -> dict[str, Any] | None:
        """The manifest, or None where there is none yet.

        Raises:
            GeospotError: the manifest is damaged.
        """
        try:
            manifest: dict[str, Any] = json.loads(self.manifest_path.read_text())
            regions = [*manifest["sources"], *(manifest["targets"] or [])]
            _ = dict(manifest["identity"]), manifest["value"], [region["key"] for region in regions]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise unreadable(self.manifest_path, error) from error
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
            raise GeospotError(
                f"{self.folder} holds another sweep "
                f"({describe_difference(manifest['identity'], identity)}): "
                "continue it with its settings, or choose another folder with out=..."
            )

    def write_manifest(self, manifest: dict[str, object]) -> None:
        with written(self.manifest_path, _KEPT) as temporary:
            temporary.write_text(json.dumps(manifest, indent=2) + "\n")

    def read_regions(self) -> pd.DataFrame | None:
        """All regions ever stored, one row per key, or None where there are none to be read."""
        path = self.regions_path
        try:
            content = path.read_bytes()
            table = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
            regions: pd.DataFrame = table.to_pandas()
        except FileNotFoundError:
            return None
        except (OSError, ValueError, pa.ArrowException) as error:
            if isinstance(error, OSError) and error.errno:  # damage has no number
                raise unreadable(path, error) from error
            log.warning("%s: is damaged, self terms have to be computed again", path)
            return None
        return regions

    def write_regions(self, regions: pd.DataFrame) -> None:
        with written(self.regions_path, _KEPT) as temporary:
            regions.to_parquet(temporary, index=False, write_page_checksum=True)

    def write_shard(self, pairs: pd.DataFrame) -> None:
        """Store pairs for good; columns of :data:`SCHEMA` that are absent become null."""
        table = pa.Table.from_pandas(
            pairs.reindex(columns=SCHEMA.names), schema=SCHEMA, preserve_index=False
        )
        content = pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata(None), content, compression="zstd")
        shard = content.getvalue().to_pybytes()
        with written(self.distances / _shard_name(shard), _KEPT) as temporary:
            temporary.write_bytes(shard)

    def read_pairs(self, keys: pa.Array) -> pd.DataFrame:
        """The stored pairs among ``keys``, each once; damaged shards are set aside, aloud."""
        shards = [SCHEMA.empty_table()]
        for path in sorted(self.distances.glob("part-*.parquet")):
            try:
                content = path.read_bytes()
            except OSError as error:
                raise unreadable(path, error) from error
            if path.name == _shard_name(content):
                shards.append(pq.read_table(pa.BufferReader(content), schema=SCHEMA))
                continue
            log.warning("%s: is damaged, its pairs have to be computed again", path)
            with contextlib.suppress(OSError):  # a reader may not be allowed to write
                path.rename(path.with_suffix(".damaged"))
        table = pa.concat_tables(shards)
        wanted = pc.is_in(table["key"].cast(keys.type), value_set=keys)
        pairs: pd.DataFrame = table.filter(wanted).to_pandas()
        return pairs.drop_duplicates("key", ignore_index=True)


def _shard_name(content: bytes) -> str:
    return f"part-{hashlib.blake2b(content, digest_size=16).hexdigest()}.parquet"
