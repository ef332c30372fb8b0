"""Points scattered over regions, and what becomes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from geospot_gpu import Regions


def cloud(regions: Regions, name: str) -> pd.DataFrame:
    """Longitude, latitude and weight of one region."""
    at = regions.names.index(name)
    rows = slice(regions.offsets[at], regions.offsets[at + 1])
    return pd.DataFrame(
        {
            "lon": regions.lon[rows],
            "lat": regions.lat[rows],
            "weight": regions.weight[rows].numpy(),
        }
    )


def scattered(**counts: int) -> dict[str, Any]:
    """Arguments of ``from_points``: so many random points for each region."""
    generator = np.random.default_rng(1)
    n = sum(counts.values())
    region = [name for name, count in counts.items() for _ in range(count)]
    return {
        "lon": generator.uniform(-180, 180, n),
        "lat": generator.uniform(-90, 90, n),
        "region": region,
    }
