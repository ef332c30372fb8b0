"""Tables with a row per test sample: what a model said there, and how wrong that was."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.tables import RawTable
from geospot_gpu.names import Names, keys, labels, match_names, name_of
from geospot_gpu.points.readers import read_points
from geospot_gpu.points.readers.columns import spelling, usual_pair
from geospot_gpu.points.table import Points
from geospot_gpu.transfer.scores.together import Unions, match_sources
from geospot_gpu.transfer.scores.values import VALUES, Measure, find, named, probabilities, values

log = logging.getLogger("geospot_gpu")

SampleRole = Literal["source", "target", "id", "model", "seed", "shots"]
_ROLES: Mapping[SampleRole, frozenset[str]] = {
    "source": frozenset({"source", "sourceregion", "train", "trainregion", "trainedon"}),
    "target": frozenset({"target", "region", "targetregion", "testregion"}),
    "id": frozenset({"id"}),
    "model": frozenset({"model", "modelname"}),
    "seed": frozenset({"seed", "randomseed"}),
    "shots": frozenset({"shots", "shot", "nshots", "kshot"}),
}
_PLACED = frozenset({"region"})
"""What tables of pairs do not call a target."""
_COUNTS = frozenset({"n", "ntest", "nsamples", "samples", "support"})
"""Columns that a table of pairs has, and one of samples has not."""
_LISTED = 8


@dataclass(frozen=True)
class Samples:
    """Test samples that have a value.

    Attributes:
        value: correctness in [0, 1], error of 0 or more, or prediction minus label, float64 [n].
        measure: what the score of several of them is.
        row: of each in its table, counted from 1, int64 [n].
        points: all rows of the table that have coordinates; None where it has no such columns.
        names: what the table says of each sample by role, text, NA where it says nothing [n]; of
            ``source``, ``target``, ``id`` and ``seed`` those that it has.
        headers: of the columns of these roles, as they are written.
        where: the table, for messages.
        prediction, label: classes as text, NA where one is unknown, or numbers; None where the
            table does not say, [n].
        probability: of classes, [n, K]; None where the table does not say.
    """

    value: NDArray[np.float64]
    measure: Measure
    row: NDArray[np.int64]
    points: Points | None
    names: Mapping[SampleRole, pd.Series[Any]]
    headers: Mapping[SampleRole, str]
    where: str
    prediction: pd.Series[Any] | None = None
    label: pd.Series[Any] | None = None
    probability: pd.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.value)

    def take(self, index: NDArray[np.int64]) -> Samples:
        """Those at ``index``."""
        names = {role: column.iloc[index] for role, column in self.names.items()}
        return replace(
            self, value=self.value[index], row=self.row[index], names=names,
            prediction=None if self.prediction is None else self.prediction.iloc[index],
            label=None if self.label is None else self.label.iloc[index],
            probability=None if self.probability is None else self.probability.iloc[index],
        )  # fmt: skip

    @property
    def place(self) -> NDArray[np.int64]:
        """Where each sample stands among the points, -1 where its row has no coordinates, [n]."""
        if self.points is None:
            return np.full(len(self), -1)
        rows = pd.Index(self.points.attributes.index)
        found: NDArray[np.int64] = rows.get_indexer(pd.Index(self.row)).astype(np.int64)
        return found

    @property
    def identity(self) -> NDArray[np.int64] | None:
        """Which rows are of one sample, by ids or else by places, [n]; None where unknown."""
        if "id" in self.names:
            known = pd.factorize(self.names["id"])[0]
            return np.where(known < 0, np.arange(len(known)) + len(known), known)  # of no other
        place = self.place
        if self.points is None or (place < 0).any():
            return None
        where = (self.points.lon + 1j * self.points.lat)[place]
        return np.unique(where, return_inverse=True)[1].astype(np.int64)

    def sources(self, names: Sequence[str]) -> tuple[NDArray[np.int64], Unions]:
        """Where the source of each row stands among names of regions, and the unions after them.

        Raises:
            GeospotError: a name can be read in several ways.
        """
        known = pd.Series(list(names), dtype="string")
        return match_sources(self.names["source"], known, self.where)


def is_samples(
    table: RawTable,
    score: str | None = None,
    source: str | None = None,
    target: str | None = None,
    id: object = None,
) -> bool:
    """Whether a table has a row per sample: by the columns that only such a table has.

    These are ``correct``, or ``prediction`` and ``label``; or ``error``, or the column that is
    named as the score, beside ``id``, ``region`` or coordinates, unless source and target are there
    and no pair of them comes twice. A table with a column of numbers of samples is one of pairs.

    Args:
        table: as it was read.
        score, source, target, id: headers that were named.
    """
    found = {spelling(header) for header in table.headers}
    if found & _COUNTS:
        return False
    if (found & VALUES["prediction"]) and (found & VALUES["label"]):
        return True
    if score is None and found & VALUES["correct"]:
        return True
    if score is None and not found & VALUES["error"]:
        return False
    given: dict[SampleRole, str | None] = {"source": source, "target": target}
    sides = [
        find(table, _ROLES[role]) if header is None else Names(table.headers).find(header)
        for role, header in given.items()
    ]
    if None not in sides and not table.cells[sides].astype(str).duplicated().any():
        return False
    here = id is not None or bool(found & (_ROLES["id"] | _PLACED))
    return here or usual_pair(_headers(table)) is not None


def has_sources(table: RawTable) -> bool:
    """Whether a table of samples says from which region each model is."""
    return find(table, _ROLES["source"]) is not None


def has_targets(table: RawTable) -> bool:
    """Whether a table says in a column of its own which region each row is of."""
    return find(table, _ROLES["target"]) is not None


def read_samples(
    table: RawTable,
    where: str,
    kind: str,
    *,
    source: object = None,
    target: object = None,
    score: str | None = None,
    id: object = None,
    model: object = None,
    shots: object = None,
    unlabelled: bool = False,
) -> Samples:
    """The samples of a table, of one model.

    Args:
        table: as it was read.
        where: what it is, for messages.
        kind: ``accuracy`` takes ``correct``, or whether ``prediction`` and ``label`` are the same
            number or text; ``error`` takes ``error``, or the difference of the two.
        source, target, id: headers of columns that are called otherwise.
        score: header of the column of ``correct`` or ``error``, if it was named.
        model, shots: which of several to take.
        unlabelled: keep rows with a prediction and no label, too, whose value is NaN.

    Raises:
        GeospotError: a column is missing, a value is not of its kind, or there are several models
            or shots and none is chosen.
    """
    if kind == "skill":
        raise GeospotError(
            f"{where}: has a row per sample, of which no skill follows: set scores.kind=accuracy "
            "or scores.kind=error"
        )
    value, measure, prediction, label = values(table, where, kind, score)
    given = {"source": source, "target": target, "id": id}
    columns: dict[SampleRole, str] = {}
    for role in get_args(SampleRole):
        at = _column(table, where, role, given.get(role))
        if at is not None:
            columns[role] = table.headers[at]
    names = {role: _text(table, header, where) for role, header in columns.items()}
    kept = np.isfinite(value)
    if not kept.any():
        raise GeospotError(f"{where}: no row has a value: fill its columns")
    if not kept.all():
        log.warning("%s: %d of %d rows have no value, left out", where, (~kept).sum(), len(kept))
    if unlabelled and prediction is not None:
        kept |= prediction.notna().to_numpy(bool)
    for role, wanted in (("model", model), ("shots", shots)):
        kept &= _chosen(names.pop(role, None), role, wanted, where, kept)  # type: ignore[call-overload]
    every = Samples(
        value,
        measure,
        np.arange(len(value)) + 1,
        _points(table, where, set(columns.values())),
        names,
        columns,
        where,
        prediction,
        label,
        probabilities(table, where) if kind == "accuracy" and label is not None else None,
    )
    return every.take(np.flatnonzero(kept))


def _headers(table: RawTable) -> pd.DataFrame:
    return pd.DataFrame(columns=table.headers)


def _column(table: RawTable, where: str, role: SampleRole, given: object) -> int | None:
    if given is not None:
        key = f"scores.{role}"
        return named(table, where, key, name_of(given, key))
    return find(table, _ROLES[role])


def _text(table: RawTable, header: str, where: str) -> pd.Series[Any]:
    cells = table.cells[table.headers.index(header)]
    return labels(cells.rename(f"{where}: {header}")).reset_index(drop=True)


def _chosen(
    column: pd.Series[Any] | None, role: str, wanted: object, where: str,
    kept: NDArray[np.bool_],
) -> NDArray[np.bool_]:  # fmt: skip
    """The rows of one model, or of one number of shots."""
    if column is None:
        if wanted is not None:
            raise GeospotError(f"{where}: scores.{role}={wanted}, and there is no column {role}")
        return kept
    there = sorted(set(column[kept].dropna()))
    said = f"{', '.join(there[:_LISTED])}{', ...' if len(there) > _LISTED else ''}"
    if wanted is None:
        if len(there) > 1:
            raise GeospotError(
                f"{where}: its column {role} has {len(there)} values ({said}): choose one with "
                f"scores.{role}=..."
            )
        lost = int((keys(column)[kept].isna()).sum()) if there else 0
        if lost:
            raise GeospotError(
                f"{where}: its column {role} is {said} and empty in {lost} rows: fill them, or "
                f"choose with scores.{role}=..."
            )
        return kept
    name = pd.Series([name_of(wanted, f"scores.{role}")], dtype="string")
    found: NDArray[np.bool_] = kept & (match_names(column, name) >= 0)
    if not found.any():
        raise GeospotError(f"{where}: scores.{role}={wanted} is not there; there are: {said}")
    return found


def _points(table: RawTable, where: str, text: set[str]) -> Points | None:
    """The rows that have coordinates, with all columns, numbers where all cells are some."""
    pair = usual_pair(_headers(table))
    if pair is None:
        return None
    frame = pd.DataFrame(
        {
            header: cells if header in text else _typed(cells)
            for header, (_, cells) in zip(table.headers, table.cells.items(), strict=True)
        }
    ).reset_index(drop=True)
    given = frame[[header for header in frame if spelling(header) in pair]]
    if given.replace(r"^\s*$", np.nan, regex=True).isna().any(axis=1).all():
        return None  # columns that nobody filled
    try:
        points = read_points(frame, invalid="drop")
    except GeospotError as error:
        raise GeospotError(f"{where}: {error}") from error
    return replace(points, origin=where)


def _typed(cells: pd.Series[Any]) -> pd.Series[Any]:
    try:
        return pd.to_numeric(cells.replace("", np.nan) if cells.dtype == object else cells)
    except (ValueError, TypeError):
        return cells


def refuse_samples(given: Mapping[str, object], where: str) -> None:
    """Raise where a setting is given that is of tables with a row per sample."""
    for key, value in given.items():
        if value is not None:
            raise GeospotError(
                f"{where}: scores.{key}={value} has no effect without a row per test sample: "
                "columns correct, error, or prediction and label"
            )
