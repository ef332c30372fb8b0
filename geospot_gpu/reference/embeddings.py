"""Embeddings of the reference: arrays of points, and tensors that are aligned with them by row."""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import regular
from geospot_gpu.files.inputs import check_zip, why

log = logging.getLogger("geospot_gpu")

ARRAYS = re.compile(r"(?P<dataset>.+?)_(?P<split>train|val|test)_(?P<model>.+)\.npz")
DOMAIN = re.compile(r"embeddings_(?P<split>train|val|test)_domain(?P<domain>\d+)\.pt")
_NEEDED = ("labels", "indices", "domains")


class Embedded(NamedTuple):
    """Points with a vector each."""

    points: pd.DataFrame
    """``id``, ``region``, ``label``, ``split`` and, where they are known, ``lon`` and ``lat``."""
    vectors: NDArray[np.floating]
    """Of the points, [n, d]."""

    def table(self) -> pa.Table:
        """The points with their vectors in one column, ``features``."""
        flat = pa.array(np.ascontiguousarray(self.vectors, np.float32).ravel())
        lists = pa.FixedSizeListArray.from_arrays(flat, self.vectors.shape[1])
        plain = pa.Table.from_pandas(self.points, preserve_index=False)
        return plain.append_column("features", lists)


def read_points(path: Path) -> pd.DataFrame:
    """The points of ``<dataset>_<split>_<model>.npz``, without their vectors.

    ``coords`` are latitude and longitude, in this order; not all models have them.

    Raises:
        GeospotError: the file is broken, an array is missing, or arrays do not fit one another.
    """
    named = ARRAYS.fullmatch(path.name)
    assert named, "a file of arrays"
    arrays = _arrays(path, (*_NEEDED, "coords"))
    count = len(arrays["indices"])
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(shapes[name] != (count,) for name in _NEEDED):
        raise GeospotError(f"{path}: arrays do not have one row for each point: {shapes}")
    points = pd.DataFrame(
        {
            "id": arrays["indices"].astype(str),
            "region": arrays["domains"].astype(str),
            "label": arrays["labels"],
            "split": named["split"],
        }
    )
    if "coords" in arrays:
        coords = arrays["coords"].astype(float)
        if coords.shape != (count, 2) or np.nanmax(np.abs(coords[:, 0]), initial=0.0) > 90.0:
            raise GeospotError(f"{path}: coords {coords.shape} are no latitudes and longitudes")
        points["lon"], points["lat"] = coords[:, 1], coords[:, 0]
    return points


def read_vectors(path: Path, points: pd.DataFrame) -> Embedded:
    """The points of a file of arrays with their vectors.

    Raises:
        GeospotError: vectors are missing, or not as many as the points.
    """
    vectors = _arrays(path, ("embeddings",))["embeddings"]
    if vectors.ndim != 2 or len(vectors) != len(points):
        raise GeospotError(
            f"{path}: embeddings {vectors.shape} do not have one row for each of {len(points)} "
            "points"
        )
    return Embedded(points, vectors)


def with_coordinates(found: Mapping[Path, pd.DataFrame]) -> dict[Path, pd.DataFrame]:
    """The same points, with coordinates from other models' files where theirs has none."""
    known: dict[tuple[str, str], pd.DataFrame] = {}
    for path, points in found.items():
        if "lon" in points:
            known.setdefault(_of(path), points.set_index("id")[["lon", "lat"]])
    result = {}
    for path, points in found.items():
        if "lon" not in points and _of(path) in known:
            points = points.join(known[_of(path)], on="id")
            lost = int(points["lon"].isna().sum())
            if lost:
                log.warning("%s: %d of %d points have no coordinates", path, lost, len(points))
        elif "lon" not in points:
            log.warning("%s: nothing says where its points are: it has no lon and lat", path)
        result[path] = points
    return result


def read_tensor(path: Path) -> NDArray[np.floating]:
    """The matrix [n, d] in a ``.pt`` file, which may hold tensors alone.

    Raises:
        GeospotError: it holds anything else.
    """
    import torch

    try:
        found = torch.load(regular(path), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise GeospotError(f"{path}: holds more than tensors and is not read") from error
    except Exception as error:  # a broken file is one in many ways
        if isinstance(error, GeospotError):
            raise
        raise GeospotError(f"{path}: cannot be read ({why(error)})") from error
    values = list(found.values()) if isinstance(found, dict) else [found]
    tensors = [one for one in values if isinstance(one, torch.Tensor) and one.ndim == 2]
    if len(tensors) != 1:
        raise GeospotError(f"{path}: holds {len(tensors)} matrices: one is expected")
    return tensors[0].to(torch.float32).numpy()


def of_domains(paths: Sequence[Path]) -> Embedded:
    """The points of ``embeddings_<split>_domain<number>.pt``: their domain alone is known."""
    tables, vectors = [], []
    for path in paths:
        named = DOMAIN.fullmatch(path.name)
        assert named, "a file of a domain"
        matrix = read_tensor(path)
        ids = [f"{named['split']}_{named['domain']}_{k}" for k in range(len(matrix))]
        table = {"id": ids, "region": named["domain"], "split": named["split"]}
        tables.append(pd.DataFrame(table))
        vectors.append(matrix)
    if len({matrix.shape[1] for matrix in vectors}) > 1:
        raise GeospotError(f"{paths[0].parent}: vectors of domains are not equally long")
    return Embedded(pd.concat(tables, ignore_index=True), np.concatenate(vectors))


def aligned(path: Path, known: Mapping[Path, pd.DataFrame]) -> Embedded | None:
    """The points of a ``.pt`` file, whose rows are those of a file of arrays, as in the reference.

    It is aligned where exactly one order of points has as many rows; how is said. None, and a
    warning, where there are several or none.
    """
    matrix = read_tensor(path)
    alike = {other: points for other, points in known.items() if len(points) == len(matrix)}
    orders = {tuple(points["id"]) for points in alike.values()}
    if len(orders) != 1:
        log.warning(
            "%s: left out: %d files of arrays (.npz) have its %d rows in %d orders, and nothing "
            "else says which points they are",
            *(path, len(alike), len(matrix), len(orders)),
        )
        return None
    best = max(alike, key=lambda other: alike[other].shape[1])
    log.warning("%s: its rows are taken for those of %s, as the reference does", path, best.name)
    return Embedded(alike[best], matrix)


def _of(path: Path) -> tuple[str, str]:
    named = ARRAYS.fullmatch(path.name)
    assert named, "a file of arrays"
    return named["dataset"], named["split"]


def _arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Those of the arrays of a file that have these names; coords need not be there."""
    try:
        check_zip(regular(path))
        with np.load(path, allow_pickle=False) as file:
            there, found = file.files, {name: file[name] for name in names if name in file.files}
    except GeospotError:
        raise
    except Exception as error:  # headers are Python, and can be broken in as many ways
        reason = "it holds pickled objects" if "Object arrays" in str(error) else why(error)
        raise GeospotError(f"{path}: cannot be read ({reason})") from error
    lacking = [name for name in names if name not in found and name != "coords"]
    if lacking:
        raise GeospotError(
            f"{path}: array {', '.join(lacking)} is missing; there are: {', '.join(there)}"
        )
    return found
