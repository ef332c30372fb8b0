"""Rasters of vectors, as Earth embeddings are published, and their values at points."""

from __future__ import annotations

from geospot_gpu.encoders.raster.encoder import Raster

__all__ = ["Raster"]
