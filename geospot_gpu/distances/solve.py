"""The one pipeline: from pairs of regions to whatever is asked of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.distances.columns import find, outputs_by_default, possible_outputs
from geospot_gpu.distances.growth import Larger, grow
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.engine.method import Method, Solver
from geospot_gpu.engine.needs import Need
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.engine.settings import Engine
from geospot_gpu.engine.warm import WarmStarts
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.regions import Regions
from geospot_gpu.sinkhorn import EMD
from geospot_gpu.sinkhorn.divergence import SelfTerms, divergence

_EVIDENCE = ("iterations", "marginal_error", "converged", "kernel", "seconds")


class PairSolver:
    """Solves pairs of regions that live on one device, and knows the self terms of all.

    Args:
        regions: the regions, moved to the device once.
        method: cost and solver.
        engine: device, kernel and memory budget.
        warm: potentials to start from and to keep.
    """

    def __init__(
        self,
        regions: Regions,
        method: Method,
        engine: Engine | None = None,
        warm: WarmStarts | None = None,
    ) -> None:
        engine = Engine() if engine is None else engine
        self.engine = PairEngine(regions, method, engine, warm)
        self.selves = SelfTerms.unknown(len(regions))
        self._settings = method, engine, warm

    @property
    def regions(self) -> Regions:
        """The regions, on the device."""
        return self.engine.regions

    def know(self, index: Indices, outputs: Sequence[str]) -> None:
        """Solve the self terms of regions at ``index`` that outputs need and are not known yet."""
        missing = index[np.isnan(self.selves.ot[index])]
        if len(missing) and needs_self_terms(outputs):
            self.selves.put(missing, self.engine.self_terms(missing, _needs(outputs)))

    def know_halves(self, index: Indices, outputs: Sequence[str]) -> None:
        """Solve the self terms of all regions at ``index`` together, for their half samples.

        Self terms that are known stay as they are.
        """
        missing = np.isnan(self.selves.ot[index])
        found = self.engine.self_terms(index, _needs(outputs))
        self.selves.put(index[missing], found.at(missing))

    def unknown_halves(self, left: Indices, right: Indices, outputs: Sequence[str]) -> Indices:
        """Regions whose half samples the outputs of pairs [K] need, and nobody solved here yet."""
        if "half_samples" not in _needs(outputs):
            return np.array([], np.int64)
        return self.engine.sampling_error.unknown(left, right)

    def solve(
        self,
        left: Indices,
        right: Indices,
        outputs: Sequence[str],
        target_error: float | None = None,
    ) -> PairTable:
        """The outputs of pairs of regions [K], and the evidence for them.

        Args:
            left, right: positions of the two regions of each pair.
            outputs: names of the columns to compute; see :func:`chosen_outputs`.
            target_error: as for :func:`~geospot_gpu.pairwise`.
        """
        if target_error is not None:
            target_error = check_target_error(target_error, outputs)
        self.know(members(left, right, len(self.regions)), outputs)
        solved = self.engine.pairs(left, right, _needs(outputs))
        pairs = self._finished(left, right, solved, outputs)
        if target_error is None:
            return pairs
        return grow(self.regions, pairs, target_error, lambda larger: self._larger(larger, outputs))

    def _larger(self, sample: Larger, outputs: Sequence[str]) -> PairTable:
        solver = PairSolver(sample.regions, *self._settings)
        return solver.solve(sample.left, sample.right, outputs)

    def _finished(
        self, left: Indices, right: Indices, solved: Columns, outputs: Sequence[str]
    ) -> PairTable:
        """Solved pairs with what follows from them and the self terms; no more than is asked."""
        if needs_self_terms(outputs):
            solved = solved | divergence(solved, self.selves, left, right)
        if "half_ot_value" in solved:
            solved = solved | self.engine.sampling_error.claims(solved, left, right)
        n_points = self.regions.n_points
        columns: Columns = {"n_source": n_points[left], "n_target": n_points[right]}
        for column in (find(name) for name in (*outputs, *_EVIDENCE)):
            columns |= column.computed(self.regions, left, right)
            columns |= {name: solved[name] for name in column.stored if name in solved}
        return PairTable(left, right, columns)


def members(left: Indices, right: Indices, count: int) -> Indices:
    """Which of ``count`` regions are in pairs [K], ascending: these may be many more."""
    found = np.zeros(count, np.bool_)
    found[left] = found[right] = True
    return np.flatnonzero(found)


def chosen_outputs(outputs: Sequence[str] | None, solver: Solver | None = None) -> tuple[str, ...]:
    """Names of columns to compute, each once, in the order of the register.

    Args:
        outputs: those that are asked for, from
            :func:`~geospot_gpu.distances.columns.possible_outputs`; if None those of
            :func:`~geospot_gpu.distances.columns.outputs_by_default` that the solver gives.
        solver: what solves them, where that is known.

    Raises:
        GeospotError: one is unknown, or the solver does not give it.
    """
    absent = [] if not isinstance(solver, EMD) else _not_exact()
    if outputs is None:
        return tuple(name for name in outputs_by_default() if name not in absent)
    possible = [column.name for column in possible_outputs()]
    asked = checks.some_of(outputs, possible, "outputs")
    if not asked:
        raise GeospotError(f"outputs=[] asks for nothing: name some of {', '.join(possible)}")
    for name in absent:
        if name in asked:
            raise GeospotError(
                f"outputs={name} rests on regularisation, and solver=emd has none: leave it out, "
                "or use solver=sinkhorn"
            )
    return tuple(name for name in possible if name in asked)


def check_target_error(value: float, outputs: Collection[str]) -> float:
    """The largest standard error and bias that samples may leave.

    Raises:
        GeospotError: it is not positive, or neither is computed.
    """
    value = checks.real(value, "target_error")
    if not 0.0 < value < float("inf"):
        raise GeospotError(f"target_error={value} must be positive: try 0.005")
    absent = [name for name in ("divergence", "std_error", "bias") if name not in outputs]
    if absent:
        raise GeospotError(f"target_error needs {absent[0]}: add it to outputs")
    return value


def needs_self_terms(outputs: Collection[str]) -> bool:
    """Whether regions have to be solved with themselves for the outputs."""
    return any("self_terms" in find(name).needs for name in outputs)


def _not_exact() -> list[str]:
    """Outputs that exact transport does not give."""
    entropic = {"coverage", "half_samples"}
    return [column.name for column in possible_outputs() if entropic.intersection(column.needs)]


def _needs(outputs: Collection[str]) -> frozenset[Need]:
    """What has to be solved for outputs beside transport."""
    return frozenset(need for name in outputs for need in find(name).needs)
