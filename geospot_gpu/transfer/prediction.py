"""Expected scores where there are no labels, from a run: the twin of ``geospot predict``."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.distances.baselines import kernel_width
from geospot_gpu.distances.columns import stored_in
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.encoders import Encoder
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.names import Name, Names, name_of
from geospot_gpu.regions import Regions
from geospot_gpu.runs.baselines import shared_baselines
from geospot_gpu.runs.run import Run
from geospot_gpu.runs.solving import solve
from geospot_gpu.transfer.evidence import Loaded, features, matrices, tidy
from geospot_gpu.transfer.land_cells import LandCells, land_cells
from geospot_gpu.transfer.predictor.evaluation import Evaluation
from geospot_gpu.transfer.predictor.predictor import Predictor
from geospot_gpu.transfer.scores.scores import Kind, Scores
from geospot_gpu.transfer.spaces import Space, split
from geospot_gpu.transfer.training import evidence_for, in_domain, training_pairs

log = logging.getLogger("geospot_gpu")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Expected scores.

    Attributes:
        table: one row per source and target, as :meth:`~geospot_gpu.Predictor.predict` has them.
        best: for every target the source of which most is expected, with ``lon`` and ``lat`` of its
            south-western corner where targets are cells of a grid.
        kind: of the scores.
        sources: names of the regions whose models are asked about.
        degrees: size of a cell where targets are cells of a grid, else None.
        evaluation: what the predictor is worth.
    """

    table: pd.DataFrame
    best: pd.DataFrame
    kind: Kind
    sources: tuple[str, ...]
    degrees: float | None
    evaluation: Evaluation

    @property
    def extrapolated(self) -> int:
        """How many targets are unlike all that was seen."""
        return int(self.best["extrapolates"].sum())

    @property
    def verdict(self) -> str:
        """A sentence."""
        return (
            f"{len(self.best)} targets predicted, {self.extrapolated} of them unlike all that was "
            "seen"
        )

    @property
    def summary(self) -> dict[str, Any]:
        """The figures, as ``summary.json`` has them."""
        return {
            "verdict": self.verdict,
            "sources": len(self.sources),
            "targets": len(self.best),
            "extrapolates": self.extrapolated,
            "predictor": self.evaluation.summary,
        }


def predict_scores(
    run: Run,
    scores: Scores,
    *,
    source: Name | None = None,
    targets: Regions | None = None,
    degrees: float = 10.0,
    points: int = 200,
    seed: int = 0,
) -> Predictions:
    """Scores to expect in regions that have no labels, with 90 % intervals.

    Args:
        run: of all pairs of the regions that have scores.
        scores: of models in these regions, from :func:`~geospot_gpu.read_scores` with
            ``regions=run.names``.
        source: the region whose model is asked about; all that have scores if not given.
        targets: regions to predict for, as :meth:`~geospot_gpu.Run.regions_like` makes them, with
            features in all spaces of the run; cells of a grid over the land if not given, from the
            distances of the spaces that coordinates give.
        degrees: size of a cell of the grid.
        points: drawn on the land of each cell.
        seed: of groups of regions and of the points of cells.

    Raises:
        GeospotError: as :func:`~geospot_gpu.assess_transfer`; there are fewer than eight regions
            with scores, the source has none, or features of targets do not compare.
    """
    loaded = evidence_for(run, scores)
    chosen = _sources(source, scores.regions)
    cells: LandCells | None = None
    if targets is None:
        loaded = loaded.among(_of_coordinates(loaded))
        with run.engine.pool():
            cells = land_cells(degrees, points, seed, _encoder(run, loaded), _device(run))
        targets = cells.regions
    _check_targets(targets, loaded)
    training, names = training_pairs(loaded, scores)
    predictor = Predictor(training, names, scores.kind, seed=seed)
    sources = run.regions.subset(chosen)
    with run.engine.pool():
        distances = _in_all_spaces(loaded, chosen, targets, names)
    own = in_domain(loaded, scores)
    at_home = None if own is None else own[[loaded.names.index(name) for name in chosen]]
    pairs = tidy(features(distances, sources, targets, at_home), chosen, list(targets.names))
    table = predictor.predict(pairs)
    best = _best(table, scores.kind)
    if cells is not None:
        best = best.merge(cells.corners, on="target")
    size = None if cells is None else cells.degrees
    return Predictions(table, best, scores.kind, tuple(chosen), size, predictor.evaluation)


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


def _sources(source: Name | None, known: tuple[str, ...]) -> list[str]:
    if source is None:
        return list(known)
    found = Names(known).find(source, "source")
    if found is None:
        raise GeospotError(
            f"source={name_of(source, 'source')} has no scores: use one of "
            f"{', '.join(known[:8])}, ... or leave it out"
        )
    return [known[found]]


def _in_all_spaces(
    loaded: Loaded, sources: list[str], targets: Regions, learned: Collection[str]
) -> dict[str, Array]:
    """Those distances that were learned from, by name, [R, R']."""
    found: dict[str, Array] = {}
    several = len(loaded.runs) > 1
    for space, run in loaded.runs.items():
        theirs = targets.space(str(space)) if several else targets
        wanted = [name for name in learned if name not in found and split(name)[0] in (None, space)]
        names = [split(name)[1] for name in wanted]
        own = _distances(run.regions.subset(sources), theirs, run, names)
        found |= {name: own[split(name)[1]] for name in wanted}
    return found


def _distances(
    sources: Regions, targets: Regions, run: Run, learned: Collection[str]
) -> dict[str, Array]:
    """Those distances between sources and targets that were learned from, as the sweep has them."""
    together = sources.concatenated(targets)
    left, right = all_pairs(len(sources), len(targets))
    of_sweep, simple = (
        [column.name for column in stored_in(table) if set(column.matrices) & set(learned)]
        for table in ("pairs", "baselines")
    )
    if run.target_error is not None:  # which samples are large enough is for these to say
        of_sweep += ["divergence", "std_error", "bias"]
    found = []
    if of_sweep:
        solved = solve(
            together, left, right, run.method, of_sweep,
            engine=run.engine, target_error=run.target_error,
        )  # fmt: skip
        found.append(solved.to_pandas(together.names))
    width = kernel_width(run.regions) if simple else None  # as for what was learned from
    found.append(shared_baselines(together, left, right, simple, run.engine, width))
    pairs = pd.concat(found, axis=1)
    return matrices(pairs, list(sources.names), list(targets.names))


def _best(predictions: pd.DataFrame, kind: str) -> pd.DataFrame:
    """For every target the source of which most is expected."""
    ordered = predictions.sort_values("predicted", ascending=kind == "error", kind="stable")
    return ordered.drop_duplicates("target").sort_values("target", ignore_index=True)
