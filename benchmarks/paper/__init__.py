"""The experiments of GeoSpOT (Zhang et al. 2026, arXiv 2604.16220), run again from its data."""
