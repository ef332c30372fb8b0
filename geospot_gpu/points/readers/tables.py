"""The table in a file or folder, whatever kind it is of."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.files import expanded
from geospot_gpu.files.inputs import why
from geospot_gpu.names import name_key, name_of
from geospot_gpu.points.readers.files import LAYER, Wanted, peeked
from geospot_gpu.points.readers.kinds import kind_of
from geospot_gpu.points.readers.parquet import read_folder
from geospot_gpu.points.readers.zipped import is_zip, unzipped

ADVICE = "give fewer rows, or only the columns that are needed"


def read_table(
    path: Path, text: Iterable[str | None] = (), *, shape: str = "Point"
) -> pd.DataFrame:
    """The table in a file, as a GeoDataFrame where the file has geometries.

    What kind of file it is its content says, not its name. In text only empty fields are missing:
    ``NA`` is Namibia.

    Args:
        path: the file, or a folder of Parquet files; ``FILE|layername=NAME`` is a layer of one.
        text: columns that are not read as numbers, where they are written as text.
        shape: of several layers those with such shapes are meant, ``Point`` or ``Polygon``.

    Raises:
        GeospotError: there is no such file, or no table in it that can be read.
    """
    with out_of_memory(f"reading {path}", ADVICE):
        return _table(path, text, shape)


def _table(path: Path, text: Iterable[str | None], shape: str) -> pd.DataFrame:
    wanted = Wanted({name_key(name_of(name, "column")) for name in text if name is not None}, shape)
    name, _, layer = str(path).partition(LAYER)
    found = expanded(name)
    try:
        if os.path.isdir(found):
            return read_folder(found, wanted)
        file = peeked(found, str(path), layer or None)
        if not is_zip(file):
            return kind_of(file).read(file, wanted)
        with unzipped(file) as inside:
            return kind_of(inside).read(inside, wanted)
    except GeospotError:
        raise
    except Exception as error:  # every reader has its own exceptions for a broken file
        kind = type(error).__name__
        raise GeospotError(f"{path}: cannot be read ({kind}: {why(error)})") from error
