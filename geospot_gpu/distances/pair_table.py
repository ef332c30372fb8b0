"""Pairs of regions, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.arrays import Columns, Indices

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class PairTable:
    """What is known of pairs of regions of one collection.

    Attributes:
        left, right: positions of the two regions of each pair, [K].
        columns: values by names as they are stored, each [K].
    """

    left: Indices
    right: Indices
    columns: Columns

    def __len__(self) -> int:
        return len(self.left)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def replaced(self, rows: Indices, others: PairTable) -> PairTable:
        """The table with other values at ``rows`` [J], from another table's J pairs in order."""
        columns = {}
        for name, values in self.columns.items():
            new = others[name]
            columns[name] = values.astype(np.result_type(values, new))  # text may be longer
            columns[name][rows] = new
        return PairTable(self.left, self.right, columns)

    def some(self, chosen: NDArray[Any]) -> PairTable:
        """Those of the pairs that are chosen, by a mask or by their rows."""
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return PairTable(self.left[chosen], self.right[chosen], columns)

    def to_pandas(self, names: Sequence[str]) -> pd.DataFrame:
        """One row for each pair, with ``source`` and ``target`` by the names of all regions."""
        import pandas as pd

        by_position = np.array(names, dtype=object)
        sides = {"source": by_position[self.left], "target": by_position[self.right]}
        return pd.DataFrame(sides | self.columns)
