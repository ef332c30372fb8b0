"""The predictor in worlds where the answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.transfer.predictor import predictor as module
from geospot_gpu.transfer.predictor.predictor import COVERED, Predictor


def world(regions: int = 20, seed: int = 0, noise: float = 0.03) -> pd.DataFrame:
    """Scores that fall with a distance, and a covariate that says nothing."""
    generator = np.random.default_rng(seed)
    places = generator.normal(size=(regions, 2))
    distance = np.linalg.norm(places[:, None] - places, axis=2)
    names = [f"r{k:02d}" for k in range(regions)]
    i, j = np.nonzero(~np.eye(regions, dtype=bool))
    score = 0.9 - 0.12 * distance[i, j] + noise * generator.normal(size=len(i))
    return pd.DataFrame(
        {
            "source": np.array(names)[i],
            "target": np.array(names)[j],
            "score": score.clip(0, 1),
            "distance": distance[i, j],
            "noise": generator.normal(size=len(i)),
        }
    )


def fitted(pairs: pd.DataFrame, seed: int = 0) -> Predictor:
    return Predictor(pairs, ["distance"], "accuracy", seed=seed)


@pytest.fixture
def no_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine tenths of the time are theirs, and any model shows what is not of models."""
    every = module._models
    monkeypatch.setattr(
        module, "_models", lambda signs: {k: v for k, v in every(signs).items() if k != "trees"}
    )


@pytest.fixture(scope="module")
def plain() -> Predictor:
    """Fitted to the world as it is."""
    return fitted(world())


@pytest.mark.slow
def test_it_finds_the_relation_and_knows_how_well(plain: Predictor) -> None:
    pairs, found = world(), plain.evaluation
    assert found.model != "mean"
    assert found.error == found.errors[found.model] < 0.5 * found.errors["mean"]
    assert found.error == pytest.approx(np.abs(found.predicted - pairs["score"]).mean())
    assert found.error < 0.04, "the noise alone makes 0.024"
    assert found.best_single == "distance"
    assert 0.86 < found.covered < 0.94


