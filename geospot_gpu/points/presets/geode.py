"""GeoDE: photos of 40 kinds of objects that people in 19 countries took of what they have.

Ramaswamy et al. 2023, https://geodiverse-data-collection.cs.princeton.edu/
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from geospot_gpu.points.presets import files

FILES = ("geode_paths.csv", "index.csv")


def read(root: Path) -> pd.DataFrame:
    """Photos, which have no coordinates.

    Returns:
        ``id`` (the name of the file), ``region`` (the country, ``ip_country``), ``label`` (the
        object, ``script_name``), ``world_region`` (one of six) where it is there, and ``image``
        where its files are.

    Raises:
        GeospotError: there is no such table, or a column is missing.
    """
    path = files.found(root, FILES, "the list of photos of GeoDE")
    needed = ("ip_country", ("script_name", "object"), ("file_path", "file_name"))
    table = files.read(path, needed)
    name = files.either(table, "file_path", "file_name").astype(str)
    points = pd.DataFrame(
        {
            "id": name.str.rpartition("/")[2],
            "region": table["ip_country"],
            "label": files.either(table, "script_name", "object"),
        }
    )
    if "region" in table:
        points["world_region"] = table["region"]
    paths = files.images(root, name, ("", "images"))
    return points if paths.isna().all() else points.assign(image=paths)
