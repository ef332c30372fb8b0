"""Sweeps of few regions from Python, and what they leave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.runs.sweep import SweepResult, run_sweep

GEOGRAPHY = gs.GroundCost(geo_weight=1.0)
CPU = gs.Engine(device="cpu")
TOWNS = ["lima", "oslo", "rome", "suva"]


def regions_of(table: pd.DataFrame | Path, *names: str, seed: int = 0) -> gs.Regions:
    return gs.Regions.from_table(
        table, region="town", encoder="none", include=list(names) or None, seed=seed
    )


def sweep(
    out: Path,
    regions: gs.Regions,
    against: gs.Regions | None = None,
    cost: gs.GroundCost = GEOGRAPHY,
    solver: gs.Sinkhorn | gs.GeomLoss | None = None,
    outputs: Sequence[str] | None = None,
) -> SweepResult:
    method = Method(cost, solver or gs.Sinkhorn())
    return run_sweep(out, regions, against, method=method, engine=CPU, outputs=outputs)


def counts(result: SweepResult) -> tuple[int, int, int]:
    return result.total, result.computed, result.reused


def contents(out: Path) -> dict[str, bytes]:
    """The files of a run that hold its pairs, by their names."""
    return {path.name: path.read_bytes() for path in (out / "distances").iterdir()}


def assert_same(run: xarray.Dataset, memory: xarray.Dataset) -> None:
    assert set(run.data_vars) == set(memory.data_vars)
    for name in run.data_vars:
        np.testing.assert_allclose(run[name], memory[name], atol=1e-6, err_msg=str(name))
    for name in run.coords:
        if run[name].dtype.kind in "if":
            np.testing.assert_allclose(run[name], memory[name], atol=1e-6, err_msg=str(name))
        else:
            assert run[name].to_numpy().tolist() == memory[name].to_numpy().tolist()
