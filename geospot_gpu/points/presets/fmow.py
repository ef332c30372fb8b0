"""Functional Map of the World as WILDS publishes it: satellite images of 62 kinds of land use.

Christie et al. 2018; Koh et al. 2021, https://wilds.stanford.edu/datasets/#fmow
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from geospot_gpu.points.presets import files

log = logging.getLogger("geospot_gpu")

FILES = ("rgb_metadata.csv", "metadata.csv")
FOLDERS = ("fmow_v1.1",)
MAPPING = "country_code_mapping.csv"
_FIRST_YEAR = 2002
_INDEX = ("Unnamed: 0", "")
"""What a table of pandas calls an index without a name."""


def read(root: Path) -> pd.DataFrame:
    """Images, without the sequestered ones (``split`` is ``seq``), which have no public labels.

    An image is called by the place of its row in the published table, *with* the sequestered rows:
    who counts the rows that are left pairs images with the countries of others. A table that was
    cut from it keeps this place in a first column without a name.

    Returns:
        ``id`` (the number in the name of the image), ``lon``, ``lat``, ``region`` (alpha-3 code of
        the country), ``label`` (``category``, or ``y`` where there is no such column), ``split``,
        ``year``, ``world_region`` (from ``country_code_mapping.csv``; ``Other`` where a code is not
        in it, as WILDS has it), and ``image`` where files ``images/rgb_img_<id>.png`` are there.

    Raises:
        GeospotError: there is no such table, or a column is missing.
    """
    path = files.found(root, FILES, "the metadata of FMoW-WILDS", FOLDERS)
    needed = ("split", "country_code", "lon", "lat", ("category", "y"))
    table = files.read(path, needed, ("country_code",))
    named = [name for name in _INDEX if name in table]
    place = table[named[0]].to_numpy(int) if named else np.arange(len(table))
    points = pd.DataFrame(
        {
            "id": place.astype(str),
            "lon": table["lon"],
            "lat": table["lat"],
            "region": table["country_code"],
            "label": files.either(table, "category", "y"),
            "split": table["split"],
        }
    )
    if (years := _years(table)) is not None:
        points["year"] = years
    points = files.kept(points, points["split"] != "seq", path, "they are sequestered")
    points = points.reset_index(drop=True)
    if (regions := _world_regions(points["region"], path)) is not None:
        points["world_region"] = regions
    names = "rgb_img_" + points["id"] + ".png"
    paths = files.images(path.parent, names, ("images", ""))
    return points if paths.isna().all() else points.assign(image=paths)


def _years(table: pd.DataFrame) -> pd.Series[int] | None:
    """Years; WILDS and its users count them from 2002."""
    if "timestamp" in table:
        return table["timestamp"].astype(str).str[:4].astype(int)
    if "year" not in table:
        return None
    years = table["year"].astype("Int64" if table["year"].isna().any() else int)
    return years.where(years >= _FIRST_YEAR, years + _FIRST_YEAR)


def _world_regions(codes: pd.Series[str], path: Path) -> pd.Series[str] | None:
    mapping = path.parent / MAPPING
    if not mapping.is_file():
        log.warning("%s: is not there: points have no world_region", mapping)
        return None
    table = files.read(mapping, ("alpha-3", "region"), ("alpha-3", "alpha-2", "region"))
    regions = codes.map(table.drop_duplicates("alpha-3").set_index("alpha-3")["region"])
    unknown = sorted(codes[regions.isna()].dropna().astype(str).unique())
    if unknown:
        log.warning("%s: does not know %s: world_region is Other", mapping, ", ".join(unknown))
    return regions.fillna("Other")
