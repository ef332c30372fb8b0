"""What presets share: finding the files of a data set, and what their columns hold."""

from __future__ import annotations

import ast
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers import read_table

log = logging.getLogger("geospot_gpu")


def found(root: Path, names: Sequence[str], what: str, folders: Sequence[str] = ()) -> Path:
    """The first of the files that is there, in the root of a data set or in a folder of it.

    Args:
        root: of the data set.
        names: of the file, by preference.
        what: the data set, for the message.
        folders: below the root, where it may be too.

    Raises:
        GeospotError: none of them is there.
    """
    if not root.is_dir():
        raise GeospotError(f"{root}: is no folder: give the one that holds {what} as points.root")
    there = first(root, names, folders)
    if there is None:
        places = ", ".join(["here", *(f"in {folder}/" for folder in folders)])
        raise GeospotError(f"{root}: {what} is expected as {' or '.join(names)} {places}")
    return there


def first(root: Path, names: Sequence[str], folders: Sequence[str] = ()) -> Path | None:
    """As :func:`found`; None where there is none of the files."""
    candidates = (root / folder / name for name in names for folder in (".", *folders))
    return next((path for path in candidates if path.is_file()), None)


def read(
    path: Path, needed: Sequence[str | tuple[str, ...]], text: Iterable[str] = ()
) -> pd.DataFrame:
    """The table in a file, in which columns have to be.

    Args:
        path: of the file.
        needed: columns, or several of which one has to be.
        text: columns that hold names, where ``007`` is not the number 7.

    Raises:
        GeospotError: the file cannot be read, or a column is missing.
    """
    table = pd.DataFrame(read_table(path, text))
    check_columns(table, path, needed)
    return table


def check_columns(table: pd.DataFrame, path: Path, needed: Sequence[str | tuple[str, ...]]) -> None:
    """Raise where a table lacks a column, or every one of several."""
    for names in needed:
        several = (names,) if isinstance(names, str) else names
        if not any(name in table for name in several):
            there = ", ".join(map(str, table.columns[:20]))
            raise GeospotError(
                f"{path}: column {' or '.join(several)} is expected; there are: {there}"
            )


def either(table: pd.DataFrame, *names: str) -> pd.Series[Any]:
    """The first of the columns that a table has."""
    return table[next(name for name in names if name in table)]


def whole_text(values: pd.Series[Any]) -> pd.Series[Any]:
    """Ids as text: whole numbers that were read as 7.0, as others in the column are missing, are 7.

    >>> whole_text(pd.Series([7.0, None])).tolist(), whole_text(pd.Series(["a7"])).tolist()
    (['7', None], ['a7'])
    """
    if pd.api.types.is_float_dtype(values):
        written = [None if np.isnan(value) else f"{value:.0f}" for value in values.to_numpy(float)]
        return pd.Series(written, values.index, dtype=object)
    return values.astype(str).where(values.notna(), None).astype(object)


def texts(cell: object) -> list[str]:
    """The texts of a cell that holds several, as Python writes a list of them.

    >>> texts("['bed', 'kids bed']"), texts("bed"), texts(None)
    (['bed', 'kids bed'], ['bed'], [])
    """
    if not isinstance(cell, str):
        return [] if cell is None or (isinstance(cell, float) and np.isnan(cell)) else [str(cell)]
    if not cell.lstrip().startswith("["):
        return [cell.strip()] if cell.strip() else []
    try:
        return [str(one) for one in ast.literal_eval(cell)]
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return [cell.strip()]


def kept(table: pd.DataFrame, keep: Any, origin: Path, why: str) -> pd.DataFrame:
    """The rows to keep; how many are left out is said."""
    keep = np.asarray(keep, dtype=bool)
    if not keep.all():
        log.warning("%s: %d of %d rows left out: %s", origin, (~keep).sum(), len(keep), why)
    left: pd.DataFrame = table.loc[keep]
    return left


def images(root: Path, names: pd.Series[Any], folders: Sequence[str] = ("",)) -> pd.Series[Any]:
    """Paths of images, None where there is no such file; how many there are not is said.

    Nothing is said where there is no image at all: many have the table alone.

    Args:
        root: of the data set.
        names: of their files [n], relative to one of the folders.
        folders: below the root, of which the first that has the first image there is taken.
    """
    best = pd.Series([None] * len(names), names.index, dtype=object)
    parts = [os.path.split(str(name)) for name in names]
    for base in (root / folder for folder in folders):
        there = {of: _listed(base / of) for of in {of for of, _ in parts}}
        paths = [str(base / of / name) if name in there[of] else None for of, name in parts]
        if any(paths):
            best = pd.Series(paths, names.index, dtype=object)
            break
    said_missing(root, best)
    return best


def _listed(folder: Path) -> frozenset[str]:
    """Names in a folder: asked for once, not for each of many files."""
    return frozenset(os.listdir(folder)) if folder.is_dir() else frozenset()


def said_missing(root: Path, paths: pd.Series[Any]) -> None:
    """Say how many images are missing where others are there."""
    missing = int(paths.isna().sum())
    if 0 < missing < len(paths):
        log.warning("%s: %d of %d images are not there", root, missing, len(paths))
