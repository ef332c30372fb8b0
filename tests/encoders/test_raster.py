"""Vectors of pixels of GeoTIFFs, wherever on the Earth they lie."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.errors
import rasterio.transform
import rasterio.warp
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint as Point

import geospot_gpu as gs
from geospot_gpu.encoders.raster.grid import Grid
from geospot_gpu.encoders.raster.tile import blocks
from geospot_gpu.errors import GeospotError
from geospot_gpu.points import Points
from tests.helpers.rasters import Transform, save_tiff, vectors


def encode(encoder: gs.Raster, lon: Any, lat: Any, **options: Any) -> NDArray[np.float32]:
    points = Points.build(lon=lon, lat=lat, origin="p.csv", **options)
    return encoder.encode(points, np.arange(len(points)), "cpu")


def raw(path: Path, **settings: Any) -> gs.Raster:
    return gs.Raster(path, normalize=False, **settings)


GRIDS: dict[str, tuple[Transform, str]] = {
    "degrees": ((0.1, 0, 5.0, 0, -0.1, 52.0), "EPSG:4326"),
    "rows that go north": ((0.1, 0, 5.0, 0, 0.1, 48.0), "EPSG:4326"),
    "turned": ((0.07, 0.07, 5.0, 0.07, -0.07, 50.0), "EPSG:4326"),
    "metres": ((1000, 0, 480e3, 0, -1000, 5560e3), "EPSG:32631"),
    "over the antimeridian": ((1e4, 0, 0, 0, -1e4, 2e5), "EPSG:32601"),
    "over a pole": ((1e5, 0, -2e6, 0, -1e5, 2e6), "EPSG:3413"),
    "over the southern pole": ((1e5, 0, -2.5e6, 0, 1e5, -2e6), "EPSG:3031"),
    "longitudes to 360": ((8.5, 0, 10.0, 0, -4.0, 85.0), "EPSG:4326"),
}


def places(name: str, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places in and around a raster of 40 x 40 pixels."""
    (a, b, c, d, e, f), crs = GRIDS[name]
    columns, rows = np.random.default_rng(0).uniform(-8, 48, (2, count))
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    lon, lat = map(np.asarray, rasterio.warp.transform(crs, "EPSG:4326", x, y))
    there = np.isfinite(lon) & (np.abs(lat) <= 90)
    return (lon[there] + 180) % 360 - 180, lat[there]


@pytest.mark.parametrize("name", GRIDS)
def test_pixels_are_those_that_gdal_finds(name: str, tmp_path: Path) -> None:
    transform, crs = GRIDS[name]
    path = save_tiff(tmp_path / "t.tif", vectors(40, 40, 3), transform, crs)
    lon, lat = places(name, 300)
    inside = raw(path).usable(Points.build(lon=lon, lat=lat), np.arange(len(lon)))
    found = encode(raw(path), lon[inside], lat[inside])
    with rasterio.open(path) as file:
        x, y = rasterio.warp.transform("EPSG:4326", file.crs, lon, lat)
        if name == "longitudes to 360":
            x = np.mod(x, 360)
        expected = np.array(list(file.sample(zip(x, y, strict=True))))
        rows, columns = map(np.asarray, rasterio.transform.rowcol(file.transform, x, y))
    within = (rows >= 0) & (rows < 40) & (columns >= 0) & (columns < 40)
    assert 100 < within.sum() < len(lon)
    np.testing.assert_array_equal(inside, within)
    np.testing.assert_array_equal(found, expected[inside].astype(np.float32))


@pytest.mark.parametrize("name", GRIDS)
def test_bounds_hold_every_pixel(name: str) -> None:
    grid = Grid(GRIDS[name][1], GRIDS[name][0], 40, 40)
    lon, lat = places(name, 20_000)
    inside = grid.locate(lon, lat)[2]
    reached = grid.reaches(lon) & (lat >= grid.bounds.south) & (lat <= grid.bounds.north)
    assert inside.any()
    assert not (inside & ~reached).any()


def test_a_global_grid_has_no_seam_and_ends_at_the_poles(tmp_path: Path) -> None:
    values = vectors(9, 16, 2)  # pixels of 22.5 degrees, the first centred on -180 and 90
    path = save_tiff(tmp_path / "g.tif", values, (22.5, 0, -191.25, 0, -22.5, 101.25))
    lon = [-180, 179.9, 168.8, 168.7, 0, 11.2, -11.3, 33, 33]
    lat = [0, 0, 0, 0, 0, 11.2, -11.3, 90, -90]
    columns, rows = [0, 0, 0, 15, 8, 8, 7, 9, 9], [4, 4, 4, 4, 4, 4, 5, 0, 8]
    np.testing.assert_array_equal(encode(raw(path), lon, lat), values[:, rows, columns].T)
    edge = save_tiff(tmp_path / "e.tif", vectors(2, 4, 2), (90, 0, -180, 0, -90, 90))
    found = encode(raw(edge), [-180, -90, 179], [90, -90, -90])
    np.testing.assert_array_equal(found, vectors(2, 4, 2)[:, [0, 1, 1], [0, 1, 3]].T)


