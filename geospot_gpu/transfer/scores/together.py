"""Sources that are several regions together, as ``FRA+DEU``: one model, trained on all of them."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.names import Names, match_names

log = logging.getLogger("geospot_gpu")

Unions = dict[str, tuple[int, ...]]
"""Positions of the regions that a source is of, by its name as it was first written."""


class Pairs(NamedTuple):
    """Pairs with scores."""

    table: pd.DataFrame
    """``source`` and ``target``, positions among the regions and then the unions; ``score``,
    ``weight`` and ``std_error``."""
    unions: Unions


def match_sources(
    wanted: pd.Series[Any], known: pd.Series[Any], where: str
) -> tuple[NDArray[np.int64], Unions]:
    """Where names [m] stand among those [n] of regions; those that join some come after these.

    Args:
        wanted, known: text, from :func:`~geospot_gpu.names.labels`.
        where: the table, for messages.

    Returns:
        Positions, -1 of what is neither; and the unions, the same regions once in whatever order
        they are joined.

    Raises:
        GeospotError: a name can be read in several ways.

    >>> known, wanted = pd.Series(["a", "b"]), pd.Series(["b", "a+b", "b+a", "a+x"])
    >>> at, unions = match_sources(wanted, known, "scores")
    >>> at.tolist(), unions
    ([1, 2, 2, -1], {'a+b': (0, 1)})
    """
    at = match_names(wanted, known)
    written = wanted.to_numpy(object)
    names, place = Names(known), {}
    unions: Unions = {}
    for k in np.flatnonzero(at < 0).tolist():
        name = written[k]
        if not isinstance(name, str) or "+" not in name:
            continue
        if name not in place:
            members = names.together(name, where)
            place[name] = -1
            if members is not None and len(members) > 1:
                spelled = {some: union for union, some in unions.items()}.get(members)
                if spelled is None:
                    unions[spelled := name.strip()] = members
                place[name] = len(known) + list(unions).index(spelled)
        at[k] = place[name]
    return at, unions


def without_other_targets(pairs: Pairs, count: int, where: str) -> pd.DataFrame:
    """The pairs whose targets are single regions, or the several of their source; others aloud.

    Args:
        pairs: with scores.
        count: of regions.
        where: the table, for messages.
    """
    table = pairs.table
    other = (table["target"] >= count) & (table["target"] != table["source"])
    if other.any():
        log.warning(
            "%s: %d scores of targets that are several regions together are left out, but those of "
            "models trained on the same ones",
            *(where, int(other.sum())),
        )
    return table[~other]
