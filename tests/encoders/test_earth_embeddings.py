"""AlphaEarth, TESSERA and Copernicus-Embed, in the layouts that they are published in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio.warp
import torch
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.encoders.raster.presets import PRESETS
from geospot_gpu.errors import GeospotError
from geospot_gpu.points import Points
from tests.helpers.commands import Geospot
from tests.helpers.rasters import copernicus, save_alphaearth, save_tessera, save_tiff

UTM, ZONE = (10.0, 0.0, 440_000.0, 0.0, 10.0, 5_400_000.0), "EPSG:32631"


def unit(values: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = values / np.linalg.norm(values, axis=-1, keepdims=True)
    return found


def encode(encoder: gs.Raster, lon: Any, lat: Any) -> NDArray[np.float32]:
    points = Points.build(lon=lon, lat=lat, origin="p.csv")
    return encoder.encode(points, np.arange(len(points)), "cpu")


def centres(transform: Any, crs: str, rows: Any, columns: Any) -> tuple[Any, Any]:
    """Longitudes and latitudes of pixels."""
    a, _, c, _, e, f = transform
    x, y = c + a * (np.array(columns) + 0.5), f + e * (np.array(rows) + 0.5)
    lon, lat = rasterio.warp.transform(crs, "EPSG:4326", x, y)
    return lon, lat


def test_alphaearth(tmp_path: Path) -> None:
    values = save_alphaearth(tmp_path / "2024" / "31N" / "x0.tiff", UTM, ZONE)
    rows, columns = [0, 7, 39, 39], [1, 22, 39, 2]
    stored = values[:, rows, columns].T.astype(float)
    expected = unit(np.sign(stored) * (np.abs(stored) / 127.5) ** 2)
    place = centres(UTM, ZONE, rows, columns)
    encoder = gs.Raster(tmp_path / "2024", preset="alphaearth")
    np.testing.assert_allclose(encode(encoder, *place), expected, atol=1e-6)
    some = gs.Raster(tmp_path / "2024", preset="alphaearth", bands=["A05", "A63"])
    np.testing.assert_allclose(encode(some, *place), unit(expected[:, [5, 63]]), atol=1e-6)
    with pytest.raises(GeospotError, match=r"row 1 .* lies on an empty pixel of .*: 1 of 1 on emp"):
        encode(encoder, *centres(UTM, ZONE, [3], [0]))


def test_alphaearth_as_earth_engine_exports_it(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(64, 20, 20))
    values[:, 4, 4] = np.nan
    save_tiff(tmp_path / "export.tif", values, UTM, ZONE)
    encoder = gs.Raster(tmp_path / "export.tif", preset="alphaearth")
    found = encode(encoder, *centres(UTM, ZONE, [2], [3]))
    np.testing.assert_allclose(found, unit(values[:, 2, 3])[None], atol=1e-6)
    with pytest.raises(GeospotError, match=r"lies on an empty pixel"):
        encode(encoder, *centres(UTM, ZONE, [4], [4]))


def test_tessera(tmp_path: Path) -> None:
    down = (10.0, 0.0, 440_000.0, 0.0, -10.0, 5_400_000.0)
    expected = save_tessera(tmp_path, 2.15, 48.75, down, ZONE)
    encoder = gs.Raster(tmp_path, preset="tessera")
    place = centres(down, ZONE, [1, 29, 12], [0, 19, 5])
    found = encode(encoder, *place)
    np.testing.assert_allclose(found, unit(expected[[1, 29, 12], [0, 19, 5]]), atol=1e-6)
    with pytest.raises(GeospotError, match=r"lies on an empty pixel"):  # water has no scale
        encode(encoder, *centres(down, ZONE, [0], [5]))
    (file,) = (one for one in tmp_path.rglob("grid_2.15_48.75.npy") if "scales" not in one.name)
    np.testing.assert_array_equal(encode(gs.Raster(file, preset="tessera"), *place), found)
    scales = file.with_name("grid_2.15_48.75_scales.npy")
    np.save(scales, np.repeat(np.load(scales)[:, :, None], 128, axis=2))
    np.testing.assert_array_equal(encode(gs.Raster(tmp_path, preset="tessera"), *place), found)
    some = encode(gs.Raster(tmp_path, preset="tessera", bands=[128]), *place)
    np.testing.assert_array_equal(some, np.sign(found[:, 127:]))


def test_tessera_as_geotiff(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(128, 20, 20)).astype(np.float32)
    save_tiff(tmp_path / "2024" / "grid_2.15_48.75_2024.tiff", values, UTM, ZONE)
    found = encode(gs.Raster(tmp_path, preset="tessera"), *centres(UTM, ZONE, [2], [3]))
    np.testing.assert_allclose(found, unit(values[:, 2, 3])[None], atol=1e-6)


def test_tessera_that_is_not_whole(tmp_path: Path) -> None:
    down = (10.0, 0.0, 440_000.0, 0.0, -10.0, 5_400_000.0)
    save_tessera(tmp_path, 2.15, 48.75, down, ZONE)
    save_tessera(tmp_path, 2.15, 48.75, down, ZONE, year=2023)
    with pytest.raises(
        GeospotError, match=r"2023/.*\.npy and .*2024/.*\.npy are of the same pixel"
    ):
        encode(gs.Raster(tmp_path, preset="tessera"), [2.0], [48.0])
    tile = tmp_path / "global_0.1_degree_representation" / "2024"
    scales = next(tile.rglob("*_scales.npy"))
    np.save(scales, np.ones((30, 19)))
    with pytest.raises(
        GeospotError, match=r"_scales\.npy: is of shape \(30, 19\), and .*\.tiff of"
    ):
        encode(gs.Raster(tile, preset="tessera"), [2.0], [48.0])
    scales.write_bytes(b"broken")
    with pytest.raises(GeospotError, match=r"_scales\.npy: cannot be read \("):
        encode(gs.Raster(tile, preset="tessera"), [2.0], [48.0])
    scales.unlink()
    with pytest.raises(GeospotError, match=r"_scales\.npy: there is no such file"):
        encode(gs.Raster(tile, preset="tessera"), [2.0], [48.0])
    np.save(scales, np.ones((30, 20)))
    next(tmp_path.rglob("*.tiff")).unlink()
    with pytest.raises(
        GeospotError, match=r"where it lies says grid_2\.15_48\.75\.tiff, which is n"
    ):
        encode(gs.Raster(tile, preset="tessera"), [2.0], [48.0])


@pytest.mark.parametrize("kind", ["npy", "npz", "packed.npz", "pt", "tif"])
def test_copernicus(kind: str, tmp_path: Path) -> None:
    values = copernicus()
    path = tmp_path / f"embed_map_310k.{kind}"
    if kind == "npy":
        np.save(path, values)
    elif kind == "npz":
        np.savez(path, values)
    elif kind == "packed.npz":
        np.savez_compressed(path, embed=values)
    elif kind == "pt":
        torch.save(torch.from_numpy(values), path)
    else:
        bands = np.moveaxis(values, 2, 0)
        save_tiff(path, bands, (22.5, 0.0, -191.25, 0.0, -22.5, 101.25))
    lon, lat = [-180, 179.0, 0, 11.2, 2, 100.0], [0, 0, 0, 11.2, 90, -90]
    encoder = gs.Raster(path, preset="copernicus")
    found = encode(encoder, lon, lat)
    expected = unit(values[[4, 4, 4, 4, 0, 8], [0, 0, 8, 8, 8, 12]])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(
        GeospotError, match=r"row 2 .* lies on an empty pixel of .*: 1 of 2 on empt"
    ):
        encode(encoder, [0, 0], [0, 45])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.npy",
            np.ones((3, 5, 768)),
            r"a\.npy: is of shape \(3, 5, 768\): give rows from pole to",
        ),
        (
            "a.npy",
            np.ones((3, 4, 9)),
            r"a\.npy: has 9 bands, and encoder\.preset=copernicus 768: l",
        ),
        ("a.npy", np.array(["text"]), r"a\.npy: is no array of numbers"),
        (
            "a.npz",
            {"a": np.ones(2), "b": np.ones(2)},
            r"a\.npz: holds no array arr_0; there are: a",
        ),
        ("a.npz", {"a": np.ones((3, 4, 2), object)}, r"is no plain array in rows: save it with np"),
        ("a.pt", [1.0], r"a\.pt: holds no tensor: save it with torch\.save"),
    ],
)
def test_maps_that_do_not_do(name: str, content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if isinstance(content, dict):
        np.savez(path, **content)
    elif isinstance(content, list):
        torch.save(content, path)
    else:
        np.save(path, content)
    with pytest.raises(GeospotError, match=message):
        encode(gs.Raster(path, preset="copernicus"), [0.0], [0.0])


def test_numbers_of_bands() -> None:
    assert {name: preset.bands for name, preset in PRESETS.items()} == {
        "alphaearth": 64,
        "tessera": 128,
        "copernicus": 768,
    }


@pytest.mark.slow
def test_a_sweep_of_a_raster(tmp_path: Path, geospot_here: Geospot) -> None:
    """A command with encoder=raster, whose run opens again where the files are gone."""
    np.save(tmp_path / "map.npy", copernicus())
    lon = np.arange(-175, 180, 30.0)
    table = pd.DataFrame({"lon": lon, "lat": [10, -40, 60] * 4, "r": list("aabb" * 3)})
    table.to_csv(tmp_path / "points.csv", index=False)
    done = geospot_here(
        "sweep", f"points.path={tmp_path / 'points.csv'}", "points=table", "points.region=r",
        "encoder=raster", f"encoder.path={tmp_path / 'map.npy'}", "encoder.preset=copernicus",
        f"out={tmp_path / 'run'}", "device=cpu", "regions.min_points=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["identity"]["encoder"] == "copernicus"
    assert manifest["config"]["encoder"]["bands"] is None
    assert gs.Run.open(tmp_path / "run").regions.names == ("a", "b")
