"""The command ``geospot sweep``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from geospot_gpu.commands.sweep_plan import plan
from geospot_gpu.commands.sweep_summary import nearest_summary, summary, unfinished
from geospot_gpu.config import objects, settings
from geospot_gpu.config.composed import checked
from geospot_gpu.config.groupings import within
from geospot_gpu.config.validation import refuse_unused
from geospot_gpu.distances.solve import chosen_outputs
from geospot_gpu.encoders import Encoder
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.settings import Engine
from geospot_gpu.engine.warm import WarmStarts
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.outcome import conclude, say
from geospot_gpu.pictures.maps import save
from geospot_gpu.pictures.sweep import LARGEST_MATRIX, heatmap, write_matrix
from geospot_gpu.runs.estimate import estimate
from geospot_gpu.runs.identity import run_identity
from geospot_gpu.runs.nearest import NearestResult, check_nearest, run_nearest
from geospot_gpu.runs.shard import check_shard
from geospot_gpu.runs.spaces import Sides, in_each_space
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.sweep import SweepResult, run_sweep

if TYPE_CHECKING:
    import xarray

Options = dict[str, Any]

_WARM = WarmStarts()
"""What the jobs of a multirun, which share this process, hand on to each other."""


def sweep(config: DictConfig) -> None:
    """Run the sweep that ``config`` describes, and say what came out."""
    typed = checked(config, settings.SweepConfig)
    started = time.perf_counter()
    nearest = checks.one_of(typed.pairs, ("all", "nearest"), "pairs") == "nearest"
    method = Method(objects.make_cost(typed), objects.make_solver(typed))
    if nearest:
        outputs = chosen_outputs(typed.outputs)
        check_nearest(typed.k, outputs, method, typed.target_error, typed.shard)
    else:
        refuse_unused(typed, settings.SweepConfig(None, None), {"k": "pairs=nearest"})
        check_shard(typed.shard, typed.target_error)
    engine, encoder = objects.make_engine(typed), objects.make_encoder(typed)
    store = Store(typed.out)
    if encoder.learns:
        encoder.relearn(store.learned())
    if typed.plan and nearest:
        raise GeospotError(
            "plan=true is of all pairs: how many have to be solved for the nearest, bounds say "
            "that are found on the way; leave it out, or pairs=nearest"
        )
    if typed.plan:
        _plan(typed, store, method, engine, encoder)
        return
    results = store.output_folder(settings.inputs(typed), overwrite=typed.overwrite)
    if not encoder.learns:
        store.check_identity(run_identity(encoder.version, typed.regions.seed, method))
    with engine.pool():
        drawn = objects.make_regions(typed, encoder, str(engine.torch_device()))
        for folder, space, sides in in_each_space(store.folder, *drawn):
            if folder != store.folder:
                started, store = time.perf_counter(), Store(folder)
                results = store.output_folder(settings.inputs(typed), overwrite=typed.overwrite)
            if space is not None:
                say(f"space {space}:")
            preparing = time.perf_counter() - started
            common: Options = {
                "method": method,
                "engine": engine,
                "outputs": typed.outputs,
                "config": _kept(config, space),
                "results": results,
            }
            if nearest:
                _nearest(typed, store, sides, preparing, common)
            else:
                _all_pairs(typed, store, sides, preparing, common)


def _nearest(
    typed: settings.SweepConfig,
    store: Store,
    sides: Sides,
    preparing: float,
    common: Options,
) -> None:
    """Store the nearest regions of each, and say what came out."""
    found = run_nearest(store.folder, *sides, k=typed.k, **common)
    say(*nearest_summary(found, common["method"], _accounts(typed, sides)))
    _conclude(store, preparing, found)


def _all_pairs(
    typed: settings.SweepConfig,
    store: Store,
    sides: Sides,
    preparing: float,
    common: Options,
) -> None:
    """Store all pairs, and say what came out."""
    regions, against = sides

    def draw(dataset: xarray.Dataset, folder: Path) -> None:
        write_matrix(dataset, folder / "matrix.csv")
        save(heatmap(dataset, square=against is None), folder / "heatmap.png")

    largest = max(len(side) for side in sides if side is not None)
    result = run_sweep(
        store.folder,
        regions,
        against,
        target_error=typed.target_error,
        shard=typed.shard,
        warm=_WARM if HydraConfig.get().mode == RunMode.MULTIRUN else None,
        **common,
        draw=draw if largest <= LARGEST_MATRIX else None,
    )
    count = f"{len(regions)}" if against is None else f"{len(regions)} x {len(against)}"
    if result.missing:
        say(f"{count} regions, {result.total} pairs:", *unfinished(result, str(typed.shard)))
    else:
        say(f"{count} regions, {result.total} pairs, by {result.value.replace('_', ' ')}:")
        say(*summary(result, common["method"], typed.target_error, _accounts(typed, sides)))
    if not result.missing and largest > LARGEST_MATRIX:
        say(
            f"no matrix.csv and heatmap.png of more than {LARGEST_MATRIX:,} regions: "
            "distances/ has all pairs"
        )
    of_shard = {} if typed.shard is None else {"missing": sum(result.missing.values())}
    _conclude(store, preparing, result, of_shard)


def _accounts(typed: settings.SweepConfig, sides: Sides) -> list[str]:
    """Where the points of each table went."""
    return [side.account(within(typed.regions)) for side in sides if side is not None]


def _conclude(
    store: Store,
    preparing: float,
    result: SweepResult | NearestResult,
    more: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Say how long it took, where it is, and what was done."""
    say(
        f"time: {preparing:.1f} s reading and encoding, {result.seconds:.1f} s solving, "
        f"{result.solving:.1f} s of it by workers"
    )
    figures = {
        "total": result.total,
        "computed": result.computed,
        "reused": result.reused,
        "unconverged": result.overview.unconverged,
    }
    conclude(str(store.folder), {**figures, **more}, of="pairs")


def _plan(
    typed: settings.SweepConfig, store: Store, method: Method, engine: Engine, encoder: Encoder
) -> None:
    """Say what the sweep would do, and start nothing."""
    drawn = objects.make_regions(typed, encoder, str(engine.torch_device()))
    for folder, space, sides in in_each_space(store.folder, *drawn):
        of_space = Store(folder)
        found = estimate(
            of_space,
            *sides,
            method=method,
            engine=engine,
            outputs=typed.outputs,
            target_error=typed.target_error,
            shard=typed.shard,
        )
        if space is not None:
            say(f"space {space}:")
        say(*plan(found, of_space, typed.target_error))


def _kept(config: DictConfig, space: str | None) -> dict[str, Any]:
    """What the manifest keeps of a configuration: all but which shard of the sweep this was."""
    plain = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    if space is not None:
        plain["encoder"] = plain["encoder"] | {"space": space}
    return settings.with_absolute_paths(plain | {"shard": None})
