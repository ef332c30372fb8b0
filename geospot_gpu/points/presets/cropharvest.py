"""CropHarvest: places that are cropland or not, and what grows there.

Tseng et al. 2021, https://github.com/nasaharvest/cropharvest
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import regular
from geospot_gpu.files.inputs import unpacked, why
from geospot_gpu.points.presets import files


def read(root: Path) -> pd.DataFrame:
    """Labelled places.

    A geometry may be the outline of a field: a place is where ``lon`` and ``lat`` say.

    Returns:
        ``id`` (``<index>_<dataset>``: an index alone is in several of its data sets), ``lon``,
        ``lat``, ``region`` (the data set that a label is from, most of which are of one country),
        ``label`` (``is_crop``, 0 or 1: all have it), ``crop`` (the name that its data set gives,
        which two thirds have not), ``crop_class`` and ``split`` (from ``is_test``) where they are
        there.

    Raises:
        GeospotError: there is no such file, it is no GeoJSON, or a property is missing.
    """
    path = files.found(root, ["labels.geojson"], "CropHarvest", ["data"])
    table = _properties(path)
    files.check_columns(table, path, ("index", "lon", "lat", "dataset", "is_crop"))
    points = pd.DataFrame(
        {
            "id": files.whole_text(table["index"]).astype(str) + "_" + table["dataset"].astype(str),
            "lon": pd.to_numeric(table["lon"], errors="coerce"),
            "lat": pd.to_numeric(table["lat"], errors="coerce"),
            "region": table["dataset"],
            "label": table["is_crop"].astype(int),
        }
    )
    for name, other in (("label", "crop"), ("classification_label", "crop_class")):
        if name in table:
            points[other] = table[name]
    if "is_test" in table:
        points["split"] = np.where(table["is_test"].astype(bool), "test", "train")
    return points


def _properties(path: Path) -> pd.DataFrame:
    try:
        with unpacked(regular(path)) as file:
            features = json.load(file)["features"]
        return pd.DataFrame([feature["properties"] for feature in features])
    except GeospotError:
        raise
    except Exception as error:  # a broken file is one in many ways
        raise GeospotError(f"{path}: cannot be read as GeoJSON ({why(error)})") from error
