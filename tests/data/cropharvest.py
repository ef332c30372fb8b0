"""CropHarvest: labelled places, some of them fields with an outline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

POINT = {"type": "Point", "coordinates": [1.1, 7.9]}
FIELD = {"type": "Polygon", "coordinates": [[[36, 0], [37, 0], [37, 1], [36, 0]]]}
PLACES: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    (POINT, {"index": 0, "lon": 1.1, "lat": 7.9, "dataset": "togo", "is_crop": 1, "label": None}),
    (POINT, {"index": 1, "lon": 1.2, "lat": 8.0, "dataset": "togo", "is_crop": 0, "label": None}),
    (
        FIELD,
        {"index": 0, "lon": 36.7, "lat": 0.4, "dataset": "kenya", "is_crop": 1, "label": "Maize"},
    ),
)


def write(root: Path) -> None:
    """``labels.geojson`` as the archive on Zenodo has it."""
    root.mkdir(parents=True, exist_ok=True)
    common = {
        "classification_label": None,
        "collection_date": "2020-04-20T00:00:00",
        "export_end_date": "2021-02-01T00:00:00",
        "harvest_date": None,
        "planting_date": None,
        "externally_contributed_dataset": False,
        "is_test": False,
    }
    features: list[dict[str, Any]] = [
        {"type": "Feature", "properties": common | own, "geometry": geometry}
        for geometry, own in PLACES
    ]
    features[1]["properties"]["is_test"] = True
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    content = {"type": "FeatureCollection", "name": "labels", "crs": crs, "features": features}
    (root / "labels.geojson").write_text(json.dumps(content))
