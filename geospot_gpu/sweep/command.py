"""The command ``geospot sweep``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from geospot_gpu import config as settings
from geospot_gpu.sweep.report import LARGEST_MATRIX, summary, write_heatmap, write_matrix
from geospot_gpu.sweep.run import open_run, run_sweep


def sweep(config: DictConfig, out: str) -> None:
    """Run the sweep that ``config`` describes into the folder ``out``, and say what came out."""
    typed = settings.typed(config)
    started = time.perf_counter()
    cost, solver = settings.make_cost(typed), settings.make_solver(typed)
    engine, encoder = settings.make_engine(typed), settings.make_encoder(typed)
    device = str(engine.torch_device())
    regions, against = settings.make_regions(typed, encoder, device)
    preparing_seconds = time.perf_counter() - started
    plain = OmegaConf.to_container(config, resolve=True)
    result = run_sweep(
        out,
        regions,
        against,
        cost=cost,
        solver=solver,
        engine=engine,
        config=cast(dict[str, Any], plain),
    )
    dataset = open_run(out)
    if max(dataset.sizes["source"], dataset.sizes["target"]) <= LARGEST_MATRIX:
        write_matrix(dataset, Path(out) / "matrix.csv")
        write_heatmap(dataset, Path(out) / "heatmap.png")
    count = len(regions) + (0 if against is None else len(against))
    value = dataset.attrs["value"]
    print(
        summary(
            result, value, cost, solver, regions=count, preparing_seconds=preparing_seconds
        )
    )
    print(f"results in {out}")
    print(
        f"pairs total={result.total} computed={result.computed} reused={result.reused} "
        f"unconverged={result.unconverged}"
    )
