"""Regions with features and without coordinates, and the same with coordinates that say nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import geospot_gpu as gs

COUNTRIES = (
    *("Japan", "Nigeria", "Peru", "Germany", "South_Korea", "Indonesia", "Kenya", "Brazil"),
    *("Mexico", "India"),
)
FEATURES = [f"f{k}" for k in range(4)]


def table(per_region: int = 12, names: tuple[str, ...] = COUNTRIES, seed: int = 0) -> pd.DataFrame:
    """Points as GeoDE has them: ``file_path``, ``ip_country`` and features, no coordinates."""
    generator = np.random.default_rng(seed)
    region = np.repeat(np.array(names, object), per_region)
    centres = np.repeat(generator.normal(size=(len(names), len(FEATURES))), per_region, axis=0)
    vectors = centres + generator.normal(size=centres.shape)
    found = pd.DataFrame(vectors, columns=FEATURES)
    found.insert(0, "ip_country", region)
    found.insert(0, "file_path", [f"images/{k}.jpg" for k in range(len(region))])
    return found


def both(frame: pd.DataFrame, **options: object) -> tuple[gs.Regions, gs.Regions]:
    """Regions of the table without coordinates, and with such as keep its points in their order.

    Points stand in the order of their places, those without places in that of a hash of their
    features: longitudes grow with that here, so that sums are taken in the same order.
    """
    encoder = gs.Precomputed(columns=FEATURES)
    common = {"region": "ip_country", "encoder": encoder, **options}
    plain = gs.Regions.from_table(frame, located=False, **(common | {"max_points": None}))  # type: ignore[arg-type]
    order = plain.row - 1
    ordered = frame.iloc[order].reset_index(drop=True)
    ordered = ordered.assign(lon=np.linspace(1, 170, len(ordered)), lat=np.arange(len(ordered)) % 9)
    without = gs.Regions.from_table(ordered, located=False, **common)  # type: ignore[arg-type]
    return without, gs.Regions.from_table(ordered, **common)  # type: ignore[arg-type]


def write_scores(path: Path) -> None:
    """Accuracies that fall with the difference of the regions' numbers."""
    generator = np.random.default_rng(1)
    rows = [
        (a, b, 0.9 - 0.05 * abs(i - j) + 0.01 * generator.normal())
        for i, a in enumerate(COUNTRIES)
        for j, b in enumerate(COUNTRIES)
    ]
    pd.DataFrame(rows, columns=["source", "target", "score"]).to_csv(path, index=False)
