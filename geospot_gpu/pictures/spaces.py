"""Pictures of correlations in several spaces at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.pictures.maps import drawing, label, pyplot
from geospot_gpu.pictures.transfer import correlation_picture, draw_loss
from geospot_gpu.transfer.assessment import Assessment
from geospot_gpu.transfer.correlation.statistics import rank_rows
from geospot_gpu.transfer.correlation.verdict import LEVEL, Verdict
from geospot_gpu.transfer.scores.scores import Scores
from geospot_gpu.transfer.spaces import split

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BEST = "best of each space"
_NO_SPACE = "0.3"


def assessment_picture(found: Assessment) -> Figure:
    """Correlations of one space, or of several side by side."""
    of = found.distances, found.scores, found.verdict
    if len(found.spaces):
        return spaces_picture(found.table, found.spaces, *of)
    return correlation_picture(found.table, *of)


@drawing
def spaces_picture(
    table: pd.DataFrame,
    between: pd.DataFrame,
    distances: Mapping[str, NDArray[np.float64]],
    scores: Scores,
    verdict: Verdict,
) -> Figure:
    """Correlations by distance, spaces in colours; their differences; the best one and the loss.

    Args:
        table: of :func:`~geospot_gpu.correlate`.
        between: of :func:`~geospot_gpu.transfer.correlation.between.between_spaces`.
        distances: matrices by name, [R, R].
        scores: the scores.
        verdict: what is said above.
    """
    plt = pyplot()
    figure: Figure
    rows = rank_rows(table).dropna(subset=["value"]).copy()
    names = [split(name) for name in rows["distance"]]
    rows["space"], rows["plain"] = [space for space, _ in names], [plain for _, plain in names]
    spaces = list(dict.fromkeys(space for space, _ in names if space is not None))
    order = list(rows.groupby("plain")["value"].max().sort_values().index)
    place = {name: k for k, name in enumerate([*order, _BEST])}
    height = max(4.0, (0.2 + 0.08 * len(spaces)) * len(place) + 1.8)
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(14, height), width_ratios=[1.3, 1, 1], layout="constrained"
    )
    middle.sharey(left)
    _correlations(left, rows, spaces, place)
    _differences(middle, between, spaces, place)
    left.set_yticks(range(len(place)), labels=list(place), fontsize=8)
    left.set_ylim(-0.7, len(place) - 0.3)
    middle.tick_params(labelleft=False)
    draw_loss(right, distances, scores, verdict)
    figure.suptitle(verdict.text, fontsize=9, wrap=True)
    return figure


def _correlations(axes: Any, rows: pd.DataFrame, spaces: list[str], place: dict[str, int]) -> None:
    """Every correlation with its interval, filled where it is significant in the family."""
    lanes = _lanes(len(spaces))
    for k, space in enumerate([*spaces, None]):
        own = rows[rows["space"].isna() if space is None else rows["space"] == space]
        if not len(own):
            continue
        colour = _NO_SPACE if space is None else f"C{k}"
        at = own["plain"].map(place).to_numpy(float) + (0.0 if space is None else lanes[k])
        certain = own["p_family"].to_numpy(float) <= LEVEL
        faces = [colour if sure else "white" for sure in certain]
        _bars(axes, own, "value", at, colour)
        axes.scatter(
            own["value"], at, s=22, facecolors=faces, edgecolors=colour, zorder=3,
            label="in no space" if space is None else label(space),
        )  # fmt: skip
    axes.axvline(0.0, color="0.8", linewidth=0.8)
    axes.axhline(len(place) - 1.5, color="0.8", linewidth=0.8)
    axes.set_xlabel("Spearman's rho with the loss (95 % interval)\nfilled: family-wise p ≤ 0.05")
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=4)


def _differences(
    axes: Any, between: pd.DataFrame, spaces: list[str], place: dict[str, int]
) -> None:
    """By how much the correlation in one space is above that in another."""
    both = list(combinations(spaces, 2))
    lanes = _lanes(len(both))
    for k, (space, other) in enumerate(both):
        own = between[(between["space"] == space) & (between["other_space"] == other)]
        best = own["best"].to_numpy(bool)
        same = (own["distance"] == own["other_distance"]).to_numpy(bool)
        colour = f"C{(len(spaces) + k) % 10}"
        for some, at in (
            (same, own["distance"].map(place).to_numpy(float)),
            (best, np.full(len(own), float(place[_BEST]))),
        ):
            _bars(axes, own[some], "difference", at[some] + lanes[k], colour)
            axes.scatter(own["difference"][some], at[some] + lanes[k], s=18, color=colour, zorder=3)
        axes.scatter([], [], s=18, color=colour, label=f"{label(space)} - {label(other)}")
    axes.axvline(0.0, color="0.6", linewidth=0.8)
    axes.axhline(len(place) - 1.5, color="0.8", linewidth=0.8)
    axes.set_xlabel("difference of rho between spaces\n(95 % interval)")
    axes.legend(fontsize=8, loc="best")


def _bars(axes: Any, rows: pd.DataFrame, name: str, at: NDArray[np.float64], colour: str) -> None:
    ends = np.maximum([rows[name] - rows["lower"], rows["upper"] - rows[name]], 0.0)
    axes.errorbar(rows[name], at, xerr=ends, fmt="none", ecolor=colour, alpha=0.5)


def _lanes(count: int) -> NDArray[np.float64]:
    """Where so many marks of a row lie around its middle."""
    return np.linspace(0.11, -0.11, count) * (count - 1)
