"""The proxy A-distance against scikit-learn's classifier on the same folds, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier

import geospot_gpu as gs
from geospot_gpu.distances.baselines import baselines, kernel_width
from geospot_gpu.distances.proxy_a import FOLDS, PENALTY, fold_of, fourier_features
from tests.helpers.clouds import random_regions

Array = NDArray[np.float64]


def distance(regions: gs.Regions, i: int = 0, j: int = 1) -> float:
    pair = np.array([i]), np.array([j])
    return float(baselines(regions, *pair, ["proxy_a_distance"])["proxy_a_distance"].iloc[0])


def by_scikit_learn(regions: gs.Regions, i: int, j: int) -> float:
    """Twice one less twice the error, each fold told by a classifier of the others."""
    width, parts = kernel_width(regions), []
    for k, sign in ((i, 1), (j, -1)):
        rows = slice(*regions.offsets[k : k + 2].tolist())
        vectors = regions.xyz.float() if regions.features is None else regions.features
        z, folds = fourier_features(vectors[rows], width), fold_of(vectors[rows])
        parts.append((z, folds, regions.weight[rows].numpy(), np.full(len(z), sign)))
    z, folds, weight, label = (np.concatenate([part[k] for part in parts]) for k in range(4))
    mistaken = 0.0
    for fold in range(FOLDS):
        held = folds == fold
        balanced = weight.copy()
        for one in (1, -1):
            of_one = (label == one) & ~held
            balanced[of_one] /= 2.0 * weight[of_one].sum()
        model = RidgeClassifier(alpha=PENALTY)
        model.fit(z[~held], label[~held], sample_weight=balanced[~held])
        mistaken += weight[held] @ (model.predict(z[held]) != label[held])
    return float(np.clip(2.0 * (1.0 - mistaken), 0.0, 2.0))


@pytest.mark.parametrize("dimension", [2, 40, None])
def test_it_is_that_of_a_classifier_of_scikit_learn(dimension: int | None) -> None:
    regions = random_regions([60, 90, 40], dimension=dimension, spread=1.5)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        wanted = by_scikit_learn(regions, i, j)
        assert distance(regions, i, j) == pytest.approx(wanted, abs=1e-6)
        assert distance(regions, j, i) == pytest.approx(wanted, abs=1e-6)


def test_equal_clouds_are_not_told_apart_and_separate_ones_are() -> None:
    random = np.random.default_rng(0)
    cloud = random.normal(size=(80, 5)) + np.array([9.0, 0, 0, 0, 0])
    vectors = np.concatenate([cloud, cloud, -cloud])
    regions = gs.Regions.from_points(region=np.repeat(list("abc"), 80).tolist(), features=vectors)
    assert distance(regions, 0, 1) == 0.0
    assert distance(regions, 0, 2) == 2.0


def test_samples_of_one_cloud_are_hardly_told_apart() -> None:
    vectors = np.random.default_rng(1).normal(size=(800, 4))
    regions = gs.Regions.from_points(region=["a"] * 400 + ["b"] * 400, features=vectors)
    assert distance(regions) < 0.25


def test_nothing_is_learned_of_a_single_place() -> None:
    regions = gs.Regions.from_points(region=list("ab"), features=np.eye(2))
    assert distance(regions) == 0.0


def test_copies_are_in_one_fold() -> None:
    vectors = torch.tensor([[0.0, 1.0], [-0.0, 1.0], [2.0, 1.0], [0.0, 1.0]])
    folds = fold_of(vectors)
    assert folds[0] == folds[1] == folds[3]
    many = fold_of(torch.from_numpy(np.random.default_rng(0).normal(size=(500, 3))))
    assert np.bincount(many, minlength=FOLDS).min() > 60


@settings(max_examples=10)
@given(seed=st.integers(0, 2**16), others=st.lists(st.integers(2, 9), max_size=3))
def test_it_is_in_range_and_other_regions_do_not_matter(seed: int, others: list[int]) -> None:
    """But by the width of the kernel."""
    regions = random_regions([12, 15, *others], dimension=3, seed=seed)
    left, right = np.triu_indices(len(regions), 1)
    names, width = ["proxy_a_distance"], 1.7
    found = baselines(regions, left, right, names, width)["proxy_a_distance"]
    assert found.between(0.0, 2.0).all()
    alone = baselines(regions, np.array([0]), np.array([1]), names, width)["proxy_a_distance"]
    assert found.iloc[0] == pytest.approx(alone.iloc[0], abs=1e-9)
