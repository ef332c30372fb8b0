"""GeoCLIP's gallery: 100,000 real photo locations that come with the ``geoclip`` package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.table import Points


def read_gallery() -> Points:
    """The gallery of GeoCLIP (Vivanco Cepeda et al. 2023), 100,000 points of equal mass.

    Raises:
        GeospotError: the ``geoclip`` package is not installed.
    """
    table = pd.read_csv(geoclip_folder() / "model" / "gps_gallery" / "coordinates_100K.csv")
    return Points.build(lon=table["LON"], lat=table["LAT"], origin="GeoCLIP gallery")


def geoclip_folder() -> Path:
    """The folder of the installed ``geoclip`` package, found without importing it.

    Raises:
        GeospotError: the package is not installed.
    """
    spec = importlib.util.find_spec("geoclip")
    if spec is None or not spec.submodule_search_locations:
        raise GeospotError("the geoclip package is missing: install it with pip install geoclip")
    return Path(spec.submodule_search_locations[0])