def test_a_block_is_read_once() -> None:
    rows, columns = np.random.default_rng(0).integers(0, 100, (2, 500))
    seen = []
    for index, down, along in blocks(rows, columns, 16, 32):
        keys = {*zip(rows[index] // 16, columns[index] // 32, strict=True)}
        assert len(keys) == 1
        assert (rows[index].min(), rows[index].max() + 1) == (down.start, down.stop)
        assert (columns[index].min(), columns[index].max() + 1) == (along.start, along.stop)
        seen += [*keys]
    assert len(seen) == len({*seen}) == 28
    assert not list(blocks(rows[:0], columns[:0], 16, 16))


def test_vectors_have_length_one_unless_told(tmp_path: Path) -> None:
    values = vectors(20, 20, 3)
    path = save_tiff(tmp_path / "t.tif", values, (1, 0, 0, 0, -1, 20))
    found = encode(gs.Raster(path), [0.5, 5.5], [0.5, 7.5])
    expected = values[:, [19, 12], [0, 5]].T
    np.testing.assert_allclose(
        found, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-6
    )
    features = gs.Raster(path).open(Points.build(lon=[0.5, 5.5], lat=[0.5, 7.5]), np.arange(2), "")
    np.testing.assert_array_equal(features[np.array([1])], found[1:])


def test_stored_values(tmp_path: Path) -> None:
    values = vectors(20, 20, 2, np.int16)
    values[:, 0, 0] = -1
    values[0, 0, 1] = -1
    place = (1, 0, 0, 0, -1, 20)
    said: dict[str, Any] = {"scales": [0.5, 0.1], "offsets": [1, 2]}
    path = save_tiff(tmp_path / "t.tif", values, place, nodata=-1, **said)
    found = encode(raw(path), [2.5, 5.5], [19.5, 3.5])
    expected = values[:, [0, 16], [2, 5]].T * np.array([0.5, 0.1]) + np.array([1, 2])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    own = encode(raw(path, scale=2, offset=-1), [5.5], [3.5])
    np.testing.assert_allclose(own, values[:, [16], [5]].T * 2.0 - 1)
    with pytest.raises(
        GeospotError, match=r"p\.csv: row 1 \(lon 0\.5, lat 19\.5\) lies on an empty"
    ):
        encode(raw(path), [0.5], [19.5])
    with pytest.raises(GeospotError, match="1 of 1 on empty pixels"):  # of one band alone
        encode(raw(path), [1.5], [19.5])
    nodata = int(values[0, 16, 5])
    values[1, 16, 5] = nodata
    path = save_tiff(tmp_path / "n.tif", values, place)
    with pytest.raises(GeospotError, match=r"lies on an empty pixel of .*n\.tif: 1 of 1 on empty"):
        encode(raw(path, nodata=nodata), [5.5], [3.5])


def test_where_0_is_no_value_it_may_still_be_a_band(tmp_path: Path) -> None:
    values = vectors(20, 20, 2)
    values[1, 0, 0] = values[:, 0, 1] = 0
    path = save_tiff(tmp_path / "t.tif", values, (1, 0, 0, 0, -1, 20), nodata=0)
    points = Points.build(lon=[0.5, 1.5], lat=[19.5, 19.5])
    assert raw(path).usable(points, np.arange(2)).tolist() == [True, False]


def test_masks_and_missing_values_are_empty(tmp_path: Path) -> None:
    values = vectors(20, 20, 2)
    values[1, 5, 5] = np.nan
    values[:, 6, 6] = 0
    mask = np.ones((20, 20), bool)
    mask[7, 7] = False
    path = save_tiff(tmp_path / "t.tif", values, (1, 0, 0, 0, -1, 20), mask=mask)
    points = Points.build(lon=[5.5, 6.5, 7.5, 8.5], lat=[14.5, 13.5, 12.5, 11.5])
    assert gs.Raster(path).usable(points, np.arange(4)).tolist() == [False, False, False, True]
    assert raw(path).usable(points, np.arange(4)).tolist() == [False, True, False, True]


def test_bands_by_name_or_number(tmp_path: Path) -> None:
    values = vectors(20, 20, 3)
    path = save_tiff(tmp_path / "t.tif", values, (1, 0, 0, 0, -1, 20), names=["red", "nir", "x"])
    found = encode(raw(path, bands=["x", 1]), [0.5], [19.5])
    np.testing.assert_array_equal(found[0], values[[2, 0], 0, 0])
    with pytest.raises(
        GeospotError, match=r"there is no band 'blue'; there are 3, counted from 1, c"
    ):
        encode(raw(path, bands=["blue"]), [0.5], [19.5])


def test_of_several_the_first_that_is_not_empty(tmp_path: Path) -> None:
    values = vectors(20, 20, 2)
    values[:, :, 10:] = np.nan
    save_tiff(tmp_path / "tiles" / "a" / "1.tif", values, (1, 0, 0, 0, -1, 20))
    other = vectors(20, 20, 2) + 200
    save_tiff(tmp_path / "tiles" / "b" / "2.TIF", other, (1e5, 0, 1e5, 0, -1e5, 2e6), "EPSG:3857")
    (tmp_path / "tiles" / "notes.txt").write_text("no raster")
    lon, lat = [5.5, 12.5, 18.0], [10.5, 10.5, 10.5]
    found = encode(raw(tmp_path / "tiles"), lon, lat)
    assert (found > 200).any(axis=1).tolist() == [False, True, True]
    np.testing.assert_array_equal(found, encode(raw(tmp_path / "tiles/*/*.*"), lon, lat))
    with pytest.raises(
        GeospotError, match=r"row 2 \(lon 50, lat 10\.5\) .*: 2 of 3 points lie outs"
    ):
        encode(raw(tmp_path / "tiles"), [5.5, 50, 60], [10.5, 10.5, 10.5])


@pytest.mark.parametrize(
    ("write", "settings", "message"),
    [
        (
            lambda p: None,
            {},
            r"tiles: there is no raster there: give one of \.tif, \.tiff, \.zarr$",
        ),
        (lambda p: np.save(p / "a.npy", np.ones(2)), {}, r"there is no raster there"),
        (lambda p: (p / "a.tif").write_text("text"), {}, r"a\.tif: cannot be read \("),
        (
            lambda p: save_tiff(p / "a.tif", vectors(9, 9, 1), (1, 0, 0, 0, -1, 9), None),
            {},
            r"a\.tif: has no coordinate reference system: name it with encoder\.crs=EPSG:",
        ),
        (
            lambda p: save_tiff(p / "a.tif", vectors(9, 9, 1), (1, 0, 0, 0, -1, 9), None),
            {"crs": "EPSG:0"},
            r"encoder\.crs='EPSG:0' is no coordinate reference system: use EPSG:",
        ),
        (
            lambda p: [
                save_tiff(p / f"{k}.tif", vectors(9, 9, k + 1), (1, 0, k, 0, -1, 9))
                for k in range(2)
            ],
            {},
            r"1\.tif has 2 bands and .*0\.tif 1: give rasters of one kind",
        ),
        (
            lambda p: [
                save_tiff(p / f"{k}" / "a.tif", vectors(9, 9, 1), (1, 0, 0, 0, -1, 9))
                for k in (2023, 2024)
            ],
            {},
            r"2023/a\.tif and .*2024/a\.tif are of the same pixels, as of two years or two",
        ),
        (
            lambda p: save_tiff(p / "a.tif", vectors(9, 9, 3), (1, 0, 0, 0, -1, 9)),
            {"preset": "alphaearth"},
            r"a\.tif: has 3 bands, and encoder\.preset=alphaearth 64: leave the preset out",
        ),
    ],
)
def test_what_cannot_be_sampled(
    write: Callable[[Path], Any], settings: Any, message: str, tmp_path: Path
) -> None:
    (tmp_path / "tiles").mkdir()
    write(tmp_path / "tiles")
    with pytest.raises(GeospotError, match=message) as error:
        encode(gs.Raster(tmp_path / "tiles", **settings), [0.5], [0.5])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"encoder=raster needs encoder\.path=\.\.\.: a GeoTIFF, a Zarr store or a folder of"),
        (
            {"path": "x", "preset": "clay"},
            r"encoder\.preset='clay' is unknown: use one of alphaear",
        ),
        (
            {"path": "x", "preset": "tessera", "scale": 2},
            r"encoder\.scale says how values are store",
        ),
        ({"path": "x", "nodata": "none"}, r"encoder\.nodata='none': give a number"),
    ],
)
def test_settings_that_do_not_do(settings: Any, message: str) -> None:
    with pytest.raises(GeospotError, match=message):
        gs.Raster(**settings)


