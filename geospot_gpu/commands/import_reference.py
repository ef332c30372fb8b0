"""The command ``geospot import``: outputs of the published code, as tables for the others."""

from __future__ import annotations

import pyarrow.parquet as pq
from omegaconf import DictConfig

from geospot_gpu.config import settings
from geospot_gpu.config.composed import checked
from geospot_gpu.files.outputs import write_csv
from geospot_gpu.files.urls import outputs_in
from geospot_gpu.outcome import conclude, say
from geospot_gpu.reference import ReferenceFolder

_DISTANCES, _CHOICES = "distances.parquet", "choices.csv"


def import_(config: DictConfig) -> None:
    """Import what ``config`` names, and say what became of it."""
    typed = checked(config, settings.ImportConfig)
    found = ReferenceFolder(typed.reference)
    scores = found.scores()
    of_scores = {name: f"scores_{name}.csv" for name in scores}
    tables = {name: f"{name}.parquet" for name in found.tables}
    names = [*tables.values(), *of_scores.values(), _DISTANCES, _CHOICES]
    given = [*found.arrays, *found.tensors, *found.results]
    results = outputs_in(typed.out, names, inputs=given, overwrite=typed.overwrite)
    results.check_writable()
    distances, choices, written = found.distances(), found.choices(), 0
    with results.replacing() as staged:
        for name, embedded in found.embedded():
            pq.write_table(embedded.table(), staged / tables[name])
            points, written = embedded.points, written + 1
            say(
                f"{tables[name]}: {len(points):,} points in {points['region'].nunique()} regions, "
                f"{embedded.vectors.shape[1]} features each"
                + ("" if "lon" in points else ", without coordinates")
            )
        for name, table in scores.items():
            write_csv(table, staged / of_scores[name], index=False)
            say(f"{of_scores[name]}: {len(table):,} pairs of regions")
        if distances is not None:
            distances.to_parquet(staged / _DISTANCES, index=False)
            spaces = distances["space"].nunique()
            say(f"{_DISTANCES}: {len(distances):,} distances in {spaces} spaces")
        if len(choices):
            write_csv(choices, staged / _CHOICES, index=False)
            say(f"{_CHOICES}: {len(choices):,} choices of regions and what was reached")
    figures = {
        "tables": written,
        "distances": 0 if distances is None else len(distances),
        "scores": sum(map(len, scores.values())),
        "choices": len(choices),
    }
    conclude(results.place, figures)
