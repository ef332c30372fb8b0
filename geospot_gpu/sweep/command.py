"""The command ``geospot sweep``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from geospot_gpu import config as settings
from geospot_gpu.sweep.report import LARGEST_MATRIX, summary, write_heatmap, write_matrix
from geospot_gpu.sweep.run import open_run, run_sweep
from geospot_gpu.warm import WarmStarts

_WARM = WarmStarts()
"""What the jobs of a multirun, which share this process, hand on to each other."""


def sweep(config: DictConfig) -> None:
    """Run the sweep that ``config`` describes, and say what came out."""
    typed = settings.typed(config, settings.SweepConfig)
    started = time.perf_counter()
    cost, solver = settings.make_cost(typed), settings.make_solver(typed)
    engine, encoder = settings.make_engine(typed), settings.make_encoder(typed)
    device = str(engine.torch_device())
    regions, against = settings.make_regions(typed, encoder, device)
    preparing_seconds = time.perf_counter() - started
    out = Path(typed.out)
    result = run_sweep(
        out,
        regions,
        against,
        cost=cost,
        solver=solver,
        engine=engine,
        config=settings.with_absolute_paths(
            cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
        ),
        warm=_WARM if HydraConfig.get().mode == RunMode.MULTIRUN else None,
    )
    if max(len(regions), len(against or ())) <= LARGEST_MATRIX:
        dataset = open_run(out)
        write_matrix(dataset, out / "matrix.csv")
        write_heatmap(dataset, out / "heatmap.png", square=against is None)
    count = f"{len(regions)}" if against is None else f"{len(regions)} x {len(against)}"
    print(f"{count} regions, {result.total} pairs, by {result.value.replace('_', ' ')}:")
    accounts = [side.account(typed.regions.by) for side in (regions, against) if side is not None]
    print(summary(result, cost, solver, accounts))
    print(
        f"time: {preparing_seconds:.1f} s reading and encoding, {result.seconds:.1f} s solving\n"
        f"results in {out}\n"
        f"pairs total={result.total} computed={result.computed} reused={result.reused} "
        f"unconverged={result.unconverged}"
    )
