"""Small files of polygons in the layouts that people have: boxes of ten degrees side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geospot_gpu.points import Points

UNITS = pd.DataFrame(
    [
        ("Germany", "DEU", "Nord", "Kiel", "DEU.1_1", "DEU.1.1_1"),
        ("Germany", "DEU", "Süd", "Ansbach", "DEU.2_1", "DEU.2.1_1"),
        ("Germany", "DEU", "Süd", "Ansbach", "DEU.2_1", "DEU.2.2_1"),
        ("France", "FRA", "Nord", "Lille", "FRA.1_1", "FRA.1.1_1"),
        ("Monaco", "MCO", None, None, None, None),
    ],
    columns=["country", "iso", "state", "district", "gid_1", "gid_2"],
)
"""Units from west to east, of which the smallest country has no states."""


def points_within() -> Points:
    """A point within each unit, and one in the sea."""
    at = np.arange(len(UNITS) + 1)
    return Points.build(lon=10.0 * at + 5.0, lat=np.full(len(at), 5.0))


def boxes(table: pd.DataFrame, *, world: bool = False) -> Any:
    """The table with a box for each row, from west to east; together they may cover the world."""
    import geopandas
    import shapely  # type: ignore[import-untyped]

    width = 360.0 / len(table) if world else 10.0
    west = width * np.arange(len(table)) - (180.0 if world else 0.0)
    south, north = (-90.0, 90.0) if world else (0.0, 10.0)
    shapes = shapely.box(west, south, west + width, north)
    return geopandas.GeoDataFrame(table.copy(), geometry=shapes, crs=4326)


def dissolved(by: list[str]) -> Any:
    """Units of a coarser level, by their columns."""
    frame = boxes(UNITS)
    return frame.dissolve(by=by, dropna=False, sort=False).reset_index()[[*by, "geometry"]]


def gadm(table: pd.DataFrame) -> Any:
    """Columns as GADM 4.1 names them, of those that are there."""
    names = {
        "iso": "GID_0", "country": "COUNTRY", "gid_1": "GID_1", "state": "NAME_1",
        "gid_2": "GID_2", "district": "NAME_2",
    }  # fmt: skip
    return table.rename(columns=names)


def gadm_package(folder: Path) -> Path:
    """A GeoPackage of GADM 4.1: a layer for each level."""
    path = folder / "gadm41_DEU.gpkg"
    of_levels = (["iso", "country"], ["iso", "country", "gid_1", "state"])
    for level, columns in enumerate(of_levels):
        gadm(dissolved(list(columns))).to_file(path, layer=f"ADM_ADM_{level}", driver="GPKG")
    gadm(boxes(UNITS)).to_file(path, layer="ADM_ADM_2", driver="GPKG")
    return path


def gadm_world(folder: Path) -> Path:
    """The world of GADM in one layer, at the finest level, as a database has it."""
    path = folder / "gadm.parquet"
    frame = gadm(boxes(UNITS)).rename(columns={"COUNTRY": "NAME_0"}).rename(columns=str.lower)
    frame.to_parquet(path)
    return path


def geoboundaries(folder: Path) -> Path:
    """A global composite of geoBoundaries (CGAZ) of level 2: districts, or what comes nearest."""
    path = folder / "geoBoundariesCGAZ_ADM2.geojson"
    table = pd.DataFrame(
        {
            "shapeName": UNITS["district"].fillna(UNITS["country"]),
            "shapeISO": "",
            "shapeID": [f"{k}B{k}" for k in range(len(UNITS))],
            "shapeGroup": UNITS["iso"],
            "shapeType": np.where(UNITS["district"].isna(), "ADM0", "ADM2"),
        }
    )
    boxes(table).to_file(path, driver="GeoJSON")
    return path


def natural_earth(folder: Path) -> Path:
    """States of Natural Earth."""
    path = folder / "ne_10m_admin_1_states_provinces.geojson"
    table = pd.DataFrame(
        {
            "featurecla": "Admin-1 states provinces",
            "adm1_code": [f"{iso}-{k}" for k, iso in enumerate(UNITS["iso"])],
            "name": UNITS["state"].fillna("Monaco"),
            "admin": UNITS["country"],
            "adm0_a3": UNITS["iso"],
            "iso_a2": ["DE", "DE", "DE", "FR", "MC"],
        }
    )
    boxes(table).to_file(path, driver="GeoJSON")
    return path


def natural_earth_countries(folder: Path) -> Path:
    """Countries of Natural Earth, among them one whose ISO code it does not give."""
    path = folder / "ne_110m_admin_0_countries.geojson"
    frame = dissolved(["country", "iso"])
    frame = frame.rename(columns={"country": "ADMIN", "iso": "ADM0_A3"})
    frame = frame.assign(NAME=frame["ADMIN"], ISO_A3=["DEU", "-99", "MCO"])
    frame.to_file(path, driver="GeoJSON")
    return path


def nuts(folder: Path) -> Path:
    """All levels of NUTS in one file."""
    path = folder / "NUTS_RG_20M_2021_4326.geojson"
    countries, states = dissolved(["country"]), boxes(UNITS.assign(country="?"))
    columns = ["NUTS_ID", "LEVL_CODE", "CNTR_CODE", "NAME_LATN", "geometry"]
    codes = ["DE", "DE", "DE", "FR", "MC"]
    outer = countries.assign(
        NUTS_ID=["DE", "FR", "MC"], LEVL_CODE=0, CNTR_CODE=["DE", "FR", "MC"],
        NAME_LATN=countries["country"],
    )  # fmt: skip
    inner = states.assign(
        NUTS_ID=[f"{code}{k}" for k, code in enumerate(codes)], LEVL_CODE=1, CNTR_CODE=codes,
        NAME_LATN=states["district"].fillna("Monaco"),
    )  # fmt: skip
    pd.concat([outer, inner])[columns].to_file(path, driver="GeoJSON")
    return path


def ecoregions(folder: Path, biome: str) -> Path:
    """Ecoregions of RESOLVE, where ``biome`` is a name, or of WWF, where it is a number."""
    path = folder / "ecoregions.parquet"
    table = pd.DataFrame(
        {
            "OBJECTID": range(1, 6),
            "ECO_NAME": ["Alps", "Baltic", "Alps", "Sahara", "Sahel"],
            biome: ["Forest", "Forest", "Forest", "Desert", "Savanna"]
            if biome == "BIOME_NAME"
            else [5.0, 4.0, 5.0, 13.0, 7.0],
            "REALM": ["Palearctic", "Palearctic", "Palearctic", "Palearctic", "Afrotropic"],
            "ECO_ID": [1, 2, 1, 3, 4],
        }
    )
    boxes(table).to_parquet(path)
    return path
