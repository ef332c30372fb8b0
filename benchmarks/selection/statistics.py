"""Which method does better, and how sure that is."""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap, permutation_test

Array = NDArray[np.float64]
RANKED = ("coverage", "union", "the paper's union", "nearest by great circle", "random")
"""Methods at equal budget; the others are controls."""
SHOWN_RANKS = RANKED[:3]
SHOWN = (*RANKED, "all data", "oracle")
SETTING = ["regions", "samples"]
LEVEL = 0.05


def compare(measured: dict[str, pd.DataFrame], kinds: dict[str, str]) -> dict[str, Any]:
    """Tables of scores, and what was claimed of ``coverage``.

    Args:
        measured: by task, columns ``method``, ``regions``, ``samples``, ``target`` and ``score``,
            more being better.
        kinds: by task, ``error`` or ``accuracy``.
    """
    scores = {
        task: table.pivot_table("score", [*SETTING, "target"], "method")[list(SHOWN)]
        for task, table in measured.items()
    }
    found: dict[str, Any] = {task: _of_task(table, kinds[task]) for task, table in scores.items()}
    ranks = {task: _ranks(table).mean() for task, table in scores.items()}
    pooled = pd.concat([_ranks(table) for table in scores.values()]).mean()
    against = {name: _tests(scores, name) for name in ("the paper's union", "union", "random")}
    rows: dict[str, object] = {
        f"mean rank of {name}, of {len(RANKED)}": round(float(pooled[name]), 3) for name in RANKED
    }
    for task, mean in ranks.items():
        shown = ", ".join(f"{mean[name]:.2f}" for name in SHOWN_RANKS)
        rows[f"mean rank in {task} of {', '.join(SHOWN_RANKS)}"] = shown
    for verdict in ("worse", "better"):
        for name, tests in against.items():
            count = int((tests[verdict] <= LEVEL).sum())
            title = f"settings in which coverage is significantly {verdict} than {name} (Holm, 5 %)"
            rows[title] = f"{count} of {len(tests)}"
    found["over all"] = rows
    return found


def _of_task(scores: pd.DataFrame, kind: str) -> dict[str, Any]:
    sign = -1.0 if kind == "error" else 1.0
    ranks, means = _ranks(scores), scores.groupby(level=SETTING).mean()
    rows = []
    for method in SHOWN:
        row: dict[str, object] = {"method": method}
        for setting, value in means[method].items():
            regions, samples = cast(tuple[int, int], setting)
            row[f"{regions} regions, {samples} samples"] = round(sign * float(value), 3)
        row["mean rank"] = round(float(ranks[method].mean()), 2) if method in RANKED else ""
        rows.append(row)
    away = _differences(scores, "random")
    by_target = away.groupby(level="target").mean()
    interval = bootstrap(
        (by_target.to_numpy(),), np.mean, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    by_setting = (away > 0).groupby(level=SETTING).mean()
    unit = "lower RMSE" if kind == "error" else "higher accuracy"
    return {
        "score": "RMSE, lower is better" if kind == "error" else "accuracy, higher is better",
        "coverage beats random for": f"{(by_target > 0).mean():.1%} of {len(by_target)} targets",
        "in the settings one by one": ", ".join(f"{share:.0%}" for share in by_setting),
        f"mean gain of coverage over random, {unit}": (
            f"{by_target.mean():.3f} [{interval.low:.3f}, {interval.high:.3f}]"
        ),
        "methods": rows,
    }


def _ranks(scores: pd.DataFrame) -> pd.DataFrame:
    """Rank of every method at every target and setting, 1 the best."""
    return scores[list(RANKED)].rank(axis=1, ascending=False)


def _differences(scores: pd.DataFrame, other: str) -> pd.Series[float]:
    difference: pd.Series[float] = scores["coverage"] - scores[other]
    return difference


def _tests(scores: dict[str, pd.DataFrame], other: str) -> pd.DataFrame:
    """Holm-corrected p-values of paired permutation tests, one row per task and setting."""
    rows = {}
    for task, table in scores.items():
        for setting, difference in _differences(table, other).groupby(level=SETTING):
            values = np.asarray(difference, np.float64)
            rows[f"{task} {setting}"] = {
                "worse": _signs(values, "less"),
                "better": _signs(values, "greater"),
            }
    tests = pd.DataFrame(rows).T
    return tests.apply(lambda column: pd.Series(holm(column.to_numpy()), tests.index))


def _signs(differences: Array, alternative: Literal["less", "greater"]) -> float:
    """One-sided p-value of the mean of paired differences, under exchange within pairs."""
    test = permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=9999,
        alternative=alternative, rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(test.pvalue)


def holm(p: Array) -> Array:
    """P-values corrected for their number (Holm 1979).

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    steps = p[order] * (len(p) - np.arange(len(p)))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected
