"""Means over the seeds as tables of the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.transfer.correlations import Correlated
from benchmarks.transfer.prediction import ALONE
from benchmarks.transfer.tasks import Task

Figures = dict[str, dict[str, float]]
"""What is measured of the predictor, by which spaces it learns from."""
_PARTS = (
    *("without covariates", "without trees", "without proxy A-distance"),
    *("mean alone", "median alone", *(f"{name} alone" for name in ALONE)),
)


def summary(
    task: Task, correlations: Sequence[Correlated], figures: Sequence[Figures]
) -> dict[str, object]:
    """All tables of a task by title."""
    name, seeds = task.name, f"{task.kind}, {len(figures)} seeds"
    of_distances: dict[str, object] = {
        "score": seeds,
        "verdicts": ", ".join(one.verdict.verdict for one in correlations),
        "first verdict": correlations[0].verdict.text,
        "spaces, first seed": correlations[0].of_spaces,
        "methods": distances(correlations),
    }
    return {
        name: of_distances,
        f"{name}: one space beside the other": {"methods": spaces(correlations)},
        f"{name}: predictor": {"methods": predictor(figures)},
        f"{name}: the predictor without parts, error over its own": {"methods": parts(figures)},
    }


def distances(correlations: Sequence[Correlated]) -> list[dict[str, object]]:
    """Every distance, that with the largest correlation first."""
    rho = pd.concat([one.rho for one in correlations], keys=range(len(correlations)))
    columns = rho.groupby(level=1)[["value", "lower", "upper", "p", "p_family"]].mean()
    group = rho.groupby(level=1)["group"].first()
    return [
        {
            "distance": name,
            "kind": group[str(name)],
            "rho": round(row["value"], 3),
            "95 % interval": f"{row['lower']:.2f} to {row['upper']:.2f}",
            "p": round(row["p"], 3),
            "family-wise p": "" if np.isnan(row["p_family"]) else round(row["p_family"], 3),
        }
        for name, row in columns.sort_values("value", ascending=False).iterrows()
    ]


def spaces(correlations: Sequence[Correlated]) -> list[dict[str, object]]:
    """Every distance that both spaces have, the largest difference first."""
    every = pd.concat([one.spaces for one in correlations])
    same = every[every["distance"] == every["other_distance"]]
    keys, figures = ["distance", "space", "other_space"], ["difference", "lower", "upper"]
    means = same.groupby(keys)[["rho", "other_rho", *figures]].mean().reset_index()
    return [
        {
            "distance": row["distance"],
            f"rho, {row['space']}": round(row["rho"], 3),
            f"rho, {row['other_space']}": round(row["other_rho"], 3),
            "difference": "{:+.3f} [{:+.3f}, {:+.3f}]".format(*(row[name] for name in figures)),
        }
        for _, row in means.sort_values("difference", ascending=False).iterrows()
    ]


def predictor(figures: Sequence[Figures]) -> list[dict[str, object]]:
    """The predictor beside simpler ones and itself before."""
    rows: list[dict[str, object]] = []
    for space in figures[0]:
        of = pd.DataFrame([one[space] for one in figures])
        mean = of.mean()
        rows.append(
            {
                "distances of": space,
                "mean absolute error": round(mean["error"], 4),
                "mean or best single distance": round(mean["simple"], 4),
                "over it": round(float((of["error"] / of["simple"]).mean()), 3),
                "z": round(mean["z over simple"], 1),
                "predictor before": round(mean["before"], 4),
                "over that": round(float((of["error"] / of["before"]).mean()), 3),
                "its z": round(mean["z over before"], 1),
                "gains": f"{int(of['gains'].sum())} of {len(of)}",
                "90 % intervals hold": f"{mean['covered']:.1%}",
                "worst target": f"{mean['worst target']:.1%}",
                "width": round(mean["width"], 4),
                "over before, as many held": round(mean["width over before"], 3),
            }
        )
    return rows


def parts(figures: Sequence[Figures]) -> list[dict[str, object]]:
    """Errors without parts, and of parts alone, over that of the predictor."""
    rows = []
    for name in _PARTS:
        row: dict[str, object] = {"": name}
        for space in figures[0]:
            over = [one[space][name] / one[space]["error"] for one in figures]
            row[space] = round(float(np.mean(over)), 3)
        rows.append(row)
    return rows
