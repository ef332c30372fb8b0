"""Points on a map, and where they are read from."""

from geospot_gpu.points.table import Points

__all__ = ["Points"]
