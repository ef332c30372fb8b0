"""The one kind of pickle that is read: tables of old and new pandas, nothing that does things."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.points.presets.pickles import read_frame
from tests.data import old_pickle
from tests.data.geoyfcc import photos


@pytest.mark.parametrize("manager", ["_mgr", "_data"])
def test_a_frame_of_old_pandas(
    manager: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = photos(2)
    table.index = pd.Index(range(7, 17))
    old_pickle.write(table, tmp_path / "old.pkl", manager)
    assert b"Int64Index" in (tmp_path / "old.pkl").read_bytes()
    found = read_frame(tmp_path / "old.pkl")
    pd.testing.assert_frame_equal(found, table, check_dtype=False, check_column_type=False)
    assert "old.pkl: is a pickle: read as a table, types of pandas and NumPy alone" in caplog.text


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_frame_of_this_pandas(protocol: int, tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "a": [1, 2],
            "b": pd.Series(["x", "é"], dtype=object),
            "c": [0.5, None],
            "d": pd.Series([[1], [2, 3]], dtype=object),
            "e": pd.Categorical([3, 3]),
        }
    )
    table.columns = pd.Index(list(table.columns), dtype=object)
    table.to_pickle(tmp_path / "new.pkl", protocol=protocol)
    pd.testing.assert_frame_equal(read_frame(tmp_path / "new.pkl"), table)


class Called:
    """What its pickle says is called when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


HOSTILE = {
    "posix.system": Called(os.system, "touch stolen"),
    "builtins.eval": Called(eval, "open('stolen', 'w')"),
    "pandas.*read_pickle": Called(pd.read_pickle, "other.pkl"),
    "builtins.getattr": Called(getattr, "text", "upper"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_does_things_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hidden = pd.DataFrame([[HOSTILE[name]]], columns=pd.Index(["a"], dtype=object), dtype=object)
    for content in (HOSTILE[name], hidden):
        Path("a.pkl").write_bytes(pickle.dumps(content))
        with pytest.raises(gs.GeospotError, match=rf"a.pkl: names {name}.*it is not read; write"):
            read_frame(Path("a.pkl"))
        assert os.listdir() == ["a.pkl"]


@pytest.mark.parametrize(
    "line",
    [
        "numpy.testing._private.utils runstring",
        "numpy load",
        "numpy.core.multiarray fromfile",
        "numpy.f2py.crackfortran myeval",
        "pandas eval",
        "pandas.core.frame DataFrame.to_pickle",
        "numpy core.multiarray",
    ],
)
def test_names_of_pandas_and_numpy_that_no_table_needs_are_refused(
    line: str, tmp_path: Path
) -> None:
    module, name = line.split()
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.PROTO + b"\x02" + f"c{module}\n{name}\n.".encode())
    with pytest.raises(gs.GeospotError, match=rf"names {re.escape(module)}.*it is not read"):
        read_frame(path)


def test_other_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(gs.GeospotError, match=r"a.pkl: holds a list: a data frame is expected"):
        read_frame(path)
    path.write_bytes(b"no pickle")
    with pytest.raises(gs.GeospotError, match=r"a.pkl: cannot be read by pandas .*: open it where"):
        read_frame(path)
    path.write_bytes(pickle.dumps(b"\xff", protocol=2).replace(b"latin1", b"rot-13"))
    with pytest.raises(gs.GeospotError, match=r"a.pkl: holds bytes in 'rot-13': it is not read"):
        read_frame(path)
    with pytest.raises(gs.GeospotError, match=r"gone.pkl"):
        read_frame(tmp_path / "gone.pkl")
