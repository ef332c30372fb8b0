"""Pickles of data frames, the one kind of pickle that is read: GeoYFCC is published as one.

A pickle may name any function of Python to be called. Here only what the pickles of data frames
hold is found, types of pandas and NumPy by their names; anything else is refused before it is
imported.
"""

from __future__ import annotations

import importlib
import logging
import pickle
from pathlib import Path
from typing import Any

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import regular
from geospot_gpu.files.inputs import why

log = logging.getLogger("geospot_gpu")

_PANDAS: dict[str, tuple[str, ...]] = {
    "pandas": ("DataFrame", "Series", "Index", "RangeIndex", "Categorical", "CategoricalDtype"),
    "pandas.core.frame": ("DataFrame",),
    "pandas.core.series": ("Series",),
    "pandas.core.internals.managers": ("BlockManager", "SingleBlockManager"),
    "pandas.core.internals": ("BlockManager", "SingleBlockManager"),
    "pandas.core.indexes.base": ("Index", "_new_Index"),
    "pandas.core.indexes.range": ("RangeIndex",),
    "pandas.core.indexes.category": ("CategoricalIndex",),
    "pandas.core.arrays.categorical": ("Categorical",),
    "pandas.core.dtypes.dtypes": ("CategoricalDtype",),
    "pandas.arrays": ("Categorical",),
    "pandas._libs.internals": ("_unpickle_block",),
    "pandas._libs.arrays": ("__pyx_unpickle_NDArrayBacked",),
}
_NUMPY: dict[str, tuple[str, ...]] = {
    "numpy": ("ndarray", "dtype", "bool_", "int64", "float64"),
    "multiarray": ("_reconstruct", "scalar"),
    "numeric": ("_frombuffer",),
}
_MOVED = {
    ("pandas.core.internals.blocks", "new_block"): ("pandas._libs.internals", "_unpickle_block"),
    ("pandas.core.indexes.numeric", "Int64Index"): ("pandas", "Index"),
    ("pandas.core.indexes.numeric", "UInt64Index"): ("pandas", "Index"),
    ("pandas.core.indexes.numeric", "Float64Index"): ("pandas", "Index"),
}
"""What pandas before 2.0 called it, and where it is now."""


def read_frame(path: Path) -> pd.DataFrame:
    """The data frame in a pickle, whose other content is refused.

    Raises:
        GeospotError: there is no such file, it holds anything but a data frame of pandas and NumPy,
            or this version of pandas cannot read it.
    """
    log.warning("%s: is a pickle: read as a table, types of pandas and NumPy alone", path)
    with open(regular(path), "rb") as file:
        try:
            found = _Unpickler(file).load()
        except GeospotError as error:
            raise GeospotError(f"{path}: {error}") from error
        except Exception as error:  # a broken pickle is one in as many ways as there are objects
            kind = type(error).__name__
            raise GeospotError(
                f"{path}: cannot be read by pandas {pd.__version__} ({kind}: {why(error)}): open "
                "it where it was made and write it as Parquet"
            ) from error
    if not isinstance(found, pd.DataFrame):
        raise GeospotError(f"{path}: holds a {type(found).__name__}: a data frame is expected")
    return found


class _Unpickler(pickle.Unpickler):
    """Finds types of pandas and NumPy, and what Python itself needs to build them."""

    def find_class(self, module: str, name: str) -> Any:
        module, name = _MOVED.get((module, name), (module, name))
        place = module.removeprefix("numpy.core.").removeprefix("numpy._core.")
        if name in _PANDAS.get(module, ()):
            return getattr(importlib.import_module(module), name)
        if name in _NUMPY.get(place, ()) and module.partition(".")[0] == "numpy":
            where = "numpy" if place == "numpy" else f"numpy._core.{place}"
            return getattr(importlib.import_module(where), name)
        if (module, name) in (("builtins", "slice"), ("__builtin__", "slice")):
            return slice
        if (module, name) in (("builtins", "bytearray"), ("__builtin__", "bytearray")):
            return bytearray
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        raise GeospotError(
            f"names {module}.{name}, which no table of pandas and NumPy needs: it is not read; "
            "write the table as Parquet or CSV"
        )


def _latin1(text: str, encoding: str) -> bytes:
    """Bytes as Python 3 writes them into pickles that Python 2 can read."""
    if encoding != "latin1":
        raise GeospotError(f"holds bytes in {str(encoding)!r}: it is not read")
    return text.encode("latin1")
