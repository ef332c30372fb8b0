"""Regions as a collection: some of them, one of them, their points, as other tools see them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import geospot_gpu as gs
from geospot_gpu.encoders import Encoder
from geospot_gpu.errors import GeospotError

NAMES = ["a", "b", "c", "d"]


@pytest.fixture
def regions() -> gs.Regions:
    generator = np.random.default_rng(0)
    names = np.repeat(NAMES, [5, 6, 7, 8])
    lon, lat = generator.uniform(-50, 50, (2, len(names)))
    features = generator.normal(size=(len(names), 3))
    return gs.Regions.from_points(
        lon=lon, lat=lat, region=names, features=features, max_points=6, seed=3
    )


def test_a_subset_has_the_same_points_features_and_identity(regions: gs.Regions) -> None:
    some = regions.subset(["d", "b"])
    assert some.names == ("d", "b")
    for name in some:
        k, j = regions.position(name), some.position(name)
        own, other = (slice(*r.offsets[i : i + 2]) for r, i in ((regions, k), (some, j)))
        for values in ("xyz", "weight", "square_weight", "features"):
            assert torch.equal(getattr(regions, values)[own], getattr(some, values)[other])
        assert regions.points_of(name).equals(some.points_of(name))
        for values in ("digests", "sources", "n_points", "n_available", "mass"):
            assert getattr(regions, values)[k] is getattr(some, values)[j] or (
                getattr(regions, values)[k] == getattr(some, values)[j]
            )
    pd.testing.assert_frame_equal(
        some.table(), regions.table().set_index("name").loc[["d", "b"]].reset_index()
    )


def test_distances_of_a_subset_are_those_of_the_whole(regions: gs.Regions) -> None:
    whole = gs.pairwise(regions, engine=gs.Engine(device="cpu"))
    some = gs.pairwise(regions.subset(["a", "d"]), engine=gs.Engine(device="cpu"))
    found = whole.divergence.sel(source="a", target="d").item()
    assert some.divergence.sel(source="a", target="d").item() == pytest.approx(found, abs=1e-6)


def test_nothing_is_encoded_anew(regions: gs.Regions, monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(*_: object) -> None:
        raise AssertionError("encoded")

    for kind in Encoder.__subclasses__():
        monkeypatch.setattr(kind, "encode", encode)
    assert len(regions.subset(NAMES)) == 4
    with pytest.raises(AssertionError, match="encoded"):
        regions.resampled(np.array([0]), 4)


def test_it_is_a_collection_of_names(regions: gs.Regions) -> None:
    assert list(regions) == NAMES
    assert " a " in regions
    assert "e" not in regions
    assert regions["c"].names == ("c",)
    assert len(regions["c"]) == 1
    assert regions.take([3, 0]).names == ("d", "a")


def test_mistakes(regions: gs.Regions) -> None:
    with pytest.raises(GeospotError, match=r"region=e is no region here"):
        regions["e"]
    with pytest.raises(GeospotError, match=r"names='ab' must be a list: \['ab'\]"):
        regions.subset("ab")
    with pytest.raises(GeospotError, match="named twice"):
        regions.subset(["a", "b", "a"])
    with pytest.raises(GeospotError, match="name one at least"):
        regions.subset([])
    with pytest.raises(GeospotError, match="positions must be from 0 to 3"):
        regions.take([4])
    with pytest.raises(GeospotError, match="by the regions of a whole table only"):
        regions["a"].account()


def test_its_picture_in_text_is_short(regions: gs.Regions) -> None:
    first, second = repr(regions).splitlines()
    assert first == (
        "<Regions: 4 of 23 points, 3 features each (precomputed), on cpu, at most 6 points of each>"
    )
    assert second == "a (5), b (6), c (6), d (6)"
    many = gs.Regions.from_points(lon=range(99), lat=[0] * 99, region=range(99))
    assert len(repr(many)) < 300
    assert "no features" in repr(many)
    assert repr(many).endswith(", ...")


def test_it_becomes_a_geodataframe(regions: gs.Regions) -> None:
    geopandas = pytest.importorskip("geopandas")
    frame = regions.to_geopandas()
    assert isinstance(frame, geopandas.GeoDataFrame)
    assert frame.crs == "EPSG:4326"
    assert frame.groupby("region").size().to_dict() == {"a": 5, "b": 6, "c": 6, "d": 6}
    np.testing.assert_allclose(frame.groupby("region")["weight"].sum(), 1.0)
    own = frame[frame["region"] == "b"]
    np.testing.assert_array_equal(own.geometry.x, regions.points_of("b")["lon"])
    back = gs.Regions.from_table(frame, region="region", weight="weight", encoder="none")
    assert back.sizes.tolist() == regions.sizes.tolist()
