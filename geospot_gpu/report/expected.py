"""The part of a page on scores to expect where there are no labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from geospot_gpu.errors.packages import imported
from geospot_gpu.report.atlas import places_of
from geospot_gpu.report.folders import Results
from geospot_gpu.report.html import Section, facts, number, paragraph, picture, records, table
from geospot_gpu.report.packing import Packed, packed, rounded
from geospot_gpu.report.transferred import predictor_facts

_PREDICTED = ("source", "target", "predicted", "lower", "upper", "extrapolates")
_PLACES = ("di", "inside", "expected", "lower", "upper")
_WORST = 25
_SIDE = "threshold_side"


def expected(results: Results, regions: dict[str, Any]) -> Section:
    """What ``geospot predict`` found.

    Args:
        results: its folder.
        regions: what the page knows of the regions of the run, which may be among the targets.
    """
    places = results.table("places.parquet", _PLACES)
    if places is not None:
        return _of_one_model(results, places)
    kind = results.required("kind")
    every = results.needed("predictions.parquet", _PREDICTED)
    ordered = every.sort_values("predicted", ascending=kind == "error", kind="stable")
    best = ordered.drop_duplicates("target").reset_index(drop=True)
    cells = results.table("map.parquet", ("target", "geometry"))
    lon, lat, degrees = _corners(best, cells, regions)
    frame = pd.DataFrame(
        {
            "target": best["target"],
            "source": best["source"],
            "expected": best["predicted"],
            "lower": best["lower"],
            "upper": best["upper"],
            "unknown": best["extrapolates"],
        }
    )
    if _SIDE in best:
        frame["side"] = best[_SIDE]
    text = paragraph(results.summary.get("verdict", ""), "verdict")
    text += predictor_facts(results.summary.get("predictor"))
    gains = (results.summary.get("predictor") or {"gains": True})["gains"]
    return _section(results, frame, (lon, lat, degrees), kind, text, gains=gains)


def _of_one_model(results: Results, places: pd.DataFrame) -> Section:
    """Of one model: where it may be trusted."""
    kind = results.required("kind")
    named = "place" if "lon" not in places else None
    target = (
        [f"row {row}" for row in places["row"]]
        if named
        else [
            f"lon {lon:.2f}, lat {lat:.2f}"
            for lon, lat in zip(places["lon"], places["lat"], strict=True)
        ]
    )
    frame = pd.DataFrame(
        {
            "target": target,
            "expected": places["expected"],
            "lower": places["lower"],
            "upper": places["upper"],
            "dissimilarity": places["di"],
            "unknown": ~places["inside"] | places["expected"].isna(),
        }
    )
    if _SIDE in places:
        frame["side"] = places[_SIDE]
    none = np.full(len(places), np.nan)
    lon, lat = (places[axis].to_numpy(float) if axis in places else none for axis in ("lon", "lat"))
    summary = results.summary
    text = paragraph(summary.get("verdict", ""), "verdict") + facts(
        (name.replace("_", " "), number(summary[name]))
        for name in ("training_points", "samples", "samples_inside", "covered", "unknown")
        if name in summary
    )
    return _section(results, frame, (lon, lat, None), kind, text, gains=True)


def _section(
    results: Results,
    frame: pd.DataFrame,
    at: tuple[Any, Any, float | None],
    kind: str,
    text: str,
    *,
    gains: bool,
) -> Section:
    lon, lat, degrees = at
    frame = frame.assign(width=frame["upper"] - frame["lower"])
    order = frame.sort_values("expected", ascending=kind != "error", kind="stable")
    numbers = ("expected", "lower", "upper", "width")
    arrays: dict[str, Packed] = {
        f"expected_{name}": packed(rounded(frame[name].to_numpy(float))) for name in numbers
    }
    arrays["expected_lon"], arrays["expected_lat"] = (
        packed(np.asarray(side, np.float32)) for side in (lon, lat)
    )
    arrays["expected_unknown"] = packed(frame["unknown"].to_numpy(bool).astype(np.uint8))
    side = None
    if "side" in frame:
        codes = {"above": 1, "below": 2}
        side = float(results.summary["score_threshold"]["threshold"])
        arrays["expected_side"] = packed(
            frame["side"].map(lambda name: codes.get(name, 0)).to_numpy(np.uint8)
        )
    data = {
        "targets": list(frame["target"]),
        "sources": list(frame["source"]) if "source" in frame else None,
        "degrees": degrees,
        "kind": kind,
        "threshold": side,
        "gains": gains,
        "located": bool(np.isfinite(lon).any()),
        "tables": {"expected": records(frame)},
    }
    names = {"expected": f"expected {kind}", "unknown": "unlike all that was seen"}
    text += '<div data-part="predict"></div>\n<h3>Where least is expected</h3>\n'
    known = order[~order["unknown"]]
    text += table("expected", known.head(_WORST).drop(columns="unknown"), names)
    unlike, rest = len(order) - len(known), max(0, len(known) - _WORST)
    text += paragraph(
        f"the CSV has {rest:,} more, and {unlike:,} that are unlike all that was seen", "note"
    )
    pictures = ("map.png", "applicability.png")
    text += "".join(picture(results.picture(name), "map of expected scores") for name in pictures)
    return Section("predict", "What to expect elsewhere", text, data, arrays)


def _corners(
    best: pd.DataFrame, cells: pd.DataFrame | None, regions: dict[str, Any]
) -> tuple[Any, Any, float | None]:
    """Where targets lie, and the size of cells; regions of the run where their names are."""
    if cells is None:
        places = places_of(regions, best["target"])
        return np.array(places["lon"], float), np.array(places["lat"], float), None
    shapely = imported("shapely", "the map of expected scores is of polygons", "geo")
    bounds = shapely.bounds(shapely.from_wkb(cells["geometry"].to_numpy()))
    of = cells.assign(lon=bounds[:, 0], lat=bounds[:, 1]).set_index("target")
    found = of.loc[best["target"], ["lon", "lat"]].to_numpy(float)
    return found[:, 0], found[:, 1], float(np.ptp(bounds[:, [1, 3]], axis=1).max())
