"""How long pairs take to solve, from a sample of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from geospot_gpu.arrays import Indices
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.runs.work import PairBlock, SweepJob
from geospot_gpu.sinkhorn.divergence import SelfTerms

_ENOUGH = 0.5
"""Seconds that a sample takes to solve, at least, where so many pairs are missing."""
_FIRST, _GROWTH = 8, 4
"""Pairs of the first sample, and how many times more the next has."""
_DRAWN = 20_000
"""Pairs of which samples are drawn, and that say how large the pairs of a sweep are."""
_STRATA = 8
_LOOKED_INTO = 10
"""Blocks of which the batches are counted."""


class Drawn(NamedTuple):
    """Pairs in strata of about equal work, the smallest pairs first."""

    left: Indices
    right: Indices
    stratum: Indices


class Sample(NamedTuple):
    """Pairs that were solved, and how long it took."""

    at: Indices
    """Which of those that were drawn."""
    pairs: PairTable
    selves: float
    """Seconds for the self terms of their regions."""
    all: float
    """Seconds for the pairs."""


def _entries(job: SweepJob, left: Indices, right: Indices) -> Indices:
    """Cost entries of pairs, [K]."""
    sizes = job.regions.sizes
    return sizes[left] * sizes[right]


def drawn_from(job: SweepJob, blocks: Sequence[PairBlock], sizes: Sequence[int]) -> Drawn:
    """Random pairs of blocks, each as likely as any other."""
    ends = np.cumsum(sizes)
    if ends[-1] <= _DRAWN:
        numbers = np.arange(ends[-1])
    else:
        numbers = np.unique(np.random.default_rng(0).integers(ends[-1], size=_DRAWN))
    of = np.searchsorted(ends, numbers, side="right")
    sides = []
    for k in np.unique(of).tolist():
        left, right = job.positions(blocks[k])
        at = numbers[of == k] - (ends[k] - sizes[k])
        sides.append((left[at], right[at]))
    left, right = (np.concatenate(side) for side in zip(*sides, strict=True))
    entries = _entries(job, left, right)
    order = np.argsort(entries, kind="stable")
    done = np.cumsum(entries[order]) - entries[order] / 2
    stratum = (done * _STRATA / entries.sum()).astype(np.int64)
    return Drawn(left[order], right[order], stratum)


def sampled(solver: PairSolver, job: SweepJob, drawn: Drawn) -> Sample:
    """A sample that takes long enough, or has all there is.

    One that takes long is followed by another of its size: the first may have compiled.
    """
    generator = np.random.default_rng(0)
    count, again = _FIRST, False
    while True:
        at = stratified(drawn.stratum, count, generator)
        left, right = drawn.left[at], drawn.right[at]
        solver.selves = SelfTerms.unknown(len(job.regions))
        started = time.perf_counter()
        solver.know(np.unique(np.concatenate([left, right])), job.outputs)
        after = time.perf_counter()
        pairs = solver.solve(left, right, job.outputs)
        ended = time.perf_counter()
        slow = ended - started > _ENOUGH
        if (slow and again) or (not slow and len(at) == len(drawn.left)):
            return Sample(at, pairs, after - started, ended - after)
        again = slow
        count *= 1 if slow else _GROWTH


def seconds_of(
    solver: PairSolver,
    job: SweepJob,
    blocks: Sequence[PairBlock],
    drawn: Drawn,
    sample: Sample,
    selves: Indices,
) -> float:
    """What all pairs of blocks take, and the self terms of some regions, [K].

    A batch takes a while however little is in it, and then for each cost entry; how long for an
    entry depends on the size of its pair. Regions of one size share few batches.
    """
    left, right, stratum = (side[sample.at] for side in drawn)
    entries, seconds = _entries(job, left, right), sample.pairs["seconds"].astype(float)
    batch = solver.engine.batches(left, right)
    of_batch = np.bincount(batch, seconds)
    shares = np.stack([np.ones(len(of_batch)), np.bincount(batch, entries)]) / of_batch
    per_batch = max(0.0, float(np.linalg.lstsq(shares.T, np.ones(len(of_batch)))[0][0]))
    rest = seconds * (1 - np.minimum(1.0, per_batch / of_batch[batch]))
    per_entry = np.full(_STRATA, rest.sum() / entries.sum())
    for k in np.unique(stratum).tolist():
        per_entry[k] = rest[stratum == k].sum() / entries[stratum == k].sum()
    weight = np.bincount(drawn.stratum, _entries(job, drawn.left, drawn.right), _STRATA)
    found = sum(map(job.work, blocks)) * float(weight @ per_entry) / float(weight.sum())
    some = np.random.default_rng(0).permutation(len(blocks))[:_LOOKED_INTO]
    batches = [np.ptp(solver.engine.batches(*job.positions(blocks[k]))) + 1 for k in some]
    found += per_batch * float(np.mean(batches)) * len(blocks)
    between = max(0.0, sample.all - float(seconds.sum()))
    found += between * max(len(blocks), sum(map(job.size, blocks)) / len(left))
    return found + _self_seconds(solver, job, per_batch, sample, (left, right), selves)


def _self_seconds(
    solver: PairSolver,
    job: SweepJob,
    per_batch: float,
    sample: Sample,
    sides: tuple[Indices, Indices],
    selves: Indices,
) -> float:
    """What the self terms of some regions take, as far as those of a sample say."""
    solved = np.unique(np.concatenate(sides))

    def batches(index: Indices) -> int:
        return int(solver.engine.batches(index, index).max(initial=-1)) + 1

    def entries(index: Indices) -> float:
        return float((job.regions.sizes[index] ** 2).sum())

    rest = max(0.0, sample.selves - per_batch * batches(solved))
    return per_batch * batches(selves) + rest * entries(selves) / entries(solved)


def stratified(stratum: Indices, count: int, generator: np.random.Generator) -> Indices:
    """Positions of so many random pairs, about as many of each stratum."""
    order = generator.permutation(len(stratum))
    sorted_ = order[np.argsort(stratum[order], kind="stable")]
    _, first, of = np.unique(stratum[sorted_], return_index=True, return_inverse=True)
    rank = np.arange(len(sorted_)) - first[of]
    chosen = np.argsort(rank, kind="stable")[:count]
    return np.sort(sorted_[chosen])
