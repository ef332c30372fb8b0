"""The part of a page on which places drive a distance."""

from __future__ import annotations

import numpy as np

from geospot_gpu.report.folders import Results
from geospot_gpu.report.html import Section, paragraph, picture, table
from geospot_gpu.report.packing import packed, rounded

_NEEDED = ("region", "side", "weight", "contribution", "importance")
_MOST = 25
_TITLES = {"per_mass": "contribution per mass"}


def explained(results: Results) -> Section:
    """What ``geospot explain`` found."""
    points = results.needed("contributions.parquet", _NEEDED)
    points = points.drop(columns="geometry", errors="ignore")
    # Per mass, or a place with many points would stand first for that alone.
    points["per_mass"] = points["contribution"] / points["weight"]
    located = {"lon", "lat"} <= set(points)
    text = paragraph(results.summary.get("verdict", ""), "verdict")
    sides = points.drop_duplicates("side").set_index("side")["region"]
    data = {"located": located, "sides": {str(side): str(name) for side, name in sides.items()}}
    arrays = {"explain_value": packed(rounded(points["per_mass"].to_numpy(float)))}
    arrays["explain_target"] = packed((points["side"] == "target").to_numpy().astype(np.uint8))
    arrays["explain_importance"] = packed(rounded(points["importance"].to_numpy(float)))
    if located:
        arrays["explain_lon"], arrays["explain_lat"] = (
            packed(points[axis].to_numpy(np.float32)) for axis in ("lon", "lat")
        )
        text += '<div data-part="explain"></div>\n'
    first = points.sort_values("per_mass", ascending=False).head(_MOST)
    text += f"<h3>The {len(first)} places that drive it most</h3>\n"
    text += table("contributions", first, _TITLES)
    text += picture(results.picture("contributions.png"), "map of contributions")
    return Section("explain", "Which places drive a distance", text, data, arrays)
