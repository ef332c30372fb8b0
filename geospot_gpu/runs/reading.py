"""What the folder of a sweep holds, by its manifest: pairs, regions, and a dataset of both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from geospot_gpu.distances.columns import outputs_by_default
from geospot_gpu.errors import GeospotError
from geospot_gpu.runs.manifest import Manifest, entries
from geospot_gpu.runs.matrices import stored_dataset
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.stored_pairs import StoredPairs

if TYPE_CHECKING:
    import xarray


def required_manifest(store: Store) -> Manifest:
    """The manifest of a sweep.

    Raises:
        GeospotError: there is none, or it is damaged.
    """
    manifest = store.read_manifest()
    if manifest is None:
        raise GeospotError(
            f"{store.folder}: holds no sweep; make one with geospot sweep out={store.folder}"
        )
    return manifest


def check_all_pairs(manifest: Manifest, folder: str | Path) -> None:
    """Raise where a run stores the nearest regions of each alone."""
    if manifest.get("nearest") is not None:
        raise GeospotError(
            f"{folder}: has the {manifest['nearest']} nearest regions of each alone, and all pairs "
            "are needed: make a sweep with pairs=all; run.row and run.distances read what is there"
        )


def stored_regions(store: Store, manifest: Manifest) -> pd.DataFrame:
    """What is known of the regions of a run, one row each, those of the second table last."""
    own = pd.DataFrame(entries(manifest))
    known = store.regions.read(pa.array(own["key"], pa.large_string())).set_index("key")
    if "n_points" not in own or not own["key"].isin(known.index).all():
        raise GeospotError(
            f"{store.folder}: what is stored of its regions is missing, damaged or of version 0.1: "
            "run the same geospot sweep again: stored distances are kept"
        )
    return own.join(known.drop(columns=own.columns.intersection(known.columns)), on="key")


def dataset_of(manifest: Manifest, regions: pd.DataFrame, pairs: StoredPairs) -> xarray.Dataset:
    """Pairs of a run over its regions."""
    outputs = manifest.get("outputs") or outputs_by_default()  # version 0.1 does not say
    n_sources = len(manifest["sources"])
    square = manifest["targets"] is None
    others = None if square else regions[n_sources:].reset_index(drop=True)
    dataset = stored_dataset(pairs, outputs, regions[:n_sources], others)
    dataset.attrs["value"] = manifest["value"]
    return dataset
