"""Files of geometries: layers, parts, lies, and what they become."""

from __future__ import annotations

import gzip
import json
import sqlite3
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers import read_points, read_table
from geospot_gpu.regions.grouping import by_polygons

geopandas = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")

PLACES = [(10.5, 50.25), (-77.25, -12.0), (178.5, -18.125)]
IDS = [2**53 + 1, 2, 3]


def frame(shapes: Any = None, crs: Any = 4326) -> Any:
    shapes = [shapely.Point(place) for place in PLACES] if shapes is None else shapes
    table = {"iso": ["NA", "PE", "FJ"][: len(shapes)], "id": IDS[: len(shapes)]}
    return geopandas.GeoDataFrame(table, geometry=shapes, crs=crs)


def feature(shape: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": shape}


def features() -> list[dict[str, Any]]:
    return [
        feature({"type": "Point", "coordinates": list(place)}, iso=iso, id=id_)
        for place, iso, id_ in zip(PLACES, ["NA", "PE", "FJ"], IDS, strict=True)
    ]


def by_driver(suffix: str, **options: Any) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        frame().to_file(folder / f"p{suffix}", **options)
        return folder / f"p{suffix}"

    return save


def zipped_shapefile(folder: Path) -> Path:
    frame().to_file(folder / "towns.shp")
    with zipfile.ZipFile(folder / "p.zip", "w") as archive:
        for part in folder.glob("towns.*"):
            archive.write(part, f"export/{part.name}")
        archive.writestr("export/towns.shp.xml", "<metadata/>")
    return folder / "p.zip"


def as_text(name: str, content: str) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        data = content.encode()
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return folder / name

    return save


COLLECTION = json.dumps({"type": "FeatureCollection", "features": features()})
LINES = [json.dumps(one) for one in features()]
FILES = {
    "GeoPackage": by_driver(".gpkg", layer="towns"),
    "Shapefile": by_driver(".shp"),
    "zipped shapefile": zipped_shapefile,
    "FlatGeobuf": by_driver(".fgb", driver="FlatGeobuf", SPATIAL_INDEX="NO"),
    "GeoParquet": lambda folder: frame().to_parquet(folder / "p.gpq") or folder / "p.gpq",
    "GeoParquet of no name": lambda folder: frame().to_parquet(folder / "p") or folder / "p",
    "GeoJSON": as_text("p.geojson", COLLECTION),
    "GeoJSON as JSON": as_text("p.json", "\ufeff  " + COLLECTION),
    "GeoJSON in gzip": as_text("p.geojson.gz", COLLECTION),
    "GeoJSON over lines": as_text("p.json", json.dumps(json.loads(COLLECTION), indent=1)),
    "lines of GeoJSON": as_text("p.geojsonl", "\n".join(LINES)),
    "lines of GeoJSON in gzip": as_text("p.geojsonl.gz", "\n".join(LINES) + "\n"),
    "sequence of GeoJSON": as_text("p.geojsons", "".join(f"\x1e{one}\n" for one in LINES)),
    "large ids": as_text("p.geojson", COLLECTION.replace("2}", f"{2**63 + 1}}}")),
    "coordinates in quotes": as_text(
        "p.geojson", COLLECTION.replace("[10.5, 50.25]", '["10.5", "50.25"]')
    ),
    "records": as_text(
        "p.json",
        json.dumps(
            [
                {"iso": one["properties"]["iso"], "id": one["properties"]["id"], "lng": x, "lat": y}
                for one, (x, y) in zip(features(), PLACES, strict=True)
            ]
        ),
    ),
    "lines of records": as_text(
        "p.jsonl",
        "\n".join(
            json.dumps({"iso": iso, "id": id_, "location": {"lat": y, "lon": x}})
            for iso, id_, (x, y) in zip(["NA", "PE", "FJ"], IDS, PLACES, strict=True)
        ),
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_is_the_same_points(kind: str, tmp_path: Path) -> None:
    points = read_points(FILES[kind](tmp_path))
    np.testing.assert_allclose(np.column_stack([points.lon, points.lat]), PLACES, rtol=1e-15)
    assert points.attributes["iso"].tolist() == ["NA", "PE", "FJ"]
    expected = [IDS[0], 2**63 + 1, 3] if kind == "large ids" else IDS
    assert points.attributes["id"].tolist() == expected


def test_layers(tmp_path: Path) -> None:
    path = tmp_path / "all.gpkg"
    areas = [shapely.box(0, 0, 60, 60), shapely.box(-90, -90, 0, 0)]
    frame().to_file(path, layer="towns")
    frame(areas).to_file(path, layer="areas")
    pd_only = pd.DataFrame({"a": [1]})
    geopandas.GeoDataFrame(pd_only, geometry=[None]).drop(columns="geometry")
    points = read_points(path)
    assert len(points) == 3
    assert {name: rows.tolist() for name, rows in by_polygons(points, path, "iso").items()} == {
        "NA": [0], "PE": [1],
    }  # fmt: skip
    frame().to_file(path, layer="villages")
    with pytest.raises(GeospotError, match=r"all\.gpkg: has 2 layers \(towns, villages\): ") as e:
        read_points(path)
    assert str(e.value).endswith(f"name one, as in '{path}|layername=towns'")
    assert len(read_points(f"{path}|layername=villages")) == 3
    with pytest.raises(GeospotError, match="there is no such layer; there are: towns, areas, vil"):
        read_points(f"{path}|layername=hamlets")


def test_a_shapefile_is_several_files(tmp_path: Path) -> None:
    path = by_driver(".shp")(tmp_path)
    with pytest.raises(GeospotError, match=r"is a part of a shapefile: give p\.shp, with this"):
        read_points(path.with_suffix(".dbf"))
    with pytest.raises(GeospotError, match=r"is a part of a shapefile: give p\.shp, with this"):
        read_points(path.with_suffix(".shx"))
    path.with_suffix(".shx").unlink()
    with pytest.raises(GeospotError, match=r"p\.shp: p\.shx is not beside it: a shapefile is "):
        read_points(path)


def test_names_that_are_not_utf_8(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    places = frame().assign(name=["Zürich", "Łódź", None])
    places.to_file(tmp_path / "p.shp", encoding="utf-8")
    (tmp_path / "p.dbf").write_bytes(
        (tmp_path / "p.dbf").read_bytes().replace("Zürich".encode(), b"Z\xfcrich ")
    )
    text = places.to_json(ensure_ascii=False).replace("Łódź", "Lodz")
    (tmp_path / "p.json").write_bytes(text.encode("latin-1"))
    for name, second in (("p.shp", "Łódź"), ("p.json", "Lodz")):
        found = read_points(tmp_path / name).attributes
        assert found["name"].tolist()[:2] == ["Zürich", second]
        assert found["iso"].tolist() == ["NA", "PE", "FJ"]
        assert f"{name}: is not UTF-8 and is read as Latin-1" in caplog.text


def test_a_shapefile_of_metres_that_does_not_say_so(tmp_path: Path) -> None:
    frame().to_crs(3857).to_file(tmp_path / "p.shp")
    (tmp_path / "p.prj").unlink()
    with pytest.raises(GeospotError, match=r"are no degrees but those of a projection: name its"):
        read_points(tmp_path / "p.shp")
    points = read_points(tmp_path / "p.shp", crs="EPSG:3857")
    np.testing.assert_allclose(points.lon, [place[0] for place in PLACES])


def test_a_system_that_the_file_contradicts(tmp_path: Path) -> None:
    path = by_driver(".gpkg")(tmp_path)
    assert len(read_points(path, crs="EPSG:4326")) == 3
    with pytest.raises(GeospotError, match=r"is in EPSG:4326 by its own account, not in points\."):
        read_points(path, crs="EPSG:3857")


def test_heights_need_no_reprojection(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = as_text("p.geojson", COLLECTION.replace("50.25]", "50.25, 100.5]"))(tmp_path)
    assert read_points(path).lon.tolist() == [place[0] for place in PLACES]
    assert not caplog.messages


def test_multipoints_share_weights(caplog: pytest.LogCaptureFixture) -> None:
    shapes = [shapely.MultiPoint([(0, 1), (2, 3), (4, 5)]), shapely.Point(6, 7)]
    shapes += [shapely.MultiPoint([(8, 9)])]
    points = read_points(frame(shapes).assign(w=[6.0, 1.0, 2.0]), weight="w")
    assert points.lon.tolist() == [0, 2, 4, 6, 8]
    assert points.weight.tolist() == [2, 2, 2, 1, 2]
    assert points.attributes["iso"].tolist() == ["NA", "NA", "NA", "PE", "FJ"]
    assert points.attributes.index.tolist() == [1, 2, 3, 4, 5]
    said = "table: 2 MultiPoints are 4 points, which share the weights of their rows"
    assert caplog.messages == [said]
    assert read_points(frame(shapes)).weight.tolist() == [1 / 3] * 3 + [1, 1]


def test_polygons_are_a_point_inside(caplog: pytest.LogCaptureFixture) -> None:
    moon = shapely.Point(0, 0).buffer(5).difference(shapely.Point(2, 0).buffer(5))
    islands = shapely.MultiPolygon([shapely.box(20, 0, 21, 1), shapely.box(30, 0, 35, 5)])
    points = read_points(frame([moon, islands, shapely.box(0, 59, 1, 60)]))
    places = [shapely.Point(place) for place in zip(points.lon, points.lat, strict=True)]
    assert moon.contains(places[0])
    assert islands.contains(places[1])
    assert points.weight.tolist() == [1, 1, 1]
    said = "table: 3 polygons are each a point inside; where polygons are the regions, use "
    assert caplog.messages == [f"{said}regions=polygons regions.path=..."]


def test_polygons_weigh_their_area_if_asked() -> None:
    shapes = [shapely.box(0, -0.5, 1, 0.5), shapely.box(0, 59.5, 1, 60.5)]
    points = read_points(frame(shapes), weight="area_km2")
    degree = 6371.0088 * np.pi / 180
    expected = degree**2 * np.cos(np.radians([0, 60]))
    np.testing.assert_allclose(points.weight, expected, rtol=0.01)
    own = frame(shapes).assign(area_km2=[1.0, 2.0])
    assert read_points(own, weight="area_km2").weight.tolist() == [1, 2]


def test_polygons_over_the_antimeridian() -> None:
    fiji = shapely.MultiPolygon(
        [shapely.box(177, -18, 180, -17), shapely.box(-180, -18, -179, -17)]
    )
    uncut = shapely.Polygon([(179, 0), (-179, 0), (-179, 1), (179, 1)])
    world = shapely.box(-180, -90, 180, -80)
    points = read_points(frame([fiji, uncut, world]))
    assert (np.abs(points.lon[:2]) > 176).all()
    assert points.lat.tolist() == [-17.5, 0.5, -85]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("GEOMETRYCOLLECTION (POINT (1 2))", [(1, 2)]),
        ("GEOMETRYCOLLECTION (GEOMETRYCOLLECTION (POINT (1 2)))", [(1, 2)]),
        ("GEOMETRYCOLLECTION (POINT (1 2), POINT (3 4))", [(1, 2), (3, 4)]),
        ("POINT Z (1 2 3)", [(1, 2)]),
    ],
)
def test_collections(shape: str, expected: list[tuple[float, float]]) -> None:
    points = read_points(frame([shapely.from_wkt(shape)]))
    assert [*zip(points.lon, points.lat, strict=True)] == expected


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ("LINESTRING (0 0, 1 1)", "LineString"),
        ("GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))", "GeometryCollection"),
    ],
)
def test_what_is_no_place(shape: str, found: str) -> None:
    with pytest.raises(GeospotError, match=f"must be points or polygons, found {found}: leave"):
        read_points(frame([shapely.from_wkt(shape), shapely.Point(0, 0)]))


@pytest.mark.parametrize("shape", ["GEOMETRYCOLLECTION EMPTY", "MULTIPOINT EMPTY", "POLYGON EMPTY"])
def test_what_is_nowhere(shape: str) -> None:
    with pytest.raises(GeospotError, match="not a finite number in row 1: mend"):
        read_points(frame([shapely.from_wkt(shape), shapely.Point(0, 0)]))


def test_what_gdal_says_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyogrio

    real = pyogrio.read_arrow

    def warning(*arguments: Any, **options: Any) -> Any:
        warnings.warn("a shape is\nunknown", RuntimeWarning, stacklevel=2)
        return real(*arguments, **options)

    monkeypatch.setattr(pyogrio, "read_arrow", warning)
    path = by_driver(".gpkg")(tmp_path)
    read_table(path)
    assert caplog.messages == [f"{path}: a shape is unknown"]


# --- GDAL is not led elsewhere


def test_a_pipeline_of_gdal_is_refused(tmp_path: Path) -> None:
    secret = as_text("secret.geojson", COLLECTION)(tmp_path)
    said = {"type": "gdal_streamed_alg", "command_line": f"gdal vector convert {secret} streamed"}
    path = as_text("p.geojson", json.dumps(said))(tmp_path)
    with pytest.raises(GeospotError, match=r"cannot be read \(no GeoJSON\): it names other files"):
        read_table(path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (
            {
                "displayFieldName": "",
                "geometryType": "esriGeometryPoint",
                "features": [{"attributes": {"a": 1}, "geometry": {"x": 1, "y": 2}}],
            },
            "is ESRIJSON: convert it to GeoPackage or GeoJSON",
        ),
        ({"type": "Topology", "objects": {}, "arcs": []}, "(is TopoJSON|cannot be read)"),
        ({"a": 1}, "is JSON, but no GeoJSON: write features, or a list of records"),
    ],
)
def test_other_json(content: object, kind: str, tmp_path: Path) -> None:
    path = as_text("p.json", json.dumps(content))(tmp_path)
    with pytest.raises(GeospotError, match=kind):
        read_table(path)


