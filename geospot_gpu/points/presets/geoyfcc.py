"""GeoYFCC: photos of 62 countries with 1,261 labels (Dubey et al. 2021).

https://github.com/abhimanyudubey/GeoYFCC
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import numpy as np
import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.presets import files, pickles

FILES = (
    "GeoYFCC.pkl",
    "Geo-YFCC.pkl",
    "geoyfcc_all_metadata_before_cleaning.csv.parquet",
    "geoyfcc_all_metadata_before_cleaning.parquet",
    "geoyfcc_all_metadata_before_cleaning.csv",
    "metadata.parquet",
    "metadata.csv",
    "geoyfcc_text_filtered_single_label.pkl",
)
FIELDS = {"photo_id": 0, "title": 7, "description": 8, "lon": 11, "lat": 12}
"""Which of ``yfcc_metadata`` are taken: columns of YFCC100M without its first, the row's number."""
_COUNT = 24
_NEEDED = (
    ("photo_id", "photoid"),
    ("lon", "longitude"),
    ("lat", "latitude"),
    ("country_name", "country", "country_id"),
    ("label_id", "label_ids"),
)
_WEB = re.compile(r"https?\S+|www\S+")
_NUMBER = re.compile(r"(\d+)(?:\.\d*)?")


def read(root: Path) -> pd.DataFrame:
    """Photos, one row for each of their labels.

    Read are the pickle as it is published, which holds the metadata of a photo in one column of 24
    fields, or a table that was made of it: with a column for each of the fields (``photoid``,
    ``longitude``, ``latitude``), or cleaned (``photo_id``, ``lat``, ``lon``, ``country_name``,
    ``label_id``, ``split``).

    Returns:
        ``id`` of the photo, ``lon``, ``lat``, ``region`` (the country), ``label``, ``split``
        (``train`` or ``test`` within a country, from ``is_train``, where there is no column
        ``split``), ``domain`` (its number, 0 to 61), ``domain_split`` (countries 0-39 are
        ``train``, 40-46 ``val``, 47-61 ``test``), ``text`` (title and description) where there are
        these, and ``image``, where there are files ``class_<label>/<id>.<extension>``.

    Raises:
        GeospotError: there is none of these files, or a column is missing.
    """
    if (root / "GeoYFCC.tar.gz").is_file() and files.first(root, FILES) is None:
        raise GeospotError(f"{root / 'GeoYFCC.tar.gz'}: is an archive: unpack it with tar -xzf")
    path = files.found(root, FILES, "GeoYFCC")
    table = pickles.read_frame(path) if path.suffix == ".pkl" else files.read(path, ())
    table = table.reset_index(drop=True)
    if "yfcc_metadata" in table:
        table = _expanded(table, path)
    files.check_columns(table, path, _NEEDED)
    points = pd.DataFrame(
        {
            "id": files.whole_text(files.either(table, "photo_id", "photoid")),
            "lon": pd.to_numeric(files.either(table, "lon", "longitude"), errors="coerce"),
            "lat": pd.to_numeric(files.either(table, "lat", "latitude"), errors="coerce"),
            "region": _country(table),
        }
    )
    if "country_id" in table:
        points["domain"] = pd.to_numeric(table["country_id"], errors="coerce").astype("Int64")
        numbers = points["domain"].to_numpy(float, na_value=np.nan)
        names = ["train", "val", "test"]
        points["domain_split"] = np.select(
            [numbers < 40, numbers < 47, numbers < 62], names, default=""
        )
    split = _split(table)
    if split is not None:
        points["split"] = split
    if "title" in table or "description" in table:
        points["text"] = _texts(table)
    points["label"] = [labels(cell) for cell in files.either(table, "label_id", "label_ids")]
    points = files.kept(points, points["label"].map(len) > 0, path, "they have no label")
    points = points.explode("label", ignore_index=True)
    points["label"] = points["label"].astype(np.int64)
    return _with_images(points, root)


def labels(cell: object) -> list[int]:
    """The labels of a photo: a number, a list of them, or either of these as text.

    >>> labels(5), labels(5.0), labels("[3, 12]"), labels("[3 12]"), labels([3]), labels("")
    ([5], [5], [3, 12], [3, 12], [3], [])
    """
    if isinstance(cell, str):
        return [int(number) for number in _NUMBER.findall(cell)]
    if isinstance(cell, list | tuple | np.ndarray):
        return [int(number) for number in cell if number is not None and number == number]
    number = pd.to_numeric(cell, errors="coerce")  # type: ignore[call-overload]
    return [] if pd.isna(number) else [int(number)]


def cleaned(text: object) -> str:
    """A title or description as the paper's text models read it.

    >>> cleaned("Caf%C3%A9+at+http%3A%2F%2Fexample.org+%EF%BC%A1")
    'café at a'
    """
    if not isinstance(text, str):
        return ""
    decoded = unicodedata.normalize("NFKC", unquote_plus(text)).lower()
    return " ".join(_WEB.sub("", decoded).split())


def _expanded(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with columns for the fields of ``yfcc_metadata`` that are taken."""
    lines = table.pop("yfcc_metadata").astype(str)
    counts = lines.str.count("\t").to_numpy(int) + 1
    whole = np.isin(counts, (_COUNT, _COUNT + 1))  # YFCC100M itself has the row's number before
    if not whole.any():
        raise GeospotError(
            f"{path}: yfcc_metadata is expected to hold {_COUNT} fields between tabs; the first "
            f"row has {counts[0] if len(counts) else 0}"
        )
    table = files.kept(
        table, whole, path, f"their yfcc_metadata has not {_COUNT} fields between tabs"
    )
    rows = []
    for line, count in zip(lines[whole], counts[whole], strict=True):
        fields = line.split("\t")
        rows.append([fields[at + count - _COUNT] for at in FIELDS.values()])
    return table.assign(**dict(zip(FIELDS, map(list, zip(*rows, strict=True)), strict=True)))


def _country(table: pd.DataFrame) -> pd.Series[Any]:
    for name in ("country_name", "country"):
        if name in table:
            return table[name]
    return files.whole_text(table["country_id"])


def _split(table: pd.DataFrame) -> Any:
    if "split" in table and not table["split"].isna().any():
        return table["split"]
    if "is_train" in table:
        train = table["is_train"].astype(str).str.lower().isin(["true", "1", "1.0"])
        return np.where(train, "train", "test")
    return None


def _texts(table: pd.DataFrame) -> list[str]:
    none = [""] * len(table)
    title, description = (table.get(name, none) for name in ("title", "description"))
    pairs = zip(title, description, strict=True)
    return [f"{cleaned(one)} {cleaned(other)}".strip() for one, other in pairs]


def _with_images(points: pd.DataFrame, root: Path) -> pd.DataFrame:
    """The points with the paths of their images, where any are there."""
    there: dict[str, dict[str, str]] = {}
    for label in points["label"].unique():
        folder = root / f"class_{label}"
        if folder.is_dir():
            names = os.listdir(folder)
            there[str(label)] = {name.rpartition(".")[0]: str(folder / name) for name in names}
    if not there:
        return points
    pairs = zip(points["label"].astype(str), points["id"], strict=True)
    paths = pd.Series([there.get(label, {}).get(photo) for label, photo in pairs], dtype=object)
    files.said_missing(root, paths)
    return points.assign(image=paths)
