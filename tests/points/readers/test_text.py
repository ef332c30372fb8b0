"""Tables of text as spreadsheets, portals and other languages write them."""

from __future__ import annotations

import gzip
import io
import math
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers import delimited, read_points, read_table
from geospot_gpu.points.readers.degrees import degrees
from geospot_gpu.points.readers.numerals import numbers_of_text
from geospot_gpu.progress import progress_shown

HEADER = ("region", "lon", "lat", "note")
ROWS = (("A", "10.5", "50.25", "near, by"), ("É", "-77.25", "-12", 'said "no"'))


def written(delimiter: str) -> str:
    """By pandas, an oracle of quoting."""
    frame = pd.DataFrame(ROWS, columns=HEADER)
    return frame.to_csv(sep=delimiter, index=False, lineterminator="\r\n")


def packed(how: str, content: bytes, folder: Path) -> Path:
    path = folder / f"points{how}"
    if how == ".gz":
        content = gzip.compress(content)
    elif how == ".zip":
        inside = io.BytesIO()
        with zipfile.ZipFile(inside, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("export/points.csv", content)
            archive.writestr("export/README.txt", "about these points")
            archive.writestr("__MACOSX/export/._points.csv", "rubbish")
        content = inside.getvalue()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("how", [".csv", ".txt", "", ".gz", ".zip"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_form_is_the_same_table(
    delimiter: str, encoding: str, how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = packed(how, written(delimiter).encode(encoding), tmp_path)
    points = read_points(path)
    assert points.lon.tolist() == [10.5, -77.25]
    assert points.lat.tolist() == [50.25, -12.0]
    assert points.attributes["region"].tolist() == ["A", "É"]
    assert points.attributes["note"].tolist() == ["near, by", 'said "no"']
    said = [] if encoding != "cp1252" else ["is not UTF-8 and is read as Latin-1: check its names"]
    assert [
        message.rpartition(f"points{how}: ")[2][-53:] for message in caplog.messages
    ] == said or (how == ".zip" and caplog.messages[0].endswith(said[0]))


def test_latin_1_may_begin_late(tmp_path: Path) -> None:
    lines = "lon,lat,name\n" + "1,2,a\n" * 300_000 + "3,4,Île\n"
    (tmp_path / "t.csv").write_bytes(lines.encode("latin-1"))
    assert read_table(tmp_path / "t.csv")["name"].iloc[-1] == "Île"


def test_quotes_of_a_tab_file_are_letters(tmp_path: Path) -> None:
    """GBIF writes no quoting: two cells that begin with a quote would swallow what is between."""
    lines = ["id\tlocality\tlat\tlon", '1\t"N slope\t50\t10', "2\thill\t51\t11"]
    lines += ['3\t"S slope\t52\t12', '4\t"whole"\t53\t13', '5\t3 km "N"\t54\t14', '6\t""\t55\t15']
    (tmp_path / "occurrence.txt").write_text("\n".join(lines) + "\n\n")
    points = read_points(tmp_path / "occurrence.txt")
    assert points.lat.tolist() == [50, 51, 52, 53, 54, 55]
    found = points.attributes["locality"].tolist()
    assert found == ['"N slope', "hill", '"S slope', "whole", '3 km "N"', ""]


def test_a_tab_file_may_be_quoted(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text('lon\tlat\tnote\n1\t2\t"two\tcells, two\nlines"\n3\t4\tb\n')
    frame = read_table(tmp_path / "t.tsv")
    assert frame["note"].tolist() == ["two\tcells, two\nlines", "b"]


def test_the_delimiter_that_excel_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=;\nlon;lat;a,b\n1;2;x,y\n")
    assert read_table(tmp_path / "t.csv").iloc[0].tolist() == [1, 2, "x,y"]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("lon\n1\n2\n", {"lon": [1, 2]}),
        ("a;b,c\n1;2,5\n", {"a": [1], "b,c": [2.5]}),  # a cell for each delimiter
        ('a,b\n"1;2;3","x|y|z"\n', {"a": ["1;2;3"], "b": ["x|y|z"]}),
        ("a,b,c\n1,2\n3,4,5\n", {"a": [1, 3], "b": [2, 4], "c": [math.nan, 5.0]}),
        ("a\tissue\n1\tX;Y;Z,W\n2\tX;Y\n", {"a": [1, 2], "issue": ["X;Y;Z,W", "X;Y"]}),
        ("a,b\n\n1,2\n\n", {"a": [1], "b": [2]}),
        ("a,b\r1,2\r", {"a": [1], "b": [2]}),
        ("a\tb\r1\t2\r", {"a": [1], "b": [2]}),
        ("# of 2024\n#\n# by A, B, C\na,b\n1,2\n", {"a": [1], "b": [2]}),
        ('# tabs\r\na\tb\r\n1\t"2\r\n', {"a": [1], "b": ['"2']}),
        ("#a,b\n1,2\n#3,4\n", {"#a": ["1", "#3"], "b": [2, 4]}),
        ("/* by:\tA\n*/\na\tb\n1\t2\n", {"a": [1], "b": [2]}),
        ("#\n#a;b\n1;2\n", {"#a": [1], "b": [2]}),
        ("a,a\n1,2\n", {"a": [1], "a.1": [2]}),
    ],
)
def test_what_separates_cells(
    content: str, columns: dict[str, list[object]], tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(content, newline="")
    expected = pd.DataFrame(columns)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), expected)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "-2", "+3"], [1, -2, 3]),
        (["007", "8"], [7, 8]),
        (["1", None, "3"], [1.0, math.nan, 3.0]),
        (["1", "2.5", "1e3"], [1.0, 2.5, 1000.0]),
        ([" 1.5", "2 "], [1.5, 2.0]),
        (["18446744073709551615", "1"], [18446744073709551615, 1]),
        (["True", "false"], [True, False]),
        (["NA", "1"], ["NA", "1"]),
        (["1,5", "-2", "3,25"], [1.5, -2.0, 3.25]),
        (["1,234", "5,678"], ["1,234", "5,678"]),  # thousands, or decimals
        (["1,234", "5,5"], [1.234, 5.5]),
        (["1,234,567", "1,5"], ["1,234,567", "1,5"]),
        ([None, None], [math.nan, math.nan]),
        (["2020-01-01"], ["2020-01-01"]),
    ],
)
def test_columns_of_numbers(cells: list[str], expected: list[object]) -> None:
    table = numbers_of_text(pa.table({"a": pa.array(cells, pa.large_string())}), ["a"])
    found = table["a"].to_pandas()
    pd.testing.assert_series_equal(found, pd.Series(expected, name="a"), check_dtype=False)
    assert [type(one) for one in found.dropna()] == [
        type(one) for one in pd.Series(expected).dropna()
    ]


