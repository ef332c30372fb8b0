"""The predictor in worlds where the answer is known."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.extra.numpy as hypothesis_numpy
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu.transfer.predictor import predictor as module
from geospot_gpu.transfer.predictor.candidates import Make, candidates
from geospot_gpu.transfer.predictor.intervals import COVERED, tails
from geospot_gpu.transfer.predictor.left_out import Grouping, Table, left_out
from geospot_gpu.transfer.predictor.pairs import ends_of
from geospot_gpu.transfer.predictor.predictor import Predictor


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


@pytest.fixture(autouse=True)
def _one_grouping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUPINGS", 1)


def some_models(*names: str) -> Callable[..., dict[str, Make]]:
    """Both constants, and these models."""

    def chosen(signs: list[int], *, positive: bool) -> dict[str, Make]:
        every = candidates(signs, positive=positive)
        return {name: every[name] for name in ("mean", "median", *names)}

    return chosen


@pytest.fixture
def no_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine tenths of the time are theirs, and any model shows what is not of models."""
    monkeypatch.setattr(module, "candidates", some_models("linear", "kernel"))


@pytest.fixture(scope="module")
def plain() -> Predictor:
    """Fitted to the world as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "GROUPINGS", 1)
        return fitted(world())


@pytest.mark.slow
def test_it_finds_the_relation_and_knows_how_well(plain: Predictor) -> None:
    pairs, found = world(), plain.evaluation
    assert found.share == 1.0
    assert found.gains
    assert found.warning is None
    assert found.error < 0.5 * found.error_of_constant
    assert np.abs(found.predicted - pairs["score"]).mean() <= found.error
    assert found.error < 0.05, "the noise alone makes 0.024"
    assert found.best_single == "distance"
    assert found.p_over_single is not None
    assert 0.86 < found.covered < 0.98
    inside = pairs["score"].between(found.lower, found.upper)
    assert found.covered == pytest.approx(inside.mean())
    assert found.worst_target == pytest.approx(inside.groupby(pairs["target"]).mean().min())
    assert found.width == pytest.approx((found.upper - found.lower).mean())


@pytest.mark.slow
@pytest.mark.usefixtures("no_trees")
def test_where_nothing_tells_anything_it_says_so() -> None:
    pairs = world()
    pairs["score"] = np.random.default_rng(1).permutation(pairs["score"])
    found = fitted(pairs).evaluation
    assert found.error <= 1.02 * found.error_of_constant
    assert not found.gains
    assert str(found.warning).startswith(f"no better than always the {found.constant}: ")
    assert f"no better than always the {found.constant}" in found.text


@pytest.mark.usefixtures("no_trees")
@pytest.mark.parametrize("sources", [2, 3])
def test_few_models_are_tried_where_others_stand_apart(
    sources: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GROUPINGS", 2)
    pairs = world()
    pairs = pairs[pairs["source"] < f"r{sources:02d}"].reset_index(drop=True)
    found = fitted(pairs).evaluation
    known = np.isfinite(found.predicted)
    assert 0.5 * len(pairs) < known.sum() <= len(pairs)
    assert np.isfinite([found.error, found.covered, found.worst_target, found.width]).all()
    assert found.error < found.error_of_constant
    assert (np.isfinite(found.lower) <= known).all()
    inside = pairs["score"].between(found.lower, found.upper)[np.isfinite(found.lower)]
    assert found.covered == pytest.approx(inside.mean())
    predicted = fitted(pairs).predict(world(24)[-30:])
    assert np.isfinite(predicted[["predicted", "lower", "upper"]]).all(axis=None)


@pytest.mark.usefixtures("no_trees")
def test_a_union_of_nearly_all_is_no_pair_to_try() -> None:
    pairs, several = world(10), world(10, 1)
    several = several[several["source"] == "r00"].assign(source="all")
    both = pd.concat([pairs, several], ignore_index=True)
    parts = {"all": [f"r{k:02d}" for k in range(9)]}
    found = Predictor(both, ["distance"], "accuracy", parts=parts).evaluation
    assert np.isfinite(found.predicted[: len(pairs)]).all()
    assert np.isnan(found.predicted[len(pairs) :]).all()
    assert np.isfinite([found.error, found.covered, found.width]).all()


def test_one_model_has_nothing_to_be_tried_by() -> None:
    pairs = world()
    with pytest.raises(gs.GeospotError) as error:
        fitted(pairs[pairs["source"] == "r00"])
    assert str(error.value).startswith("scores of models of 1 regions are too few to predict from")


@pytest.mark.usefixtures("no_trees")
def test_a_score_of_one_sample_has_the_error_that_others_say() -> None:
    pairs = world(10).assign(std_error=0.02, weight=25.0)
    pairs.loc[0, ["std_error", "weight"]] = np.nan, 1.0
    told = pairs.assign(std_error=pairs["std_error"].fillna(0.1))
    found, expected = (fitted(some).evaluation.predicted for some in (pairs, told))
    np.testing.assert_allclose(found, expected)


@pytest.mark.slow
def test_a_gain_is_claimed_of_noise_at_the_nominal_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of regions that have levels of their own, which no distance knows."""
    monkeypatch.setattr(module, "candidates", some_models("linear"))
    monkeypatch.setattr(module, "GROUPINGS", 1)
    monkeypatch.setattr(module, "PERMUTATIONS", 99)
    claimed = 0
    for seed in range(12):
        generator = np.random.default_rng(seed)
        pairs = world(10, seed)
        level = pd.Series(generator.normal(size=10), [f"r{k:02d}" for k in range(10)])
        score = level[pairs["target"]].to_numpy() + 0.3 * generator.normal(size=len(pairs))
        claimed += Predictor(pairs.assign(score=score), ["distance"], "skill").evaluation.gains
    assert claimed <= 3, "4 of 12 come once in 450 times at 5 %"


