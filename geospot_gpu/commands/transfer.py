"""The command ``geospot transfer``: do the distances predict, and how far to trust them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import DictConfig

from geospot_gpu.commands.results import results_folder
from geospot_gpu.config import settings
from geospot_gpu.config.composed import checked
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.say import say
from geospot_gpu.files import expanded
from geospot_gpu.files.outputs import write_summary
from geospot_gpu.pictures.transfer import correlation_picture
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.sweep import required_manifest
from geospot_gpu.transfer.correlation import correlate
from geospot_gpu.transfer.evidence import Loaded, features, load, tidy
from geospot_gpu.transfer.predictor import Evaluation, Predictor
from geospot_gpu.transfer.scores import Scores, read_scores
from geospot_gpu.transfer.verdict import LEAST_REGIONS

_SHOWN = 8
_GAIN = ("rho", "lower", "upper")
_FILES = ("correlations.parquet", "transfer.png", "summary.json")


def transfer(config: DictConfig) -> None:
    """Run the report that ``config`` describes, and say what came out."""
    typed = checked(config, settings.TransferConfig)
    results = results_folder(typed, _FILES)
    scores = scores_of(typed)
    loaded = load(expanded(typed.sweep))
    positions = [loaded.names.index(name) for name in scores.regions]
    distances = {
        name: values[np.ix_(positions, positions)] for name, values in loaded.distances.items()
    }
    check_complete(distances, scores, typed.sweep)
    loss = scores.loss
    table, verdict = correlate(
        {name: loss.copy(data=values) for name, values in distances.items()},
        loss,
        weight=None if scores.weight is None else loss.copy(data=scores.weight),
        seed=typed.seed,
    )
    summary: dict[str, Any] = {
        "verdict": verdict.verdict,
        "text": verdict.text,
        "best_distance": verdict.distance,
        "best_baseline": verdict.baseline,
        "above_baseline": verdict.gain and dict(zip(_GAIN, verdict.gain, strict=True)),
        "left_out": left_out(table),
        "regions": len(scores.regions),
        "pairs": int(np.isfinite(scores.change).sum()),
        "missing_pairs": scores.missing,
        "scores": {"kind": scores.kind, "change": typed.scores.change},
    }
    if len(scores.regions) >= LEAST_REGIONS:
        pairs, names = training_pairs(loaded, scores)
        evaluation = Predictor(pairs, names, scores.kind, seed=typed.seed).evaluation
        summary["predictor"] = described(evaluation)
    with results.replacing() as staged:
        table.to_parquet(staged / "correlations.parquet", index=False)
        correlation_picture(table, distances, scores, verdict, staged / "transfer.png")
        write_summary(staged, summary)
    say(*_report(table, scores))
    say(verdict.text)
    if "predictor" in summary:
        say(predictor_line(evaluation))
    say(
        f"results in {results.folder}",
        f"verdict={verdict.verdict.replace(' ', '_')} "
        f"regions={summary['regions']} pairs={summary['pairs']} missing={scores.missing}",
    )


def scores_of(config: settings.TransferConfig) -> Scores:
    """The scores that the configuration names, checked before any point is read or encoded."""
    given = config.scores
    if given.path is None:
        raise GeospotError("scores is needed: give scores=FILE")
    manifest = required_manifest(Store(expanded(config.sweep)))
    return read_scores(
        given.path,
        kind=given.kind,  # type: ignore[arg-type]
        change=given.change,  # type: ignore[arg-type]
        regions=[region["name"] for region in manifest["sources"]],
        source=given.source,
        target=given.target,
        score=given.score,
    )


def check_complete(distances: dict[str, NDArray[np.float64]], scores: Scores, sweep: str) -> None:
    """Raise where a pair with a score is not in the sweep yet."""
    known = np.isfinite(scores.change)
    solved = np.isfinite(distances.get("n_source", np.full(known.shape, np.nan)))
    missing = np.argwhere(known & ~solved)
    if len(missing):
        i, j = missing[0]
        raise GeospotError(
            f"{sweep}: the pair of {scores.regions[i]} and {scores.regions[j]} is missing: finish "
            "the sweep by running it again"
        )


def training_pairs(loaded: Loaded, scores: Scores) -> tuple[pd.DataFrame, list[str]]:
    """Pairs with scores, features and maybe a weight, and which features are distances."""
    positions = np.array([loaded.names.index(name) for name in scores.regions])
    every = features(
        loaded.distances, loaded.run.regions, loaded.run.regions, in_domain(loaded, scores)
    )
    chosen = {name: values[np.ix_(positions, positions)] for name, values in every.items()}
    names = list(scores.regions)
    weight = {} if scores.weight is None else {"weight": scores.weight}
    pairs = tidy({"score": scores.score, **weight, **chosen}, names, names)
    between = (pairs["source"] != pairs["target"]) & np.isfinite(pairs["score"])
    if "weight" in pairs:
        between &= pairs["weight"] > 0.0
    return pairs[between].reset_index(drop=True), [n for n in chosen if n in loaded.distances]


def in_domain(loaded: Loaded, scores: Scores) -> NDArray[np.float64] | None:
    """Score of every region of the sweep at home, where all that have scores have that one."""
    own = np.diag(scores.score)
    if not np.isfinite(own).all():
        return None
    found = np.full(len(loaded.names), np.nan)
    found[[loaded.names.index(name) for name in scores.regions]] = own
    return found


def described(evaluation: Evaluation) -> dict[str, Any]:
    """Figures of a predictor for ``summary.json``."""
    return {
        "model": evaluation.model,
        "error": evaluation.error,
        "error_of_mean": evaluation.errors["mean"],
        "best_single_distance": evaluation.best_single,
        "error_of_best_single_distance": evaluation.single[evaluation.best_single],
        "covered": evaluation.covered,
    }


def predictor_line(evaluation: Evaluation) -> str:
    """What the predictor is worth, in a sentence."""
    best = evaluation.best_single
    return (
        f"predictor ({evaluation.model}): mean absolute error {evaluation.error:.3g} for regions "
        f"left out; always the mean {evaluation.errors['mean']:.3g}, {best} alone "
        f"{evaluation.single[best]:.3g}; 90 % intervals hold {100 * evaluation.covered:.0f} %"
    )


def left_out(table: pd.DataFrame) -> dict[str, str]:
    """Why each distance that takes no part does not."""
    some = table[table["reason"].notna()].drop_duplicates("distance")
    return dict(zip(some["distance"], some["reason"], strict=True))


def _report(table: pd.DataFrame, scores: Scores) -> list[str]:
    rows = table[(table["scope"] == "overall") & (table["statistic"] == "spearman")]
    lines = [
        f"{len(scores.regions)} regions, {int(rows['n_pairs'].max())} pairs with scores, "
        f"{scores.missing} without; Spearman's rho with the loss, 95 % interval, p, family-wise p:"
    ]
    covariate, judged = rows["group"] == "covariate", rows["reason"].isna()
    family = rows[judged & ~covariate].sort_values("value", ascending=False)
    lines += [f"{_line(row)}  {row['p_family']:.3f}" for _, row in family.head(_SHOWN).iterrows()]
    if (judged & covariate).any():
        lines.append("covariates, of which no verdict speaks:")
        lines += [_line(row) for _, row in rows[judged & covariate].iterrows()]
    if not judged.all():
        lines.append("left out:")
        lines += [f"  {name:24s}{reason}" for name, reason in left_out(table).items()]
    return lines


def _line(row: pd.Series[Any]) -> str:
    interval = f"[{row['lower']:5.2f}, {row['upper']:5.2f}]"
    return f"  {row['distance']:24s}{row['value']:6.2f}  {interval}  {row['p']:.3f}"
