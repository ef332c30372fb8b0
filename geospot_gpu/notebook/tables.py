"""Tables of objects as HTML: what they say in words, then a few rows."""

from __future__ import annotations

from functools import singledispatch
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.distances.nearest.search import Neighbours
from geospot_gpu.pictures.projection import EqualEarth
from geospot_gpu.regions import Regions
from geospot_gpu.runs.run import Run
from geospot_gpu.selection.points import PointSelection
from geospot_gpu.selection.regions import Selection
from geospot_gpu.transfer.applicability.applicability import Applicability
from geospot_gpu.transfer.assessment import Assessment
from geospot_gpu.transfer.correlation.statistics import rank_rows
from geospot_gpu.transfer.explanation import Explanation
from geospot_gpu.transfer.prediction import Predictions
from geospot_gpu.transfer.predictor.evaluation import Evaluation
from geospot_gpu.transfer.scores.scores import Scores

_ROWS = 10
_DOTS = 1000
_WIDTH = 360
"""Of a map, in pixels."""


@singledispatch
def html(thing: object) -> str:
    """An object as HTML, in which nothing of what names hold is markup."""
    raise NotImplementedError(f"{type(thing).__name__} has no table")


def page(words: str, table: pd.DataFrame | None = None) -> str:
    """Words above the first rows of a table.

    >>> page("<b>", pd.DataFrame({"name": ["<i>"], "value": [0.123456]}))[:15]
    '<p>&lt;b&gt;</p'
    """
    text = f"<p>{escape(words)}</p>"
    if table is None or not len(table):
        return text
    shown = table.head(_ROWS).rename(columns=str)
    rows = shown.to_html(escape=True, float_format="{:.4g}".format, border=0, na_rep="")
    more = len(table) - len(shown)
    return f"{text}{rows}" + (f"<p>and {more:,} more</p>" if more else "")


def small_map(table: pd.DataFrame) -> str:
    """Where regions are, as a drawing of a few kilobytes; nothing where nobody knows.

    Args:
        table: columns ``name``, ``lon`` and ``lat``.
    """
    placed = table.dropna(subset=["lon", "lat"]).head(_DOTS)
    if not len(placed):
        return ""
    earth = EqualEarth()
    edge = earth.outline()[::10]
    half = np.abs(edge).max(0)
    scale = _WIDTH / (2.0 * half[0])
    height = 2.0 * half[1] * scale

    def at(places: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((places * [1.0, -1.0] + half) * scale)

    border = " ".join(f"{x:.1f},{y:.1f}" for x, y in at(edge))
    places = earth.forward(placed["lon"].to_numpy(float), placed["lat"].to_numpy(float))
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"><title>{escape(str(name))}</title></circle>'
        for (x, y), name in zip(at(np.stack(places, -1)), placed["name"], strict=True)
    )
    return (
        f'<svg width="{_WIDTH}" height="{height:.0f}" role="img" aria-label="where regions are">'
        f'<polygon points="{border}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>'
        f'<g fill="currentColor" fill-opacity="0.6">{dots}</g></svg>'
    )


@html.register
def _(thing: Regions) -> str:
    table = thing.table()
    return page(repr(thing).splitlines()[0].strip("<>"), table.set_index("name")) + small_map(table)


@html.register
def _(thing: Run) -> str:
    words = f"{repr(thing).strip('<>')}; {thing.cost}; {thing.solver}"
    table = thing.table()
    return page(words, table.set_index("name")) + small_map(table)


@html.register
def _(thing: Assessment) -> str:
    rows = rank_rows(thing.table)
    rows = rows[rows["reason"].isna()].sort_values("value", ascending=False)
    columns = ["distance", "group", "value", "lower", "upper", "p_family"]
    more = "" if thing.evaluation is None else f" {thing.evaluation.text}"
    return page(f"{thing.verdict.text}{more}", rows[columns].set_index("distance"))


@html.register
def _(thing: Evaluation) -> str:
    figures = {key: value for key, value in thing.summary.items() if isinstance(value, float)}
    return page(thing.text, pd.DataFrame({"": figures}))


@html.register
def _(thing: Predictions) -> str:
    words = f"{thing.verdict}. {thing.evaluation.text}"
    worst = thing.best.sort_values("predicted", ascending=thing.kind != "error")
    return page(words, worst.reset_index(drop=True))


@html.register
def _(thing: Selection) -> str:
    words = (
        f"for {', '.join(thing.targets)}: {thing.distance} after each step; coverage of all is "
        f"{thing.coverage:.4g}, scattered {thing.scatter.scattered.value:.4g}"
    )
    return page(words, thing.table.set_index("order"))


@html.register
def _(thing: PointSelection) -> str:
    words = (
        f"{len(thing.table):,} of {thing.available:,} points for {', '.join(thing.targets)}; "
        f"coverage {thing.distance:.4g}"
    )
    return page(words, thing.table.set_index("order"))


@html.register
def _(thing: Neighbours) -> str:
    words = f"the nearest of {thing.candidates:,} regions, {thing.solved:,} of which were solved"
    return page(words, thing.table.set_index("rank"))


@html.register
def _(thing: Explanation) -> str:
    density = thing.points["contribution"] / thing.points["weight"]
    return page(thing.verdict, thing.points.loc[density.sort_values(ascending=False).index])


@html.register
def _(thing: Applicability) -> str:
    return page(f"{thing.text} {thing.verdict}", thing.places)


@html.register
def _(thing: Scores) -> str:
    rows = pd.DataFrame(thing.score, list(thing.regions), list(thing.regions))
    return page(f"scores ({thing.kind}) of {len(thing.regions)} regions", rows)
