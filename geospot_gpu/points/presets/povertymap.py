"""PovertyMap as WILDS publishes it: wealth of villages in 23 countries of Africa.

Yeh et al. 2020; Koh et al. 2021, https://wilds.stanford.edu/datasets/#povertymap
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from geospot_gpu.points.presets import files

FOLDERS = ("poverty_v1.1", "poverty_v1.0")


def read(root: Path) -> pd.DataFrame:
    """Clusters of households of the Demographic and Health Surveys.

    Returns:
        ``id`` (the place of the row, by which images are called), ``lon``, ``lat`` (as the surveys
        publish them, moved by up to 10 km), ``region`` (the country), ``label`` (``wealthpooled``,
        an index without a unit), ``year`` and ``urban`` where they are there, and ``image`` where
        files ``images/landsat_poverty_img_<id>.npz`` are. Splits are by countries, and not in the
        files.

    Raises:
        GeospotError: there is no such table, or a column is missing.
    """
    path = files.found(root, ["dhs_metadata.csv"], "the metadata of PovertyMap-WILDS", FOLDERS)
    table = files.read(path, ("lon", "lat", "country", "wealthpooled"))
    points = pd.DataFrame(
        {
            "id": [str(k) for k in range(len(table))],
            "lon": table["lon"],
            "lat": table["lat"],
            "region": table["country"],
            "label": table["wealthpooled"],
        }
    )
    for name in ("year", "urban"):
        if name in table:
            points[name] = table[name]
    names = "landsat_poverty_img_" + points["id"] + ".npz"
    paths = files.images(path.parent, names, ("images", ""))
    return points if paths.isna().all() else points.assign(image=paths)
