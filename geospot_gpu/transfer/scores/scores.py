"""Scores of models that were trained in one region and tested in another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.displayed import Tabled
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.files.tables import read_raw_table
from geospot_gpu.names import name_of
from geospot_gpu.runs.run import Run
from geospot_gpu.transfer.scores.aggregate import pairs_of
from geospot_gpu.transfer.scores.membership import regions_of
from geospot_gpu.transfer.scores.samples import is_samples, read_samples, refuse_samples
from geospot_gpu.transfer.scores.single import in_regions
from geospot_gpu.transfer.scores.table import ROLES, Role, read_pairs
from geospot_gpu.transfer.scores.together import without_other_targets

if TYPE_CHECKING:
    import xarray

Kind = Literal["accuracy", "error", "skill"]
Change = Literal["relative", "difference", "raw"]
_RANGES: dict[str, tuple[float, float]] = {
    "accuracy": (0.0, 1.0),
    "error": (0.0, np.inf),
    "skill": (-np.inf, np.inf),
}


@dataclass(frozen=True)
class Scores(Tabled):
    """Scores of all pairs of some regions; NaN where there is none.

    Attributes:
        regions: names of the regions as the sweep spells them, sorted, [R].
        score: score of a model from the row's region in the column's region, [R, R].
        change: what the transfer changes (see :func:`read_scores`), NaN on the diagonal, [R, R].
        kind: whether larger scores are better.
        weight: how many samples each score rests on, NaN where there is none, [R, R]; None where
            the table does not say.
        std_error: of each score, in its units, NaN where it is not known, [R, R]; None where it
            is known of none.
        missing: how many ordered pairs of different regions have no change.
        unions: regions of sources that are several together, by the name of the source.
        of_unions: scores of these: ``source``, ``target``, ``score``, and ``weight`` and
            ``std_error`` where there are those; the target may be the source.
        samples: single predictions with labels, a row for each and the region that it lies in:
            ``source``, ``target``, ``value`` (NaN without a label), ``label``, and what the table
            has of ``prediction``, ``sample`` (which rows are of one), ``seed`` and
            ``probability_CLASS``; None where scores are of pairs, or labels are not given.
    """

    regions: tuple[str, ...]
    score: NDArray[np.float64]
    change: NDArray[np.float64]
    kind: Kind
    weight: NDArray[np.float64] | None = None
    std_error: NDArray[np.float64] | None = None
    unions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    of_unions: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame({"source": [], "target": [], "score": []})
    )
    samples: pd.DataFrame | None = None

    @property
    def missing(self) -> int:
        off_diagonal: int = len(self.regions) * (len(self.regions) - 1)
        return off_diagonal - int(np.isfinite(self.change).sum())

    @property
    def loss(self) -> xarray.DataArray:
        """The change, turned so that more is worse, over ``source`` and ``target``."""
        import xarray

        change = self.change if self.kind == "error" else -self.change
        names = list(self.regions)
        return xarray.DataArray(change, {"source": names, "target": names}, ("source", "target"))


def read_scores(
    table: str | Path | pd.DataFrame | pd.Series[Any],
    *,
    kind: Kind,
    change: Change = "relative",
    regions: Iterable[object] | Run,
    source: str | None = None,
    target: str | None = None,
    score: str | None = None,
    id: str | None = None,
    model: str | None = None,
    shots: str | None = None,
) -> Scores:
    """Scores from a table of pairs, a matrix, or single predictions.

    A table of pairs has the columns ``source``, ``target`` and ``score``; the usual other spellings
    are found, and what was taken for what is said. Its column ``n`` (or ``n_test``, ``samples``)
    says how many samples a score rests on. In a matrix a row is a source and a column is a target;
    the labels of a pandas index name the sources too. Cells may be ``0.71 ± 0.02``, ``71 %`` or
    missing (``NA``, ``-``, nothing); columns and rows of averages are left out.

    A source may be several regions together, as ``FRA+DEU``: one model, trained on all of them. A
    region whose own name has a plus goes first.

    A table with a row per test sample has ``correct`` (0 or 1, true or false, or a number between),
    ``error``, or ``prediction`` and ``label``; ``source``, the region that the model is from; and
    what says where the sample lies: the column ``region`` or ``target``, ``id``, or coordinates
    (:func:`~geospot_gpu.transfer.scores.membership.regions_of`). The score of a pair is the mean of
    ``correct`` (or how often prediction and label are equal) or of ``error``, or the root mean
    square of prediction minus label, with a standard error
    (:func:`~geospot_gpu.transfer.scores.aggregate.aggregate`). Its column ``seed`` tells seeds
    apart, over which the score is taken; of several in ``model`` or ``shots`` one is chosen, for
    scores of different models do not mix.

    The change of a pair is, as in GeoSpOT (arXiv 2604.16220), ``(s_ij - s_jj) / s_jj``: relative to
    the score of the target's own model. It may be the ``difference`` ``s_ij - s_jj`` instead, or
    the ``raw`` score ``s_ij``, which may be a change that was worked out before.

    ============  ===============  =============================  ===================  ===========
    ``kind``      better           ``relative``                   ``difference``       ``raw``
    ============  ===============  =============================  ===================  ===========
    ``accuracy``  larger           in [0, 1], at home above 0     in [0, 1]            any number
    ``error``     smaller          0 or more, at home above 0     0 or more            any number
    ``skill``     larger           refused: may be 0 or negative  any number           any number
    ============  ===============  =============================  ===================  ===========

    Args:
        table: a file (CSV, delimited otherwise, or Parquet; also .gz), or a data frame; a series
            whose index holds source and target.
        kind: ``accuracy``, ``error``, or ``skill`` where more is better and less than nothing is
            possible: R², kappa, a log-likelihood.
        change: ``relative``, ``difference`` or ``raw``; the first two need scores of regions in
            themselves. Where those are missing for a target, its pairs are.
        regions: names of the regions that scores may name; or the run that has them, by which
            samples are found to lie in regions.
        source, target, score: headers of the columns, where they have others.
        id: header of the column of ids of samples, which the run's table of points has, too.
        model, shots: which of several a table of samples has.

    Raises:
        GeospotError: a setting is unknown, the table cannot be read or understood, or its scores
            are duplicates, not finite, of unknown regions, constant, all of one target, or not of
            their kind.

    >>> matrix = pd.DataFrame({"A": [0.8, 0.5], "B": [0.6, "0.9 ± 0.1"]}, index=["A", "B"])
    >>> read_scores(matrix, kind="accuracy", change="raw", regions=["A", "B"]).score.tolist()
    [[0.8, 0.6], [0.5, 0.9]]
    """
    checks.one_of(kind, get_args(Kind), "scores.kind")
    checks.one_of(change, get_args(Change), "scores.change")
    if kind == "skill" and change == "relative":
        raise GeospotError(
            "scores.change=relative has no meaning for scores.kind=skill, which may be 0 or "
            "negative: set scores.change=difference or scores.change=raw"
        )
    run = regions if isinstance(regions, Run) else None
    names = _names(regions.names if isinstance(regions, Run) else regions)
    given = dict(zip(ROLES, (source, target, score), strict=True))
    headers: dict[Role, str | None] = {
        role: None if header is None else name_of(header, f"scores.{role}")
        for role, header in given.items()
    }
    where = str(table) if isinstance(table, str | Path) else "scores"
    raw = read_raw_table(table, "scores")
    single = None
    of_samples: dict[str, Any] = {"id": id, "model": model, "shots": shots}
    if is_samples(raw, **headers, id=id):
        samples = read_samples(raw, where, kind, **headers, **of_samples, unlabelled=True)
        if "source" not in samples.names:
            raise GeospotError(
                f"{where}: has no column source, so its samples are of one model: name the column "
                "of the region that each model is from with scores.source=..., or see what one "
                "model says with geospot predict training=FILE, or source=REGION"
            )
        membership = regions_of(samples, names, run)
        found = pairs_of(samples, membership, names)
        single = in_regions(samples, membership, names)
    else:
        refuse_samples(of_samples, where)
        found = read_pairs(raw, where, headers, names)
    every = [*names, *found.unions]
    pairs = without_other_targets(found, len(names), where)
    _check(pairs, where, every)
    if change != "raw":
        check_range(pairs["score"], where, kind)
    several = pairs["source"] >= len(names)
    together, pairs = pairs[several], pairs[~several]
    if not len(pairs):
        raise GeospotError(
            f"{where}: all sources are several regions together: give scores of models of single "
            "regions, too"
        )
    order = sorted(set(pairs["source"]) | set(pairs["target"]), key=lambda k: names[k])
    at = tuple(pd.Index(order).get_indexer(pairs[side]) for side in ("source", "target"))
    values = np.full((len(order), len(order)), np.nan)
    values[at] = pairs["score"]
    weight, std_error = np.full_like(values, np.nan), np.full_like(values, np.nan)
    weight[at] = pairs["weight"]
    if "std_error" in pairs:
        std_error[at] = pairs["std_error"]
    changes = _change(values, change, where)
    if not np.isfinite(changes).any():
        raise GeospotError(
            f"{where}: no pair of different regions has a {change} score: give the scores of "
            "targets in themselves, or set scores.change=raw"
        )
    if np.nanmax(changes) == np.nanmin(changes):
        least = np.nanmin(changes)
        raise GeospotError(f"{where}: all {change} scores are {least:g}: nothing varies")
    known = {
        name: None if np.isnan(of).all() else of
        for name, of in (("weight", weight), ("std_error", std_error))
    }
    unions = {
        every[k]: tuple(names[part] for part in found.unions[every[k]])
        for k in together["source"].unique()
    }
    beside = [name for name, of in known.items() if of is not None]
    of_unions = together[["source", "target", "score", *beside]].reset_index(drop=True)
    for side in ("source", "target"):
        of_unions[side] = [every[k] for k in of_unions[side]]
    return Scores(
        tuple(names[k] for k in order), values, changes, kind,
        unions=unions, of_unions=of_unions, samples=single, **known,
    )  # fmt: skip


def bounds(kind: Kind, scores: NDArray[np.float64]) -> tuple[float, float]:
    """Between which values scores of a kind lie; anywhere, where given scores lie outside already.

    Args:
        kind: of the scores.
        scores: some of them, NaN where there is none.
    """
    low, high = _RANGES[kind]
    known = scores[np.isfinite(scores)]
    return (low, high) if ((low <= known) & (known <= high)).all() else (-np.inf, np.inf)


def _names(regions: Iterable[object]) -> list[str]:
    if isinstance(regions, str) or not isinstance(regions, Iterable):
        raise GeospotError(
            f"regions is of type {type(regions).__name__}: give the names of the regions as a list"
        )
    found = [name_of(name, "regions") for name in regions]
    if not found:
        raise GeospotError("regions=[] names no region: give those that scores may name")
    return found


def _check(pairs: pd.DataFrame, where: str, names: list[str]) -> None:
    twice = pairs.duplicated(["source", "target"])
    if twice.any():
        first = pairs[twice].iloc[0]
        raise GeospotError(
            f"{where}: {names[int(first['source'])]} to {names[int(first['target'])]} has several "
            f"scores ({int(twice.sum())} rows too many): keep one for each pair"
        )
    if pairs["target"].nunique() < 2:
        raise GeospotError(f"{where}: all scores are of one target: give at least two")


def check_range(score: pd.Series[Any], where: str, kind: Kind) -> None:
    """Raise where a score is not of its kind."""
    low, high = score.min(), score.max()
    if kind == "accuracy" and not 0.0 <= low <= high <= 1.0:
        percent = "divide percentages by 100 or give them a percent sign, or " if low >= 0.0 else ""
        raise GeospotError(
            f"{where}: scores from {low:g} to {high:g} are no accuracies between 0 and 1: {percent}"
            "set scores.kind=skill where more is better, scores.kind=error where less is, or "
            "scores.change=raw where they are changes already"
        )
    if kind == "error" and low < 0.0:
        raise GeospotError(
            f"{where}: a score of {low:g} is no error, which is 0 or more: set scores.kind=skill "
            "where more is better, or scores.change=raw where scores are changes already"
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
