"""Data frames as pandas 1.2 with NumPy 1.19 pickled them, whatever versions are here."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class Global(NamedTuple):
    """A class or function by the name it had."""

    module: str
    name: str


class Made(NamedTuple):
    """An object: what makes it of which arguments, and the state that it is given."""

    kind: Global
    arguments: tuple[Any, ...]
    state: Any = None
    new: bool = False


class Pickler(pickle._Pickler):  # the one in Python, which may be told what to write
    """Writes names as they were."""

    write: Any

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Made):
            self.save(obj.kind)
            self.save(obj.arguments)
            self.write(pickle.NEWOBJ if obj.new else pickle.REDUCE)
            if obj.state is not None:
                self.save(obj.state)
                self.write(pickle.BUILD)
        elif isinstance(obj, np.ndarray):
            reconstruct = Global("numpy.core.multiarray", "_reconstruct")
            state = obj.__reduce__()[2]
            self.save(Made(reconstruct, (Global("numpy", "ndarray"), (0,), b"b"), state))
        else:
            super().save(obj, save_persistent_id)  # type: ignore[misc]


def write(frame: pd.DataFrame, path: Path, manager_name: str = "_mgr") -> None:
    """Pickle a frame: a block for each of its columns, and an index of type Int64Index.

    Before pandas 1.1 the manager of blocks was called ``_data``.
    """
    index = Global("pandas.core.indexes.base", "_new_Index")
    own = Global("pandas.core.indexes.base", "Index")
    numbers = Global("pandas.core.indexes.numeric", "Int64Index")
    columns = np.array(list(frame.columns), dtype=object)
    axes = [
        Made(index, (own, {"data": columns, "name": None})),
        Made(index, (numbers, {"data": frame.index.to_numpy(np.int64), "name": None})),
    ]
    blocks = [
        {"values": _block(frame[name]), "mgr_locs": slice(k, k + 1, 1)}
        for k, name in enumerate(frame.columns)
    ]
    values = [block["values"] for block in blocks]
    items = [
        Made(index, (own, {"data": columns[k : k + 1], "name": None})) for k in range(len(columns))
    ]
    extra = {"0.14.1": {"axes": axes, "blocks": blocks}}
    manager = Made(
        Global("pandas.core.internals.managers", "BlockManager"),
        (),
        (axes, values, items, extra),
        new=True,
    )
    state = {manager_name: manager, "_typ": "dataframe", "_metadata": [], "attrs": {}}
    with open(path, "wb") as file:
        Pickler(file, protocol=4).dump(
            Made(Global("pandas.core.frame", "DataFrame"), (), state, new=True)
        )


def _block(column: pd.Series[Any]) -> np.ndarray[Any, Any]:
    kind = column.dtype.str if isinstance(column.dtype, np.dtype) else "O"
    return column.to_numpy(kind).reshape(1, -1)
