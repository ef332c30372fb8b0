"""The regions of a stored sweep, read anew from its points."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from geospot_gpu.config import objects, settings
from geospot_gpu.distances.pairwise import joined
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.settings import Engine
from geospot_gpu.errors import GeospotError
from geospot_gpu.regions import Regions
from geospot_gpu.runs.identity import describe_difference, region_keys, run_identity, same
from geospot_gpu.runs.manifest import entries
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.sweep import required_manifest


class Reopened(NamedTuple):
    """What a sweep was made from."""

    regions: Regions
    against: Regions | None
    method: Method
    target_error: float | None
    engine: Engine
    config: settings.SweepConfig
    keys: list[str]
    """Of the regions, those of ``against`` last."""


def reopen(out: str | Path) -> Reopened:
    """Read the points of a sweep again, as its manifest says, and encode them.

    Raises:
        GeospotError: there is no sweep, it was not made by the command, or its points have changed
            since.
    """
    manifest = required_manifest(Store(out))
    if manifest["config"] is None:
        raise GeospotError(
            f"{out}: was made from Python, which does not say where its points are: make it with "
            "geospot sweep"
        )
    typed = settings.of_manifest(manifest["config"], f"{out}/manifest.json")
    method = Method(objects.make_cost(typed), objects.make_solver(typed))
    engine, encoder = objects.make_engine(typed), objects.make_encoder(typed)
    identity = run_identity(encoder.version, typed.regions.seed, method)
    if not same(manifest["identity"], identity):
        difference = describe_difference(manifest["identity"], identity)
        raise GeospotError(
            f"{out}: the configuration in its manifest is not that of its distances "
            f"({difference}): run geospot sweep again with its settings"
        )
    regions, against = objects.make_regions(typed, encoder, str(engine.torch_device()))
    found = region_keys(joined(regions, against), manifest["identity"])
    if found != [entry["key"] for entry in entries(manifest)]:
        raise GeospotError(
            f"{out}: its points have changed since: run geospot sweep again with its settings"
        )
    target_error = manifest.get("target_error")
    return Reopened(regions, against, method, target_error, engine, typed, found)
