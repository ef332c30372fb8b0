"""What a run was made from, read again as its manifest says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from geospot_gpu.config import settings
from geospot_gpu.config.objects import make_encoder, make_engine, make_regions
from geospot_gpu.engine.settings import Engine
from geospot_gpu.errors import GeospotError
from geospot_gpu.files.urls import place
from geospot_gpu.regions import Regions
from geospot_gpu.runs.kept_points import keep_points, kept_regions
from geospot_gpu.runs.manifest import Manifest
from geospot_gpu.runs.store import MANIFEST

_POINTS = "points"
KEPT = "kept_points"
"""In the place of a configuration: points that a run keeps, as those of regions in Python."""


def keep(where: str | Path, regions: Regions, against: Regions | None) -> dict[str, object]:
    """Keep the points of regions with their run; what to put in the place of a configuration."""
    points = place(where).child(_POINTS)
    sides = [side for side in (regions, against) if side is not None]
    return {KEPT: [keep_points(side, points) for side in sides]}


def configured(manifest: Manifest) -> bool:
    """Whether the command line made a run, whose configuration then says where its points are."""
    return manifest["config"] is not None and KEPT not in manifest["config"]


def engine_of(manifest: Manifest, where: str | Path) -> Engine:
    """Device, backend, storage and memory budget of a run, or the usual ones."""
    if not configured(manifest):
        return Engine()
    return make_engine(settings_of(manifest, where))


def drawn_again(
    manifest: Manifest, where: str | Path, device: str
) -> tuple[Regions, Regions | None]:
    """The regions of a run, and those of the second table where there is one.

    Raises:
        GeospotError: its points are not there any more, or nobody knows where they are.
    """
    if manifest["config"] is None:
        raise GeospotError(
            f"{where}: does not say where its points are: make it with geospot sweep, or with "
            "geospot_gpu.sweep in Python"
        )
    identity = manifest["identity"]
    if not configured(manifest):
        points = place(where).child(_POINTS)
        sides = [
            kept_regions(side, points, identity, manifest["max_points"], device)
            for side in manifest["config"][KEPT]
        ]
        counted = [
            replace(side, counts=counts)
            for side, counts in zip(sides, manifest["points"], strict=True)
        ]
        return counted[0], counted[1] if len(counted) > 1 else None
    config = settings_of(manifest, where)
    encoder, known = make_encoder(config), identity["encoder"]
    encoder.relearn(manifest.get("learned"))
    if encoder.version != known:
        raise GeospotError(
            f"{where}: its features are from {known}, and the encoder here is {encoder.version}: "
            "run geospot sweep again with its settings in a new folder"
        )
    return make_regions(config, encoder, device)


def settings_of(manifest: Manifest, where: str | Path) -> settings.SweepConfig:
    """The settings of a run that the command line made."""
    return settings.of_manifest(manifest["config"], place(where).file(MANIFEST))
