"""The part of a page on what to collect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from geospot_gpu.report.atlas import places_of
from geospot_gpu.report.folders import Results
from geospot_gpu.report.html import Section, facts, number, paragraph, picture, records, table
from geospot_gpu.report.packing import Packed, packed

_STEPS = ("order", "region", "quota", "available", "distance", "lower", "upper", "improves")
_POINTS = ("weight", "order", "by")
_TITLES = {
    "distance": "distance after it",
    "lower": "from",
    "upper": "to",
    "improves": "improves by more than its error",
}


def chosen(results: Results, regions: dict[str, Any]) -> Section:
    """What ``geospot select`` found.

    Args:
        results: its folder.
        regions: what the page knows of the regions of the run.
    """
    summary = results.summary
    text = paragraph(summary.get("verdict", ""), "verdict")
    text += facts(_said(summary))
    steps = results.table("selection.csv", _STEPS)
    points = results.table("points.parquet", _POINTS) if steps is None else None
    if steps is None and points is None:
        steps = results.needed("selection.csv", _STEPS)
    data: dict[str, Any] = {"targets": summary.get("targets", [])}
    arrays: dict[str, Packed] = {}
    if steps is not None:
        shown = steps[[name for name in (*_STEPS, "price") if name in steps]]
        data |= {
            "names": list(steps["region"]),
            "quota": [float(x) for x in steps["quota"]],
            "distance": [float(x) for x in steps["distance"]],
            **places_of(regions, steps["region"]),
        }
        text += '<div data-part="select"></div>\n' + table("steps", shown, _TITLES)
        text += picture(results.picture("selection.png"), "the regions chosen, and each step")
    elif points is not None:
        shown = points.drop(columns="geometry", errors="ignore")
        if {"lon", "lat"} <= set(points):
            arrays = {
                f"select_{axis}": packed(points[axis].to_numpy(np.float32))
                for axis in ("lon", "lat", "weight")
            }
            order = pd.to_numeric(points["order"], errors="coerce").to_numpy(float)
            arrays["select_order"] = packed(order.astype(np.float32))
            data["points"] = len(points)
            text += '<div data-part="select"></div>\n'
        text += table("points", shown)
        text += picture(results.picture("points.png"), "map of the points chosen")
        data["tables"] = {} if len(shown) > 50_000 else {"points": records(shown)}
    return Section("select", "What to collect", text, data, arrays)


def _said(summary: dict[str, Any]) -> list[tuple[str, str]]:
    found = [
        ("for", ", ".join(map(str, summary.get("targets", [])))),
        ("by", str(summary.get("method", ""))),
    ]
    found += [
        (name, number(summary[name]))
        for name in ("regions", "samples", "points", "available", "shortfall", "price", "coverage")
        if summary.get(name) is not None
    ]
    beside = summary.get("scatter")
    if beside:
        low, high = beside["gain_interval"]
        found.append(
            (
                f"{beside['samples']} samples scattered over {beside['regions']} regions",
                f"coverage {number(beside['coverage'])}; choosing lowers it by "
                f"{number(beside['gain'])} [{number(low)}, {number(high)}]",
            )
        )
    if summary.get("recommended"):
        found.append(("recommended", str(summary["recommended"].get("method", ""))))
    return found
