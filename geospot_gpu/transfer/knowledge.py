"""What each source of knowledge tells of scores: coordinates, inputs, labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from geospot_gpu.distances.column import Column
from geospot_gpu.distances.columns import compared
from geospot_gpu.runs.run import Run
from geospot_gpu.transfer.evidence import Loaded
from geospot_gpu.transfer.spaces import split

COORDINATES, INPUTS, LABELS = "coordinates", "inputs", "labels"


def knowledge(loaded: Loaded, features: Iterable[str]) -> dict[str, list[str]]:
    """Features by what has to be known for them, what is had first coming first.

    Places, sizes, scores at home and all that an encoder makes of coordinates are known with
    coordinates; other features are inputs, and distances of a cost that compares labels need these.

    Args:
        loaded: the distances, and the runs that they are of.
        features: names of what is learned from.
    """
    columns = {name: column for column in compared() for name in column.matrices}
    found: dict[str, list[str]] = {COORDINATES: [], INPUTS: [], LABELS: []}
    for feature in features:
        space, name = split(feature)
        run = loaded.runs.get(space, loaded.run)
        found[_needed(columns.get(name), run)].append(feature)
    return {name: some for name, some in found.items() if some}


def _needed(column: Column | None, run: Run) -> str:
    """What has to be known for a column of a run; None is no distance."""
    if column is None:
        return COORDINATES
    of_cost = bool(column.needs)
    if of_cost and run.cost.labelled:
        return LABELS
    of_features = run.cost.uses_features if of_cost else column.of_features
    return INPUTS if of_features and not run.encoder.reads_coordinates else COORDINATES


def removed(errors: Mapping[str, float]) -> list[dict[str, Any]]:
    """Errors once each source is known beside those before it, as ``summary.json`` has them.

    Args:
        errors: mean absolute errors, that of a constant first.

    >>> removed({"always the mean": 0.4, "coordinates": 0.3})[1]["removed"]
    0.25
    """
    first = next(iter(errors.values()))
    rows, before = [], first
    for name, error in errors.items():
        share = (before - error) / first if first > 0.0 else 0.0
        rows.append({"known": name, "error": error, "removed": round(share, 4)})
        before = error
    return rows


def sentence(errors: Mapping[str, float]) -> str:
    """The same as a sentence.

    >>> sentence({"always the mean": 0.4, "coordinates": 0.3, "20 labels": 0.1})
    'error for regions left out: always the mean 0.4, with coordinates 0.3, then 20 labels 0.1'
    """
    (constant, error), *others = errors.items()
    said = [f"{constant} {error:.3g}"]
    for k, (name, error) in enumerate(others):
        said.append(f"{'with' if k == 0 else 'then'} {name} {error:.3g}")
    return f"error for regions left out: {', '.join(said)}"
