"""Labels of points, in a column of their table or in a file of their own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.names import Names, as_ids_of, labels, match_names
from geospot_gpu.points.labels import as_labels, known
from geospot_gpu.points.readers.columns import column, columns_there
from geospot_gpu.points.readers.frames import frame_of_object
from geospot_gpu.points.readers.tables import read_table

log = logging.getLogger("geospot_gpu")

_LABEL, _ID = "label", "id"


def label_of(frame: pd.DataFrame, label: str | None, origin: str) -> pd.Series[Any] | None:
    """The column of labels, where one is named."""
    return None if label is None else column(frame, label, "points.label", origin)


def labels_of_file(
    frame: pd.DataFrame, source: object, label: str | None, origin: str
) -> pd.Series[Any]:
    """Labels that stand in a file of their own, by ids of points; missing where it has none, [n].

    Ids are in the one column beside labels that the points have, too, or of several in ``id``.
    Points of one id share its label. How many points have one, and which ids are of no point, is
    said.

    Args:
        frame: the table of points.
        source: a file, or an object that holds a table, with a row for each label.
        label: its column of labels; ``label`` if not given.
        origin: of the points, for messages.

    Raises:
        GeospotError: it cannot be read, has no such columns, or an id twice; or no id is of a
            point.
    """
    own = frame_of_object(source, "points.labels")
    where = "labels" if own is not None else str(checks.path(source, "points.labels"))
    text = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    found = read_table(Path(where), [_ID, *map(str, text)]) if own is None else own
    values = column(found, _LABEL if label is None else label, "points.label", where)
    columns = Names([str(name) for name in frame.columns])
    others = [name for name in found.columns if name != values.name]
    shared = [name for name in others if columns.find(str(name)) is not None]
    chosen = [name for name in shared if str(name).strip().lower() == _ID] or shared
    if len(chosen) != 1:
        few = (
            "no column" if not chosen else f"{len(chosen)} columns ({', '.join(map(str, chosen))})"
        )
        raise GeospotError(
            f"{where}: shares {few} with {origin} beside {values.name!r}: give it the one column "
            f"of ids of points; {columns_there(frame)}"
        )
    ids = labels(found[chosen[0]].rename(f"{where}: {chosen[0]}"))
    twice = ids[ids.notna() & ids.duplicated()]
    if len(twice):
        raise GeospotError(f"{where}: {chosen[0]} {twice.iloc[0]} occurs more than once: keep one")
    of_points = column(frame, str(chosen[0]), "points.labels", origin)
    at = match_names(labels(of_points), as_ids_of(ids, of_points))
    lost = sorted(set(range(len(ids))) - set(at.tolist()))
    if len(lost) == len(ids):
        raise GeospotError(
            f"{where}: no {chosen[0]} of it is one of {origin}, as {', '.join(ids.head(3))}: are "
            "they ids of these points?"
        )
    given = as_labels(values, str(values.name), where)
    there = known(given)[np.maximum(at, 0)] & (at >= 0)
    log.warning(
        "%s: labels %d of %d points%s",
        *(where, int(there.sum()), len(frame), _of_none(ids.iloc[lost].tolist())),
    )
    taken = pd.Series(given[np.maximum(at, 0)], name=values.name)
    return taken.where(pd.Series(there)).set_axis(frame.index)


def _of_none(ids: list[str]) -> str:
    if not ids:
        return ""
    return f"; {len(ids)} ids are of no point, as {', '.join(ids[:3])}"
