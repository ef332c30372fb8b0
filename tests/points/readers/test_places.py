"""Where points of a table are: columns by name, columns of geometries, reference systems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers import read_points

LON, LAT = [10.5, -77.25, 178.5], [50.25, -12.0, -18.125]
FRAME = pd.DataFrame({"iso": ["NA", "PE", "FJ"], "lon": LON, "lat": LAT})


# --- columns


@pytest.mark.parametrize(
    ("lon", "lat"),
    [
        ("decimalLongitude", "decimalLatitude"),
        ("longitude_deg", "latitude_deg"),
        ("LONGNUM", "LATNUM"),
        ("centre_lon", "centre_lat"),
        ("location-long", "location-lat"),
        ("geo_lon", "geo_lat"),
        ("GPS Longitude", "GPS Latitude"),
        ("Längengrad", "Breitengrad"),
        ("Laenge", "Breite"),
        ("geogr. Länge", "geogr. Breite"),
        ("Longitud", "Latitud"),
        ("longitudine", "latitudine"),
        ("lng", "latitude"),
        ("INTPTLONG", "INTPTLAT"),
        ("Longitude [degrees_east]", "Latitude [degrees_north]"),
        ("Longitude [°E]", "Latitude [°N]"),
        ("POINT_X", "POINT_Y"),
        ("X", "Y"),
    ],
)
def test_names_of_coordinates(
    lon: str, lat: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame = FRAME.rename(columns={"lon": lon, "lat": lat})
    for points in (read_points(frame), read_points(frame.iloc[:, ::-1])):
        assert (points.lon.tolist(), points.lat.tolist()) == (LON, LAT)
    assert not caplog.messages


def test_boxes_of_pictures_are_no_coordinates(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"x": [0.1, 0.2], "y": [0.3, 0.4]})
    frame["decimalLongitude"], frame["decimalLatitude"] = [1, 2], [3, 4]
    assert read_points(frame).lon.tolist() == [1, 2]
    assert "took column 'decimalLongitude' for lon, not 'x'" in caplog.text
    caplog.clear()
    assert read_points(frame[["x", "y"]]).lon.tolist() == [0.1, 0.2]
    assert "table: x and y lie in 0 to 1, as boxes in pictures do: name columns" in caplog.text
    frame = frame[["x", "y"]].assign(geometry=["POINT (5 6)", "POINT (7 8)"])
    assert read_points(frame).lon.tolist() == [5, 7]


def test_eastings_beside_degrees_are_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    points = read_points(FRAME.assign(easting=[5e5, 6e5, 7e5], northing=[1e6, 2e6, 3e6]))
    assert points.lon.tolist() == LON
    assert not caplog.messages


def test_the_other_coordinate_of_one_that_is_named() -> None:
    frame = FRAME.assign(decimalLongitude=[1, 2, 3], decimalLatitude=[4, 5, 6])
    points = read_points(frame, lon="decimalLongitude")
    assert (points.lon.tolist(), points.lat.tolist()) == ([1, 2, 3], [4, 5, 6])
    points = read_points(frame, lat="lat")
    assert (points.lon.tolist(), points.lat.tolist()) == (LON, LAT)


def wkt() -> list[str]:
    return [f"POINT ({x} {y})" for x, y in zip(LON, LAT, strict=True)]


def geojson() -> list[str]:
    return [
        json.dumps({"type": "Point", "coordinates": [x, y]}) for x, y in zip(LON, LAT, strict=True)
    ]


def wkb(*, hex: bool = False, srid: int | None = None) -> list[Any]:
    shapely = pytest.importorskip("shapely")
    shapes = shapely.points(LON, LAT)
    if srid is not None:
        shapes = shapely.set_srid(shapes, srid)
    found: list[Any] = shapely.to_wkb(shapes, hex=hex, include_srid=srid is not None).tolist()
    return found


def shapely_points(x: Any, y: Any) -> Any:
    shapely = pytest.importorskip("shapely")

    return shapely.points(x, y)


def pairs(form: str) -> list[str]:
    return [form.format(x=x, y=y) for x, y in zip(LON, LAT, strict=True)]


@pytest.mark.parametrize(
    ("name", "cells", "said"),
    [
        ("geometry", wkt, ""),
        ("WKT", lambda: [f"SRID=4326;{text}" for text in wkt()], ""),
        ("the_geom", lambda: [text.lower().replace(")", " 1)") for text in wkt()], ""),
        ("geometry", wkb, ""),
        ("geom", lambda: wkb(hex=True, srid=4326), ""),
        (".geo", geojson, ""),
        ("geo", lambda: [json.loads(text) for text in geojson()], ""),
        ("coordinates", lambda: pairs("{x}, {y}"), "took column 'coordinates' for pairs of longi"),
        ("location", lambda: pairs("({y}; {x})"), "'location' for pairs of latitude, longitude"),
        ("lon_lat", lambda: pairs("{x} {y}"), ""),
        ("lat, lon", lambda: pairs("{y},{x}"), ""),
        ("LatLng", lambda: [[y, x] for x, y in zip(LON, LAT, strict=True)], ""),
        ("coords", lambda: [{"lng": x, "lat": y} for x, y in zip(LON, LAT, strict=True)], ""),
        ("geo_point_2d", lambda: pairs("{y}, {x}"), ""),
        ("where", lambda: [{"lon": x, "lat": y} for x, y in zip(LON, LAT, strict=True)], ""),
        ("geometry", lambda: shapely_points(LON, LAT), ""),
    ],
)  # fmt: skip
def test_a_column_that_holds_places(
    name: str, cells: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("geopandas")
    points = read_points(pd.DataFrame({"iso": FRAME["iso"], name: cells()}))
    np.testing.assert_allclose(np.column_stack([points.lon, points.lat]).T, [LON, LAT])
    assert points.attributes.columns.tolist() == ["iso"]
    assert said in caplog.text if said else not caplog.messages


def test_the_compass_tells_latitude_from_longitude() -> None:
    pytest.importorskip("geopandas")
    points = read_points(pd.DataFrame({"gps": ["50°15'N, 10°30'E", "12°S, 77.25°W"]}))
    assert points.lon.tolist() == [10.5, -77.25]
    assert points.lat.tolist() == [50.25, -12]


def test_wkt_in_a_projection() -> None:
    pytest.importorskip("geopandas")
    place = "POINT (1168854.65 6491135.43)"
    for cells in ([f"SRID=3857;{place}"], [None, f"SRID=3857;{place}"]):
        points = read_points(pd.DataFrame({"wkt": cells}), invalid="drop")
        np.testing.assert_allclose(points.lon, [10.5], atol=1e-6)
    frame = pd.DataFrame({"wkt": [place]})
    with pytest.raises(GeospotError, match=r"are no degrees .* points\.crs="):
        read_points(frame)
    np.testing.assert_allclose(read_points(frame, crs="EPSG:3857").lon, [10.5], atol=1e-6)


def test_geometries_of_different_systems() -> None:
    pytest.importorskip("geopandas")
    cells = ["SRID=4326;POINT (1 2)", None, "SRID=3857;POINT (3 4)"]
    with pytest.raises(GeospotError, match=r"reference systems \(SRID 3857, 4326\): reproject"):
        read_points(pd.DataFrame({"wkt": cells}))


def test_geometries_of_geopandas_in_a_plain_frame() -> None:
    geopandas = pytest.importorskip("geopandas")
    shapes = geopandas.GeoSeries(shapely_points(LON, LAT), crs=4326).to_crs(3857)
    plain = pd.DataFrame({"geometry": shapes})
    np.testing.assert_allclose(read_points(plain).lon, LON)


def test_a_name_that_occurs_twice_is_said(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("lon,lat,lat\n1,2,3\n")
    assert read_points(tmp_path / "t.csv").lat.tolist() == [2]
    assert "took column 'lat' for lat, not 'lat.1'" in caplog.text


def test_places_that_are_missing_or_broken() -> None:
    pytest.importorskip("geopandas")
    frame = pd.DataFrame({"wkt": ["POINT (1 2)", None, "POINT (3 4)"]})
    with pytest.raises(GeospotError, match="not a finite number in row 2: mend"):
        read_points(frame)
    assert read_points(frame, invalid="drop").lon.tolist() == [1, 3]
    frame.loc[1, "wkt"] = "POINT (1"
    with pytest.raises(GeospotError, match="column 'wkt' holds geometries, but not in every row"):
        read_points(frame)


def test_a_column_of_addresses_is_no_place() -> None:
    frame = pd.DataFrame({"location": ["12 Main St", "Oslo"], "point": [1, 2]})
    with pytest.raises(GeospotError, match=r"no lon column found .* there are: location, point"):
        read_points(frame)


# --- reference systems


def utm(zone: int = 32632) -> pd.DataFrame:
    geopandas = pytest.importorskip("geopandas")
    shapes = geopandas.GeoSeries.from_xy([9.0, 10.5], [50.0, 51.0], crs=4326).to_crs(zone)
    return pd.DataFrame({"x": shapes.x, "y": shapes.y})


def test_projected_coordinates_are_recognised(caplog: pytest.LogCaptureFixture) -> None:
    message = r"table: coordinates such as 500000, 55\d+\.\d+ are no degrees .* points\.crs=EPSG:3"
    with pytest.raises(GeospotError, match=message):
        read_points(utm())
    points = read_points(utm(), crs="EPSG:32632")
    np.testing.assert_allclose(points.lon, [9.0, 10.5], atol=1e-9)
    np.testing.assert_allclose(points.lat, [50.0, 51.0], atol=1e-9)
    assert caplog.messages == ["table: reprojected from EPSG:32632 to WGS84"]


def test_a_few_numbers_that_are_no_degrees_are_mistakes() -> None:
    geopandas = pytest.importorskip("geopandas")
    frame = pd.DataFrame({"lon": [1.0, 2.0, -9999.0], "lat": [3.0, 4.0, -9999.0]})
    shapes = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(frame["lon"], frame["lat"]))
    for table in (frame, shapes):
        with pytest.raises(GeospotError, match=r"latitude outside \[-90, 90\] in row 3: mend"):
            read_points(table)


def test_a_projection_of_a_file(tmp_path: Path) -> None:
    utm().assign(r=["a", "b"]).to_csv(tmp_path / "utm.csv", sep=";", decimal=",", index=False)
    regions = gs.Regions.from_table(
        tmp_path / "utm.csv", region="r", crs="EPSG:32632", encoder="none"
    )
    assert regions.names == ("a", "b")


@pytest.mark.parametrize("crs", ["EPSG:1", "zone 32", ""])
def test_systems_that_do_not_exist(crs: str) -> None:
    with pytest.raises(GeospotError, match=r"points\.crs='.*' is no coordinate reference system: "):
        read_points(utm(), crs=crs)


def test_a_projection_of_degrees() -> None:
    pytest.importorskip("geopandas")
    with pytest.raises(GeospotError, match=r"10\.5, 50\.25 are degrees, not .*EPSG:3857: leave"):
        read_points(FRAME.assign(lon=LON, lat=LAT), crs="EPSG:3857")


def test_a_system_of_degrees_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("geopandas")
    assert read_points(FRAME, crs="EPSG:4326").lon.tolist() == LON
    assert not caplog.messages


def swapped() -> pd.DataFrame:
    """Places in Italy, whose coordinates lie in the sea and the desert the other way round."""
    generator = np.random.default_rng(0)
    places = generator.normal((11.0, 45.5), 0.7, (50, 2))
    return pd.DataFrame({"lat": places[:, 0], "lon": places[:, 1]})


@pytest.mark.slow
def test_swapped_coordinates_are_said(caplog: pytest.LogCaptureFixture) -> None:
    assert len(read_points(swapped())) == 50
    assert "table: longitude and latitude may be swapped (these places are far" in caplog.text
    caplog.clear()
    read_points(swapped(), lon="lat", lat="lon")
    assert not caplog.messages


def test_swapped_coordinates_that_cannot_be() -> None:
    frame = pd.DataFrame({"lat": [139.7, 135.5, 20.0], "lon": [35.7, 34.7, 30.0]})
    with pytest.raises(
        GeospotError, match=r"most latitudes are outside .*: they are swapped: name"
    ):
        read_points(frame)