def test_files_that_are_cut_off(tmp_path: Path) -> None:
    path = save_tiff(tmp_path / "t.tif", vectors(40, 40, 3), (1, 0, 0, 0, -1, 40), compress=None)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(GeospotError, match=r"t\.tif: cannot be read \("):
        encode(raw(path), [39.5], [0.5])


def test_bands_have_one_order(tmp_path: Path) -> None:
    values, folder = vectors(20, 20, 2), tmp_path / "tiles"
    for name, west, names in (("a.tif", 0, ["red", "nir"]), ("b.tif", 40, ["nir", "red"])):
        save_tiff(folder / name, values, (1, 0, west, 0, -1, 20), names=names)
    with pytest.raises(
        GeospotError, match=r"b\.tif has other bands than .*a\.tif, or in another order: name those"
    ):
        encode(raw(folder), [0.5], [19.5])
    found = encode(raw(folder, bands=["red"]), [0.5, 40.5], [19.5, 19.5])
    np.testing.assert_array_equal(found, values[:, :1, 0])


def test_files_without_a_grid_or_of_complex_numbers(tmp_path: Path) -> None:
    values, points = vectors(20, 20, 2), [Point(0, 0, 5, 52), Point(20, 0, 5, 50)]
    for name in ("plain.tif", "gcp.tif"):
        with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
            save_tiff(tmp_path / name, values, (1, 0, 0, 0, 1, 0))
    with rasterio.open(tmp_path / "gcp.tif", "r+") as file:
        file.gcps = [*points, Point(0, 20, 7, 52)], file.crs
    save_tiff(tmp_path / "c.tif", values.astype(np.complex64), (1, 0, 0, 0, -1, 20))
    for name, message in {
        "gcp.tif": "is placed by ground control points, and pixels cannot be found",
        "plain.tif": "says of no place, and pixels cannot be found by an affine map: warp it",
        "c.tif": "has complex numbers: save their parts, or amplitudes, as bands",
    }.items():
        with pytest.raises(GeospotError, match=message):
            encode(raw(tmp_path / name, crs="EPSG:4326"), [0.5], [19.5])


