"""Baselines of the pairs of a sweep, stored beside it as they are asked for."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from geospot_gpu.arrays import Indices
from geospot_gpu.distances import baselines as simple
from geospot_gpu.distances.columns import schema, stored, stored_in
from geospot_gpu.errors.kept import kept
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.files import Unwritable
from geospot_gpu.regions import Regions
from geospot_gpu.runs.parts import Parts

log = logging.getLogger("geospot_gpu")

_CHUNK = 5000
"""Pairs whose baselines are stored at once."""


@out_of_memory("computing baselines", "take fewer regions, or lower regions.max_points")
def stored_baselines(
    folder: Path, keys: pa.Array, regions: Regions, left: Indices, right: Indices
) -> pd.DataFrame:
    """Baselines of pairs, from a sweep's folder where they are stored, else computed and stored.

    Args:
        folder: of the sweep.
        keys: of the pairs, as in the sweep, [K].
        regions: the regions.
        left, right: positions of the regions of each pair, [K].

    Returns:
        Columns ``key``, ``source``, ``target`` and the baselines, one row per pair.
    """
    names = np.array(regions.names, dtype=object)
    wanted = pd.DataFrame({"key": keys.to_pylist(), "source": names[left], "target": names[right]})
    parts = Parts(folder / "baselines", schema("baselines"), "baselines")
    # One of them depends on all regions, by the width of its kernel; rows may have more columns.
    width = simple.kernel_width(regions)
    more = "".join(f"@{c.name}" for c in stored_in("baselines") if c.compute is not None)
    own = [f"{key}@{width!r}{more}" for key in wanted["key"]]
    known = parts.read(pa.array(own, pa.large_string()))
    missing = np.flatnonzero(~pd.Index(own).isin(known["key"]))
    computed: list[pd.DataFrame] = []
    writable = True
    with kept("finished baselines", lambda: writable and bool(computed)):
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            found = simple.baselines(regions, left[chunk], right[chunk], width=width)
            rows = wanted.iloc[chunk].reset_index(drop=True).join(found)
            rows = rows.assign(key=[own[k] for k in chunk])
            try:
                if writable:
                    parts.write(rows)
            except Unwritable as error:  # they are of use now, and can be computed again
                log.warning("baselines are not kept: %s", error)
                writable = False
            computed.append(rows)
    parts.tidy()
    found = pd.concat([known, *computed]).drop_duplicates("key").set_index("key")
    distances = found.loc[own, list(stored("baselines"))].reset_index(drop=True)
    return pd.concat([wanted, distances], axis=1)
