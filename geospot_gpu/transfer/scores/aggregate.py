"""The score of a model in a region from its values at single samples, with a standard error."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.names import Names
from geospot_gpu.transfer.scores.membership import Membership
from geospot_gpu.transfer.scores.samples import Samples
from geospot_gpu.transfer.scores.together import Pairs
from geospot_gpu.transfer.scores.values import Measure

log = logging.getLogger("geospot_gpu")

Array = NDArray[np.float64]


class Aggregate(NamedTuple):
    """The score of several samples."""

    score: float
    std_error: float
    """NaN where there is one sample."""
    samples: float
    """How many different ones; those of an average seed where they cannot be told apart."""


def aggregate(
    value: Array,
    measure: Measure,
    sample: NDArray[np.int64] | None = None,
    seed: NDArray[np.int64] | None = None,
) -> Aggregate:
    r"""The score of samples, with the standard error that drawing samples and seeds leaves.

    The score is the mean of the values, or the root of the mean of their squares. Each of the N
    rows moves it by its influence :math:`\psi_i / N`: :math:`\psi_i = x_i - s` for a mean,
    :math:`(e_i^2 - s^2) / 2 s` for a root (the delta method). Of rows in G clusters, the variance
    is :math:`V = G / (G - 1) \sum_g (\sum_{i \in g} \psi_i / N)^2`.

    Several seeds are tried on the same samples. Rows of a sample share what is hard about it, rows
    of a seed what went wrong in it: the variance is that by samples, plus that by seeds, less that
    by rows, which both count (Cameron, Gelbach & Miller 2011, Robust inference with multiway
    clustering), and at least the larger of the two. Where samples cannot be told
    apart, the variance by samples is taken to be that of an average seed, as if all were tried on
    the same ones.

    Where all values are 0 or all are 1, of one seed, the mean's variance is that of Agresti and
    Coull (1998): :math:`p (1 - p) / (n + 4)` with two more of each kind, for such a mean is not
    certain.

    Args:
        value: of each row, [N].
        measure: ``mean``, or ``rmse`` of signed errors.
        sample: which rows are of the same sample, [N]; not known if not given.
        seed: which rows are of the same seed, [N]; one seed if not given.

    >>> aggregate(np.array([1.0, 0.0, 1.0, 1.0]), "mean")
    Aggregate(score=0.75, std_error=0.25, samples=4)
    >>> round(aggregate(np.array([3.0, -4.0]), "rmse").score, 3)
    3.536
    """
    influence, score = influence_of(value, measure)
    n = len(value)
    seeds = 1 if seed is None else len(np.unique(seed))
    samples = n / seeds if seeds > 1 else n
    if sample is not None:
        samples = len(np.unique(sample))
    alike = measure == "mean" and np.ptp(value) == 0.0 and value[0] in (0.0, 1.0)
    if alike and seeds == 1 and samples > 1:
        share = (value[0] * samples + 2.0) / (samples + 4.0)
        return Aggregate(score, float(np.sqrt(share * (1.0 - share) / (samples + 4.0))), samples)
    return Aggregate(score, spread([Moved(influence / n, sample, seed)]), samples)


class Moved(NamedTuple):
    """By how much each row of samples from one place moves a figure."""

    by: Array
    """Its influence over how many rows there are, [N]."""
    sample: NDArray[np.int64] | None
    """Which rows are of the same sample, [N]; None where that is not known."""
    seed: NDArray[np.int64] | None
    """Which rows are of the same seed, [N]; None where there is one."""


def spread(places: Sequence[Moved]) -> float:
    """Standard error of a figure that samples of several places move, drawn apart in each.

    Its variance is as :func:`aggregate` has it; seeds are those of all places together.

    Args:
        places: what moves it.
    """
    by_row = sum(_variance(one.by, np.arange(len(one.by))) for one in places)
    seeds = [np.zeros(len(one.by), np.int64) if one.seed is None else one.seed for one in places]
    count = len(np.unique(np.concatenate(seeds)))
    known = [one.sample for one in places if one.sample is not None]
    by_sample = by_row
    if len(known) == len(places):
        by_sample = sum(_variance(one.by, of) for one, of in zip(places, known, strict=True))
    if count == 1:
        return float(np.sqrt(by_sample))
    by_seed = _variance(np.concatenate([one.by for one in places]), np.concatenate(seeds))
    if len(known) < len(places):
        return float(np.sqrt(by_row * count + by_seed))
    return float(np.sqrt(max(by_sample + by_seed - by_row, by_sample, by_seed)))


def pairs_of(samples: Samples, membership: Membership, names: Sequence[str]) -> Pairs:
    """Scores by source and target, as :func:`~geospot_gpu.transfer.scores.table.read_pairs` has.

    Args:
        samples: with the column ``source``.
        membership: the regions that they lie in.
        names: of the regions.

    Returns:
        A row per pair, and the sources that are several regions together.

    Raises:
        GeospotError: no source is a region of the sweep.
    """
    at, unions = samples.sources(names)
    valued = np.isfinite(samples.value[membership.sample])
    membership = Membership(membership.sample[valued], membership.region[valued])
    of = at[membership.sample]
    lost = len(np.unique(membership.sample[of < 0]))
    if lost:
        unknown = sorted(set(samples.names["source"].iloc[membership.sample[of < 0]].dropna()))
        shown = f"{', '.join(unknown[:5])}{', ...' if len(unknown) > 5 else ''}"
        if not (of >= 0).any():
            raise GeospotError(
                f"{samples.where}: no source is a region of the sweep ({shown}); "
                f"{Names(names).hint(unknown[0] if unknown else '')}"
            )
        log.warning(
            "%s: %d samples are of sources that the sweep does not have, left out%s",
            *(samples.where, lost, f": {shown}" if unknown else ""),
        )
    kept = of >= 0
    table = pd.DataFrame(
        {"source": of[kept], "target": membership.region[kept], "at": membership.sample[kept]}
    )
    found = scores_by(samples, table, ["source", "target"])
    log.warning(
        "%s: has a row per sample: %d samples make the scores of %d pairs",
        *(samples.where, table["at"].nunique(), len(found)),
    )
    return Pairs(found, unions)


def scores_by(samples: Samples, table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The score of each group of samples.

    Args:
        samples: what is grouped.
        table: positions of samples in ``at``, and the columns that say the group.
        by: names of these.

    Returns:
        The columns ``by``, ``score``, ``weight`` (how many samples) and ``std_error``.
    """
    which = samples.identity
    seed = None
    if "seed" in samples.names:
        seed = pd.factorize(samples.names["seed"])[0]
    rows = []
    for key, group in table.groupby(by, sort=True):
        at = group["at"].to_numpy()
        one = aggregate(
            samples.value[at],
            samples.measure,
            None if which is None else which[at],
            None if seed is None else seed[at],
        )
        rows.append((*key, one.score, one.samples, one.std_error))
    found = pd.DataFrame(rows, columns=[*by, "score", "weight", "std_error"])
    return found.astype({"weight": float})


def influence_of(value: Array, measure: Measure) -> tuple[Array, float]:
    """By how much each value moves the score times their number [N], and the score."""
    if measure == "mean":
        score = float(value.mean())
        return value - score, score
    squares = value**2
    score = float(np.sqrt(squares.mean()))
    return (squares - score**2) / (2.0 * score) if score > 0.0 else np.zeros_like(value), score


def _variance(moved: Array, cluster: NDArray[np.int64]) -> float:
    _, at = np.unique(cluster, return_inverse=True)
    sums = np.bincount(at, moved)
    count = len(sums)
    return float((sums**2).sum() * count / (count - 1)) if count > 1 else float("nan")
