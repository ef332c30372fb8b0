"""Tables of text, however they are packed and written."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.files.tables import read_raw_table

TEXT = "source,target,score\nPerú,Côte,0.5\nNA,Perú,-\n"
ROWS = [["Perú", "Côte", "0.5"], ["NA", "Perú", "-"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_a_file_holds_says_how_to_read_it(
    tmp_path: Path, delimiter: str, encoding: str, packed: bool, end: str
) -> None:
    raw = TEXT.replace(",", delimiter).replace("\n", end).encode(encoding)
    path = tmp_path / "table.txt"
    path.write_bytes(gzip.compress(raw) if packed else raw)
    table = read_raw_table(path, "scores")
    assert table.headers == ["source", "target", "score"]
    assert table.cells.to_numpy().tolist() == ROWS
    assert (table.row, table.delimiter, table.cells.index.tolist()) == ("line", delimiter, [2, 3])


def test_latin_1_is_read_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "t.csv").write_bytes(TEXT.encode("latin-1"))
    with caplog.at_level(logging.WARNING):
        assert read_raw_table(tmp_path / "t.csv", "scores").cells.to_numpy().tolist() == ROWS
    assert "is not UTF-8 and is read as Latin-1" in caplog.text


@pytest.mark.parametrize(
    ("text", "headers", "rows"),
    [
        # Decimal commas make no columns, and neither do delimiters within quotes.
        ("a;b\n0,5;0,6\n", ["a", "b"], [["0,5", "0,6"]]),
        ('a,b\n"x;y","1,5"\n', ["a", "b"], [["x;y", "1,5"]]),
        # What is empty throughout is no row and no column.
        ("a,b,\n1,2,\n,,\n\n3,4,\n", ["a", "b", ""], [["1", "2"], ["3", "4"]]),
        # R writes no header over the names of rows.
        ("A,B\nA,1,2\nB,3,4\n", ["", "A", "B"], [["A", "1", "2"], ["B", "3", "4"]]),
        ("alone\n1\n", ["alone"], [["1"]]),
    ],
)
def test_rows_and_columns(tmp_path: Path, text: str, headers: list[str], rows: object) -> None:
    (tmp_path / "t.csv").write_text(text)
    table = read_raw_table(str(tmp_path / "t.csv"), "scores")
    assert table.headers == headers[: table.cells.shape[1]]
    assert table.cells.to_numpy().tolist() == rows


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", r"t\.csv: cannot be read \(no rows"),
        (b"a,b\n", r"cannot be read \(no rows"),
        (b'a,b\n"1,2\n', r"quotes that do not close"),
        (b"a,b\n1,2\n\n1,2,3\n", r"line 4 has 3 cells and the header 2: mend the line"),
        (b"PK\x03\x04...", r"an archive or workbook\): save it as CSV"),
        ("a,b\n1,2".encode("utf-16-le"), r"no text\): save it as CSV in UTF-8"),
        (b"a,b\n\x81,2\n", r"cannot be read \("),
        (b"\x1f\x8bnothing", r"cannot be read \("),
        (gzip.compress(TEXT.encode(), mtime=0)[:20], r"cannot be read \("),
        (b"PAR1nothing", r"cannot be read \("),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(raw)
    with pytest.raises(gs.GeospotError, match=message) as caught:
        read_raw_table(tmp_path / "t.csv", "scores")
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(gs.GeospotError, match="there is no such file"):
        read_raw_table(tmp_path / "no.csv", "scores")
    with pytest.raises(gs.GeospotError, match="is a folder: give a file"):
        read_raw_table(tmp_path, "scores")


def test_frames_bring_their_index(tmp_path: Path) -> None:
    frame = pd.DataFrame({"A": [0.5, 0.6], 7: [0.7, 0.8]}, index=["A", "7"])
    frame.columns = frame.columns.astype(object)
    table = read_raw_table(frame, "scores")
    assert (table.headers, table.row, table.cells.index.tolist()) == (["", "A", "7"], "row", [1, 2])
    assert read_raw_table(frame.rename_axis("from"), "scores").headers == ["from", "A", "7"]
    stacked = read_raw_table(frame.stack(), "scores")
    assert stacked.headers == ["source", "target", "score"]
    assert stacked.cells.shape == (4, 3)
    path = tmp_path / "t"
    frame.rename(columns=str).to_parquet(path)
    pd.testing.assert_frame_equal(
        read_raw_table(path, "scores").cells, table.cells, check_dtype=False
    )


def test_headers_take_one_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('"Test\nAUC",b\n1,2\n')
    assert read_raw_table(tmp_path / "t.csv", "scores").headers == ["Test AUC", "b"]


def test_other_libraries_are_asked_for_a_frame() -> None:
    import pyarrow
    import xarray

    named = {"source": ["A", "B"], "target": ["A", "B"]}
    array = xarray.DataArray(np.eye(2), named, ("source", "target"))
    assert read_raw_table(array, "scores").headers == ["source", "A", "B"]
    arrow = pyarrow.table({"source": ["A"], "score": [1.0]})
    assert read_raw_table(arrow, "scores").headers == ["", "source", "score"]
    with pytest.raises(gs.GeospotError, match="scores: a Dataset that is no table: give a file"):
        read_raw_table(array.to_dataset(name="score"), "scores")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (3, "scores is of type int: give a file or a data frame"),
        (None, "scores is of type NoneType"),
        ([1], "scores is of type list"),
        (np.eye(2), "scores is of type ndarray"),
        (pd.DataFrame(), "scores: has no rows"),
        (pd.DataFrame({("a", "b"): [1], ("a", "c"): [2]}), "columns have several levels: keep one"),
        (pd.DataFrame({np.nan: [1]}), "scores: header: nan is no name"),
    ],
)
def test_what_is_no_table_is_said_in_a_line(table: object, message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        read_raw_table(table, "scores")
