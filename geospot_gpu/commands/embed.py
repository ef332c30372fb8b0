"""The command ``geospot embed``: texts or images of a table into a file of feature vectors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from omegaconf import DictConfig

from geospot_gpu.config import settings
from geospot_gpu.config.composed import checked
from geospot_gpu.config.objects import make_points
from geospot_gpu.config.signatures import arguments
from geospot_gpu.config.validation import refuse_unused
from geospot_gpu.embedding import EMBEDDERS
from geospot_gpu.embedding.embed import embed as embed_table
from geospot_gpu.errors import GeospotError
from geospot_gpu.outcome import conclude, say
from geospot_gpu.points.presets import PRESETS

_UNUSED = ("region", "lon", "lat", "weight")


def embed(config: DictConfig) -> None:
    """Embed what ``config`` asks for, and say what was done.

    Raises:
        GeospotError: there is no table, or it cannot be embedded.
    """
    typed = checked(config, settings.EmbedConfig)
    points, kind = typed.points, EMBEDDERS[typed.embed.name]
    source, needed = _source(points)
    needed |= {f"points.{key}": "geospot sweep: features depend on no place" for key in _UNUSED}
    usual = SimpleNamespace(points=settings.PointsConfig())
    refuse_unused(SimpleNamespace(points=points), usual, needed)
    if "://" in typed.out:
        raise GeospotError(f"out={typed.out}: features are written to a file: give its path")
    by = kind(**arguments(typed.embed, kind))
    found = embed_table(
        source,
        by,
        typed.out,
        id=typed.id,
        invalid=points.invalid,
        overwrite=typed.overwrite,
        device=typed.device,
    )
    count = found.rows - found.dropped
    say(f"{found.path}: {count:,} vectors of {found.dimension} numbers by {found.version}")
    if found.computed < found.rows:
        say(f"  {found.rows - found.computed:,} of {found.rows:,} {by.unit} were embedded before")
    figures = {"rows": found.rows, "computed": found.computed, "dropped": found.dropped}
    conclude(None, {**figures, "dimension": found.dimension})


def _source(points: settings.PointsConfig) -> tuple[Any, dict[str, str]]:
    """What is embedded, a file or the rows of a data set, and the settings that have no effect."""
    if points.source in PRESETS:
        return make_points(points), {"points.path": "points=table"}
    if points.source != "table" or not points.path:
        raise GeospotError("points=table needs points.path=...: the file with your points")
    return points.path, dict.fromkeys(("points.root", "points.split"), "a data set, as points=fmow")
