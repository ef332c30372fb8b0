"""Which method a report of transfer recommends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.urls import place


class Choice(NamedTuple):
    """What ``geospot select`` chooses, and how."""

    over: str
    method: str

    def __str__(self) -> str:
        return f"over={self.over} method={self.method}"


CHOICE_FOR = {
    "predicts": Choice("points", "importance"),
    "no evidence": Choice("regions", "scatter"),
    "not enough regions": Choice("regions", "scatter"),
}
"""By the verdict of ``geospot transfer``, as models did in benchmarks/selection.

There distances predicted transfer on every task, so of the other verdicts it says only that scatter
was nowhere significantly worse than any choice.
"""

_WHY = {
    "points": "where it was, no choice did significantly better",
    "regions": "no choice of regions has done significantly better",
}


class Recommended(NamedTuple):
    """What to choose samples by."""

    choice: Choice
    text: str


def recommended_by(report: str | Path) -> Recommended:
    """The method that a folder written by ``geospot transfer`` recommends.

    Raises:
        GeospotError: it holds no such report.
    """
    try:
        choice = CHOICE_FOR[verdict := json.loads(place(report).read("summary.json"))["verdict"]]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError) as error:
        raise GeospotError(
            f"transfer={report}: holds no report of geospot transfer: give the folder it wrote"
        ) from error
    said = f"recommended: {choice}: the verdict of transfer is {verdict!r}, and"
    return Recommended(choice, f"{said} {_WHY[choice.over]}")
