"""Which method does better, and how sure that is."""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap, permutation_test

from geospot_gpu.selection.recommended import CHOICE_FOR, Choice

Array = NDArray[np.float64]
REGIONS = ("coverage", "union", "nearest", "scatter", "random")
RANKED = (*REGIONS, "points by coverage", "points by importance")
"""Methods at equal budget; the others are controls."""
SHOWN = (*RANKED, "scatter, by size", "all data", "oracle")
JUDGED = ("scatter", "recommended")
"""What is claimed to be worse than no other method."""
SETTING = ["regions", "samples"]
LEVEL = 0.05


def name_of(choice: Choice) -> str:
    """What a choice is called here."""
    return f"points by {choice.method}" if choice.over == "points" else choice.method


def compare(
    measured: dict[str, pd.DataFrame], kinds: dict[str, str], verdicts: dict[str, str]
) -> dict[str, Any]:
    """Tables of scores, and what was claimed of ``scatter`` and of what is recommended.

    Args:
        measured: by task, columns ``method``, ``regions``, ``samples``, ``target`` and ``score``,
            more being better.
        kinds: by task, ``error`` or ``accuracy``.
        verdicts: by task, what is said of distances.
    """
    scores = {
        task: table.pivot_table("score", [*SETTING, "target"], "method")[list(SHOWN)]
        for task, table in measured.items()
    }
    recommended = {task: name_of(CHOICE_FOR[verdict]) for task, verdict in verdicts.items()}
    scores = {
        task: table.assign(recommended=table[recommended[task]]) for task, table in scores.items()
    }
    found: dict[str, Any] = {
        task: {"verdict": verdicts[task], "recommended": recommended[task]}
        | _of_task(table, kinds[task])
        for task, table in scores.items()
    }
    pooled = pd.concat([_ranks(table) for table in scores.values()]).mean()
    overall: dict[str, object] = {
        f"mean rank of {name}, of {len(RANKED)}": round(float(pooled[name]), 3) for name in RANKED
    }
    for judged in JUDGED:
        against = {name: _tests(scores, judged, name) for name in RANKED if name != judged}
        found[f"{judged} less others: mean difference, Holm's p"] = {
            "methods": [
                {"method": name} | {where: _cell(row) for where, row in tests.iterrows()}
                for name, tests in against.items()
            ]
        }
        for verdict in ("worse", "better"):
            counts = {name: int((tests[verdict] <= LEVEL).sum()) for name, tests in against.items()}
            said = ", ".join(f"{name} {count}" for name, count in counts.items())
            overall[f"settings in which {judged} is significantly {verdict} than"] = said
    overall["settings"] = sum(len(table.groupby(level=SETTING)) for table in scores.values())
    found["over all"] = overall
    return found


def _cell(row: pd.Series) -> str:
    """A difference, positive where the judged is better, and the p-value of its direction."""
    verdict = "worse" if row["difference"] < 0 else "better"
    text = f"{row['difference']:+.3f}, {row[verdict]:.3f}"
    return f"**{text}**" if row["worse"] <= LEVEL else text


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
    """Differences, and Holm's p-values of paired permutation tests, a row per task and setting."""
    rows = {}
    for task, table in scores.items():
        for setting, difference in (table[judged] - table[other]).groupby(level=SETTING):
            _, samples = cast(tuple[int, int], setting)
            values = np.asarray(difference, np.float64)
            rows[f"{task}, {samples}"] = {
                "difference": values.mean(),
                "worse": _signs(values, "less"),
                "better": _signs(values, "greater"),
            }
    tests = pd.DataFrame(rows).T
    for verdict in ("worse", "better"):
        tests[verdict] = holm(tests[verdict].to_numpy())
    return tests


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
