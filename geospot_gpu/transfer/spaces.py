"""How matrices of several spaces are called side by side."""

from __future__ import annotations

from geospot_gpu.distances.columns import featureless, groups
from geospot_gpu.encoders.spaces import is_space

Space = str | None
"""Name of a space; None where there is one alone, which needs none."""


def named(matrix: str, space: Space) -> str:
    """What a matrix is called beside those of other spaces.

    What does not depend on features is the same in all of them, and keeps its name.

    >>> named("coverage", "inputs"), named("mean_great_circle_km", "inputs"), named("nearest", None)
    ('inputs.coverage', 'mean_great_circle_km', 'nearest')
    """
    return matrix if space is None or matrix in featureless() else f"{space}.{matrix}"


def split(name: str) -> tuple[Space, str]:
    """The space of a matrix, None of one without, and what it is called in that space.

    >>> split("inputs.coverage_reversed"), split("nearest"), split("road.km")
    (('inputs', 'coverage_reversed'), (None, 'nearest'), (None, 'road.km'))
    """
    space, _, matrix = name.partition(".")
    if is_space(space) and matrix in groups() and matrix not in featureless():
        return space, matrix
    return None, name
