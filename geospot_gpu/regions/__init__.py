"""Regions: named clouds of points, how points are grouped into them, and their collection."""

from geospot_gpu.regions.collection import Regions

__all__ = ["Regions"]
