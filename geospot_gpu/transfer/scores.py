"""Scores of models that were trained in one region and tested in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError

Kind = Literal["accuracy", "error"]
Change = Literal["relative", "difference", "raw"]
_LISTED = 5


@dataclass(frozen=True)
class Scores:
    """Scores of all pairs of some regions; NaN where there is none.

    Attributes:
        regions: names of the regions, sorted, [R].
        score: score of a model from the row's region in the column's region, [R, R].
        change: what the transfer changes (see :func:`read_scores`), NaN on the diagonal, [R, R].
        kind: whether larger scores are better.
        missing: how many ordered pairs of different regions have no change.
    """

    regions: tuple[str, ...]
    score: NDArray[np.float64]
    change: NDArray[np.float64]
    kind: Kind

    @property
    def missing(self) -> int:
        off_diagonal: int = len(self.regions) * (len(self.regions) - 1)
        return off_diagonal - int(np.isfinite(self.change).sum())

    @property
    def loss(self) -> NDArray[np.float64]:
        """The change, turned so that more is worse, [R, R]."""
        return -self.change if self.kind == "accuracy" else self.change


def read_scores(
    source: str | Path | pd.DataFrame,
    *,
    kind: Kind,
    change: Change = "relative",
    regions: Sequence[str],
) -> Scores:
    """Scores from a table of pairs or a matrix.

    A table has the columns ``source``, ``target`` and ``score``; in a matrix the first column names
    the sources, and the others are the targets. The change of a pair is, as in GeoSpOT (arXiv
    2604.16220), ``(s_ij - s_jj) / s_jj``: relative to the score of the target's own model. It may
    be the ``difference`` ``s_ij - s_jj`` instead, or the ``raw`` score ``s_ij``.

    Args:
        source: a CSV (also .gz) or Parquet file, or a data frame.
        kind: ``accuracy`` where larger scores are better, ``error`` where smaller ones are.
        change: ``relative``, ``difference`` or ``raw``; the first two need scores of regions in
            themselves. Where those are missing for a target, its pairs are.
        regions: the regions that scores may name.

    Raises:
        GeospotError: a setting is unknown, the table cannot be read, or its scores are duplicates,
            not finite, of unknown regions, constant, all of one target, or not of their kind.
    """
    for name, value, known in (
        ("kind", kind, get_args(Kind)),
        ("change", change, get_args(Change)),
    ):
        if value not in known:
            raise GeospotError(f"scores.{name}={value} is unknown: use one of {', '.join(known)}")
    where = "scores" if isinstance(source, pd.DataFrame) else str(source)
    pairs = _pairs(_table(source), where)
    _check(pairs, where, kind, regions)
    names = sorted(set(pairs["source"]) | set(pairs["target"]))
    row_of = pd.Index(names)
    score = np.full((len(names), len(names)), np.nan)
    at = row_of.get_indexer(pairs["source"]), row_of.get_indexer(pairs["target"])
    score[at] = pairs["score"]
    found = _change(score, change, where)
    if not np.isfinite(found).any():
        raise GeospotError(
            f"{where}: no pair of different regions has a {change} score: give the scores of "
            "targets in themselves, or set scores.change=raw"
        )
    if np.nanmax(found) == np.nanmin(found):
        raise GeospotError(f"{where}: all {change} scores are {np.nanmin(found):g}: nothing varies")
    return Scores(tuple(names), score, found, kind)


def _table(source: str | Path | pd.DataFrame) -> pd.DataFrame:
    if isinstance(source, pd.DataFrame):
        return source
    path = Path(source).expanduser()
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        # Region names are text, whatever they look like: NA is Namibia.
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise GeospotError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise GeospotError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error


def _pairs(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Columns source, target (text) and score (float), one row per pair that has one."""
    if {"source", "target", "score"} <= set(table.columns):
        pairs = table[["source", "target", "score"]].copy()
    elif {"target", "score"} & set(table.columns):
        raise GeospotError(f"{where}: needs the columns source, target and score")
    else:
        first, *targets = table.columns
        if not targets:
            raise GeospotError(
                f"{where}: needs the columns source, target and score, or a matrix with a row per "
                "source and a column per target"
            )
        pairs = table.melt(id_vars=[first], var_name="target", value_name="score")
        pairs = pairs.rename(columns={first: "source"})
        pairs = pairs[~pairs["score"].isin(["", None]) & pairs["score"].notna()]
    text = pairs[["source", "target"]].astype(str)
    score = pd.to_numeric(pairs["score"], errors="coerce").astype(float)
    wrong = np.flatnonzero(~np.isfinite(score))
    if len(wrong):
        row = pairs.iloc[wrong[0]]
        raise GeospotError(
            f"{where}: row {pairs.index[wrong[0]] + 1} ({row['source']} to {row['target']}): score "
            f"{row['score']!r} is not a finite number: mend the row or leave it out"
        )
    return text.assign(score=score).reset_index(drop=True)


def _check(pairs: pd.DataFrame, where: str, kind: Kind, regions: Sequence[str]) -> None:
    unknown = sorted((set(pairs["source"]) | set(pairs["target"])) - set(regions))
    if unknown:
        more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
        raise GeospotError(
            f"{where}: regions that the sweep does not have: {', '.join(unknown[:_LISTED])}{more}; "
            f"it has {', '.join(sorted(regions)[:_LISTED])}, ..."
        )
    twice = pairs.duplicated(["source", "target"])
    if twice.any():
        first = pairs[twice].iloc[0]
        raise GeospotError(
            f"{where}: {first['source']} to {first['target']} has several scores "
            f"({int(twice.sum())} rows too many): keep one for each pair"
        )
    if pairs["target"].nunique() < 2:
        raise GeospotError(f"{where}: all scores are of one target: give at least two")
    low, high = pairs["score"].min(), pairs["score"].max()
    if kind == "accuracy" and not 0.0 <= low <= high <= 1.0:
        raise GeospotError(
            f"{where}: scores from {low:g} to {high:g} are no accuracies between 0 and 1: divide "
            "percentages by 100, or set scores.kind=error"
        )
    if kind == "error" and low < 0.0:
        raise GeospotError(
            f"{where}: a score of {low:g} is no error, which is 0 or more: set scores.kind=accuracy"
        )


def _change(score: NDArray[np.float64], change: Change, where: str) -> NDArray[np.float64]:
    own = np.diag(score)
    if change == "relative" and (own == 0.0).any():
        raise GeospotError(
            f"{where}: a region has score 0 in itself, to which nothing is relative: set "
            "scores.change=difference"
        )
    found = score.copy() if change == "raw" else score - own
    if change == "relative":
        found = found / own
    np.fill_diagonal(found, np.nan)
    return found
