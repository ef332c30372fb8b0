"""Sources that are several regions together: one model, trained on all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.errors import GeospotError
from geospot_gpu.regions.united import united
from geospot_gpu.transfer.evidence import load
from geospot_gpu.transfer.predictor.pairs import ends_of
from geospot_gpu.transfer.training import at_home, training_pairs
from tests.helpers.scored import NAMES, points, scores

BOTH = "r01+r00"
COORDINATES: Any = {"cost": gs.GroundCost(geo_weight=1.0), "engine": gs.Engine(device="cpu")}


def some_points() -> pd.DataFrame:
    """Of the first region half as many as of others."""
    return points().drop(range(15))


def regions(max_points: int | None = 20, **options: Any) -> gs.Regions:
    return gs.Regions.from_table(
        some_points(), region="region", encoder="none", max_points=max_points, **options
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    return gs.sweep(tmp_path_factory.mktemp("unions") / "run", regions(), **COORDINATES)


def table() -> pd.DataFrame:
    """Scores of single regions, and of a model of two of them."""
    single = scores()
    both = single[single["source"] == "r00"].assign(source=BOTH)
    return pd.concat([single, both.assign(score=both["score"] / 2)], ignore_index=True)


def read(rows: pd.DataFrame, **changes: Any) -> gs.Scores:
    given: dict[str, Any] = {"kind": "accuracy", "change": "raw", "regions": NAMES} | changes
    return gs.read_scores(rows, **given)


@pytest.mark.parametrize("max_points", [None, 20])
def test_a_union_is_the_region_of_all_points(max_points: int | None) -> None:
    expected = regions(max_points, unions=[BOTH])[BOTH]
    found = united(regions(max_points), {BOTH: ("r01", "r00")})
    assert found.digests == expected.digests
    assert found.n_available.tolist() == [45]
    assert found.mass.tolist() == [45.0]
    if max_points is None:
        own = some_points().query("region in ['r00', 'r01']").sort_values(["lon", "lat"])
        ordered = np.lexsort((found.lat, found.lon))
        np.testing.assert_array_equal(found.lon[ordered], own["lon"])
        np.testing.assert_allclose(found.weight.numpy(), 1 / 45)


def test_points_of_two_parts_count_once_and_as_heavy_as_in_one() -> None:
    given = gs.Points.build(lon=[0, 1, 2], lat=[0, 0, 0], weight=[1, 2, 5])
    overlapping = gs.Regions.from_groups(given, {"a": [0, 1], "b": [1, 2]}, encoder="none")
    assert (united(overlapping, {"c": ["a", "b"]}).weight * 8).tolist() == [1.0, 2.0, 5.0]
    other = gs.Regions.from_points(lon=[0], lat=[0], region=["z"])
    with pytest.raises(GeospotError, match="d: its parts are of different tables: put them in one"):
        united(overlapping.concatenated(other), {"d": ["a", "z"]})


def test_names_of_several_regions_are_read(caplog: pytest.LogCaptureFixture) -> None:
    rows = table()
    swapped = rows.replace({"source": {BOTH: " r00 + r01"}})
    other = scores().head(3).assign(source=BOTH, target="r00+r02")
    own = scores().head(1).assign(source="r00+r01", target="r01+r00", score=0.25)
    found = read(pd.concat([swapped, other, own]))
    assert found.unions == {"r00 + r01": ("r00", "r01")}
    assert found.regions == tuple(NAMES)
    np.testing.assert_array_equal(found.score, read(scores()).score)
    assert found.of_unions["score"].tolist()[:-1] == rows["score"].tolist()[100:]
    assert found.of_unions["target"].tolist() == [*NAMES, "r00 + r01"]
    assert "3 scores of targets that are several regions together are left out" in caplog.text
    assert read(rows.assign(n=4)).of_unions["weight"].tolist() == [4.0] * 10
    matrix = rows.pivot(index="source", columns="target", values="score")
    assert read(matrix).unions == {BOTH: ("r00", "r01")}
    named = read(rows, regions=[*NAMES, BOTH])
    assert not named.unions, "a region whose own name has a plus goes first"
    assert BOTH in named.regions


def test_samples_may_be_of_such_a_source() -> None:
    rows = pd.DataFrame({"source": ["r00", BOTH] * 4, "region": ["r01", "r02"] * 4})
    rows = pd.concat([rows, rows.assign(region="r03")]).assign(correct=[0, 1] * 4 + [1, 0] * 4)
    found = read(rows)
    assert found.of_unions["target"].tolist() == ["r02", "r03"]
    assert found.of_unions["score"].tolist() == [1.0, 0.0]
    assert "std_error" in found.of_unions


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({BOTH: "r00+r99"}, "regions that the sweep does not have: r00+r99"),
        (dict.fromkeys(NAMES, BOTH), "has several scores"),
    ],
)
def test_what_is_wrong_with_names_is_said(change: dict[str, str], message: str) -> None:
    with pytest.raises(GeospotError, match=message.replace("+", r"\+")):
        read(table().replace({"source": change}))
    only = table().query(f"source == '{BOTH}'")
    with pytest.raises(GeospotError, match="give scores of models of single regions, too"):
        read(only)
    with pytest.raises(GeospotError, match=r"'a\+b\+c' can be read in several ways"):
        read(only.head(1).assign(source="a+b+c"), regions=["a", "b+c", "a+b", "c", "r00"])


def test_what_is_learned_of_a_union_is_what_a_sweep_of_it_has(
    run: gs.Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load(run)
    found, distances, unions, _ = training_pairs(loaded, read(table(), regions=run))
    assert "scores of 2 targets that are part of their source are not learned from" in caplog.text
    with_it = gs.sweep(tmp_path / "run", regions(unions=[BOTH]), **COORDINATES)
    named = training_pairs(load(with_it), read(table().drop([100, 101]), regions=with_it))
    expected = named.pairs.query(f"source == '{BOTH}'").reset_index(drop=True)
    own = found.query(f"source == '{BOTH}'").reset_index(drop=True)
    assert len(own) == 8
    # The width of the kernel depends on which regions there are.
    same = [name for name in found if name not in ("score_source", "gaussian_mmd")]
    assert set(expected) >= set(same)
    pd.testing.assert_frame_equal(own[same], expected[same], rtol=1e-5)
    diagonal = scores().query("source == target").set_index("source")["score"]
    mean = (15 * diagonal["r00"] + 30 * diagonal["r01"]) / 45
    np.testing.assert_allclose(own["score_source"], mean)
    _, sources, (targets, *_) = ends_of(found, unions)
    of_both = (found["source"] == BOTH).to_numpy()
    assert {tuple(pair) for pair in np.stack(sources)[:, of_both].T} == {(0, 1)}
    assert (targets[of_both] > 1).all()
    assert set(distances) <= set(found)


def test_the_score_at_home_is_the_tables_own_where_it_has_one(
    run: gs.Run, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load(run)
    own = pd.DataFrame({"source": [BOTH], "target": ["r00+r01"], "score": [0.25]})
    told = at_home(loaded, read(pd.concat([table(), own])))
    assert told is not None
    assert told[BOTH] == 0.25
    rest = table().query("source != 'r00' and target != 'r00'")
    assert at_home(loaded, read(rest)) is None
    assert f"{BOTH} has no score in itself, nor have all of its parts" in caplog.text


@pytest.mark.slow
@pytest.mark.usefixtures("few_models")
def test_a_model_of_several_regions_is_predicted(
    run: gs.Run, caplog: pytest.LogCaptureFixture
) -> None:
    known = read(table(), regions=run)
    targets = regions().subset(["r05", "r06"])
    found = gs.predict_scores(run, known, source=["r00", "r01"], targets=targets)
    assert found.sources == (BOTH,), "as the scores call it"
    every = gs.predict_scores(run, known, targets=targets)
    assert every.sources == (*NAMES, BOTH)
    both = every.table.query(f"source == '{BOTH}'").reset_index(drop=True)
    pd.testing.assert_frame_equal(both, found.table, rtol=1e-5)
    new = gs.predict_scores(run, known, source="r02+r07", targets=targets, threshold=0.5)
    assert new.sources == ("r02+r07",)
    assert "threshold_side" in new.best
    assert new.summary["score_threshold"]["threshold"] == 0.5
    for source, message in (
        (["r00", "r99"], "source=r99 has no scores: use one of r00, "),
        ([], r"source=\[\] names no region: give one, or leave it out"),
    ):
        with pytest.raises(GeospotError, match=message):
            gs.predict_scores(run, known, source=source, targets=targets)
    with pytest.raises(GeospotError, match="threshold=70 is no score of"):
        gs.predict_scores(run, known, targets=targets, threshold=70)
    caplog.clear()
    plain = gs.assess_transfer(run, read(scores(), regions=run))
    more = gs.assess_transfer(run, known)
    pd.testing.assert_frame_equal(plain.table, more.table)
    assert "10 scores of sources that are several regions together take no part" in caplog.text
    assert plain.evaluation is not None
    assert more.evaluation is not None
    assert len(more.evaluation.predicted) == len(plain.evaluation.predicted) + 8
