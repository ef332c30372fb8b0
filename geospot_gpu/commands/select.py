"""The command ``geospot select``: which samples to take for a target."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from geospot_gpu.commands.results import borders_of, open_sweep
from geospot_gpu.commands.select_sentences import beside_scatter, sentence, steps_of
from geospot_gpu.config import settings
from geospot_gpu.config.composed import checked
from geospot_gpu.config.objects import make_cluster
from geospot_gpu.config.validation import refuse_unused
from geospot_gpu.encoders import Precomputed
from geospot_gpu.encoders.files import is_table
from geospot_gpu.encoders.spaces import own_of
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.files.outputs import Outputs, write_csv, write_summary
from geospot_gpu.files.urls import place
from geospot_gpu.names import Names
from geospot_gpu.outcome import conclude, say
from geospot_gpu.pictures.maps import mapped, save
from geospot_gpu.pictures.selection import point_map, selection_picture
from geospot_gpu.points.readers import read_points, read_table
from geospot_gpu.points.table import check_invalid
from geospot_gpu.regions import Regions
from geospot_gpu.runs.origin import configured
from geospot_gpu.runs.run import Run
from geospot_gpu.runs.store import MANIFEST
from geospot_gpu.selection.methods import check_method
from geospot_gpu.selection.points import select_points
from geospot_gpu.selection.pool import Pool
from geospot_gpu.selection.recommended import recommended_by
from geospot_gpu.selection.regions import select_regions
from geospot_gpu.selection.stored_distances import stored_distances

log = logging.getLogger("geospot_gpu")

_REGIONS = ("selection.csv", "selection.png", "summary.json")
_SCATTER = ("scatter_coverage", "scatter_lower", "scatter_upper")
_POINTS = ("points.parquet", "points.png", "summary.json")


def select(config: DictConfig) -> None:
    """Choose what ``config`` asks for, and say what came out."""
    typed = checked(config, settings.SelectConfig)
    if typed.over not in ("regions", "points"):
        raise GeospotError(f"over={typed.over} is unknown: use regions or points")
    _check_fit(typed)
    regions = typed.over == "regions"
    names, stale = (_REGIONS, _POINTS) if regions else (_POINTS, _REGIONS)
    run, results = open_sweep(typed, names, stale, make_cluster(typed.engine))
    with run.engine.pool():
        (_select_regions if regions else _select_points)(typed, run, results)


def _check_fit(config: settings.SelectConfig) -> None:
    """Raise where a setting is lacking, or would silently be ignored."""
    of_regions = ("max_regions", "quota", "prices", "by", "exhaustive", "transfer")
    of_pool = ("path", "features", "id", "lon", "lat")
    needed: dict[str, str] = {}
    if config.over == "regions":
        needed |= dict.fromkeys(("neighbours", "purpose"), "over=points")
        needed |= {f"pool.{key}": "over=points" for key in of_pool}
        if config.method != "nearest":
            needed["by"] = "method=nearest"
        if config.method != "random":
            needed["seed"] = "method=random"
        if config.method == "all":
            needed["max_regions"] = "a method that chooses: coverage, union, nearest or random"
    else:
        needed |= dict.fromkeys(of_regions, "over=regions")
        if config.purpose == "score":
            needed |= dict.fromkeys(("neighbours", "include_target", "method"), "purpose=train")
        if config.method == "importance":
            needed["seed"] = "method=coverage"
        else:
            needed["neighbours"] = "method=importance"
        if config.pool.path is None:
            needed |= {f"pool.{key}": "pool=FILE" for key in ("features", "lon", "lat")}
        else:
            needed |= dict.fromkeys(("exclude", "include_target"), "the sweep's points as the pool")
    refuse_unused(config, settings.SelectConfig(), needed)
    if config.budget is None and (config.over, config.method) != ("points", "importance"):
        raise GeospotError("budget is needed: give budget=..., how many samples to take")


def _named(value: Any, key: str) -> Any:
    """A name, a list of names or a mapping from names, as the command line gives them."""
    if value is None:
        return ()
    if not isinstance(value, list):
        return value if key == "target" else [value]
    pairs = [part for part in value if isinstance(part, list)]
    if not pairs:
        return value
    if any(len(part) != 2 for part in pairs) or len(pairs) < len(value):
        raise GeospotError(f"{key}: give a list of names, as [FRA,DEU], or numbers of all of them")
    names = Names([name for name, _ in pairs])
    if len(names) < len(pairs):
        raise GeospotError(f"{key}: a region is named twice: name each once")
    return dict(pairs)


def _select_regions(config: settings.SelectConfig, run: Run, results: Outputs) -> None:
    check_method(config.method, config.exhaustive)
    report = config.transfer and os.path.expanduser(config.transfer)
    recommended = recommended_by(report) if report else None
    prices = None if config.prices is None else _read_prices(Path(config.prices))
    found = select_regions(
        run.regions,
        _named(config.target, "target"),
        float(config.budget or 0.0),
        method=config.method,  # type: ignore[arg-type]
        against=run.against,
        max_regions=config.max_regions,
        quota=config.quota,
        prices=prices,
        exclude=config.exclude,
        have=_named(config.have, "have"),
        include_target=config.include_target,
        by=partial(stored_distances, run, by=config.by),
        exhaustive=config.exhaustive,
        seed=config.seed,
        cost=run.method.cost,
        solver=run.method.solver,
        engine=run.engine,
    )
    samples = int(found.table["quota"].sum())
    text, beside = sentence(found, samples, config.method), found.scatter
    summary = {
        "verdict": text,
        "targets": found.targets,
        "method": config.method,
        "distance": found.distance,
        "regions": len(found.table),
        "samples": samples,
        "shortfall": found.shortfall,
        "price": float(found.table["price"].sum()),
        "coverage": found.coverage,
        "coverage_interval": list(beside.chosen[1:]),
        "scatter": {
            "regions": beside.regions,
            "samples": beside.samples,
            "coverage": beside.scattered.value,
            "coverage_interval": list(beside.scattered[1:]),
            "gain": beside.gain.value,
            "gain_interval": list(beside.gain[1:]),
        },
        "recommended": recommended and recommended.choice._asdict(),
        "guarantee": found.guarantee,
        "improves_until": found.improves_until,
    }
    table = found.table.assign(
        **dict(zip(_SCATTER, beside.scattered, strict=True)), scatter_samples=beside.samples
    )
    with results.replacing() as staged:
        write_csv(table, staged / "selection.csv", index=False, float_format="%.9g")
        figure = selection_picture(found, *_mapped(run), borders_of(run))
        save(figure, staged / "selection.png")
        write_summary(staged, summary)
    say(
        f"for {', '.join(found.targets)}, by {config.method} ({found.distance} after each step, "
        "95 % interval; ~ improves by less than its error):"
    )
    say(*steps_of(found.table))
    say(text)
    say(beside_scatter(found, config.method))
    if recommended is not None:
        say(recommended.text)
    figures = {"regions": len(found.table), "samples": samples, "coverage": found.coverage}
    conclude(results.place, {**figures, "improves_until": found.improves_until})


def _mapped(run: Run) -> tuple[Regions | None, Regions | None]:
    """The regions and the targets of a run where a map shows them."""
    regions = mapped(run.regions)
    return regions, regions if run.against is None else mapped(run.against)


def _read_prices(path: Path) -> pd.DataFrame:
    return read_table(path, ("region",))


def _select_points(config: settings.SelectConfig, run: Run, results: Outputs) -> None:
    pool = None if config.pool.path is None else _read_pool(config.pool, run)
    found = select_points(
        run.regions,
        _named(config.target, "target"),
        None if config.budget is None else checks.whole(config.budget, "budget"),
        method=config.method,  # type: ignore[arg-type]
        purpose=config.purpose,  # type: ignore[arg-type]
        pool=pool,
        against=run.against,
        exclude=config.exclude,
        have=_named(config.have, "have"),
        include_target=config.include_target,
        neighbours=config.neighbours,
        seed=config.seed,
        id=config.pool.id,
        cost=run.method.cost,
        solver=run.method.solver,
        engine=run.engine,
    )
    table = found.table
    text = f"{len(table)} of {found.available:,} points, mean cost {found.distance:.4f}"
    if found.guarantee is not None:
        text += f"; the gain is at least {100 * found.guarantee:.1f} % of the best possible"
    covering = int((table["by"] == "coverage").sum())
    if config.purpose == "score":
        text = (
            f"{len(table)} of its {found.available:,} points, a stratified sample whose plain mean "
            "is unbiased: label them, and give the model's values there to geospot predict few=FILE"
        )
    elif config.method == "coverage" and covering < len(table):
        text += (
            f"; from {covering} points on none is nearer to any part of the target, and "
            f"{len(table) - covering} are drawn by importance"
        )
    summary = {
        "verdict": text,
        "targets": found.targets,
        "method": config.method,
        "purpose": config.purpose,
        "points": len(table),
        "by": {str(way): int(count) for way, count in table["by"].value_counts().items()},
        "available": found.available,
        "coverage": found.distance,
        "guarantee": found.guarantee,
        "evaluations": found.evaluations,
        "converged": found.converged,
    }
    with results.replacing() as staged:
        table.to_parquet(staged / "points.parquet", index=False)
        if {"lon", "region"}.isdisjoint(table):
            log.warning("points have no coordinates: no map is drawn")
        else:
            regions, against = _mapped(run)
            if regions is not None and against is not None:
                figure = point_map(found, regions, against, borders_of(run))
                save(figure, staged / "points.png")
        write_summary(staged, summary)
    by = "for its score" if config.purpose == "score" else f"by {config.method}"
    say(f"for {', '.join(found.targets)}, {by}: {text}")
    conclude(results.place, {"points": len(table), "coverage": found.distance})


def _read_pool(config: settings.PoolConfig, run: Run) -> Pool:
    """The points of a table of their own, encoded as those of the sweep."""
    encoder, own = run.encoder, settings.PointsConfig()
    if configured(run.manifest):
        own = settings.of_manifest(run.manifest["config"], place(run.folder).file(MANIFEST)).points
    if config.features is not None:
        encoder = own_of(encoder)
        if not isinstance(encoder, Precomputed) or encoder.path is None:
            raise GeospotError(
                "pool.features has no effect: the sweep's features are not from encoder.path"
            )
        path = Path(config.features)
        # Of a table, those that the sweep took: others would compare without a word.
        taken = encoder.taken if is_table(path) else None
        learned = encoder.learned
        encoder = Precomputed(
            columns=encoder.columns or taken,
            path=path,
            id=encoder.id,
            normalize=encoder.unit_length,
            standardize=encoder.standardize,
        )
        encoder.relearn(learned)
    points = read_points(
        str(config.path),
        lon=config.lon or own.lon,
        lat=config.lat or own.lat,
        located=True if run.cost.uses_geography else None,
        text=(config.id, *encoder.ids),
        invalid=check_invalid(own.invalid),
    )
    return Pool.of_table(points, encoder, str(run.engine.torch_device()))