@pytest.mark.parametrize("table", ["VirtualOGR('/x.shp')", "VirtualShape('/x', UTF-8, 4326)"])
def test_a_geopackage_that_reads_from_elsewhere_is_refused(table: str, tmp_path: Path) -> None:
    path = by_driver(".gpkg")(tmp_path)
    database = sqlite3.connect(path)
    database.execute("pragma writable_schema = on")
    database.execute(
        "insert into sqlite_master values ('table', 'other', 'other', 0, ?)",
        (f"CREATE  VIRTUAL TABLE other USING {table}",),
    )
    database.commit()
    database.close()
    with pytest.raises(GeospotError, match="holds a table that reads from elsewhere: save its"):
        read_table(path)


def test_a_geopackage_in_gzip(tmp_path: Path) -> None:
    path = by_driver(".gpkg")(tmp_path)
    (tmp_path / "p.gpkg.gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(GeospotError, match=r"p\.gpkg\.gz: is compressed by gzip: unpack it first"):
        read_table(tmp_path / "p.gpkg.gz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "is JSON that is no list of records: write one object for each point"),
        ("[]", "is JSON that is no list of records: write one object for each point"),
        ('{"a": 1}\n[2]', "is JSON that is no list of records: write one object for each point"),
        ('[{"a": 1}', r"cannot be read \(JSONDecodeError: "),
        (COLLECTION.replace("[10.5, 50.25]", '["east", "north"]'), "of feature 1 are text: write"),
    ],
)
def test_json_that_is_no_table(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(GeospotError, match=message) as error:
        read_table(as_text("p.json", content)(tmp_path))
    assert "\n" not in str(error.value)
