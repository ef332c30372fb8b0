"""Random convolutional features against their definition, written anew in NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.embedding import rcf
from tests.helpers.images import chip, noise, png

FILTERS = rcf.gaussian_filters(4, 3, seed=5)


def expected(image: NDArray[Any], filters: NDArray[Any]) -> NDArray[np.float64]:
    """Mean responses [2 k] of one image [bands, height, width]."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(1, 2))
    response = np.einsum("bhwij,kbij->khw", windows, filters) - 1.0
    both = np.maximum(response, 0), np.maximum(-response, 0)
    return np.concatenate([part.mean((1, 2)) for part in both])


@pytest.mark.parametrize("entries", [1 << 24, 50])
def test_features_are_mean_responses(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the strips are that an image is computed in, and the images beside it."""
    monkeypatch.setattr(rcf, "_MOST_ENTRIES", entries)
    generator = np.random.default_rng(0)
    sizes = [(9, 7), (3, 3), (9, 7), (20, 5)]
    images = [generator.random((3, *size)).astype(np.float32) for size in sizes]
    found = rcf.RandomConvolutions(FILTERS, "cpu").features(images)
    exact = [expected(image, FILTERS.numpy()) for image in images]
    np.testing.assert_allclose(found, exact, atol=1e-6)


def test_filters_are_drawn_by_seed_as_torchgeo_draws_them() -> None:
    generator = torch.Generator().manual_seed(7)
    theirs = torch.randn(8, 13, 3, 3, generator=generator)
    assert torch.equal(rcf.gaussian_filters(8, 13, seed=7), theirs)
    assert not torch.equal(rcf.gaussian_filters(8, 13, seed=8), theirs)


def test_whitening_is_that_of_mosaiks() -> None:
    patches = np.random.default_rng(0).random((40, 3, 3, 3)).astype(np.float32)
    flat = patches.reshape(40, 27).astype(float)
    flat -= flat.mean(1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    values, vectors = np.linalg.eig(flat.T @ flat / 40)
    zca = vectors @ np.diag((values + 0.001) ** -0.5) @ vectors.T
    np.testing.assert_allclose(
        rcf.whitened(patches).reshape(40, 27), flat @ zca @ zca.T, rtol=1e-3, atol=1e-3
    )
    assert np.isfinite(rcf.whitened(np.ones((4, 1, 3, 3)))).all()


def test_empirical_filters_are_patches_of_the_images() -> None:
    images = [np.random.default_rng(k).random((2, 4 + k, 5)) for k in range(6)]
    seen: list[int] = []

    def read(chosen: Any) -> Any:
        seen.extend(chosen)
        return (images[k] for k in chosen)

    found = rcf.empirical_filters(10, 6, read, seed=1)
    assert found.shape == (10, 2, 3, 3)
    assert seen == sorted(set(seen))
    assert torch.equal(found, rcf.empirical_filters(10, 6, read, seed=1))
    assert not torch.equal(found, rcf.empirical_filters(10, 6, read, seed=2))


def model(by: gs.Images, *items: Any) -> Any:
    return by.open(lambda: iter(items), "cpu")


def test_pixels_are_scaled_by_their_type(tmp_path: Path) -> None:
    bands = np.random.default_rng(0).integers(0, 10_000, (13, 8, 9), np.uint16)
    path = chip(tmp_path / "s2.tif", bands)
    with pytest.raises(gs.GeospotError, match=r"s2\.tif: has pixels of uint16: say what they are"):
        model(gs.Images(), path)
    scaled = model(gs.Images(features=6, scale=10_000), path)
    filters = rcf.gaussian_filters(3, 13, seed=0).numpy()
    found = scaled.features([scaled.load(path)])
    np.testing.assert_allclose(found[0], expected(bands / 10_000, filters), atol=1e-5)
    assert scaled.version.endswith("-10000")
    floating = chip(tmp_path / "f.tif", (bands / 10_000).astype(np.float32))
    same = model(gs.Images(features=6), floating)
    np.testing.assert_allclose(same.features([same.load(floating)]), found, atol=1e-6)
    picture = noise(6, 7)
    coloured = model(gs.Images(features=6), png(picture))
    eight = coloured.features([coloured.load(png(picture))])
    filters = rcf.gaussian_filters(3, 3, seed=0).numpy()
    np.testing.assert_allclose(eight[0], expected(picture.transpose(2, 0, 1) / 255, filters), 1e-4)


def test_the_version_names_all_that_features_depend_on() -> None:
    item = png(noise(8, 8))
    others: list[dict[str, Any]] = [
        *({}, {"seed": 1}, {"features": 64}, {"mode": "empirical"}, {"scale": 200.0}),
    ]
    versions = {model(gs.Images(**other), item).version for other in others}
    assert len(versions) == len(others)
    assert model(gs.Images(), item).version == model(gs.Images(), png(noise(9, 9, 3))).version


def test_an_image_that_cannot_be_read_gives_no_filters() -> None:
    items = [b"broken", png(noise(8, 8)), b"broken", png(noise(8, 8, 1))]
    assert model(gs.Images(mode="empirical"), *items).version.startswith("rcf-empirical-512-")
    with pytest.raises(gs.GeospotError, match=r"model=rcf: there is no image that can be read"):
        model(gs.Images(), b"broken")
