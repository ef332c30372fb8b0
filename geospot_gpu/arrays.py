"""Types of arrays that everyone uses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
"""Positions, in ascending order or not."""
Columns = dict[str, NDArray[Any]]
"""Values of pairs or regions by name, each [K]."""
