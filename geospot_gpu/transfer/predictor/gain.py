"""Whether predictions are better than simpler ones by more than chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


def gain_p(
    predicted: Array,
    simple: Array,
    score: Array,
    weight: Array,
    ends: tuple[Indices, Indices],
    orders: Indices,
) -> float:
    """Permutation p of what predictions say beyond simpler ones.

    What is tested is their difference. Under the null it knows nothing of the scores, so that its
    regions may be relabelled, rows and columns alike (Mantel 1967; with the simple predictions kept
    as the reduced model's, Freedman & Lane 1983), and the error is as likely to fall. The simple
    ones are fitted to all pairs: what is left out of a fit sets it against the scores, so that a
    difference from simple predictions made without a pair's regions would lean towards its score by
    itself. As it is, the predictions lean the wrong way, and the test errs on the side of no gain.

    Args:
        predicted: predictions of pairs both of whose regions were left out, [K].
        simple: what is no better, by a fit to all pairs, [K].
        score: of the pairs, [K].
        weight: of the pairs, [K].
        ends: positions of the source and of the target of each pair, [K].
        orders: permutations of the regions, [P, R].

    Returns:
        The share of the relabellings, the identity among them, with an error as small.
    """
    source, target = ends
    count = orders.shape[1]
    difference = np.zeros((count, count))
    difference[source, target] = predicted - simple
    rest = score - simple

    def error(order: Indices) -> float:
        moved = difference[order[source], order[target]]
        return float(weight @ np.abs(rest - moved))

    found = error(np.arange(count))
    as_small = sum(error(order) <= found * (1.0 + 1e-12) for order in orders)
    return (1.0 + as_small) / (1.0 + len(orders))
