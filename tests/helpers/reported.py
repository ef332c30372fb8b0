"""A sweep with all that a report shows: regions with scores, and some with names that mean harm."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.helpers import scored

HOSTILE = ("<img src=x onerror=alert(1)>", "=cmd()")
MORE = 30
"""Regions besides, so that a row is longer than what is shown of it at first."""
PLAIN = (*scored.PLAIN, "device=cpu")
FOLDERS = tuple(
    f"{name}={name}" for name in ("transfer", "predict", "select", "explain", "multirun")
)
NAMES = (*scored.NAMES, *HOSTILE, *(f"s{k:02d}" for k in range(MORE)))


def points() -> pd.DataFrame:
    """The regions with scores, and others of ten points each."""
    names = [*HOSTILE, *(f"s{k:02d}" for k in range(MORE))]
    generator = np.random.default_rng(2)
    centres = np.column_stack(
        [generator.uniform(-150, 150, len(names)), generator.uniform(-50, 60, len(names))]
    )
    places = np.repeat(centres, 10, axis=0) + generator.normal(0, 2, (10 * len(names), 2))
    others = {"region": np.repeat(names, 10), "lon": places[:, 0], "lat": places[:, 1]}
    return pd.concat([scored.points(), pd.DataFrame(others)], ignore_index=True)


def scores() -> pd.DataFrame:
    """Of the regions that have them."""
    return scored.scores()