@pytest.mark.slow
@pytest.mark.usefixtures("no_trees")
def test_intervals_are_wide_where_errors_are() -> None:
    generator = np.random.default_rng(5)
    pairs = world(20, noise=0.0)
    loud = (pairs["noise"] > 0).to_numpy()
    noise = generator.normal(size=len(pairs)) * np.where(loud, 0.2, 0.02)
    pairs = pairs.assign(score=pairs["score"] - 0.3 + noise)
    found = Predictor(pairs, ["distance"], "skill").evaluation
    width = found.upper - found.lower
    assert width[loud].mean() > 1.6 * width[~loud].mean()


@pytest.mark.slow
@pytest.mark.usefixtures("no_trees")
def test_errors_are_seen_as_factors() -> None:
    """Where errors grow by a factor with the distance, its line is through their logarithms."""
    pairs = world()
    factor = np.exp(pairs["distance"] + 0.1 * np.random.default_rng(0).normal(size=len(pairs)))
    found = Predictor(pairs.assign(score=factor), ["distance"], "error").evaluation
    straight = Predictor(pairs.assign(score=factor), ["distance"], "skill").evaluation
    assert found.single["distance"] < 0.5 * straight.single["distance"]


def test_no_region_of_several_together_tells_anything_of_their_pairs() -> None:
    pairs = world(8)
    both = pairs[(pairs["source"] == "r00") & ~pairs["target"].isin(["r00", "r01"])]
    pairs = pd.concat([pairs, both.assign(source="r00+r01")], ignore_index=True)
    touched = pairs["source"].isin(["r01", "r00+r01"]) | (pairs["target"] == "r01")
    assert_tells_nothing(pairs, touched, {"r00+r01": ("r00", "r01")})
    assert Predictor(pairs, ["distance"], "accuracy", parts={"r00+r01": ["r00", "r01"]})


@pytest.mark.slow
def test_nor_does_a_union_that_is_a_region_itself() -> None:
    """As a target it is its parts, too, and as a source."""
    pairs = world(9)
    union: dict[str, tuple[str, ...]] = {"r08": ("r08", "r00", "r01")}
    inside = {frozenset(("r08", part)) for part in ("r00", "r01")}
    sides = zip(pairs["source"], pairs["target"], strict=True)
    pairs = pairs[[frozenset(pair) not in inside for pair in sides]].reset_index(drop=True)
    touched = pairs["source"].isin(["r01", "r08"]) | pairs["target"].isin(["r01", "r08"])
    assert_tells_nothing(pairs, touched, union)


