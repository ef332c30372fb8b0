"""The Sinkhorn divergence and its interval, from solved problems."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def add_divergence(
    pairs: pd.DataFrame, source_self: pd.DataFrame, target_self: pd.DataFrame
) -> pd.DataFrame:
    """Pairs with columns ``divergence``, ``lower`` and ``upper``.

    ``OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2`` (Feydy et al. 2019, equation 3). Its interval
    combines the worst ends of the three OT intervals. A pair counts as converged where all three
    problems are.

    Args:
        pairs: columns of :class:`~geospot_gpu.sinkhorn.bounds.Transport`, one row per pair.
        source_self: columns ``ot``, ``lower``, ``upper`` and ``converged`` of the self term of
            each pair's source, row by row.
        target_self: the same of each pair's target.
    """

    def half(column: str) -> NDArray[np.float64]:
        both: NDArray[np.float64] = (
            source_self[column].to_numpy() + target_self[column].to_numpy()
        ) / 2
        return both

    converged = source_self["converged"].to_numpy() & target_self["converged"].to_numpy()
    return pairs.assign(
        divergence=pairs["ot_value"] - half("ot"),
        lower=pairs["ot_lower"] - half("upper"),
        upper=pairs["ot_upper"] - half("lower"),
        converged=pairs["converged"] & converged,
    )
