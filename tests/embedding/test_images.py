"""Cells that hold images, and files of all kinds."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

import geospot_gpu as gs
from geospot_gpu.embedding.base import Unusable
from geospot_gpu.embedding.pixels import picture, pixels
from tests.helpers.images import chip, noise, png

PICTURE = noise(5, 6)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1"])
def test_pictures_have_three_bands(mode: str) -> None:
    found = pixels(png(PICTURE, mode))
    assert found.shape == (3, 5, 6)
    assert found.dtype == np.uint8
    expected = Image.fromarray(PICTURE).convert(mode).convert("RGB")
    np.testing.assert_array_equal(found, np.asarray(expected).transpose(2, 0, 1))
    assert picture(png(PICTURE, mode)).tobytes() == expected.tobytes()


def test_bands_of_other_types_stay_as_they_are(tmp_path: Path) -> None:
    deep = np.arange(30, dtype=np.uint16).reshape(5, 6) * 1000
    np.testing.assert_array_equal(pixels(png(deep)), deep[None])
    bands = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    path = chip(tmp_path / "a.tif", bands)
    np.testing.assert_array_equal(pixels(path), bands)
    np.testing.assert_array_equal(pixels(path.read_bytes()), bands)
    with pytest.raises(Unusable, match="has 4 bands of float32, and the model wants RGB of 8 bits"):
        picture(path)


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="cannot be read"):
        pixels(png(PICTURE)[:90])
    with pytest.raises(Unusable, match="is no image of a kind that is known"):
        pixels(b"GIF?")
    with pytest.raises(Unusable, match="cannot be read"):
        pixels(b"II*\0nothing")
    with pytest.raises(Unusable, match="there is no such file"):
        pixels(tmp_path / "gone.png")
    empty = chip(tmp_path / "nan.tif", np.full((1, 5, 6), np.nan, np.float32))
    with pytest.raises(Unusable, match="has pixels without a value"):
        pixels(empty)


def test_nodata_is_no_value_but_0_may_be_one(tmp_path: Path) -> None:
    bands = np.arange(60, dtype=np.int16).reshape(2, 5, 6)
    for nodata, usable in ((-1, True), (0, True), (7, False)):
        path = chip(tmp_path / f"{nodata}.tif", bands)
        with rasterio.open(path, "r+") as file:
            file.nodata = nodata
        if usable:
            np.testing.assert_array_equal(pixels(path), bands)
        else:
            with pytest.raises(Unusable, match="has pixels without a value"):
                pixels(path)


def test_a_tiff_with_a_palette_is_a_picture() -> None:
    coloured, file = Image.fromarray(PICTURE).convert("P"), io.BytesIO()
    coloured.save(file, "TIFF")
    expected = np.asarray(coloured.convert("RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(pixels(file.getvalue()), expected)


def test_without_rasterio_plain_tiffs_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chips = chip(tmp_path / "bands.tif", np.ones((13, 5, 6), np.uint16))
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, "TIFF")
    monkeypatch.setitem(sys.modules, "rasterio", None)
    np.testing.assert_array_equal(pixels(file.getvalue()), PICTURE.transpose(2, 0, 1))
    with pytest.raises(gs.GeospotError, match=r"needs rasterio: .* 'geospot_gpu\[raster\]'"):
        pixels(chips)


@pytest.mark.parametrize("wrapped", [False, True])
def test_cells_name_files_or_hold_bytes(wrapped: bool, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    path = tmp_path / "photos" / "a.png"
    path.write_bytes(png(PICTURE))
    by = gs.Images(root=tmp_path / "photos")

    def item(value: Any, by: gs.Images = by) -> Any:
        name = "bytes" if isinstance(value, bytes) else "path"
        cell = {"bytes": None, "path": None, name: value} if wrapped else value
        return by.item((cell,), tmp_path)

    assert item("a.png") == path
    assert item(str(path)) == path
    assert item("photos/a.png", gs.Images()) == path
    assert item(b"abc") == b"abc"
    for missing in (None, "", " ", b"", float("nan")):
        with pytest.raises(Unusable, match="has no image"):
            item(missing)
    with pytest.raises(Unusable, match="there is no file"):
        item("b.png")
    with pytest.raises(Unusable, match=r"https://x\.org/a\.png is an address, and nothing is"):
        item("https://x.org/a.png")


def test_images_of_one_table_have_the_same_bands(tmp_path: Path) -> None:
    model = gs.Images().open(lambda: iter([png(PICTURE)]), "cpu")
    other = chip(tmp_path / "bands.tif", np.ones((13, 5, 6), np.uint8))
    with pytest.raises(Unusable, match="has 13 bands, and the first image has 3"):
        model.load(other)
    with pytest.raises(Unusable, match="is smaller than 3 x 3 pixels"):
        model.load(png(noise(2, 9)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "vgg"}, "embed.model='vgg' is unknown: use rcf, resnet50, timm/ARCH"),
        ({"model": "timm"}, "embed.model='timm' is unknown"),
        ({"model": "rcf/x"}, "embed.model='rcf/x' is unknown"),
        ({"model": "resnet50", "seed": 1}, r"embed\.seed=1 has no effect without embed\.model=rcf"),
        ({"model": "resnet50", "scale": 2}, r"embed\.scale=2.0 has no effect without"),
        ({"weights": "a.pth"}, r"embed\.weights=a\.pth has no effect with embed\.model=rcf"),
        ({"features": 7}, r"embed\.features=7 must be even: every filter gives two"),
        ({"features": 0}, r"embed\.features=0: give a whole number of 2 or more"),
        ({"mode": "other"}, r"embed\.mode='other' is unknown: use one of gaussian, empirical"),
        ({"scale": 0.0}, r"embed\.scale=0.0 must be positive"),
        ({"column": ["a", "b"]}, r"embed\.column: images are in one column: name one"),
        ({"batch": 0}, r"embed\.batch=0: give a whole number of 1 or more"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        gs.Images(**settings)