def test_a_comma_that_is_a_mark_in_one_column_is_in_all() -> None:
    columns = {"lon": ["10,5", "9"], "people": ["1,234", "5,678"], "name": ["a,b", "c"]}
    table = numbers_of_text(pa.table(columns), columns)
    assert table.to_pydict() == {
        "lon": [10.5, 9.0], "people": [1.234, 5.678], "name": ["a,b", "c"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("people", "others", "expected"),
    [
        (["12.345", "7.250"], ["", "1"], [12345, 7250]),
        (["12.345.678", "999"], ["1", "2"], [12345678, 999]),
        (["1.234,5", "0,25"], ["01.02.2020", "02.02.2020"], [1234.5, 0.25]),
        (["1.234", "7.25"], ["1", "2"], [1.234, 7.25]),
        (["1.234", "7.250"], ["0.5", "1.25"], [1.234, 7.25]),  # points are marks, too
        (["1.234,5", "7,5"], ["0.5", "1.25"], ["1.234,5", "7,5"]),
    ],
)
def test_points_between_thousands_beside_decimal_commas(
    people: list[str], others: list[str], expected: list[object], tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    cells = zip(["10,5", "11,25"], people, others, strict=True)
    path.write_text("lon;people;other\n" + "".join(f"{a};{b};{c}\n" for a, b, c in cells))
    table = read_table(path)
    assert table["lon"].tolist() == [10.5, 11.25]
    assert table["people"].tolist() == expected


def test_ids_of_any_size_stay_whole_beside_gaps(tmp_path: Path) -> None:
    large = 2**53 + 1
    (tmp_path / "t.csv").write_text(f"id,lon,lat\n{large},1,2\n,3,4\n")
    assert read_table(tmp_path / "t.csv")["id"].tolist() == [large, pd.NA]


def test_a_column_is_numbers_where_all_of_a_long_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "ROWS", 2)
    (tmp_path / "t.csv").write_text("a,b\n01,1\n2,2\n3,3\nx,4\n5,5.5\n")
    frame = read_table(tmp_path / "t.csv")
    assert frame["a"].tolist() == ["01", "2", "3", "x", "5"]
    assert frame["b"].tolist() == [1, 2, 3, 4, 5.5]


def test_a_long_file_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = packed(".gz", b"lon,lat\n" + b"1,2\n" * 5000, tmp_path)
    with progress_shown():
        read_table(path)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(delimited, "_LONG", 1)
        read_table(path)
    assert "reading points.gz: 100%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"lon,lat\n1,2,3\n", r"t\.csv: rows have more cells than the first line: put a header"),
        (b"lon,lat\n1,2\n1,2,3\n", r"t\.csv: line 3 has 3 cells and the first 2: put a header"),
        (b'lon,lat\n1,"2\n', r"t\.csv: cannot be read \(ParserError: .*EOF inside string"),
        (b"\xff\xfel\0o\0n\0\n", r"t\.csv: cannot be read \(UnicodeDecodeError: "),
        (b"\n\n", r"t\.csv: cannot be read \(EmptyDataError: No columns"),
        (b"lon,lat\n\x81,2\n", r"t\.csv: cannot be read \(UnicodeDecodeError: "),
    ],
)
def test_text_that_is_no_table(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(GeospotError, match=message) as error:
        read_table(tmp_path / "t.csv")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.5", 10.5),
        (" 10,5 ", 10.5),
        ("-10.5", -10.5),
        ("\u221210.5", -10.5),
        ("10.5E", 10.5),
        ("10.5 W", -10.5),
        ("W 10.5", -10.5),
        ("w10,5°", -10.5),
        ("10°30'E", 10.5),
        ("10°30.6'W", -10.51),
        ("79°58\u203256\u2033W", -79.98222222222222),
        ("79\u00ba 58\u2019 56.0\u201d W", -79.98222222222222),
        ("79 58 56 W", -79.98222222222222),
        ("79:58:56W", -79.98222222222222),
        ("79d58m56sW", -79.98222222222222),
        ("-79°58'56''", -79.98222222222222),
        ("-0°30'", -0.5),
        ("10.5N", math.nan),  # of the other axis
        ("-10.5W", math.nan),  # to which side
        ("10°61'E", math.nan),
        ("E10W", math.nan),
        ("ten", math.nan),
        ("", math.nan),
        ("1.2.3", math.nan),
    ],
)
def test_coordinates_as_they_are_written(text: str, expected: float) -> None:
    found = degrees(pd.Series(["0", text, None]), "EW")
    np.testing.assert_allclose(found, [0.0, expected, math.nan], atol=1e-12)
    if expected == -79.98222222222222 and "W" in text:
        assert degrees(pd.Series([text.replace("W", "S")]), "NS")[0] == found[1]


