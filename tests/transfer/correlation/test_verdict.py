"""What may be said of distances, and of which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.distances import baselines
from geospot_gpu.distances.columns import evidence, groups, measured, outputs_by_default
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.engine.method import Method
from geospot_gpu.pictures.maps import save
from geospot_gpu.pictures.transfer import correlation_picture
from geospot_gpu.runs.solving import solve
from geospot_gpu.transfer.correlation import correlate as correlation
from geospot_gpu.transfer.correlation.correlate import Correlations, correlate
from geospot_gpu.transfer.correlation.groups import group_of
from geospot_gpu.transfer.correlation.verdict import Figures, Verdict, decide
from geospot_gpu.transfer.evidence import matrices
from geospot_gpu.transfer.scores.scores import Scores
from tests.helpers.clouds import random_regions
from tests.helpers.examples import examples

Array = NDArray[np.float64]
COVARIATES = [name for name, group in groups().items() if group == "covariate"]
SETTINGS = ("equal sizes", "unequal sizes", "missing pairs", "ties", "constant columns")


def labelled(values: Array) -> xarray.DataArray:
    names = [f"r{k:02d}" for k in range(len(values))]
    return xarray.DataArray(values, {"source": names, "target": names}, ("source", "target"))


def real_distances(regions: gs.Regions) -> dict[str, Array]:
    """All that a sweep knows of its pairs."""
    left, right = all_pairs(len(regions), None)
    method = Method(gs.GroundCost(geo_weight=0.5), gs.Sinkhorn())
    pairs = solve(regions, left, right, method).to_pandas(regions.names)
    simple = baselines.baselines(regions, left, right)
    return matrices(pd.concat([pairs, simple], axis=1), list(regions.names))


@pytest.fixture(scope="module")
def worlds() -> dict[str, dict[str, Array]]:
    """Distances of sixty clouds on the sphere, of equal and of unequal sizes."""
    sizes = np.random.default_rng(0).integers(3, 12, 60).tolist()
    return {
        "equal": real_distances(random_regions([8] * 60, seed=1)),
        "unequal": real_distances(random_regions(sizes, seed=2)),
    }


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in (("PERMUTATIONS", 99), ("RESAMPLES", 9), ("KENDALL", 9)):
        monkeypatch.setattr(correlation, name, count)


def noise(
    setting: str, regions: int, seed: int, worlds: dict[str, dict[str, Array]]
) -> tuple[dict[str, xarray.DataArray], xarray.DataArray]:
    """Real distances, and losses with effects of source and target that know nothing of them."""
    generator = np.random.default_rng([seed, regions])
    world = worlds["unequal" if setting in ("unequal sizes", "missing pairs") else "equal"]
    some = generator.choice(60, regions, replace=False)
    distances = {name: values[np.ix_(some, some)] for name, values in world.items()}
    loss = generator.normal(size=(regions, regions)) + generator.normal(size=(regions, 1))
    loss += generator.normal(size=regions)
    if setting == "missing pairs":
        loss[generator.random(loss.shape) < 0.3] = np.nan
    if setting == "ties":
        loss = loss.round()
        distances = {
            name: (3 * values / np.nanmax(values)).round() for name, values in distances.items()
        }
    if setting == "constant columns":
        distances["coverage"] = np.full_like(loss, 0.1)
        distances["centroid_cosine"] = np.zeros_like(loss)
    return {name: labelled(values) for name, values in distances.items()}, labelled(loss)


def check(found: Correlations) -> None:
    """What holds of every table and verdict."""
    table, verdict = found
    overall = table[table["scope"] == "overall"]
    judged = overall[overall["reason"].isna()]
    family = judged[judged["group"] != "covariate"]
    assert (family["p_family"] >= family["p"]).all()
    assert judged[["value", "p"]].notna().all().all()
    out = overall[overall["reason"].notna()]
    assert out[["value", "lower", "upper", "p", "p_family"]].isna().all().all()
    covariates = overall[overall["group"] == "covariate"]
    assert covariates["p_family"].isna().all()
    assert verdict.distance not in COVARIATES
    assert all(name not in verdict.text for name in COVARIATES)
    assert verdict.distance is None or group_of(verdict.distance) in ("transport", "own")


def judged(setting: str, regions: int, seed: int, worlds: dict[str, dict[str, Array]]) -> Verdict:
    """What is said of noise, by as many permutations as tell 5 % from more."""
    with pytest.MonkeyPatch.context() as patch:
        for name, count in (("PERMUTATIONS", 199), ("RESAMPLES", 49), ("KENDALL", 3)):
            patch.setattr(correlation, name, count)
        found = correlate(*noise(setting, regions, seed, worlds), seed=seed)
    check(found)
    return found.verdict


@pytest.mark.slow
@settings(max_examples=examples(6))
@given(setting=st.sampled_from(SETTINGS), regions=st.integers(13, 40), seed=st.integers(0, 2**20))
def test_noise_has_sound_tables(
    worlds: dict[str, dict[str, Array]], setting: str, regions: int, seed: int
) -> None:
    judged(setting, regions, seed, worlds)


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_noise_seldom_predicts(worlds: dict[str, dict[str, Array]], setting: str) -> None:
    """Five of a hundred are allowed; ``benchmarks.verdicts`` has a thousand in each setting."""
    said = [judged(setting, 12, seed, worlds) for seed in range(15)]
    alarms = sum(verdict.verdict == "predicts" for verdict in said)
    assert alarms <= 4, "5 of 15 come once in 1,600 times at 5 %"


def related(seed: int, regions: int = 14, noise: float = 0.3) -> tuple[Array, Array]:
    generator = np.random.default_rng(seed)
    places = generator.normal(size=(regions, 2))
    distance = np.linalg.norm(places[:, None] - places, axis=2)
    return distance, distance + noise * generator.normal(size=(regions, regions))


def said(loss: Array, **distances: Array) -> Verdict:
    found = correlate({name: labelled(d) for name, d in distances.items()}, labelled(loss))
    check(found)
    return found.verdict


def test_it_names_the_best_distance_under_test_and_compares_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(correlation, "RESAMPLES", 199)
    near, loss = related(0)
    blurred = near + np.random.default_rng(1).normal(size=near.shape)
    other = related(1)[0]
    alone = said(loss, coverage=blurred, divergence=other)
    assert (alone.verdict, alone.distance, alone.baseline) == ("predicts", "coverage", None)
    assert alone.gain is None
    assert alone.text.startswith("predicts: the farther, the worse the transfer (coverage: rho 0.")
    assert "baseline" not in alone.text
    own = said(loss, road_km=near, coverage=blurred, nearest=other)
    assert (own.verdict, own.distance, own.baseline) == ("predicts", "road_km", "nearest")
    assert own.gain is not None
    assert own.gain[1] > 0
    assert "and better than the best simple baseline (nearest: rho" in own.text
    equal = said(loss, coverage=near, nearest=near, centroid_cosine=other)
    assert (equal.verdict, equal.distance, equal.baseline) == ("predicts", "coverage", "nearest")
    assert equal.gain == (0.0, 0.0, 0.0)
    assert "but a simple baseline does as well (nearest: rho" in equal.text
    assert "difference +0.00 [+0.00, +0.00])" in equal.text


def test_what_predicts_is_named_and_not_a_larger_correlation_by_chance() -> None:
    """As on dams: rho of coverage was 0.159 with p 0.126, that of another 0.158 with p 0.009."""
    figures = [
        Figures("inputs.coverage", "transport", 0.159, 0.126),
        Figures("place.coverage", "transport", 0.158, 0.009),
        Figures("inputs.nearest", "baseline", 0.166, 0.089),
    ]
    asked = []

    def gain(one: str, other: str) -> tuple[float, float, float]:
        asked.append((one, other))
        return -0.01, -0.02, 0.01

    found = decide(figures, 46, gain)
    assert (found.verdict, found.distance) == ("predicts", "place.coverage")
    assert "(place.coverage: rho 0.16, family-wise p 0.009, 46 regions)" in found.text
    assert asked == [("place.coverage", "inputs.nearest")]
    assert decide(figures[::2], 46, gain).distance == "inputs.coverage"


def test_a_baseline_alone_is_no_evidence_for_transport() -> None:
    near, loss = related(0)
    found = said(loss, coverage=related(1)[0], nearest=near)
    assert (found.verdict, found.distance, found.baseline) == ("no evidence", "coverage", "nearest")
    assert "; a simple baseline alone does (nearest: rho" in found.text
    neither = said(loss, coverage=related(1)[0], nearest=related(2)[0])
    assert neither.verdict == "no evidence"
    assert "baseline" not in neither.text
    only = said(loss, nearest=near, n_source=related(1)[0])
    assert (only.verdict, only.distance) == ("no evidence", None)
    assert "no distance under test varies and is known for all pairs" in only.text
    assert "a simple baseline alone does" in only.text


def test_losses_that_shrink_with_a_distance_are_no_evidence() -> None:
    near, loss = related(0)
    found = said(-loss, coverage=near)
    assert found.verdict == "no evidence"


def test_sample_sizes_are_covariates() -> None:
    """However much the loss follows them."""
    near, loss = related(0)
    distances = {"n_target": near, "coverage": related(1)[0]}
    found = correlate({name: labelled(d) for name, d in distances.items()}, labelled(loss))
    check(found)
    overall = found.table[found.table["scope"] == "overall"]
    row = overall[overall["distance"] == "n_target"].set_index("statistic").loc["spearman"]
    assert row["value"] > 0.8
    assert row["p"] == 0.01
    assert found.verdict.verdict == "no evidence"
    alone = correlate({"coverage": labelled(distances["coverage"])}, labelled(loss))
    some = found.table[found.table["distance"] == "coverage"].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, alone.table)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: np.full_like(d, 0.3), "the same for all pairs"),
        (lambda d: np.full_like(d, 0.1) + 0.2 * (d >= 0), "the same for all pairs"),
        (lambda d: np.where(d == d[0, 1], np.nan, d), "not finite for 2 pairs, such as r00 to r01"),
        (lambda d: np.where(d == d[0, 1], np.inf, d), "not finite for 2 pairs, such as r00 to r01"),
        (lambda d: d * np.nan, "not finite for 182 pairs, such as r00 to r01"),
    ],
)
def test_what_cannot_be_judged_takes_no_part(change: Any, reason: str) -> None:
    near, loss = related(0)
    expected = correlate({"coverage": labelled(near), "nearest": labelled(near.T)}, labelled(loss))
    bad = {"divergence": change(near), "gaussian_mmd": change(near)}
    found = correlate(
        {name: labelled(d) for name, d in {**bad, "coverage": near, "nearest": near.T}.items()},
        labelled(loss),
    )
    check(found)
    out = found.table["distance"].isin(list(bad))
    assert (found.table.loc[out, "reason"] == reason).all()
    rest = found.table[~out].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, expected.table)
    assert found.verdict == expected.verdict
    nothing = said(loss, **bad)
    assert (nothing.verdict, nothing.distance, nothing.baseline) == ("no evidence", None, None)


def test_a_distance_that_varies_where_there_are_no_losses() -> None:
    """Constant over the pairs used, and under many relabellings."""
    near, loss = related(0)
    one_pair = np.ones_like(near)
    one_pair[0, 1] = 2.0
    loss[0, 1] = np.nan
    said(loss, coverage=near, divergence=one_pair)
    found = correlate({"divergence": labelled(one_pair)}, labelled(loss)).table
    assert set(found["reason"]) == {"the same for all pairs"}
    # Here it varies, and hardly ever under a relabelling: these correlations are 0, not NaN.
    one_pair[2, 3] = 3.0
    few = np.full_like(loss, np.nan)
    few[2], few[:, 3] = loss[2], loss[:, 3]
    check(correlate({"divergence": labelled(one_pair), "nearest": labelled(near)}, labelled(few)))


def test_the_largest_and_smallest_numbers_are_numbers() -> None:
    near, loss = related(0)
    expected = correlate({"coverage": labelled(near)}, labelled(loss)).table
    for factor in (1e300, 1e-300, 1e-12):
        found = correlate({"coverage": labelled(factor * near)}, labelled(factor * loss)).table
        pd.testing.assert_frame_equal(found, expected)


def test_few_regions_get_no_verdict_of_any_kind() -> None:
    near, loss = related(0, regions=7)
    found = said(loss, coverage=near, nearest=near)
    assert (found.verdict, found.distance) == ("not enough regions", "coverage")
    assert found.text.startswith("not enough regions: 7, and 8 are needed (coverage: rho")
    two = said(related(0, regions=2)[1], coverage=np.array([[0.0, 1.0], [2.0, 0.0]]))
    assert two.verdict == "not enough regions"
    assert "nan" not in two.text
    one_pair = np.array([[np.nan, 1.0], [np.nan, np.nan]])
    assert said(one_pair, coverage=np.ones((2, 2))).distance is None


def test_of_equal_distances_the_first_by_name_is_named() -> None:
    figures = [Figures(name, "transport", 0.5, 0.01) for name in ("ot_value", "coverage")]
    for order in (figures, figures[::-1]):
        assert decide(order, 10, lambda *_: (0.0, 0.0, 0.0)).distance == "coverage"


def test_unsound_results_cannot_be_made() -> None:
    near, loss = related(0)
    distances = {"coverage": near, "nearest": near, "n_source": near, "ot_value": 0 * near}
    table, verdict = correlate({n: labelled(d) for n, d in distances.items()}, labelled(loss))
    assert Correlations(table, verdict).table is table
    overall = table["scope"] == "overall"
    for name, value in (("coverage", 0.001), ("nearest", np.nan)):
        for statistic in ("pearson", "kendall"):
            at = overall & (table["distance"] == name) & (table["statistic"] == statistic)
            wrong = table.assign(p_family=table["p_family"].where(~at, value))
            with pytest.raises(AssertionError, match="is missing or below p"):
                Correlations(wrong, verdict)
    for name in ("n_source", "ot_value"):
        at = overall & (table["distance"] == name)
        wrong = table.assign(p_family=table["p_family"].where(~at, 1.0))
        with pytest.raises(AssertionError, match="what is in no family"):
            Correlations(wrong, verdict)
    for name in ("n_source", "nearest", "ot_value", "no such"):
        with pytest.raises(AssertionError, match=f"names {name}, which is not under test"):
            Correlations(table, verdict._replace(distance=name))


def test_everything_that_is_known_of_a_pair_has_a_group(
    worlds: dict[str, dict[str, Array]],
) -> None:
    of_labels = {"label_shift"}  # which these clouds have none of
    assert list(worlds["equal"]) == [name for name in groups() if name not in of_labels]
    assert not evidence() & set(groups())
    measured_ = {name for column in measured(outputs_by_default()) for name in column.variables}
    assert measured_ <= evidence() | set(groups())
    assert group_of("lower") == group_of("drive_hours") == "own"


@pytest.mark.draws
def test_pictures_show_distances_under_test_or_none(tmp_path: Path) -> None:
    near, loss = related(0)
    names = tuple(f"r{k:02d}" for k in range(len(near)))
    scores = Scores(names, loss, loss, "error")
    for distances in ({"coverage": near, "n_source": near.T}, {"ot_value": 0 * near}):
        table, verdict = correlate({n: labelled(d) for n, d in distances.items()}, scores.loss)
        path = tmp_path / f"{verdict.distance}.png"
        save(correlation_picture(table, distances, scores, verdict), path)
        assert path.stat().st_size > 5_000
