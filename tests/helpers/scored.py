"""Ten regions whose scores are known: the farther apart, the worse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from geospot_gpu.transfer.scores.scores import Scores, read_scores

NAMES = [f"r{k:02d}" for k in range(10)]
TABLE = ("points=table", "points.path=points.csv", "points.region=region")
PLAIN = (*TABLE, "encoder=none", "regions.min_points=1")
REPORT = ("sweep=run", "scores=scores.csv", "scores.kind=accuracy", "scores.change=raw")


def points() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    centres = np.column_stack([generator.uniform(-20, 50, 10), generator.uniform(0, 60, 10)])
    places = np.repeat(centres, 30, axis=0) + generator.normal(0, 3, (300, 2))
    return pd.DataFrame({"region": np.repeat(NAMES, 30), "lon": places[:, 0], "lat": places[:, 1]})


def scores() -> pd.DataFrame:
    """Scores that fall with the great circle between centres."""
    centres = points().groupby("region")[["lon", "lat"]].mean().to_numpy()
    away = np.linalg.norm(centres[:, None] - centres, axis=2)
    noise = 0.02 * np.random.default_rng(1).normal(size=(10, 10))
    score = (0.9 - 0.008 * away + noise).clip(0, 1)
    i, j = (side.ravel() for side in np.indices((10, 10)))
    names = np.array(NAMES)
    return pd.DataFrame({"source": names[i], "target": names[j], "score": score.ravel()})


def accuracies(table: object, **changes: Any) -> Scores:
    """A table of accuracies of these regions, read."""
    arguments = {"kind": "accuracy", "regions": NAMES} | changes
    return read_scores(table, **arguments)  # type: ignore[arg-type]
