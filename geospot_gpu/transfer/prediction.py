"""Expected scores where there are no labels, from a run: the twin of ``geospot predict``."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geospot_gpu.displayed import Displayed
from geospot_gpu.encoders import Encoder
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.names import Name, Names, name_of
from geospot_gpu.points.table import Points
from geospot_gpu.regions import Regions
from geospot_gpu.runs.run import Run
from geospot_gpu.transfer.evidence import Loaded, features, tidy
from geospot_gpu.transfer.knowledge import knowledge, removed
from geospot_gpu.transfer.land_cells import LandCells, land_cells
from geospot_gpu.transfer.other_regions import Ends, distances_between, sources_of
from geospot_gpu.transfer.predictor.evaluation import Evaluation
from geospot_gpu.transfer.predictor.few.gained import gained_by
from geospot_gpu.transfer.predictor.few.predictions import check_either
from geospot_gpu.transfer.predictor.pairs import features_in
from geospot_gpu.transfer.predictor.predictor import Predictor
from geospot_gpu.transfer.scores.few import read_few
from geospot_gpu.transfer.scores.membership import Among
from geospot_gpu.transfer.scores.scores import Kind, Scores, bounds
from geospot_gpu.transfer.spaces import Space
from geospot_gpu.transfer.threshold import checked_threshold, side_clause, side_counts, with_sides
from geospot_gpu.transfer.training import evidence_for, mean_at_home, training_pairs

log = logging.getLogger("geospot_gpu")


@dataclass(frozen=True)
class Predictions(Displayed):
    """Expected scores.

    Attributes:
        table: one row per source and target, as :meth:`~geospot_gpu.Predictor.predict` has them;
            with a threshold ``threshold_side``: ``above`` or ``below`` where the interval excludes
            it, else ``unclear``.
        best: for every target the source of which most is expected, with ``lon`` and ``lat`` of its
            south-western corner where targets are cells of a grid.
        kind: of the scores.
        sources: names of the regions whose models are asked about.
        degrees: size of a cell where targets are cells of a grid, else None.
        evaluation: what the predictor is worth.
        threshold: the score that ``best`` is compared with, if one was given.
        labels: what a few labels change, or would, where they are asked about: ``text``, a
            sentence, and figures, as ``summary.json`` has them.
    """

    table: pd.DataFrame
    best: pd.DataFrame
    kind: Kind
    sources: tuple[str, ...]
    degrees: float | None
    evaluation: Evaluation
    threshold: float | None = None
    labels: Mapping[str, Any] | None = None

    @property
    def extrapolated(self) -> int:
        """How many targets are unlike all that was seen."""
        return int(self.best["extrapolates"].sum())

    @property
    def verdict(self) -> str:
        """A sentence."""
        return (
            f"{len(self.best)} targets predicted, {self.extrapolated} of them unlike all that was "
            f"seen{side_clause(self.best, self.threshold)}"
        )

    @property
    def known(self) -> dict[str, float]:
        """Errors for regions left out, once each source of knowledge is there beside others.

        That of labels, in which every target counts the same, is said in the unit of the others, in
        which every pair counts by its weight, by that without labels in both.
        """
        found = dict(self.evaluation.known)
        if self.labels is not None:
            without = self.labels["error_without_left_out"]
            unit = self.evaluation.error / without if without > 0.0 else 1.0
            found[f"{self.labels['labels']:g} labels"] = unit * self.labels["error_left_out"]
        return found

    @property
    def summary(self) -> dict[str, Any]:
        """The figures, as ``summary.json`` has them."""
        return {
            "verdict": self.verdict,
            "kind": self.kind,
            "sources": len(self.sources),
            "targets": len(self.best),
            "extrapolates": self.extrapolated,
            **side_counts(self.best, self.threshold),
            "predictor": self.evaluation.summary,
            "knowledge": removed(self.known),
            **({} if self.labels is None else {"labels": self.labels}),
        }


def predict_scores(
    run: Run,
    scores: Scores,
    *,
    source: Name | Iterable[Name] | None = None,
    targets: Regions | None = None,
    degrees: float = 10.0,
    points: int = 200,
    threshold: float | None = None,
    few: str | Path | pd.DataFrame | None = None,
    headers: Mapping[str, str | None] | None = None,
    label_budget: int | None = None,
    seed: int = 0,
) -> Predictions:
    """Scores to expect in regions that have no labels or a few, with 90 % intervals.

    Args:
        run: of all pairs of the regions that have scores.
        scores: of models in these regions, from :func:`~geospot_gpu.read_scores` with
            ``regions=run.names``.
        source: the region whose model is asked about, or a list of several that one model is
            trained on together, by the numbers of their points; all that have scores if not given.
        targets: regions to predict for, as :meth:`~geospot_gpu.Run.regions_like` makes them, with
            features in all spaces of the run; cells of a grid over the land if not given, from the
            distances of the spaces that coordinates give.
        degrees: size of a cell of the grid.
        points: drawn on the land of each cell.
        threshold: a score; where an interval excludes it is said.
        few: scores of the sources at a few labelled points of targets, or their single predictions
            there, which are combined with what is predicted
            (:func:`~geospot_gpu.transfer.scores.few.read_few`).
        headers: of its columns, where they have others, as :func:`~geospot_gpu.read_scores` has
            them.
        label_budget: of how many labels to say what they would do for each interval.
        seed: of groups of regions and of the points of cells.

    Raises:
        GeospotError: as :func:`~geospot_gpu.assess_transfer`; there are fewer than eight regions
            with scores, the source has none, features of targets do not compare, the threshold is
            no score, or labels are not understood, of no target, or given with ``label_budget``.
    """
    loaded = evidence_for(run, scores)
    limits = bounds(scores.kind, scores.score)
    threshold = checked_threshold(threshold, scores.kind, limits)
    chosen, unions = _sources(source, scores, run.names)
    check_either(few, label_budget)
    cells: LandCells | None = None
    if targets is None:
        loaded = loaded.among(_of_coordinates(loaded))
        with run.engine.pool():
            cells = land_cells(degrees, points, seed, _encoder(run, loaded), _device(run))
        targets = cells.regions
    _check_targets(targets, loaded)
    labels = None
    if few is not None:
        among = Among(targets, _nowhere if cells is None else cells.groups, "the targets")
        of_sources = {name: unions.get(name, (name,)) for name in chosen}
        labels = read_few(few, scores.kind, of_sources, run.names, among, headers or {})
    training = training_pairs(loaded, scores)
    names = training.distances
    predictor = Predictor(
        training.pairs, names, scores.kind,
        seed=seed, parts=training.unions, knowledge=knowledge(loaded, features_in(training.pairs)),
    )  # fmt: skip
    several = len(loaded.runs) > 1
    with run.engine.pool():
        ends = {
            space: Ends(
                sources_of(one, chosen, unions),
                targets.space(str(space)) if several else targets,
            )
            for space, one in loaded.runs.items()
        }
        distances = distances_between(loaded, ends, names)
    sources = next(iter(ends.values())).sources
    home = None
    if (own := training.at_home) is not None:
        home = np.array(
            [
                own[name] if name in own else mean_at_home(loaded, own, unions[name])
                for name in sources.names
            ]
        )
    known = features(distances, sources, targets, home)
    pairs = tidy(known, list(sources.names), list(targets.names))
    predicted = predictor.predict(pairs, few=labels, label_budget=label_budget)
    table = with_sides(predicted, threshold)
    best = _best(table, scores.kind)
    if cells is not None:
        best = best.merge(cells.corners, on="target")
    size = None if cells is None else cells.degrees
    gained = None
    if labels is not None or label_budget is not None:
        some = pd.Series([label_budget]) if labels is None else predicted["labels"]
        count = float(some[some > 0].median())
        gained = gained_by(table, count, predictor.worth(count, labels)).summary
    return Predictions(
        table, best, scores.kind, sources.names, size, predictor.evaluation, threshold, gained
    )


def _nowhere(_: Points) -> None:
    """Of regions that places do not define."""


def _of_coordinates(loaded: Loaded) -> list[Space]:
    """The spaces whose features follow from coordinates; which do not is said."""
    found = [space for space, run in loaded.runs.items() if run.encoder.reads_coordinates]
    others = [str(space) for space in loaded.runs if space not in found]
    if found and others:
        log.warning(
            "a grid over the land has coordinates alone: predicted without the distances of %s",
            f"{'space' if len(others) == 1 else 'spaces'} {', '.join(others)}",
        )
    return found or list(loaded.runs)  # of which land_cells says what is wrong


def _encoder(run: Run, loaded: Loaded) -> Encoder:
    """What encodes points in all spaces that are learned from."""
    spaces = [space for space in loaded.runs if space is not None]
    return run.encoder_in(spaces) if spaces else run.encoder


def _check_targets(targets: Regions, loaded: Loaded) -> None:
    """Raise unless targets have what is learned from."""
    checks.instance(targets, Regions, "targets", "as run.regions_like makes them")
    folder = loaded.run.folder
    if loaded.run.regions.located and not targets.located:
        raise GeospotError(
            f"targets have no coordinates, and those of {folder} are learned from: give lon and lat"
        )
    missing = [str(space) for space in loaded.runs if space not in targets.spaces]
    if len(loaded.runs) > 1 and missing:
        raise GeospotError(
            f"targets have no features in space {missing[0]}, and its distances are learned from: "
            f"make them with regions_like of the run of {folder}, of a table that has the features "
            "of all spaces"
        )


def _device(run: Run) -> str:
    return str(run.engine.torch_device())


def _sources(
    source: Name | Iterable[Name] | None, scores: Scores, names: Iterable[str]
) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Names of the sources that are asked about, and the parts of those that are several."""
    if source is None:
        return [*scores.regions, *scores.unions], dict(scores.unions)
    asked = checks.one_or_several(source, "source")
    known, written = Names(names), list(names)
    parts: dict[str, None] = {}
    for one in asked:
        members = known.together(one, "source")
        text = name_of(one, "source")
        parts |= dict.fromkeys([text] if members is None else [written[k] for k in members])
    if not parts:
        raise GeospotError("source=[] names no region: give one, or leave it out")
    for union, of in scores.unions.items():
        if set(of) == set(parts):
            return [union], {union: of}
    for one in parts:
        if one not in scores.regions:
            raise GeospotError(
                f"source={one} has no scores: use one of {', '.join(scores.regions[:8])}, ... or "
                "leave it out"
            )
    name = "+".join(parts)
    return [name], {name: tuple(parts)} if len(parts) > 1 else {}


def _best(predictions: pd.DataFrame, kind: str) -> pd.DataFrame:
    """For every target the source of which most is expected."""
    ordered = predictions.sort_values("predicted", ascending=kind == "error", kind="stable")
    return ordered.drop_duplicates("target").sort_values("target", ignore_index=True)
