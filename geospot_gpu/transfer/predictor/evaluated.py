"""What trials of a predictor on regions left out come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.transfer.predictor.candidates import CONSTANTS, Make
from geospot_gpu.transfer.predictor.evaluation import Evaluation
from geospot_gpu.transfer.predictor.gain import gain_p
from geospot_gpu.transfer.predictor.intervals import Calibration
from geospot_gpu.transfer.predictor.left_out import Grouping, Table, left_out
from geospot_gpu.transfer.predictor.trial import SHARES, Trial, level, line_of, mean_error, tried

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


def evaluated(
    trials: Sequence[Trial],
    distances: Mapping[str, int],
    table: Table,
    calibration: Calibration,
    ends: tuple[Sequence[Indices], Indices],
    orders: Indices,
    limits: tuple[float, float],
    *,
    positive: bool,
) -> Evaluation:
    """What trials, and the intervals around the means of their predictions, come to.

    Args:
        trials: of several groupings.
        distances: which feature each distance is.
        table: pairs.
        calibration: of the means of their predictions.
        ends: positions of the regions of sources and of targets.
        orders: permutations of the regions.
        limits: between which scores lie.
        positive: as :func:`~geospot_gpu.transfer.predictor.candidates.candidates` has it.
    """
    sources, targets = ends
    columns = list(distances.values())
    predicted = np.mean([one.predicted for one in trials], axis=0)
    known = np.isfinite(predicted)
    # Of several regions together there is no one to relabel.
    apart = known if len(sources) == 1 else known & (sources[1] < 0)

    def averaged(values: Iterable[float]) -> float:
        return float(np.mean(list(values)))

    def p_over(simple: Array) -> float:
        pair = sources[0][apart], targets[apart]
        score, weight = table.y[apart], table.weight[apart]
        return gain_p(predicted[apart], simple[apart], score, weight, pair, orders)

    errors = {name: averaged(one.errors[name] for one in trials) for name in trials[0].errors}
    constant = min(CONSTANTS, key=lambda name: errors[name])
    alone = np.mean([one.alone for one in trials], axis=0)
    singles = [one.single for one in trials if one.single is not None]
    lower, upper = (np.clip(end, *limits) for end in (calibration.lower, calibration.upper))
    held = np.isfinite(lower)
    inside = ((lower <= table.y) & (table.y <= upper))[held]
    of_targets = pd.Series(inside).groupby(targets[held]).mean()
    return Evaluation(
        error=averaged(mean_error(one.predicted, table) for one in trials),
        errors=errors,
        single=dict(zip(distances, alone.tolist(), strict=True)),
        constant=constant,
        share=SHARES[int(np.argmin(np.mean([one.of_share for one in trials], axis=0)))],
        error_of_constant=averaged(mean_error(one.constant, table) for one in trials),
        error_of_single=averaged(mean_error(one, table) for one in singles) if singles else None,
        p_over_constant=p_over(np.full(len(table.y), level(table, constant))),
        p_over_single=p_over(line_of(table, columns[int(np.argmin(alone))], positive=positive))
        if singles
        else None,
        covered=float(inside.mean()),
        worst_target=float(of_targets.min()),
        width=float((upper - lower)[held].mean()),
        predicted=predicted,
        lower=lower,
        upper=upper,
    )


def errors_by_knowledge(
    knowledge: Mapping[str, Sequence[int]],
    makers: Callable[[Sequence[int]], Mapping[str, Make]],
    distances: Sequence[int],
    table: Table,
    grouping: Grouping,
    whole: Trial,
    evaluation: Evaluation,
    *,
    positive: bool,
) -> dict[str, float]:
    """Errors once each source of knowledge is there beside those before it.

    What is learned of fewer features is tried in one division of the regions, and its error said
    in the unit of all, by that of all features in both.

    Args:
        knowledge: which features each source gives, what is had first coming first.
        makers: of models of some features.
        distances: which features are distances.
        table: pairs.
        grouping: the division.
        whole: of all features in this division.
        evaluation: of all features.
        positive: as :func:`~geospot_gpu.transfer.predictor.candidates.candidates` has it.

    Returns:
        Mean absolute errors by source, that of the constant first.
    """
    found = {f"always the {evaluation.constant}": evaluation.error_of_constant}
    error = mean_error(whole.predicted, table)
    unit = evaluation.error / error if error > 0.0 else 1.0
    columns: list[int] = []
    for source in list(knowledge)[:-1]:
        columns += knowledge[source]
        some = table._replace(x=table.x[:, columns])
        at = [k for k, column in enumerate(columns) if column in distances]
        predictions = left_out(makers(columns), some, grouping)
        trial = tried(predictions, some, at, grouping, positive=positive)
        found[source] = unit * mean_error(trial.predicted, table)
    return found | {list(knowledge)[-1]: evaluation.error}
