"""Which method does better, and how sure that is."""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap, permutation_test

Array = NDArray[np.float64]
REGIONS = ("coverage", "union", "nearest", "scatter", "random")
RANKED = (*REGIONS, "points by coverage", "points by importance")
"""Methods at equal budget; the others are controls."""
SHOWN = (*RANKED, "scatter, equally", "scatter, by the plan", "all data", "oracle")
JUDGED = ("scatter", "recommended")
"""What is claimed to be worse than no other method."""
SETTING = ["regions", "samples"]
LEVEL = 0.05


def compare(
    measured: dict[str, pd.DataFrame],
    kinds: dict[str, str],
    recommended: dict[str, str],
    verdicts: dict[str, str],
) -> dict[str, Any]:
    """Tables of scores, and what was claimed of ``scatter`` and of what is recommended.

    Args:
        measured: by task, columns ``method``, ``regions``, ``samples``, ``target`` and ``score``,
            more being better.
        kinds: by task, ``error`` or ``accuracy``.
        recommended: by task, the method that its verdict recommends.
        verdicts: by task, what is said of distances.
    """
    scores = {
        task: table.pivot_table("score", [*SETTING, "target"], "method")[list(SHOWN)]
        for task, table in measured.items()
    }
    scores = {
        task: table.assign(recommended=table[recommended[task]]) for task, table in scores.items()
    }
    found: dict[str, Any] = {
        task: {"verdict": verdicts[task], "recommended": recommended[task]}
        | _of_task(table, kinds[task])
        for task, table in scores.items()
    }
    pooled = pd.concat([_ranks(table) for table in scores.values()]).mean()
    rows: dict[str, object] = {
        f"mean rank of {name}, of {len(RANKED)}": round(float(pooled[name]), 3) for name in RANKED
    }
    for judged in JUDGED:
        tests = {name: _tests(scores, judged, name) for name in RANKED if name != judged}
        for verdict in ("worse", "better"):
            for name, of_name in tests.items():
                some = of_name.index[of_name[verdict] <= LEVEL]
                where = f" ({'; '.join(some)})" if len(some) else ""
                title = f"{judged} significantly {verdict} than {name} (Holm, 5 %)"
                rows[title] = f"{len(some)} of {len(of_name)}{where}"
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
    away = scores["coverage"] - scores["random"]
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


def _tests(scores: dict[str, pd.DataFrame], judged: str, other: str) -> pd.DataFrame:
    """Holm-corrected p-values of paired permutation tests, one row per task and setting."""
    rows = {}
    for task, table in scores.items():
        for setting, difference in (table[judged] - table[other]).groupby(level=SETTING):
            regions, samples = cast(tuple[int, int], setting)
            values = np.asarray(difference, np.float64)
            rows[f"{task}, {regions} regions, {samples} samples"] = {
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
