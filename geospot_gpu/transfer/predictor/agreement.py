"""What several models agree on, drawn towards a constant."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.transfer.predictor.candidates import CONSTANTS, Make, Model
from geospot_gpu.transfer.predictor.left_out import Table, fitted, one_thread

Array = NDArray[np.float64]


def agreed(predictions: Mapping[str, Array]) -> Array:
    """The median of what models say of each pair, constants not among them, [K]."""
    models = [values for name, values in predictions.items() if name not in CONSTANTS]
    found: Array = np.median(models, axis=0)
    return found


class Agreement:
    """Models fitted to pairs.

    Args:
        candidates: what makes them, by name.
        table: pairs.
        constant: which of them predictions are drawn towards.
        share: how far they go from it to what the models agree on.
    """

    def __init__(
        self, candidates: Mapping[str, Make], table: Table, constant: str, share: float
    ) -> None:
        with one_thread():
            self._models: dict[str, Model] = {
                name: fitted(make, table) for name, make in candidates.items()
            }
        self._seen = float(table.y.min()), float(table.y.max())
        self._constant, self._share = constant, share

    def predict(self, x: Array) -> Array:
        """Of features [M, F]; never beyond the scores that were seen."""
        of = {name: np.clip(m.predict(x), *self._seen) for name, m in self._models.items()}
        constant = of[self._constant]
        found: Array = constant + self._share * (agreed(of) - constant)
        return found
