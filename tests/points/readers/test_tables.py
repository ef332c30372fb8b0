"""Files and folders of Parquet, kinds of file, and what is no table."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import geospot_gpu as gs
from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers import kinds, read_points, read_table
from geospot_gpu.points.readers.files import File, Wanted
from geospot_gpu.points.readers.foreign import BEGINNINGS
from geospot_gpu.points.readers.kinds import Kind
from geospot_gpu.regions.grouping import by_column

LON, LAT = [10.5, -77.25, 178.5], [50.25, -12.0, -18.125]
FRAME = pd.DataFrame({"iso": ["NA", "PE", "FJ"], "lon": LON, "lat": LAT})

# --- Parquet


def test_a_folder_of_parquet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    FRAME[:2].to_parquet(tmp_path / "part-0.parquet")
    FRAME[2:].assign(extra=[1]).to_parquet(tmp_path / "part-1.c000")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".part-0.parquet.crc").write_bytes(b"crc")
    FRAME.to_parquet(tmp_path / "_metadata.parquet")
    (tmp_path / "README.md").write_text("about these points")
    points = read_points(tmp_path)
    said = f"{tmp_path}: left out 1 files that are no Parquet: README.md"
    assert caplog.messages == [said]
    assert points.lon.tolist() == LON
    assert points.attributes["extra"].tolist()[2] == 1
    assert points.attributes["iso"].tolist() == ["NA", "PE", "FJ"]


def test_categories_in_some_files_of_a_folder(tmp_path: Path) -> None:
    FRAME.assign(iso=FRAME["iso"].astype("category")).to_parquet(tmp_path / "a.parquet")
    FRAME.to_parquet(tmp_path / "b.parquet")
    assert read_table(tmp_path)["iso"].tolist() == ["NA", "PE", "FJ"] * 2


def test_folders_that_are_columns(tmp_path: Path) -> None:
    for iso, state, year in (("NA", "01", 2019), ("PE", "06", 2020), ("FJ", "06", 2020)):
        folder = tmp_path / f"iso={iso}" / f"state={state}" / f"year={year}"
        folder.mkdir(parents=True)
        FRAME[FRAME["iso"] == iso][["lon", "lat"]].to_parquet(folder / "0.parquet")
    attributes = read_points(tmp_path, text=["state"]).attributes.set_index("iso")
    assert attributes["state"].to_dict() == {"NA": "01", "PE": "06", "FJ": "06"}
    assert attributes["year"].to_dict() == {"NA": 2019, "PE": 2020, "FJ": 2020}
    regions = gs.Regions.from_table(tmp_path, region="state", encoder="none")
    assert regions.names == ("01", "06")


def test_a_folder_of_geoparquet(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    shapes = geopandas.points_from_xy(LON, LAT, crs=4326)
    frame = geopandas.GeoDataFrame(FRAME[["iso"]], geometry=shapes).to_crs(3857)
    frame[:2].to_parquet(tmp_path / "a.parquet")
    frame[2:].to_parquet(tmp_path / "b.parquet")
    np.testing.assert_allclose(read_points(tmp_path).lon, LON)
    plain = frame.to_crs(4326)
    plain[:2].to_parquet(tmp_path / "a.parquet")
    plain[2:].to_crs("OGC:CRS84").to_parquet(tmp_path / "b.parquet")  # the same, written otherwise
    np.testing.assert_allclose(read_points(tmp_path).lon, LON)
    for other in (frame, plain.rename_geometry("geom"), plain.drop(columns="geometry")):
        other[2:].to_parquet(tmp_path / "b.parquet")
        with pytest.raises(GeospotError, match=r"b\.parquet: has another column of geometries or"):
            read_points(tmp_path)


def test_an_index_is_a_column(tmp_path: Path) -> None:
    FRAME.set_index("iso").to_parquet(tmp_path / "p.parquet")
    assert read_points(tmp_path / "p.parquet").attributes["iso"].tolist() == ["NA", "PE", "FJ"]


def test_large_ids_of_parquet_stay_whole_beside_gaps(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [2**53 + 1, None]}), tmp_path / "p.parquet")
    assert read_table(tmp_path / "p.parquet")["id"].tolist() == [2**53 + 1, pd.NA]


def test_geometries_that_are_not_wkb(tmp_path: Path) -> None:
    about = {"primary_column": "g", "columns": {"g": {"encoding": "multipoint"}}}
    table = pa.table({"g": [1]}).replace_schema_metadata({"geo": json.dumps(about)})
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(GeospotError, match="written as multipoint: write them as WKB, as in Geo"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "is a folder: give a file, or a folder of Parquet files"),
        (("a.txt", "b.shp", "b.dbf"), r"is a folder: give a file of it, such as b\.shp, or a fol"),
        (("a0000.gdbtable",), r"is a geodatabase: convert it: ogr2ogr points\.gpkg FOLDER"),
        (("zarr.json",), "is a Zarr store, not a table: give a table of points"),
        (("dataset_info.json",), "is a data set of Hugging Face: save it as Parquet: datasets"),
    ],
)
def test_folders_of_something_else(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("x")
    with pytest.raises(GeospotError, match=message):
        read_points(tmp_path)


# --- what is no table


def workbook() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return content.getvalue()


def arrays() -> bytes:
    content = io.BytesIO()
    np.savez(content, a=np.zeros(3))
    return content.getvalue()


def feather() -> bytes:
    content = io.BytesIO()
    pyarrow.feather.write_feather(pa.table({"a": [1]}), content)
    return content.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
FOREIGN = {
    "workbook.xlsx": (workbook(), "is an Excel workbook: save its sheet as CSV"),
    "arrays.npz": (arrays(), "is an archive of NumPy arrays: save the table as CSV or Parquet"),
    "a.feather": (feather(), "is an Arrow or Feather file: save it as Parquet"),
    "wide.geojson": ("\ufeff{}".encode("utf-16-be"), "is JSON in UTF-16: save it in UTF-8"),
    "page.csv": (b"\n<!DOCTYPE html><html>", "is a web page, as of a login or an error: download"),
    "points.kml": (
        b'<?xml version="1.0"?><kml/>',
        r"is XML, as KML, .*: ogr2ogr points\.gpkg FILE",
    ),
    "pointer.csv": (LFS, "is a git-lfs pointer, not the file itself: run git lfs pull"),
    "frame.pkl": (pickle.dumps(FRAME), "is a pickle, which can run any code when it is opened: "),
    "empty.parquet": (b"", "is empty: give a file with a table"),
    "noise.csv": (bytes(range(256)) * 9, "is neither text nor of a kind that is known: save the"),
    "text.gpkg": (b"not one", "is not a GeoPackage, though it is called so: give the file as it"),
    "a.tar": (b"x" * 257 + b"ustar\0" + bytes(300), "is a tar archive: unpack it first"),
    "cut.zip": (b"PK\x03\x04 and no more", "is an archive that is damaged: download it again"),
    **{
        f"kind{k}": (begins + b" and more", f"is {what}: {advice}")
        for k, (begins, what, advice) in enumerate(BEGINNINGS)
    },
}


@pytest.mark.parametrize("name", FOREIGN)
def test_kinds_that_are_not_read(name: str, tmp_path: Path) -> None:
    content, message = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    pattern = message if "\\" in message or ".*" in message else None
    with pytest.raises(GeospotError, match=pattern) as error:
        read_points(tmp_path / name)
    assert pattern or f"{name}: {message}" in str(error.value)
    assert "\n" not in str(error.value)


def test_tables_without_geometries_need_no_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("geopandas", "shapely", "pyogrio", "pyproj"):
        monkeypatch.setitem(sys.modules, package, None)
    FRAME.to_csv(tmp_path / "p.csv", index=False)
    FRAME.to_parquet(tmp_path / "p.parquet")
    FRAME.to_json(tmp_path / "p.json", orient="records")
    for name in ("p.csv", "p.parquet", "p.json", "."):
        assert read_points(tmp_path / name).lon.tolist() == LON
    for frame, crs in ((FRAME, "EPSG:3857"), (pd.DataFrame({"wkt": ["POINT (1 2)"]}), None)):
        with pytest.raises(GeospotError, match=r"pip install 'geospot_gpu\[geo\]'"):
            read_points(frame, crs=crs)


def test_a_new_kind_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(file: File, wanted: Wanted) -> pd.DataFrame:
        with file.open() as stream:
            return pd.DataFrame([*map(float, stream.read().split()[1:])], ["lon", "lat"]).T

    own = Kind("mine", lambda file: file.head.startswith(b"MINE"), read)
    monkeypatch.setattr(kinds, "KINDS", (own, *kinds.KINDS))
    (tmp_path / "p.mine.gz").write_bytes(gzip.compress(b"MINE 1 2"))
    assert read_points(tmp_path / "p.mine.gz").lat.tolist() == [2]


def test_the_kind_is_that_of_the_content(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "p.json", index=False)
    FRAME.to_parquet(tmp_path / "p.csv")
    for name in ("p.json", "p.csv"):
        points = read_points(tmp_path / name)
        assert points.lon.tolist() == LON
        assert set(by_column(points, "iso")) == {"NA", "PE", "FJ"}
