"""What the folder of a sweep holds, by its manifest: pairs, regions, and a dataset of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from geospot_gpu.distances.columns import outputs_by_default
from geospot_gpu.distances.dataset import to_dataset
from geospot_gpu.distances.growth import above_target
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.runs.identity import pair_keys
from geospot_gpu.runs.manifest import Manifest, entries
from geospot_gpu.runs.store import Store

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


def stored_pairs(store: Store, manifest: Manifest) -> pd.DataFrame:
    """The pairs of a sweep that are computed, each from the last samples that it needed."""
    sources, targets = manifest["sources"], manifest["targets"]
    keys = [region["key"] for region in entries(manifest)]
    left, right = all_pairs(len(sources), None if targets is None else len(targets))
    pairs = store.pairs.read(pair_keys(keys, left, right))
    for sample in manifest.get("larger_samples", []):
        larger = np.full(len(keys), "", object)
        larger[sample["positions"]] = sample["keys"]
        has = np.flatnonzero((larger[left] != "") & (larger[right] != ""))
        solved = store.pairs.read(pair_keys(larger.tolist(), left[has], right[has]))
        error, bias, upper = (pairs[name].to_numpy() for name in ("std_error", "bias", "upper"))
        above = pairs[above_target(error, bias, upper, manifest["target_error"])]
        solved = solved.merge(above[["source", "target"]])
        pairs = pd.concat([pairs, solved]).drop_duplicates(["source", "target"], keep="last")
    return pairs


def stored_regions(store: Store, manifest: Manifest) -> pd.DataFrame:
    """What is known of the regions of a run, one row each, those of the second table last."""
    own = pd.DataFrame(entries(manifest))
    known = store.regions.read(pa.array(own["key"], pa.large_string())).set_index("key")
    if "n_points" not in own or not own["key"].isin(known.index).all():
        raise GeospotError(
            f"{store.folder}: what is stored of its regions is missing, damaged or of version 0.1: "
            "run the same geospot sweep again: stored distances are kept"
        )
    return own.join(known.drop(columns="name"), on="key")


@out_of_memory("putting pairs into matrices", "take fewer regions")
def dataset_of(manifest: Manifest, regions: pd.DataFrame, pairs: pd.DataFrame) -> xarray.Dataset:
    """Pairs of a run over its regions."""
    outputs = manifest.get("outputs") or outputs_by_default()  # version 0.1 does not say
    n_sources = len(manifest["sources"])
    if manifest["targets"] is None:
        dataset = to_dataset(pairs, outputs, regions)
    else:
        dataset = to_dataset(pairs, outputs, regions[:n_sources], regions[n_sources:])
    dataset.attrs["value"] = manifest["value"]
    return dataset
