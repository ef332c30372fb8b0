"""Splitters as scikit-learn takes them: each sample is tested once, whatever the folds are of."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, check_cv, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline

import geospot_gpu as gs
from geospot_gpu.validation.blocks import block_of
from geospot_gpu.validation.folds import balanced_folds
from geospot_gpu.validation.similar import similar_folds


def table(count: int, seed: int = 0) -> pd.DataFrame:
    """Samples around a few places, with a feature and a region."""
    generator = np.random.default_rng(seed)
    near = generator.integers(0, 6, count)
    return pd.DataFrame(
        {
            "lon": generator.uniform(-170, 170, 6)[near] + generator.normal(0, 1, count),
            "lat": generator.uniform(-80, 80, 6)[near] + generator.normal(0, 1, count),
            "x": generator.normal(size=count),
            "region": np.array(list("abcdef"))[near],
        }
    )


SAMPLES = table(120)
PLACES = SAMPLES[["lon", "lat"]]
ELSEWHERE = table(40, seed=1)
SPLITTERS = {
    "regions": (gs.RegionFolds(3), SAMPLES["region"]),
    "each region": (gs.RegionFolds(), SAMPLES["region"]),
    "blocks": (gs.SpatialBlocks(500, 4), PLACES),
    "random blocks": (gs.SpatialBlocks(100, 4, balanced=False), PLACES),
    "geography": (gs.KNNDM(ELSEWHERE, 4), PLACES),
    "features": (gs.KNNDM(ELSEWHERE[["x"]] * 3, 4, by="features"), SAMPLES[["x"]]),
}


@pytest.mark.parametrize("name", SPLITTERS)
def test_scikit_learn_takes_it(name: str) -> None:
    folds, groups = SPLITTERS[name]
    x, y = SAMPLES[["x"]].to_numpy(), SAMPLES["lat"].to_numpy()
    parts = list(folds.split(x, y, groups))
    assert (
        len(parts) == folds.get_n_splits(x, y, groups) == check_cv(folds).get_n_splits(x, y, groups)
    )
    tested = np.concatenate([test for _, test in parts])
    assert np.array_equal(np.sort(tested), np.arange(len(x)))
    for train, test in parts:
        assert len(train)
        assert len(test)
        assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(len(x)))
    again = copy.deepcopy(folds)
    assert np.array_equal(again.fold_of(x, groups), folds.fold_of(x, groups))
    assert type(folds).__name__ in repr(folds)
    assert len(cross_val_score(Ridge(), x, y, groups=groups, cv=folds)) == len(parts)
    assert len(cross_val_predict(Ridge(), x, y, groups=groups, cv=folds)) == len(x)
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 10.0]}, cv=folds)
    sklearn.clone(search).fit(x, y, groups=groups)


def test_coordinates_may_be_columns_of_x_that_the_model_does_not_see() -> None:
    model = make_pipeline(make_column_transformer(("passthrough", ["x"])), Ridge())
    found = cross_val_score(model, SAMPLES, SAMPLES["lat"], cv=gs.SpatialBlocks(500, 4))
    beside = cross_val_score(
        Ridge(), SAMPLES[["x"]], SAMPLES["lat"], groups=PLACES, cv=gs.SpatialBlocks(500, 4)
    )
    assert found == pytest.approx(beside)


def test_routing_hands_groups_on() -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        found = cross_val_score(
            *(Ridge(), SAMPLES[["x"]], SAMPLES["lat"]),
            params={"groups": SAMPLES["region"]},
            cv=gs.RegionFolds(3),
        )
    assert len(found) == 3


@given(st.lists(st.sampled_from(["a", "b ", "c", "d", "é", "e\u0301", "b"]), min_size=1))
def test_no_region_is_in_two_folds(some: list[str]) -> None:
    names = ["a", "b", "c", "d", *some]
    fold = gs.RegionFolds(3).fold_of(np.zeros((len(names), 1)), names)
    same: dict[str, set[int]] = {}
    for name, k in zip(names, fold, strict=True):
        same.setdefault({"e\u0301": "é"}.get(name, name.strip()), set()).add(int(k))
    assert all(len(folds) == 1 for folds in same.values())
    assert set(fold) == {0, 1, 2}


@given(
    st.lists(st.integers(1, 9), min_size=3, max_size=20).map(lambda x: np.array(x, np.int64)),
    st.integers(2, 3),
)
def test_balanced_folds_are_as_even_as_promised(sizes: np.ndarray, n_splits: int) -> None:
    load = np.bincount(balanced_folds(sizes, n_splits), sizes, n_splits)
    # No fold is larger than the smallest was when its last thing came, and that thing.
    assert load.max() - load.min() <= sizes.max()
    assert load.min() > 0


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.integers(2, 5))
def test_similar_regions_are_together(seed: int, n_splits: int) -> None:
    """Groups of equal size that lie far apart are the folds, in whatever order they come."""
    generator = np.random.default_rng(seed)
    group = generator.permutation(np.repeat(np.arange(n_splits), 3))
    at = 100.0 * group + generator.uniform(0, 10, len(group))
    fold = similar_folds(abs(at - at[:, None]), np.full(len(group), 7), n_splits)
    assert len(set(zip(group, fold, strict=True))) == n_splits


def test_merging_stops_before_one_fold_has_nearly_all() -> None:
    at = np.array([0.0, 1, 2, 3, 4, 5, 6, 50, 60])
    fold = similar_folds(abs(at - at[:, None]), np.ones(9, np.int64), 3)
    assert np.bincount(fold).max() <= 4.5
    huge = similar_folds(abs(at - at[:, None]), np.array([99, *[1] * 8]), 3)
    assert (huge == huge[0]).sum() == 1


@pytest.mark.slow
def test_distances_are_of_runs_matrices_and_tables(tmp_path: Any) -> None:
    regions = gs.Regions.from_points(
        lon=[0, 1, 2, 80, 81, 82], lat=[0] * 6, region=["a ", "b", "c", "d", "e", "f"]
    )
    run = gs.sweep(tmp_path / "run", regions, cost=gs.GroundCost(geo_weight=1.0))
    matrix = run.matrix()
    groups = list("fabcdeab")  # fold by fold: d, e, f together
    table = pd.DataFrame(matrix.to_numpy(), index=run.names, columns=run.names)
    for distances in (run, matrix, matrix.T, table):
        fold = gs.RegionFolds(2, distances=distances).fold_of(np.zeros((8, 1)), groups)
        assert fold.tolist() in ([1, 0, 0, 0, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0, 1, 1])


@pytest.mark.parametrize("size_km", [300.0, 2000.0, 7000.0, 20000.0])
def test_blocks_have_equal_areas(size_km: float) -> None:
    generator = np.random.default_rng(0)
    xyz = generator.normal(size=(200_000, 3))
    xyz /= np.linalg.norm(xyz, axis=1, keepdims=True)
    block = block_of(xyz, size_km)
    sphere = 4 * np.pi * 6371.0088**2
    count = block.max() + 1
    assert sphere / count == pytest.approx(size_km**2, rel=0.4)
    if count < 200:
        expected = len(xyz) / count
        assert abs(np.bincount(block) - expected).max() < 6 * np.sqrt(expected)


def test_blocks_are_near_and_know_no_antimeridian() -> None:
    places = pd.DataFrame({"lon": [-180.0, 180.0, 540.0 - 360.0, 0.0], "lat": [10, 10, 10, -80]})
    fold = gs.SpatialBlocks(500, 2).fold_of(places)
    assert fold[0] == fold[1] == fold[2] != fold[3]
    generator = np.random.default_rng(1)
    xyz = generator.normal(size=(4000, 3))
    xyz /= np.linalg.norm(xyz, axis=1, keepdims=True)
    block = block_of(xyz, 1000.0)
    first = pd.Series(block).drop_duplicates().index
    home = dict(zip(block[first], xyz[first], strict=True))
    chord = np.linalg.norm(xyz - np.stack([home[b] for b in block]), axis=1)
    assert (6371 * 2 * np.arcsin(chord / 2)).max() < 2500


def test_seeds_decide_and_are_kept() -> None:
    folds = [gs.SpatialBlocks(100, 4, seed=seed).fold_of(PLACES) for seed in (0, 0, 1)]
    assert np.array_equal(folds[0], folds[1])
    assert not np.array_equal(folds[0], folds[2])


def test_balanced_blocks_are_more_even() -> None:
    def spread(balanced: bool) -> float:
        folds = gs.SpatialBlocks(100, 4, balanced=balanced)
        return float(np.bincount(folds.fold_of(PLACES)).std())

    assert spread(True) < spread(False)


KM = pd.DataFrame([[0.0, 1.0], [1.0, 0.0]], ["a", "b"], ["a", "b"])
X = np.zeros((3, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gs.RegionFolds(1), "n_splits=1: give a whole number of 2 or more"),
        (
            lambda: gs.RegionFolds(distances=KM),
            "distances: where each region is a fold of its own they change nothing: give "
            "n_splits, or leave them out",
        ),
        (
            lambda: gs.RegionFolds(2).fold_of(X),
            "groups: give the name of each sample's region, as groups=table['iso3']",
        ),
        (
            lambda: gs.RegionFolds(2).fold_of(X, ["a", "b"]),
            "give a row for each sample in all of X, y and groups (Found input variables with "
            "inconsistent numbers of samples: [3, 2])",
        ),
        (
            lambda: list(gs.SpatialBlocks(100).split(X, None, PLACES[:2])),
            "give a row for each sample in all of X, y and groups (Found input variables with "
            "inconsistent numbers of samples: [3, 2])",
        ),
        (
            lambda: gs.RegionFolds(2).fold_of(None, ["a"]),
            "X is None: give the samples, a row for each",
        ),
        (
            lambda: gs.RegionFolds(2).fold_of(X, [["a"], ["b"], ["c"]]),
            "groups (3, 1) must be a vector of names: one for each sample",
        ),
        (
            lambda: gs.RegionFolds(2).fold_of(X, ["a", None, "b"]),
            "groups: 1 samples have no region, as row 2: leave them out first",
        ),
        (
            lambda: gs.RegionFolds(3).fold_of(X, ["a", "b", "b "]),
            "n_splits=3: there are too few regions (2): use fewer folds",
        ),
        (
            lambda: gs.RegionFolds().fold_of(X, ["a", "a", "a"]),
            "groups: all samples are of 'a': give several regions",
        ),
        (
            lambda: gs.RegionFolds(2, distances=KM).fold_of(X, ["a", "b", "c"]),
            "distances have no region 'c', which samples are in; there are: a, b",
        ),
        (
            lambda: gs.RegionFolds(2, distances=KM.set_axis(["a", "a "])).fold_of(
                X, ["a", "b", "b"]
            ),
            "distances: a region is named twice: name each once",
        ),
        (
            lambda: gs.RegionFolds(2, distances=KM * np.nan).fold_of(X, ["a", "b", "b"]),
            "distances: that of 'a' and 'b' is missing: give those of every two regions",
        ),
        (
            lambda: gs.RegionFolds(2, distances=KM.astype(str) + "?").fold_of(X, ["a", "b", "b"]),
            "distances must be numbers (could not convert string to float: '0.0?')",
        ),
        (
            lambda: gs.RegionFolds(2, distances=KM.to_numpy()).fold_of(X, ["a", "b", "b"]),  # type: ignore[arg-type]
            "distances is of type ndarray: give a DataFrame, a Run, or gs.pairwise(...).divergence",
        ),
        (
            lambda: gs.SpatialBlocks(0),
            "size_km=0 is no size of blocks: use km from 0.01 to 20015",
        ),
        (lambda: gs.SpatialBlocks(9, balanced="no"), "balanced='no': give true or false"),  # type: ignore[arg-type]
        (
            lambda: gs.SpatialBlocks(9000, 5).fold_of(PLACES[:1]),
            "n_splits=5: there are too few blocks of 9000 km (1): use a smaller size_km",
        ),
        (
            lambda: gs.SpatialBlocks(900).fold_of(X),
            "samples of type ndarray have no named coordinates: give a table with columns lon and "
            "lat, of samples as groups=table[['lon', 'lat']] where X has none",
        ),
    ],
)
def test_messages(call: Any, message: str) -> None:
    with pytest.raises(gs.GeospotError) as caught:
        call()
    assert str(caught.value) == message
