"""Files that the published code of GeoSpOT writes, made into tables that the commands take.

Zhang et al. 2026 (arXiv 2604.16220), https://github.com/haoranzhang7/GeoSpOT. Its domains are our
regions; they are called by their numbers.
"""

from geospot_gpu.reference.folder import ReferenceFolder

__all__ = ["ReferenceFolder"]
