"""Tables for spreadsheets: no name is a formula."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from geospot_gpu.files.outputs import write_csv

FORMULAS = [
    "=1+1",
    "+A1",
    "-A1",
    "@SUM(A1)",
    "＝1",
    "＋A1",
    "－1",
    "＠A",
    "\t=1",
    "\r=1",
    " =1",
    "-1+1",
    "-1\r+A1",
]
NAMES_OF_PLACES = [
    "FR",
    "-10,20",
    "-170,-80",
    "-0.5",
    "+5",
    "1=1",
    "40N 010W",
    "DE+FR",
    "a=b",
    "'x",
]


def test_names_in_csv_are_no_formulas(tmp_path: Path) -> None:
    every = FORMULAS + NAMES_OF_PLACES
    expected = [f"'{name}".replace("\r", "\n") for name in FORMULAS] + NAMES_OF_PLACES
    path = tmp_path / "table.csv"
    for kind in (object, "string", "category"):
        table = pd.DataFrame({"region": pd.Series(every, dtype=kind), "=n": range(len(every))})
        write_csv(table, path, index=False)
        found = pd.read_csv(io.StringIO(path.read_bytes().decode(), newline=""))
        assert found["region"].tolist() == expected
        assert found["'=n"].tolist() == list(range(len(every)))
    matrix = pd.DataFrame(0.25, index=every, columns=every).rename_axis(index="source")
    write_csv(matrix, path, float_format="%.7g")
    found = pd.read_csv(io.StringIO(path.read_bytes().decode(), newline=""), index_col="source")
    assert found.index.tolist() == found.columns.tolist() == expected
    assert (found == 0.25).all(axis=None)
    write_csv(pd.DataFrame({"region": [], "n": []}), path, index=False)
    assert path.read_text() == "region,n\n"
    mixed = pd.DataFrame({"a": [None, "=x", 1.5, -2], "a2": [True, False, True, True]})
    write_csv(mixed.set_axis(["a", "a"], axis=1), path, index=False)
    assert path.read_text() == "a,a\n,True\n'=x,False\n1.5,True\n-2,True\n"
