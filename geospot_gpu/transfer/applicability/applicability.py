"""Where one model may be trusted: the twin of ``geospot predict`` with scores of one model."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.displayed import Displayed
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.files.tables import read_raw_table
from geospot_gpu.names import Name
from geospot_gpu.points.table import Points
from geospot_gpu.runs.run import Run
from geospot_gpu.transfer.applicability.comparison import LEAST, Comparison, compare, distances_to
from geospot_gpu.transfer.applicability.dissimilarity import Dissimilarity
from geospot_gpu.transfer.applicability.folds import blocks
from geospot_gpu.transfer.applicability.inputs import places_of, sample_vectors, training_points
from geospot_gpu.transfer.applicability.profile import LeftOut, Profile, left_out
from geospot_gpu.transfer.scores.membership import regions_of
from geospot_gpu.transfer.scores.samples import Samples, is_samples, read_samples
from geospot_gpu.transfer.scores.scores import Kind, bounds
from geospot_gpu.transfer.threshold import checked_threshold, side_clause, side_counts, with_sides

log = logging.getLogger("geospot_gpu")


@dataclass(frozen=True)
class Applicability(Displayed):
    """Where one model may be trusted.

    Attributes:
        places: ``lon`` and ``lat`` in degrees (``row`` where points have none); ``di``, their
            dissimilarity index; ``inside``, whether it is at most the threshold; ``lpd``, their
            local point density; ``expected``, the score of a region of such places, with its 90 %
            interval ``lower``, ``upper``, NaN beyond the index that was tested.
        kind: ``accuracy`` or ``error``.
        threshold: of the index.
        training: how many training points there are.
        folds: what the threshold's folds are.
        samples: how many test samples there are.
        inside: share of them that are inside.
        tested: the smallest and the largest index of a test sample.
        groups: what intervals rest on: groups of samples that were left out.
        covered: share of these inside the interval that the others make.
        comparison: what places tell of regions; None where too few regions have samples.
        score_threshold: the score that intervals are compared with, if one was given; ``places``
            has ``threshold_side`` then: ``above`` or ``below`` where the interval excludes it, else
            ``unclear``.
    """

    places: pd.DataFrame
    kind: Kind
    threshold: float
    training: int
    folds: str
    samples: int
    inside: float
    tested: tuple[float, float]
    groups: str
    covered: float
    comparison: Comparison | None
    score_threshold: float | None = None

    @property
    def unknown(self) -> int:
        """Of how many places nothing is said, for no sample as dissimilar was tested."""
        return int(self.places["expected"].isna().sum())

    @property
    def verdict(self) -> str:
        """A sentence."""
        inside = int(self.places["inside"].sum())
        beyond = "none is more dissimilar than the test samples"
        if self.unknown:
            beyond = f"of {self.unknown} nothing is known, for no test sample is as dissimilar"
        return (
            f"{inside} of {len(self.places)} places are inside the area of applicability; {beyond}"
            f"{side_clause(self.places, self.score_threshold)}"
        )

    @property
    def summary(self) -> dict[str, Any]:
        """The figures, as ``summary.json`` has them."""
        return {
            "verdict": self.verdict,
            "kind": self.kind,
            **side_counts(self.places, self.score_threshold),
            "places": len(self.places),
            "inside": int(self.places["inside"].sum()),
            "unknown": self.unknown,
            "training_points": self.training,
            "threshold": self.threshold,
            "folds": self.folds,
            "samples": self.samples,
            "samples_inside": self.inside,
            "tested": list(self.tested),
            "intervals_from": self.groups,
            "covered": None if np.isnan(self.covered) else self.covered,
            "comparison": None if self.comparison is None else self.comparison.summary,
        }

    @property
    def text(self) -> str:
        """What dissimilarity is worth here, in a sentence."""
        if self.comparison is None:
            return (
                f"fewer than {LEAST} regions have samples: whether dissimilarity tells of regions "
                "cannot be seen"
            )
        return self.comparison.text


def applicability(
    run: Run,
    samples: str | Path | pd.DataFrame,
    *,
    kind: Kind,
    training: Points | None = None,
    source: Name | Iterable[Name] | None = None,
    targets: Points | None = None,
    target: str | None = None,
    score: str | None = None,
    id: str | None = None,
    model: str | None = None,
    shots: str | None = None,
    degrees: float = 10.0,
    points: int = 200,
    threshold: float | None = None,
    seed: int = 0,
) -> Applicability:
    """Where one model may be trusted, from its predictions at test samples.

    Places are compared with the training points by the features of the run (those of its first
    space, or unit vectors on the sphere where there are none), by the dissimilarity index of Meyer
    & Pebesma (2021). How the score falls with the index is learned from the samples.

    Args:
        run: a sweep, whose encoder and regions are taken.
        samples: a table with a row per test sample of one model, as for
            :func:`~geospot_gpu.read_scores`, but without ``source``.
        kind: ``accuracy`` or ``error``.
        training: the training points, from :func:`~geospot_gpu.read_points`; a column ``fold``
            says what was left out together when the model was validated.
        source: instead, the region of the run that the model was trained in, or several.
        targets: places to predict for; if not given, points on the land, or the run's own where
            features do not follow from coordinates.
        target, score, id: headers of columns of the samples, where they have others.
        model, shots: which of several the table has.
        degrees: size of the cells of land in each of which points are drawn.
        points: how many are drawn in each.
        threshold: a score; where the interval of a place excludes it is said.
        seed: of folds and of the points on land.

    Raises:
        GeospotError: the table is no such table, its samples or the training points have no
            features, or the threshold is no score.
    """
    checks.instance(run, Run, "run", "as Run.open gives it")
    checks.one_of(kind, get_args(Kind), "scores.kind")
    for name, given in (("training", training), ("targets", targets)):
        if given is not None:
            checks.instance(given, Points, name, "as read_points gives them")
    seed = checks.whole(seed, "seed", least=0)
    raw = read_raw_table(samples, "scores")
    where = str(samples) if isinstance(samples, str | Path) else "scores"
    if not is_samples(raw, score, id=id):
        raise GeospotError(
            f"{where}: has no row per test sample: give columns correct, error, or prediction and "
            "label"
        )
    read = read_samples(
        raw, where, kind, target=target, score=score, id=id, model=model, shots=shots
    )
    _check_single(read)
    ends = bounds(kind, read.value if read.measure == "mean" else np.zeros(1))
    threshold = checked_threshold(threshold, kind, ends)
    known = training_points(run, training, source, seed)
    tested, vectors = sample_vectors(run, read)
    dissimilarity = Dissimilarity(known.vectors, known.fold)
    index = dissimilarity.of(vectors).di
    _warn_of_training(tested, index)
    profile = Profile(index, tested.value, tested.measure, worse_up=kind == "error")
    membership = regions_of(tested, run.names, run)
    at, first = np.unique(membership.sample, return_index=True)
    region = membership.region[first]
    groups = _Groups.of(tested, index, at, region, kind, seed)
    comparison = None
    if groups.regions is not None and groups.found is not None:
        away = distances_to(known.cloud, run.regions.take(groups.regions), run)
        comparison = compare(groups.found, away)
    places = places_of(run, targets, degrees, points, seed)
    of_places = dissimilarity.of(places.vectors)
    expected = profile.at(of_places.di)
    low, high = (np.nan, np.nan) if groups.found is None else groups.found.interval
    table = places.table.assign(
        di=of_places.di,
        inside=of_places.di <= dissimilarity.threshold,
        lpd=of_places.lpd,
        expected=expected,
        lower=np.clip(expected + low, *ends),
        upper=np.clip(expected + high, *ends),
    )
    return Applicability(
        with_sides(table, threshold), kind,
        dissimilarity.threshold, len(known.vectors), known.folds, len(tested),
        float((index <= dissimilarity.threshold).mean()), profile.range, groups.what,
        float("nan") if groups.found is None else groups.found.covered, comparison, threshold,
    )  # fmt: skip


@dataclass(frozen=True)
class _Groups:
    """Groups of samples that are left out in turn."""

    found: LeftOut | None
    what: str
    regions: NDArray[np.int64] | None
    """Positions of the regions that the groups are, where they are some."""

    @classmethod
    def of(
        cls,
        samples: Samples,
        index: NDArray[np.float64],
        at: NDArray[np.int64],
        region: NDArray[np.int64],
        kind: Kind,
        seed: int,
    ) -> _Groups:
        """Regions where enough have samples, else blocks of places where samples have any.

        Args:
            samples: the samples.
            index: of each, [n].
            at: which of them are in a region, [k].
            region: of these, [k].
            kind: of the scores.
            seed: of the blocks.
        """
        regions, group = np.unique(region, return_inverse=True)
        what, found_regions = "regions", regions if len(regions) >= LEAST else None
        place = samples.place
        if found_regions is None and samples.points is not None and (place >= 0).all():
            at, what = np.arange(len(samples)), "blocks of places"
            lon, lat = samples.points.lon[place], samples.points.lat[place]
            group = blocks(lon, lat, seed)
        count = int(group.max()) + 1
        if count < 2:
            return cls(None, "nothing", None)
        found = left_out(
            index[at], samples.value[at], samples.measure, group, worse_up=kind == "error"
        )
        return cls(found, f"{count} {what}", found_regions)


def _check_single(samples: Samples) -> None:
    if "source" not in samples.names:
        return
    models = samples.names["source"].dropna().unique()
    if len(models) > 1:
        raise GeospotError(
            f"{samples.where}: its column {samples.headers['source']} has {len(models)} sources "
            f"({', '.join(models[:5])}, ...): give the samples of one model"
        )


def _warn_of_training(samples: Samples, index: NDArray[np.float64]) -> None:
    same = int((index == 0.0).sum())
    if same:
        log.warning(
            "%s: %d of %d samples lie at training points: leave out those that the model was "
            "trained on",
            *(samples.where, same, len(index)),
        )
