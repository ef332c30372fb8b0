"""The Sinkhorn divergence and its interval, from solved problems."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Columns, Indices

Array = NDArray[np.float64]


class SelfTerms(NamedTuple):
    """OT of regions with themselves, certified, each field [R]; NaN where it is not known."""

    ot: Array
    lower: Array
    upper: Array
    converged: NDArray[np.bool_]

    @classmethod
    def unknown(cls, count: int) -> SelfTerms:
        """Those of regions of which none is solved, and so none failed to converge."""
        ot, lower, upper = (np.full(count, np.nan) for _ in range(3))
        return cls(ot, lower, upper, np.ones(count, bool))

    def at(self, index: Indices | NDArray[np.bool_]) -> SelfTerms:
        """Those of some regions."""
        ot, lower, upper, converged = self
        return SelfTerms(ot[index], lower[index], upper[index], converged[index])

    def put(self, index: Indices, others: SelfTerms) -> None:
        """Take over the self terms [K] of the regions at ``index``."""
        for mine, values in zip(self, others, strict=True):
            mine[index] = values


def divergence(pairs: Columns, selves: SelfTerms, left: Indices, right: Indices) -> Columns:
    """Columns ``divergence``, ``lower``, ``upper`` and ``converged`` of pairs, each [K].

    ``OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2`` (Feydy et al. 2019, Interpolating between OT and
    MMD, equation 3). Its interval combines the worst ends of the three OT intervals. A pair counts
    as converged where all three problems are.

    Args:
        pairs: columns of :class:`~geospot_gpu.sinkhorn.bounds.Transport`.
        selves: self terms of all regions.
        left, right: positions of the two regions of each pair.
    """

    def half(values: Array) -> Array:
        both: Array = (values[left] + values[right]) / 2
        return both

    return {
        "divergence": pairs["ot_value"] - half(selves.ot),
        "lower": pairs["ot_lower"] - half(selves.upper),
        "upper": pairs["ot_upper"] - half(selves.lower),
        "converged": pairs["converged"] & selves.converged[left] & selves.converged[right],
    }