def test_archives_that_hold_no_one_table(tmp_path: Path) -> None:
    path = tmp_path / "points.zip"

    def said(*names: str) -> str:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "lon,lat\n1,2\n")
        with pytest.raises(GeospotError) as error:
            read_table(path)
        return str(error.value)

    assert said("a.csv", "b.csv").endswith(
        "points.zip: the archive holds 2 files (a.csv, b.csv): unpack it, and give the one with "
        "the points"
    )
    assert said("about.pdf").endswith("points.zip: the archive holds no table: give one that does")
    assert said().endswith("points.zip: the archive holds no table: give one that does")

    inside = path.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.zip", inside)
    with pytest.raises(GeospotError, match=r"inner\.zip: is an archive in an archive: unpack it"):
        read_table(path)
    path.write_bytes(gzip.compress(inside))
    with pytest.raises(GeospotError, match=r"points\.zip: is compressed by gzip: unpack it first"):
        read_table(path)


def test_an_archive_that_points_outside(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("secret,lon,lat\n1,2,3\n")
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr(f"../../../../../../../..{tmp_path}/out.csv", "lon,lat\n4,5\n")
    assert read_table(tmp_path / "p.zip").columns.tolist() == ["lon", "lat"]


def test_a_darwin_core_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "dwca.zip", "w") as archive:
        archive.writestr("meta.xml", "<archive/>")
        archive.writestr("occurrence.txt", "gbifID\tdecimalLatitude\tdecimalLongitude\n1\t50\t10\n")
        archive.writestr("verbatim.txt", "gbifID\n1\n")
        archive.writestr("dataset/x.xml", "<eml/>")
    assert read_points(tmp_path / "dwca.zip").lon.tolist() == [10]