@pytest.mark.slow
def test_where_nothing_tells_anything_the_mean_is_hardly_beaten() -> None:
    pairs = world()
    pairs["score"] = np.random.default_rng(1).permutation(pairs["score"])
    found = fitted(pairs).evaluation
    assert found.error <= 1.02 * found.errors["mean"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_trees")
def test_intervals_hold_for_regions_never_seen() -> None:
    held = []
    for seed in range(8):
        pairs = world(24, seed, noise=0.05)
        new = pairs["target"].isin(["r20", "r21", "r22", "r23"])
        seen = ~new & ~pairs["source"].isin(["r20", "r21", "r22", "r23"])
        asked = pairs[new & pairs["source"].isin(pairs[seen]["source"])]
        found = fitted(pairs[seen]).predict(asked)
        held.append(
            (
                (found["lower"] <= asked["score"].to_numpy())
                & (asked["score"].to_numpy() <= found["upper"])
            ).mean()
        )
    assert np.mean(held) == pytest.approx(COVERED, abs=0.05)


def test_pairs_of_a_region_tell_nothing_of_its_other_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With eight regions every group is one region; its absurd scores reach no prediction of it."""
    pairs = world(8)
    poisoned = pairs.copy()
    touched = (pairs["source"] == "r03") | (pairs["target"] == "r03")
    poisoned.loc[touched, "score"] = 0.0
    every = module._models
    for name in ("mean", "ridge"):
        monkeypatch.setattr(
            module, "_models", lambda signs, name=name: {"ridge": every(signs)[name]}
        )
        clean, other = fitted(pairs).evaluation, fitted(poisoned).evaluation
        np.testing.assert_array_equal(clean.predicted[touched], other.predicted[touched])
        assert not np.array_equal(clean.predicted[~touched], other.predicted[~touched])


def test_trees_are_monotone_in_the_distance() -> None:
    pairs = world(noise=0.2)
    trees = module._models([-1, 0])["trees"]().fit(
        pairs[["distance", "noise"]].to_numpy(), pairs["score"]
    )
    line = np.column_stack([np.linspace(0, 5, 200), np.zeros(200)])
    assert (np.diff(trees.predict(line)) <= 1e-12).all()


@pytest.mark.slow
def test_what_lies_outside_is_marked(plain: Predictor) -> None:
    pairs = world()
    asked = pairs.head(4).drop(columns="score").reset_index(drop=True)
    asked.loc[1, "distance"] = 50.0
    asked.loc[2, "distance"] = 0.0  # nearer than all is no reason for doubt
    asked.loc[3, "noise"] = -50.0
    found = plain.predict(asked)
    assert found["extrapolates"].tolist() == [False, True, False, True]
    assert found["score"].isna().all()
    assert (found["lower"] <= found["predicted"]).all()
    assert (found["predicted"] <= found["upper"]).all()
    values = found[["predicted", "lower", "upper"]].to_numpy()
    assert ((values >= 0) & (values <= 1)).all()


@pytest.mark.slow
def test_a_seed_gives_one_answer(plain: Predictor) -> None:
    pairs = world()
    pd.testing.assert_frame_equal(plain.predict(pairs), fitted(pairs).predict(pairs))


def test_few_regions_are_refused() -> None:
    with pytest.raises(gs.GeospotError, match=r"scores of 7 regions are too few.*8 are needed"):
        fitted(world(7))


def test_a_feature_that_is_not_known_is_named() -> None:
    pairs = world()
    pairs.loc[3, "distance"] = np.nan
    with pytest.raises(gs.GeospotError, match="distance of r00 to r04 is not known"):
        fitted(pairs)


@pytest.mark.slow
@pytest.mark.usefixtures("no_trees")
def test_a_weight_is_no_feature() -> None:
    pairs = world()
    weighed = fitted(pairs.assign(weight=np.arange(len(pairs)) + 1.0))
    pd.testing.assert_frame_equal(weighed.predict(pairs), weighed.predict(pairs.assign(weight=1)))


@pytest.mark.slow
@pytest.mark.usefixtures("no_trees")
def test_predictions_keep_the_range_that_the_scores_keep() -> None:
    pairs = world(noise=0.0)
    far = pairs.assign(distance=pairs["distance"] + 20)
    assert fitted(pairs).predict(far)["lower"].min() == 0.0
    drops = pairs.assign(score=pairs["score"] - 0.9)
    assert fitted(drops).predict(far)["predicted"].max() < 0.0
    for kind, shift in (("error", -0.9), ("skill", 0.0)):
        found = Predictor(pairs.assign(score=pairs["score"] + shift), ["distance"], kind)  # type: ignore[arg-type]
        assert found.predict(far)["lower"].min() < 0.0


@pytest.mark.slow
def test_equal_weights_change_nothing(plain: Predictor) -> None:
    pairs = world()
    found = fitted(pairs.assign(weight=7))
    np.testing.assert_array_equal(found.evaluation.predicted, plain.evaluation.predicted)
    assert found.evaluation.errors == plain.evaluation.errors
    pd.testing.assert_frame_equal(found.predict(pairs), plain.predict(pairs))


@pytest.mark.slow
def test_scores_that_rest_on_little_count_little() -> None:
    """Half of the scores are of one sample, and all noise."""
    generator = np.random.default_rng(3)
    pairs = world()
    poor = generator.random(len(pairs)) < 0.5
    noise = generator.random(len(pairs))
    noisy = pairs.assign(score=np.where(poor, noise, pairs["score"]))
    weighted = fitted(noisy.assign(weight=np.where(poor, 1, 1000))).evaluation
    plain = fitted(noisy).evaluation
    errors = [np.abs(found.predicted - pairs["score"])[~poor].mean() for found in (weighted, plain)]
    assert errors[0] < 0.8 * errors[1]
    away = np.abs(weighted.predicted - noisy["score"])
    share = np.where(poor, 1.0, 1000.0)
    assert weighted.error == pytest.approx((share * away).sum() / share.sum())


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan, np.inf])
def test_weights_are_positive(weight: float) -> None:
    pairs = world()
    pairs["weight"] = 1.0
    pairs.loc[3, "weight"] = weight
    with pytest.raises(gs.GeospotError, match=r"^weight of r00 to r04 is .*: give positive ones"):
        fitted(pairs)
