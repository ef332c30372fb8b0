"""Commands that go on from a sweep: the run, the scores, and the folder of results."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from geospot_gpu.cluster import Ray
from geospot_gpu.config import settings
from geospot_gpu.config.groupings import borders
from geospot_gpu.errors import GeospotError
from geospot_gpu.files.outputs import Outputs
from geospot_gpu.files.urls import outputs_in
from geospot_gpu.runs.origin import configured, settings_of
from geospot_gpu.runs.run import Run
from geospot_gpu.runs.store import Store
from geospot_gpu.transfer.scores.scores import Scores, read_scores

log = logging.getLogger("geospot_gpu")

COLUMNS = ("source", "target", "score", "id", "model", "shots")
"""Settings of tables of scores that say which column is which, or what to take of it."""


def open_sweep(
    config: settings.TransferConfig | settings.SelectConfig | settings.ExplainConfig,
    names: Collection[str],
    stale: Collection[str] = (),
    cluster: Ray | None = None,
) -> tuple[Run, Outputs]:
    """The run ``sweep``, and the folder ``out``, found fit to be written before anything is done.

    Args:
        config: the settings of the command.
        names: files that it may write.
        stale: files that it writes with other settings.
        cluster: who computes, on the kind of device that the sweep has; in this process, wherever
            the sweep was made, if not given.

    Raises:
        GeospotError: there is no such sweep, nothing can be written there, or a file is there that
            is not to be replaced: an input of the command or of the sweep, or one of the user's.
    """
    run = Run.open(os.path.expanduser(config.sweep))
    if cluster is not None:
        kind = run.engine.device.partition(":")[0]  # which GPU is for the cluster to say
        run = Run(
            run.folder, run.manifest, engine=replace(run.engine, device=kind, cluster=cluster)
        )
    inputs = [*settings.inputs(config), *settings.inputs(run.manifest.get("config"))]
    found = outputs_in(config.out, names, inputs=inputs, overwrite=config.overwrite, stale=stale)
    found.check_writable()
    return run, found


def borders_to_draw(config: settings.RegionsConfig) -> Any | None:
    """Polygons that regions are, with their ``name``; None, aloud if need be, where none are."""
    try:
        return borders(config)
    except GeospotError as error:
        log.warning("no borders are drawn: %s", error)
        return None


def borders_of(run: Run) -> Any | None:
    """The same of a run."""
    if not configured(run.manifest):
        return None
    return borders_to_draw(settings_of(run.manifest, run.folder).regions)


def store_of(config: settings.RunConfig) -> Store:
    """The store of the run ``sweep``, which need not be of this version."""
    return Store(os.path.expanduser(config.sweep))


def scores_of(config: settings.TransferConfig, run: Run) -> Scores:
    """The scores that the configuration names, checked before any point is read or encoded."""
    given = config.scores
    if given.path is None:
        raise GeospotError("scores is needed: give scores=FILE")
    return read_scores(
        given.path,
        kind=given.kind,  # type: ignore[arg-type]
        change=given.change,  # type: ignore[arg-type]
        regions=run,
        **headers_of(given),
    )


def headers_of(given: settings.ScoresConfig | settings.FewConfig) -> dict[str, str | None]:
    """Which columns of tables of scores are which, and which model of several is meant."""
    return {name: getattr(given, name) for name in COLUMNS}
