"""Which method a report of transfer recommends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.urls import place
from geospot_gpu.selection.methods import RegionMethod

METHOD_FOR: dict[str, RegionMethod] = {
    "predicts": "coverage",
    "no evidence": "scatter",
    "not enough regions": "scatter",
}
"""By the verdict of ``geospot transfer``: where distances do not predict, none is a guide."""


class Recommended(NamedTuple):
    """What to choose regions by."""

    method: RegionMethod
    text: str


def recommended_by(report: str | Path) -> Recommended:
    """The method that a folder written by ``geospot transfer`` recommends.

    Raises:
        GeospotError: it holds no such report.
    """
    try:
        method = METHOD_FOR[verdict := json.loads(place(report).read("summary.json"))["verdict"]]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError) as error:
        raise GeospotError(
            f"transfer={report}: holds no report of geospot transfer: give the folder it wrote"
        ) from error
    if method == "coverage":
        return Recommended(method, "recommended: method=coverage, for distances predict transfer")
    return Recommended(
        method,
        f"recommended: method=scatter, for of transfer the verdict is {verdict!r}: choosing "
        "regions by distance has nothing to go by",
    )
