"""What is predicted for is sampled as largely as what was learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.distances.pair_table import PairTable
from geospot_gpu.runs.solving import solve

CPU = gs.Engine(device="cpu")


def table(names: str, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    lon = np.repeat(np.arange(len(names)) * 8.0, 60) + generator.normal(size=60 * len(names))
    lat = generator.normal(size=60 * len(names))
    return pd.DataFrame({"region": np.repeat(list(names), 60), "lon": lon, "lat": lat})


@pytest.mark.usefixtures("few_models")
def test_predictions_take_larger_samples_where_the_sweep_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    regions = gs.Regions.from_table(
        table("abcdefghij", 0), region="region", encoder="none", max_points=20
    )
    run = gs.sweep(tmp_path / "run", regions, engine=CPU, target_error=1e-9)
    matrix = run.dataset().divergence.to_pandas()
    scores = gs.read_scores(1.0 / (1.0 + matrix), kind="accuracy", regions=run.names)
    points = gs.read_points(table("xy", 1))
    targets = run.regions_like(points, gs.by_column(points, "region"))
    solved: list[PairTable] = []

    def watched(*arguments: Any, **options: Any) -> PairTable:
        solved.append(solve(*arguments, **options))
        return solved[-1]

    monkeypatch.setattr("geospot_gpu.transfer.other_regions.solve", watched)
    assert len(gs.predict_scores(run, scores, targets=targets).best) == 2
    assert (solved[0]["n_source"] == 60).all()
    assert (solved[0]["n_target"] == 60).all()
