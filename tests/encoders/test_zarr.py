"""Vectors of pixels of Zarr stores, as xarray writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.warp
import xarray as xr
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.errors import GeospotError
from geospot_gpu.points import Points
from tests.helpers.rasters import cube, vectors

# Text has no settled form in the third format of Zarr, and xarray writes names of bands as text.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have a Zarr V3 specification")


def encode(encoder: gs.Raster, lon: Any, lat: Any) -> NDArray[np.float32]:
    points = Points.build(lon=lon, lat=lat, origin="p.csv")
    return encoder.encode(points, np.arange(len(points)), "cpu")


def raw(path: Path, **settings: Any) -> gs.Raster:
    return gs.Raster(path, normalize=False, **settings)


X, Y = np.arange(24) * 0.5 + 3.25, 52.0 - np.arange(20) * 0.25
CENTRES = {"lon": X[[0, 5, 23]], "lat": Y[[0, 19, 7]]}


def save_zarr(array: Any, path: Path, version: Any = 3) -> Path:
    data = array if isinstance(array, xr.Dataset) else array.to_dataset()
    small = {"time": 1, "band": 2}
    encoding = {
        name: {"chunks": tuple(small.get(str(dim), 8) for dim in one.dims)}
        for name, one in data.data_vars.items()
    }
    data.to_zarr(path, zarr_format=version, consolidated=version == 2, encoding=encoding)
    return path


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("names", [("lat", "lon"), ("y", "x")])
def test_zarr_with_a_dimension_of_bands(
    version: int, names: tuple[str, str], tmp_path: Path
) -> None:
    values = vectors(20, 24, 5)
    data = cube(values, X, Y, names)
    path = save_zarr(data.transpose(names[1], "band", names[0]), tmp_path / "s.zarr", version)
    crs = None if names[1] == "lon" else "EPSG:4326"
    expected = values[:, [0, 19, 7], [0, 5, 23]].T
    for where in (path, tmp_path):
        np.testing.assert_array_equal(encode(raw(where, crs=crs), **CENTRES), expected)
    some = encode(raw(path, bands=["A03", 1], crs=crs), **CENTRES)
    np.testing.assert_array_equal(some, expected[:, [3, 0]])
    if crs:
        with pytest.raises(GeospotError, match=r"s\.zarr: has no coordinate reference system: na"):
            encode(raw(path), **CENTRES)


def test_zarr_with_a_variable_for_each_band(tmp_path: Path) -> None:
    """As xarray writes what Earth Engine gives, in metres, with values stored as int16."""
    values = vectors(20, 24, 3, np.int16)
    values[:, 0, 0] = -9
    x, y = 480_500.0 + 1000 * np.arange(24), 5_559_500.0 - 1000 * np.arange(20)
    crs = {"crs_wkt": rasterio.CRS.from_epsg(32631).to_wkt()}
    said = {"scale_factor": 0.5, "add_offset": 1.0, "_FillValue": -9, "grid_mapping": "utm"}
    data = xr.Dataset(
        {f"A{k}": (("time", "y", "x"), values[k][None], said) for k in range(3)},
        coords={"x": x, "y": y, "time": [0], "utm": ((), 0, crs)},
    )
    path = save_zarr(data, tmp_path / "s.zarr")
    lon, lat = rasterio.warp.transform("EPSG:32631", "EPSG:4326", x[[4, 23]], y[[19, 0]])
    expected = values[:, [19, 0], [4, 23]].T * 0.5 + 1
    np.testing.assert_allclose(encode(raw(path), lon, lat), expected)
    np.testing.assert_allclose(encode(raw(path, bands=["A2"]), lon, lat), expected[:, [2]])
    (lon,), (lat,) = rasterio.warp.transform("EPSG:32631", "EPSG:4326", x[:1], y[:1])
    with pytest.raises(GeospotError, match=r"on an empty pixel of .*s\.zarr: 1 of 1 on empty pix"):
        encode(raw(path), [lon], [lat])


def test_a_missing_value_is_none_in_any_band(tmp_path: Path) -> None:
    values = vectors(20, 24, 2)
    values[1, 0, 0] = values[0, 19, 23] = -9999
    said = {"missing_value": -9999.0}
    data = xr.Dataset(
        {f"A{k}": (("lat", "lon"), values[k], said) for k in range(2)}, coords={"lon": X, "lat": Y}
    )
    path = save_zarr(data, tmp_path / "s.zarr")
    points = Points.build(lon=[X[0], X[1], X[23]], lat=[Y[0], Y[0], Y[19]])
    assert raw(path).usable(points, np.arange(3)).tolist() == [False, True, False]


FOUR = xr.DataArray(np.ones((2, 2, 20, 24)), dims=("time", "band", "lat", "lon"))


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (
            xr.Dataset({"a": FOUR, "b": FOUR[0]}, coords={"lon": X, "lat": Y}),
            {},
            r"needs one array of bands, name it with encoder\.variable; there are: a \{'time': 2,",
        ),
        (
            xr.Dataset({"a": FOUR[0, 0]}, coords={"lon": X, "lat": Y}),
            {"variable": "c"},
            r"encoder\.variable='c' is no array of numbers over lat and lon; there are: a$",
        ),
        (
            xr.Dataset({"a": FOUR[0, 0]}, coords={"lon": X**2, "lat": Y}),
            {},
            r"coordinates of lon are not in even steps",
        ),
        (xr.Dataset({"a": FOUR[0, 0]}, coords={"lat": Y}), {}, r"lon has no coordinates: add them"),
        (
            xr.Dataset({"a": FOUR[0, 0].rename(lon="k")}),
            {},
            r"needs one dimension y or lat and one x or lon; there are lat, k",
        ),
    ],
)
def test_stores_that_do_not_do(
    data: xr.Dataset, settings: Any, message: str, tmp_path: Path
) -> None:
    data.to_zarr(tmp_path / "s.zarr", consolidated=False)
    with pytest.raises(GeospotError, match=message) as error:
        encode(raw(tmp_path / "s.zarr", **settings), **CENTRES)
    assert str(error.value).startswith(f"{tmp_path / 's.zarr'}: ")


def test_broken_stores(tmp_path: Path) -> None:
    path = save_zarr(cube(vectors(20, 24, 2), X, Y, ("lat", "lon")), tmp_path / "s.zarr")
    for chunk in path.glob("embedding/c/*/*/*"):
        chunk.write_bytes(b"broken")
    with pytest.raises(GeospotError, match=r"s\.zarr: cannot be read \("):
        encode(raw(path), **CENTRES)
    (path / "zarr.json").write_text("{")
    with pytest.raises(GeospotError, match=r"s\.zarr: cannot be read as Zarr \("):
        encode(raw(path), **CENTRES)
    (path / "embedding" / "zarr.json").write_text('{"codecs": [{"name": "numcodecs.pickle"}]}')
    with pytest.raises(
        GeospotError, match=r"zarr\.json: its chunks are pickles, which are not rea"
    ):
        encode(raw(path), **CENTRES)
