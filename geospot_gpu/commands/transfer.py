"""The command ``geospot transfer``: do the distances predict, and how far to trust them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from omegaconf import DictConfig

from geospot_gpu.commands.results import open_sweep, scores_of
from geospot_gpu.config import settings
from geospot_gpu.config.composed import checked
from geospot_gpu.config.objects import make_cluster
from geospot_gpu.files.outputs import write_summary
from geospot_gpu.outcome import conclude, say
from geospot_gpu.pictures.maps import save
from geospot_gpu.pictures.spaces import assessment_picture
from geospot_gpu.transfer import knowledge
from geospot_gpu.transfer.assessment import Assessment, assess_transfer
from geospot_gpu.transfer.correlation.statistics import rank_rows
from geospot_gpu.transfer.label_shift.report import FILES as LABEL_FILES
from geospot_gpu.transfer.label_shift.report import label_report

_SHOWN = 8
_SPACES = "spaces.parquet"
_FILES = (
    *("correlations.parquet", "pairs.parquet", _SPACES, *LABEL_FILES, "transfer.png"),
    "summary.json",
)


def transfer(config: DictConfig) -> None:
    """Run the report that ``config`` describes, and say what came out."""
    typed = checked(config, settings.TransferConfig)
    run, results = open_sweep(typed, _FILES, cluster=make_cluster(typed.engine))
    scores = scores_of(typed, run)
    with run.engine.pool():
        found = assess_transfer(run, scores, seed=typed.seed)
    summary, verdict = found.summary, found.verdict
    summary["scores"]["change"] = typed.scores.change
    labels = label_report(scores, seed=typed.seed)
    if labels is not None:
        summary["labels"] = labels.summary
    with results.replacing() as staged:
        found.table.to_parquet(staged / "correlations.parquet", index=False)
        found.pairs.to_parquet(staged / "pairs.parquet", index=False)
        if len(found.spaces):
            found.spaces.to_parquet(staged / _SPACES, index=False)
        save(assessment_picture(found), staged / "transfer.png")
        if labels is not None:
            labels.write(staged)
        write_summary(staged, summary)
    say(*_report(found))
    say(verdict.text)
    for sentence in found.of_spaces:
        say(sentence)
    if found.evaluation is not None:
        say(found.evaluation.text, knowledge.sentence(found.evaluation.known))
    for sentence in () if labels is None else labels.texts:
        say(sentence)
    figures = {"verdict": verdict.verdict, "regions": summary["regions"], "pairs": summary["pairs"]}
    conclude(results.place, {**figures, "missing": scores.missing})


def _report(found: Assessment) -> list[str]:
    table, scores = found.table, found.scores
    rows = rank_rows(table)
    lines = [
        f"{len(scores.regions)} regions, {int(rows['n_pairs'].max())} pairs with scores, "
        f"{scores.missing} without; Spearman's rho with the loss, 95 % interval, p, family-wise p:"
    ]
    covariate, judged = rows["group"] == "covariate", rows["reason"].isna()
    family = rows[judged & ~covariate].sort_values("value", ascending=False)
    shown = family.head(_SHOWN)
    covariates = rows[judged & covariate]
    named = [*shown["distance"], *covariates["distance"], *found.left_out]
    width = max([24, *(len(name) + 2 for name in named)])
    lines += [f"{_line(row, width)}  {row['p_family']:.3f}" for _, row in shown.iterrows()]
    if len(covariates):
        lines.append("covariates, of which no verdict speaks:")
        lines += [_line(row, width) for _, row in covariates.iterrows()]
    if not judged.all():
        lines.append("left out:")
        lines += [f"  {name:{width}s}{reason}" for name, reason in found.left_out.items()]
    return lines


def _line(row: pd.Series[Any], width: int) -> str:
    interval = f"[{row['lower']:5.2f}, {row['upper']:5.2f}]"
    return f"  {row['distance']:{width}s}{row['value']:6.2f}  {interval}  {row['p']:.3f}"
