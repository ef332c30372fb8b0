"""What a run was made from, read again as its manifest says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geospot_gpu.engine.settings import Engine
from geospot_gpu.errors import GeospotError
from geospot_gpu.regions import Regions
from geospot_gpu.runs.manifest import Manifest
from geospot_gpu.runs.store import MANIFEST

if TYPE_CHECKING:
    from geospot_gpu.config.settings import SweepConfig


def engine_of(manifest: Manifest, folder: Path) -> Engine:
    """Device, kernel and memory budget of a run, or the usual ones where it does not say."""
    if manifest["config"] is None:
        return Engine()
    from geospot_gpu.config.objects import make_engine

    return make_engine(_settings(manifest, folder))


def drawn_again(manifest: Manifest, folder: Path, device: str) -> tuple[Regions, Regions | None]:
    """The regions of a run, and those of the second table where there is one.

    Raises:
        GeospotError: its points are not there any more, or nobody knows where they are.
    """
    if manifest["config"] is None:
        raise GeospotError(
            f"{folder}: was made from Python, which does not say where its points are: make it "
            "with geospot sweep"
        )
    from geospot_gpu.config.objects import make_encoder, make_regions

    config = _settings(manifest, folder)
    encoder, known = make_encoder(config), manifest["identity"]["encoder"]
    if encoder.version != known:
        raise GeospotError(
            f"{folder}: its features are from {known}, and the encoder here is {encoder.version}: "
            "run geospot sweep again with its settings in a new folder"
        )
    return make_regions(config, encoder, device)


def _settings(manifest: Manifest, folder: Path) -> SweepConfig:
    from geospot_gpu.config import settings

    return settings.of_manifest(manifest["config"], f"{folder / MANIFEST}")
