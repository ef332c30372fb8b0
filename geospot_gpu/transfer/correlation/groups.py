"""What each matrix of pairs of regions is to a verdict."""

from __future__ import annotations

from geospot_gpu.distances.column import Group
from geospot_gpu.distances.columns import groups
from geospot_gpu.transfer.spaces import split


def group_of(name: str) -> Group:
    """The group of a distance, in whichever space it is.

    One that is not in the register is a person's own, and under test.

    >>> group_of("coverage"), group_of("nearest"), group_of("n_source"), group_of("road_km")
    ('transport', 'baseline', 'covariate', 'own')
    >>> group_of("inputs.coverage"), group_of("place.nearest_reversed")
    ('transport', 'baseline')
    """
    return groups().get(split(name)[1], "own")