def test_no_points_have_no_vectors(tmp_path: Path) -> None:
    path = save_tiff(tmp_path / "t.tif", vectors(9, 9, 3), (1, 0, 0, 0, -1, 9))
    points = Points.build(lon=[1.0], lat=[1.0])
    assert gs.Raster(path).encode(points, np.arange(0), "cpu").shape == (0, 3)


def test_points_need_coordinates(tmp_path: Path) -> None:
    nowhere = Points.build(
        attributes=pd.DataFrame({"a": [1.0]}), origin="p.csv", lon=None, lat=None
    )
    for encoder in (gs.Raster(tmp_path), gs.NearestEmbedding(tmp_path)):
        with pytest.raises(
            GeospotError,
            match=rf"p\.csv: its points have no coordinates, .* {encoder.version} needs",
        ):
            encoder.encode(nowhere, np.arange(1), "cpu")


def test_no_array_without_a_place(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((3, 4, 2)))
    with pytest.raises(
        GeospotError, match=r"a\.npy: an array has no place on the Earth: name what"
    ):
        encode(gs.Raster(tmp_path / "a.npy"), [0.5], [0.5])


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(
        GeospotError,
        match=r"encoder=raster needs rasterio, which is missing .* install 'geospot_gpu\[raster\]'",
    ):
        gs.Raster("x.tif")


def test_points_that_lie_outside_are_dropped_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = vectors(20, 20, 2)
    values[:, 0] = np.nan
    path = save_tiff(tmp_path / "t.tif", values, (1, 0, 0, 0, -1, 20))
    points = Points.build(
        lon=[0.5, 50.0, 1.5, 2.5, 3.5], lat=[5.5, 5.5, 19.5, 5.5, 5.5], origin="p.csv",
        invalid="drop",
    )  # fmt: skip
    with caplog.at_level(logging.WARNING, "geospot_gpu"):
        regions = gs.Regions.from_groups(
            points, {"a": [0, 1, 2], "b": [3, 4]}, encoder=gs.Raster(path)
        )
    assert regions.sizes.tolist() == [1, 2]
    assert "p.csv: dropped 2 points without usable features: rows 2, 3" in caplog.text
    assert "t.tif: 1 of 5 points lie outside and 1 of 5 on empty pixels" in caplog.text
    assert regions.counts["unusable_features"] == 2


def test_regions_are_known_by_their_vectors(tmp_path: Path) -> None:
    values = vectors(20, 20, 2)
    place = (1, 0, 0, 0, -1, 20)
    points = Points.build(lon=[0.5, 5.5, 7.5], lat=[0.5, 7.5, 9.5])

    def digests(name: str) -> tuple[str, ...]:
        groups = {"a": [0, 1], "b": [2]}
        return gs.Regions.from_groups(points, groups, encoder=gs.Raster(tmp_path / name)).digests

    save_tiff(tmp_path / "a.tif", values, place)
    save_tiff(tmp_path / "b" / "c.tif", values, place, compress="none")
    assert digests("a.tif") == digests("b")
    values[0, 12, 5] += 1
    save_tiff(tmp_path / "d.tif", values, place)
    changed = digests("d.tif")
    assert changed[0] != digests("a.tif")[0]
    assert changed[1] == digests("a.tif")[1]
