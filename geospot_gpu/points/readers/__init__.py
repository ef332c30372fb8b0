"""Readers: files and objects of other libraries become one table, and its rows become points.

``kinds.py`` is the register of the kinds of file that are read, one file of this folder each.
"""

from geospot_gpu.points.readers.columns import column
from geospot_gpu.points.readers.points import read_points, with_geometry
from geospot_gpu.points.readers.shapes import has_geometry, require_geopandas
from geospot_gpu.points.readers.systems import to_wgs84
from geospot_gpu.points.readers.tables import read_table

__all__ = [
    "column",
    "has_geometry",
    "read_points",
    "read_table",
    "require_geopandas",
    "to_wgs84",
    "with_geometry",
]