def assert_tells_nothing(
    pairs: pd.DataFrame, touched: pd.Series[bool], parts: dict[str, tuple[str, ...]]
) -> None:
    """The scores of some pairs reach no prediction of these, and others."""
    _, sources, targets = ends_of(pairs, parts)
    grouping = Grouping.draw([*sources, *targets], np.random.default_rng(0))
    models = some_models("linear", "kernel")([-1], positive=False)
    score = pairs["score"].to_numpy()
    clean, other = (
        left_out(models, Table(pairs[["distance"]].to_numpy(), y, np.ones(len(y))), grouping)
        for y in (score, np.where(touched, 0.0, score))
    )
    for name in models:
        assert np.isfinite(clean[name]).all()
        np.testing.assert_array_equal(clean[name][touched], other[name][touched])
        assert not np.array_equal(clean[name][~touched], other[name][~touched])


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
    # Calibrated by target, of which there are twenty, they are wide rather than narrow.
    assert COVERED - 0.02 <= np.mean(held) < 0.98


def test_pairs_of_a_region_tell_nothing_of_its_other_pairs() -> None:
    """With eight regions every group is one region; its absurd scores reach no prediction of it."""
    pairs = world(8)
    assert_tells_nothing(pairs, (pairs["source"] == "r03") | (pairs["target"] == "r03"), {})


def test_trees_are_monotone_in_the_distance() -> None:
    pairs = world(noise=0.2)
    trees = candidates([-1, 0], positive=False)["trees"]()
    trees.fit(pairs[["distance", "noise"]].to_numpy(), pairs["score"].to_numpy(), None)
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
    pairs = world(noise=0.05)
    pairs["score"] -= pairs["score"].min()
    far = pairs.assign(distance=pairs["distance"] + 20)
    found = fitted(pairs).predict(far)
    assert found["lower"].min() == 0.0
    assert found["predicted"].min() >= 0.0
    assert found["extrapolates"].all()
    drops = fitted(pairs.assign(score=pairs["score"] - 0.9)).predict(far)
    assert drops["lower"].min() < -0.9 <= drops["predicted"].min()
    for kind, shift in (("error", -0.1), ("skill", 0.0)):
        shifted = pairs.assign(score=pairs["score"] + shift)
        free = Predictor(shifted, ["distance"], kind)  # type: ignore[arg-type]
        assert free.predict(far)["lower"].min() < 0.0


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
    assert weighted.error == pytest.approx((share * away).sum() / share.sum(), rel=0.05)


@pytest.mark.slow
@pytest.mark.usefixtures("no_trees")
def test_standard_errors_weigh_as_much_as_they_are_beyond_what_varies() -> None:
    pairs = world()
    sure = fitted(pairs.assign(std_error=1e-9)).evaluation
    np.testing.assert_allclose(sure.predicted, fitted(pairs).evaluation.predicted, rtol=1e-6)
    error = np.where(np.arange(len(pairs)) % 2, 0.2, 0.0)
    variance = pairs["score"].var(ddof=0)
    beyond = max(variance - (error**2).mean(), 0.01 * variance)
    by_hand = fitted(pairs.assign(weight=1 / (beyond + error**2))).evaluation
    found = fitted(pairs.assign(std_error=error)).evaluation
    np.testing.assert_allclose(found.predicted, by_hand.predicted, rtol=1e-9)
    with pytest.raises(gs.GeospotError, match="std_error of r00 to r01 is -1: give 0 or more"):
        fitted(pairs.assign(std_error=-1.0))


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan, np.inf])
def test_weights_are_positive(weight: float) -> None:
    pairs = world()
    pairs["weight"] = 1.0
    pairs.loc[3, "weight"] = weight
    with pytest.raises(gs.GeospotError, match=r"^weight of r00 to r04 is .*: give positive ones"):
        fitted(pairs)


@given(hypothesis_numpy.arrays(float, 60, elements=st.floats(-10, 10)))
def test_tails_hold_for_every_target_and_by_target(residuals: np.ndarray) -> None:
    targets = np.repeat(np.arange(12), 5)
    found = tails(residuals, targets)
    assume(found.below < 0.0 < found.above)
    inside = (found.below - 1e-9 <= residuals) & (residuals <= found.above + 1e-9)
    by_target = pd.Series(inside).groupby(targets).mean()
    assert by_target.mean() >= COVERED * (1 + 1 / 12) - 1e-9
    assert by_target.min() >= 0.6, "the quantile is between two of five"
    scaled = tails(3.0 * residuals, targets)
    np.testing.assert_allclose(scaled, 3.0 * np.array(found))
