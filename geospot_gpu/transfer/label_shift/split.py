"""How much of what models lose between regions is due to shares of labels."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.labels import bins
from geospot_gpu.transfer.label_shift.parts import Side, parts_of
from geospot_gpu.transfer.scores.scores import Scores
from geospot_gpu.transfer.scores.values import Measure

log = logging.getLogger("geospot_gpu")

COLUMNS = (
    *("source", "target", "score_home", "score", "loss", "loss_error"),
    *("label_part", "label_error", "conditional_part", "conditional_error"),
    *("unshared", "n_home", "n"),
)


def split_loss(scores: Scores) -> pd.DataFrame:
    """What of a model's loss, from its own region to another, is due to shares of labels; public
    as :func:`geospot_gpu.split_loss`.

    The label part is what changes because labels have other shares in the target, the model being
    as right about each as it is in both on average. The conditional part is the rest: how right the
    model is about samples of one label, which inputs of another kind change, and another relation
    of labels to inputs (:func:`~geospot_gpu.transfer.label_shift.parts.parts_of`: Kitagawa's
    decomposition; the parts sum to the loss exactly). Labels that are numbers are binned into
    tenths of all of them, as for costs between labels.

    Args:
        scores: of single predictions with labels, from :func:`~geospot_gpu.read_scores`. Models
            need samples in their own region; those without any are left out, aloud.

    Returns:
        A row per pair of different regions: ``source``, ``target``; ``score_home`` and ``score``,
        in the source and in the target; ``loss``, by how much it is worse there, in units of the
        score, which is ``label_part`` plus ``conditional_part``; of these ``loss_error``,
        ``label_error`` and ``conditional_error``, their standard errors as samples and seeds leave
        them, NaN of a single sample; ``unshared``, the mean share of labels that only one of the
        two has; and how many rows there are, ``n_home`` and ``n``.

    Raises:
        GeospotError: scores are not of single predictions with labels, or no model has samples in
            its own region.

    >>> from geospot_gpu import read_scores
    >>> table = pd.DataFrame({
    ...     "source": "A", "region": list("AAAABBBB"), "label": list("uuuvvvvv"),
    ...     "prediction": list("uuuuuuuu"),
    ... })
    >>> table = pd.concat([table, table.assign(source="B", prediction="v")])
    >>> scores = read_scores(table, kind="accuracy", change="raw", regions=["A", "B"])
    >>> split_loss(scores)[["source", "target", "loss", "label_part", "conditional_part"]]
      source target  loss  label_part  conditional_part
    0      A      B  0.75        0.75               0.0
    1      B      A  0.75        0.75               0.0
    """
    table = labelled(scores)
    measure: Measure = "mean" if scores.kind == "accuracy" else "rmse"
    worse = -1.0 if scores.kind == "accuracy" else 1.0
    rows = []
    for source, target, home, away in pairs_of_one_model(table):
        found = parts_of(_side(home), _side(away), measure)
        loss, label, within = (
            worse * part + 0.0 for part in (found.change, found.label, found.within)
        )
        rows.append(
            (source, target, found.home, found.away, loss, found.change_error,
             label, found.label_error, within, found.within_error,
             found.unshared, len(home), len(away))
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def labelled(scores: Scores) -> pd.DataFrame:
    """Single predictions whose labels are known, with ``at``, the class or bin of each.

    Raises:
        GeospotError: there are none.
    """
    checks.instance(scores, Scores, "scores", "as read_scores gives them")
    if scores.samples is None:
        raise GeospotError(
            "scores are not of single predictions with labels: give a row per test sample, with "
            "the columns prediction and label"
        )
    table: pd.DataFrame = scores.samples[np.isfinite(scores.samples["value"])]
    if scores.kind == "error":
        numbers = table["label"].to_numpy(float)
        edges = bins(numbers, np.ones(len(numbers)))
        return table.assign(at=np.searchsorted(edges[1:], numbers, side="right"))
    table = table[table["label"].notna()]
    return table.assign(at=pd.factorize(table["label"], sort=True)[0])


def home_and_away(table: pd.DataFrame) -> list[str]:
    """Sources with labelled rows both in their own region and in others.

    Args:
        table: single predictions, as :class:`~geospot_gpu.Scores` has them.
    """
    known = table[np.isfinite(table["value"])]
    own = known["source"] == known["target"]
    return sorted(
        set(known["source"][own]) & set(table["source"][table["source"] != table["target"]])
    )


def pairs_of_one_model(
    table: pd.DataFrame,
) -> Iterator[tuple[str, str, pd.DataFrame, pd.DataFrame]]:
    """Source and target of each pair, the source's labelled rows at home, and those in the target.

    Sources without labelled rows at home are left out, aloud.

    Raises:
        GeospotError: no source has any, or is tried elsewhere.
    """
    sources = home_and_away(table)
    if not sources:
        raise GeospotError(
            "no model has labelled samples in its own region and samples in another: give test "
            "samples of the regions that models are from, too"
        )
    homeless = sorted(set(table["source"]) - set(sources))
    if homeless:
        log.warning(
            "models of %d regions have no labelled samples there, or none elsewhere, and take no "
            "part in what labels say: %s",
            *(len(homeless), ", ".join(homeless[:5]) + ", ..." * (len(homeless) > 5)),
        )
    for source in sources:
        rows = table[table["source"] == source]
        own = rows[(rows["target"] == source) & np.isfinite(rows["value"])]
        for target, others in rows.groupby("target", sort=True):
            if target != source:
                yield source, str(target), own, others


def _side(rows: pd.DataFrame) -> Side:
    def column(name: str) -> NDArray[Any] | None:
        return rows[name].to_numpy() if name in rows else None

    return Side(rows["value"].to_numpy(), rows["at"].to_numpy(), column("sample"), column("seed"))
