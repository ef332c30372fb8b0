"""The outline of the land that maps of a report draw, from the mask of ``geospot_gpu.land``.

    python -m benchmarks.outline

It is written into the package: 14 KB there are seconds less for every report, which would load the
mask of 900 million cells else, and a map without the extra ``geo``.
"""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.land import land
from geospot_gpu.report.packing import packed
from tests.helpers.folders import ROOT

FILE = ROOT / "geospot_gpu/report/assets/land.json"
_STEP = 0.25
_SMOOTHED = 2
"""Cells of the mask in one of the outline, in either direction."""
_LEAST = 8
"""Corners of an island, below which it is not drawn."""
_HUNDREDTHS = 100


def land_outline() -> tuple[NDArray[np.int16], NDArray[np.int32]]:
    """Corners of the land's polygons, each step from the corner before, and how many each has.

    Even-odd filling makes lakes of polygons within polygons.

    Returns:
        Steps in hundredths of a degree of longitude and latitude, int16 [V, 2], the first of each
        polygon from (0, 0); and corners of each polygon, int32 [P].
    """
    from contourpy import contour_generator

    lon = np.arange(-180 + _STEP / 2, 180, _STEP)
    lat = np.arange(-90 + _STEP / 2, 90, _STEP)
    mask = land(*np.meshgrid(lon, lat)).astype(float)
    shape = (len(lat) // _SMOOTHED, _SMOOTHED, len(lon) // _SMOOTHED, _SMOOTHED)
    share = np.pad(mask.reshape(shape).mean((1, 3)), 1)  # sea around it closes all polygons
    size = _STEP * _SMOOTHED
    x = np.arange(-180 - size / 2, 180 + size, size)
    y = np.arange(-90 - size / 2, 90 + size, size)
    lines = contour_generator(x, y, share).lines(0.5)
    rings = [np.asarray(line, float) for line in lines if line is not None]
    limit = np.array([180.0, 90.0])
    corners = [
        np.rint(np.clip(ring, -limit, limit) * _HUNDREDTHS).astype(np.int16)
        for ring in rings
        if len(ring) >= _LEAST
    ]
    steps = [np.diff(polygon, axis=0, prepend=np.zeros((1, 2), np.int16)) for polygon in corners]
    return np.concatenate(steps), np.array([len(step) for step in steps], np.int32)


def main() -> None:
    steps, corners = (packed(part) for part in land_outline())
    found = {
        name: {"dtype": part.dtype, "text": part.text}
        for name, part in (("land_steps", steps), ("land_corners", corners))
    }
    FILE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
