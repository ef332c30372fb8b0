"""Folds that match deployment, and the distances that show it, against brute force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance
from sklearn.model_selection import KFold, ShuffleSplit

import geospot_gpu as gs
from geospot_gpu.validation.matching import clustered, match, merged
from geospot_gpu.validation.neighbours import Neighbours, nearest, nearest_elsewhere
from geospot_gpu.validation.samples import Located, located

KM = 6371.0088


def haversine(one: pd.DataFrame, other: pd.DataFrame) -> NDArray[np.float64]:
    lon, lat = np.radians(one[["lon", "lat"]].to_numpy()).T[:, :, None]
    lon_b, lat_b = np.radians(other[["lon", "lat"]].to_numpy()).T[:, None, :]
    half = np.sin((lat - lat_b) / 2) ** 2
    half = half + np.cos(lat) * np.cos(lat_b) * np.sin((lon - lon_b) / 2) ** 2
    return np.asarray(2 * KM * np.arcsin(np.sqrt(half)))


def everywhere(count: int, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {"lon": generator.uniform(170, 190, count) % 360, "lat": generator.uniform(40, 60, count)}
    )


def clusters(count: int, seed: int) -> pd.DataFrame:
    """Samples in a few tight clusters of the same area, over the antimeridian."""
    generator = np.random.default_rng(seed)
    at = everywhere(12, seed).to_numpy()[generator.integers(0, 12, count)]
    places = at + generator.normal(0, 0.2, (count, 2))
    return pd.DataFrame({"lon": places[:, 0] % 360, "lat": places[:, 1]})


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.integers(2, 150), st.sampled_from([1, 3, 12]), st.booleans())
def test_nearest_agree_with_brute_force(seed: int, count: int, size: int, twice: bool) -> None:
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(count, size)), generator.normal(size=(30, size))
    if twice:
        x[count // 2 :] = x[: count - count // 2]
    apart = cdist(x, x)
    fold = generator.permutation(np.arange(count) % 2)
    expected = np.where(fold[:, None] == fold, np.inf, apart).min(1)
    assert nearest(y, x) == pytest.approx(cdist(y, x).min(1))
    assert nearest_elsewhere(x, fold) == pytest.approx(expected)
    assert Neighbours.of(x).elsewhere(fold) == pytest.approx(expected)
    np.fill_diagonal(apart, np.inf)
    assert Neighbours.of(x).apart() == pytest.approx(apart.min(1))


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.integers(1, 30))
def test_clusters_are_those_of_the_tree(seed: int, count: int) -> None:
    x = np.random.default_rng(seed).normal(size=(30, 2))
    merges = linkage(x, "ward")
    found, expected = clustered(merges, count), cut_tree(merges, [count])[:, 0]
    assert len(set(zip(found, expected, strict=True))) == count == len(set(found))


def test_ties_leave_as_many_clusters_as_are_asked_for() -> None:
    merges = linkage(np.zeros((9, 2)), "ward")
    assert [len(set(clustered(merges, count))) for count in range(1, 10)] == [*range(1, 10)]


@given(st.lists(st.integers(1, 9), min_size=4, max_size=15), st.integers(2, 4), st.integers(0, 99))
def test_merging_follows_the_paper(sizes: list[int], n_splits: int, seed: int) -> None:
    """Large clusters stay alone, others are dealt out in order, and no fold is empty."""
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    along = np.random.default_rng(seed).permutation(len(sizes))[cluster].astype(float)
    fold = merged(cluster, along, n_splits)
    assert set(fold) == set(range(n_splits))
    large = [k for k, size in enumerate(sizes) if size * n_splits >= len(cluster)]
    for k in large:
        assert set(cluster[fold == fold[cluster == k][0]]) == {k}
    rest = sorted(set(range(len(sizes))) - set(large), key=lambda k: along[cluster == k][0])
    dealt = [int(fold[cluster == k][0]) for k in rest]
    left = n_splits - len(large)
    assert dealt == [len(large) + i % left for i in range(len(rest))]


def test_random_samples_get_random_folds() -> None:
    samples, deployment = everywhere(400, 0), everywhere(400, 1)
    places = located(samples, deployment, "geography", None, None)
    found = match(places, 5, 0.5, 0)
    assert found.clusters is None
    assert np.bincount(found.fold).tolist() == [80] * 5
    folds = [gs.KNNDM(deployment, 5, seed=seed).fold_of(samples) for seed in (0, 1)]
    assert np.array_equal(folds[0], found.fold)
    assert not np.array_equal(folds[0], folds[1])


def test_clustered_samples_are_separated() -> None:
    samples, deployment = clusters(400, 0), everywhere(400, 1)
    found = match(located(samples, deployment, "geography", None, None), 5, 0.5, 0)
    assert found.clusters is not None
    assert np.bincount(found.fold).max() <= 200
    wanted = haversine(deployment, samples).min(1)
    apart = haversine(samples, samples)
    between = np.where(found.fold[:, None] == found.fold, np.inf, apart).min(1)
    assert found.wasserstein == pytest.approx(wasserstein_distance(between, wanted), rel=1e-6)
    random = np.random.default_rng(0).permutation(np.arange(400) % 5)
    at_random = np.where(random[:, None] == random, np.inf, apart).min(1)
    assert found.wasserstein < 0.25 * wasserstein_distance(at_random, wanted)
    # No other number of clusters does better.
    places = located(samples, deployment, "geography", None, None)
    merges, x = linkage(places.samples, "ward"), places.samples - places.samples.mean(0)
    along = x @ np.linalg.svd(x)[2][0]
    for count in (5, 12, 50, 398):
        fold = merged(clustered(merges, count), along, 5)
        other = np.where(fold[:, None] == fold, np.inf, apart).min(1)
        assert found.wasserstein <= wasserstein_distance(other, wanted) * (1 + 1e-9)


@pytest.mark.parametrize("size", [2, 12])
def test_features_are_scaled_by_the_samples(size: int) -> None:
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(10, size))
    x = centres[generator.integers(0, 10, 200)] + generator.normal(0, 0.05, (200, size))
    y = generator.normal(size=(150, size))
    fold = gs.KNNDM(y, 4, by="features").fold_of(x)
    stretched = np.geomspace(1, 1e6, size)
    other = gs.KNNDM(y * stretched + 7, 4, by="features").fold_of(x * stretched + 7)
    assert np.array_equal(fold, other)
    found = gs.nearest_distances(x, y, folds=fold, by="features")
    mean, scale = x.mean(0), x.std(0)
    expected = cdist((y - mean) / scale, (x - mean) / scale).min(1)
    kinds = found.table.groupby("kind")["distance"]
    assert kinds.get_group("deployment to sample").to_numpy() == pytest.approx(expected)
    assert found.unit == "standard deviations"
    assert found.summary["wasserstein"]["fold to fold"] < (
        0.5 * found.summary["wasserstein"]["sample to sample"]
    )


def test_columns_are_taken_by_name_and_constant_ones_are_no_trouble() -> None:
    x = pd.DataFrame({"a": [1.0, 2, 3, 9], "b": [0.1] * 4})
    y = pd.DataFrame({"id": ["p", "q"], "b": [0.1, 0.1], "a": [1.0, 4]})
    found = located(x, y, "features", None, None)
    deviation = x["a"].std(ddof=0)
    assert found.deployment[:, 0] == pytest.approx((y["a"] - x["a"].mean()) / deviation)
    assert found.deployment[:, 1] == pytest.approx([0.0, 0.0])


def test_regions_are_places_of_deployment() -> None:
    generator = np.random.default_rng(0)
    y = everywhere(50, 1)
    features = generator.normal(size=(50, 3)).astype(np.float32)
    regions = gs.Regions.from_points(
        lon=y["lon"], lat=y["lat"], region=["a", "b"] * 25, features=features
    )
    x = clusters(60, 0)
    one, other = (gs.KNNDM(of, 3).fold_of(x) for of in (regions, y))
    assert np.array_equal(one, other)
    inputs = generator.normal(size=(60, 3))
    found = gs.nearest_distances(inputs, regions, by="features").summary
    assert regions.features is not None
    same = gs.nearest_distances(inputs, regions.features.numpy(), by="features").summary
    pd.testing.assert_frame_equal(found, same)


def test_the_three_distributions_agree_with_brute_force() -> None:
    samples, deployment = clusters(90, 3), everywhere(40, 4)
    fold = np.arange(90) % 3
    apart, wanted = haversine(samples, samples), haversine(deployment, samples).min(1)
    between = np.where(fold[:, None] == fold, np.inf, apart).min(1)
    np.fill_diagonal(apart, np.inf)
    found = gs.nearest_distances(samples, deployment, folds=fold)
    expected = {
        "sample to sample": apart.min(1), "fold to fold": between, "deployment to sample": wanted
    }  # fmt: skip
    assert list(found.summary.index) == list(expected)
    for kind, values in expected.items():
        of_kind = found.table.loc[found.table["kind"] == kind, "distance"].to_numpy()
        assert of_kind == pytest.approx(values, rel=1e-6, abs=1e-4)
        row = found.summary.loc[kind]
        assert row["n"] == len(values)
        assert row["median"] == pytest.approx(np.median(values), rel=1e-6)
        assert row["wasserstein"] == pytest.approx(
            wasserstein_distance(values, wanted), rel=1e-6, abs=1e-6
        )


def test_any_splitter_may_be_looked_at() -> None:
    samples, deployment = clusters(60, 3), everywhere(40, 4)
    fold = np.empty(60, int)
    for k, (_, test) in enumerate(KFold(3).split(samples)):
        fold[test] = k
    one = gs.nearest_distances(samples, deployment, folds=KFold(3))
    other = gs.nearest_distances(samples, deployment, folds=fold)
    pd.testing.assert_frame_equal(one.table, other.table)
    names = np.array(list("abcdef"))[np.arange(60) % 6]
    found = gs.nearest_distances(samples, deployment, folds=gs.RegionFolds(), groups=names)
    assert found.summary["n"]["fold to fold"] == 60


@pytest.mark.draws
def test_the_picture_shows_them(tmp_path: Path) -> None:
    samples = pd.concat([clusters(60, 3), clusters(60, 3)[:5]], ignore_index=True)  # some at 0 km
    found = gs.nearest_distances(samples, everywhere(40, 4), folds=KFold(3))
    gs.draw_nearest_distances(found, tmp_path / "distances.png")
    with Image.open(tmp_path / "distances.png") as picture:
        assert picture.size[0] > 800
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 50
    with pytest.raises(gs.GeospotError, match="distances is of type DataFrame: give a Nearest"):
        gs.draw_nearest_distances(found.table, tmp_path / "x.png")  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_example_of_the_docs_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "validation.md").read_text()
    monkeypatch.chdir(tmp_path)
    exec(page.split("```python\n")[1].split("```")[0], {})
    assert (tmp_path / "distances.png").exists()


X = np.random.default_rng(0).normal(size=(20, 2))
PLACES = everywhere(20, 0)
BARE = gs.Regions.from_points(lon=[0, 1], lat=[0, 0], region=["a", "b"])
UNKNOWN = gs.Regions.from_points(region=["a", "b"], features=np.eye(2, dtype=np.float32))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gs.KNNDM(PLACES, 0), "n_splits=0: give a whole number of 2 or more"),
        (
            lambda: gs.KNNDM(PLACES, 5, max_share=0.2),
            "max_share=0.2: with n_splits=5 give a share between 0.2 and 1, both excluded",
        ),
        (
            lambda: gs.KNNDM(PLACES, by="km"),  # type: ignore[arg-type]
            "by='km' is unknown: use one of geography, features",
        ),
        (lambda: gs.KNNDM(PLACES, seed=-1), "seed=-1: give a whole number of 0 or more"),
        (
            lambda: gs.KNNDM(PLACES, 5).fold_of(PLACES[:6]),
            "n_splits=5: there are too few samples (6): use fewer folds than samples, by two or "
            "more",
        ),
        (
            lambda: gs.KNNDM(PLACES).fold_of(pd.DataFrame({"lon": [1.0]})),
            "samples: table: ",
        ),
        (
            lambda: gs.KNNDM(X).fold_of(PLACES),
            "deployment of type ndarray have no named coordinates: give a table with columns ",
        ),
        (
            lambda: gs.KNNDM(UNKNOWN).fold_of(PLACES),
            "deployment: its points have no coordinates: use by='features'",
        ),
        (
            lambda: gs.KNNDM(BARE, by="features").fold_of(X),
            "deployment: its regions have no features: use by='geography'",
        ),
        (
            lambda: gs.KNNDM(pd.DataFrame({"a": [1.0]}), by="features").fold_of(
                pd.DataFrame({"a": [1.0], "b": [2.0]})
            ),
            "deployment has no column 'b', which the samples have: give both the same features",
        ),
        (
            lambda: gs.KNNDM(X[:, :1], by="features").fold_of(X),
            "deployment has 1 features and the samples 2: give both the same features",
        ),
        (
            lambda: gs.KNNDM(X, by="features").fold_of(X.astype(str)[:, :0].reshape(20, 0)),
            "samples: features (20, 0) must be a matrix: one row per sample",
        ),
        (
            lambda: gs.KNNDM(X, by="features").fold_of([["a"]]),
            "samples: features must be numbers (could not convert string to float: 'a')",
        ),
        (
            lambda: gs.KNNDM(X, by="features").fold_of(np.where(np.eye(20, 2) > 0, np.nan, X)),
            "samples: 2 of 20 rows have features that are missing or no finite number, as row 1: "
            "fill them in first",
        ),
        (
            lambda: gs.nearest_distances(PLACES[:1], PLACES),
            "samples: there is one alone: give two or more",
        ),
        (
            lambda: gs.nearest_distances(PLACES, PLACES, groups=[1] * 20),
            "groups: without folds they change nothing: give folds, too",
        ),
        (
            lambda: gs.nearest_distances(PLACES, PLACES, folds=[0] * 20, groups=[1] * 20),
            "groups are for a splitter: leave them out beside a fold each",
        ),
        (
            lambda: gs.nearest_distances(PLACES, PLACES, folds=[0]),
            "folds (1,) must be a splitter, or the fold of each of 20 samples",
        ),
        (
            lambda: gs.nearest_distances(PLACES, PLACES, folds="text"),
            "folds () must be a splitter, or the fold of each of 20 samples",
        ),
        (
            lambda: gs.nearest_distances(PLACES, PLACES, folds=KFold(30)),
            "folds: Cannot have number of splits n_splits=30 greater than the number of samples",
        ),
        (
            lambda: gs.nearest_distances(PLACES, PLACES, folds=[0] * 20),
            "folds: one fold has all samples: give two or more",
        ),
        (
            lambda: gs.nearest_distances(
                PLACES, PLACES, folds=ShuffleSplit(1, test_size=1, random_state=0)
            ),
            "folds test sample 1 0 times: use folds that test each sample once",
        ),
    ],
)
def test_messages(call: Any, message: str) -> None:
    with pytest.raises(gs.GeospotError) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_folds_that_are_all_too_large_are_refused() -> None:
    """Nearly all samples at one place, and deployment far away: one fold has them all."""
    lon = np.concatenate([np.zeros(60), [50.0, 80.0, 110.0]])
    places = Located(np.stack([lon, np.zeros(63)], 1), np.full((40, 2), 500.0), "features")
    with pytest.raises(gs.GeospotError) as caught:
        match(places, 2, 0.501, 0)
    assert str(caught.value) == (
        "max_share=0.501: all folds that were tried have one of more samples: use a larger one, "
        "or another n_splits"
    )
