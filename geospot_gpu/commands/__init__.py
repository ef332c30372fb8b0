"""Commands of ``geospot``: settings into calls, results into files and lines."""
