"""Unions of regions that are there, from the tables that these were drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from geospot_gpu.errors import GeospotError
from geospot_gpu.names import Name
from geospot_gpu.regions.collection import Regions
from geospot_gpu.regions.construction import in_order
from geospot_gpu.regions.drawing import Source


def united(regions: Regions, parts: Mapping[str, Sequence[Name]]) -> Regions:
    """Regions that have all points of others, each point once and as heavy as in its region.

    Parts count by how many points they have, or by their weights. Points are sampled and encoded as
    those of the regions, so that a union is what ``unions`` of :meth:`Regions.from_groups` makes.

    Args:
        regions: what parts are among; of one table.
        parts: names of the parts of each union, by its name.

    Raises:
        GeospotError: there is no such part, or parts are of different tables.

    >>> regions = Regions.from_points(lon=[0, 5, 9], lat=[0, 0, 0], region=["a", "b", "b"])
    >>> both = united(regions, {"a+b": ("a", "b")})
    >>> both.names, both.lon.tolist(), both.weight.tolist() == [1 / 3] * 3
    (('a+b',), [0.0, 5.0, 9.0], True)
    """
    sources = [
        _united([regions.sources[regions.position(part)] for part in some], name)
        for name, some in parts.items()
    ]
    return Regions.from_sources(list(parts), sources, regions.sampling).to(regions.device)


def _united(parts: Sequence[Source], name: str) -> Source:
    first = parts[0]
    if any(part.points is not first.points for part in parts):
        raise GeospotError(f"{name}: its parts are of different tables: put them in one")
    rows, at = np.unique(np.concatenate([part.rows for part in parts]), return_index=True)
    mass = np.concatenate([part.mass for part in parts])[at]
    ordered = in_order(first.points, rows)
    return first._replace(rows=ordered, mass=mass[np.searchsorted(rows, ordered)])
