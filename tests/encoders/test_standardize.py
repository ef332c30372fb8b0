"""Standardised features: units of columns do not matter, and a run keeps its means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler, normalize

import geospot_gpu as gs
from geospot_gpu.encoders import Mixture, Precomputed, Spaces
from geospot_gpu.errors import GeospotError
from tests.helpers.commands import Geospot

NAMES = ["height", "rain", "warmth"]
EVERY = np.arange(30)


def table(seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    columns = random.normal([900.0, 1200.0, 10.0], [400.0, 800.0, 0.7], (30, 3))
    return pd.DataFrame(
        {
            "id": [f"p{k}" for k in range(30)],
            "lon": random.uniform(-60, 60, 30),
            "lat": random.uniform(-60, 60, 30),
            "region": np.repeat(list("abc"), 10),
        }
        | {name: columns[:, k] for k, name in enumerate(NAMES)}
    )


def encoder(**settings: Any) -> Precomputed:
    given: dict[str, Any] = {"columns": NAMES, "standardize": True}
    return Precomputed(**given | settings)


def encoded(made: Precomputed, frame: pd.DataFrame) -> NDArray[np.float32]:
    points = gs.read_points(frame, text=("id", "region"))
    return made.encode(points, np.arange(len(points)), "cpu")


def expected(frame: pd.DataFrame, of: pd.DataFrame | None = None) -> NDArray[np.float64]:
    """As scikit-learn has it."""
    scaler = StandardScaler().fit((frame if of is None else of)[NAMES].to_numpy())
    unit: NDArray[np.float64] = normalize(scaler.transform(frame[NAMES].to_numpy()))
    return unit


def regions(made: Any, frame: pd.DataFrame, **options: Any) -> gs.Regions:
    return gs.Regions.from_table(frame, region="region", encoder=made, **options)


def test_features_are_those_of_scikit_learn() -> None:
    np.testing.assert_allclose(encoded(encoder(), table()), expected(table()), atol=1e-6)


def test_targets_have_the_means_of_the_points_met_first() -> None:
    made, other = encoder(), table(1)
    other[NAMES] += [300, -500, 2]
    encoded(made, table())
    np.testing.assert_allclose(encoded(made, other), expected(other, table()), atol=1e-6)


def test_means_are_those_before_drawing() -> None:
    made = encoder()
    regions(made, table(), max_points=3, exclude=["c"])
    assert made.scaling is not None
    np.testing.assert_allclose(made.scaling.mean, table()[NAMES].mean(), rtol=1e-12)
    np.testing.assert_allclose(made.scaling.deviation, table()[NAMES].std(ddof=0), rtol=1e-12)


UNIT = expected(table())


@given(st.tuples(*[st.floats(-6, 6)] * 3), st.tuples(*[st.floats(-100, 100)] * 3))
def test_units_do_not_matter(powers: tuple[float, ...], shifts: tuple[float, ...]) -> None:
    frame = table()
    frame[NAMES] = (frame[NAMES] + np.array(shifts)) * 10.0 ** np.array(powers)
    points = gs.Points.build(lon=frame["lon"], lat=frame["lat"], attributes=frame)
    found = encoder().encode(points, EVERY, "cpu")
    np.testing.assert_allclose(found, UNIT, atol=1e-5)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz", "npy"])
def test_files(kind: str, tmp_path: Path) -> None:
    path, frame = tmp_path / f"f.{kind}", table()
    of_file, values = frame[["id", *NAMES]], frame[NAMES].to_numpy()
    if kind == "csv":
        of_file.to_csv(path, index=False)
    elif kind == "parquet":
        of_file.to_parquet(path)
    elif kind == "npz":
        np.savez(path, id=frame["id"].to_numpy(str), features=values)
    else:
        np.save(path, values)
        np.save(tmp_path / "f.ids.npy", frame["id"].to_numpy(str))
    made = Precomputed(path=path, id="id", standardize=True)
    found = encoded(made, frame[["id", "lon", "lat", "region"]])
    np.testing.assert_allclose(found, expected(frame), atol=1e-6)


def test_rows_without_features_count_nowhere() -> None:
    frame = table()
    frame.loc[4, "rain"], frame.loc[9, "warmth"] = np.nan, np.inf
    points = gs.read_points(frame, text=("region",))
    usable = np.setdiff1d(EVERY, [4, 9])
    made = encoder()
    assert np.flatnonzero(made.usable(points, EVERY)).tolist() == usable.tolist()
    np.testing.assert_allclose(
        made.encode(points, usable, "cpu"), expected(frame.iloc[usable]), atol=1e-6
    )
    with pytest.raises(GeospotError, match="row 5: feature vector with an entry that is missing"):
        made.encode(points, EVERY, "cpu")


def test_constant_columns_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    made = encoder(columns=[*NAMES, "same"])
    found = encoded(made, table().assign(same=0.1))
    np.testing.assert_allclose(found[:, :3], expected(table()), atol=1e-6)
    assert "left out 1 of 4 features that are the same for all points: same" in caplog.text
    elsewhere = encoded(made, table().assign(same=1e9))
    np.testing.assert_array_equal(found, elsewhere)


@pytest.mark.parametrize(
    ("value", "message"),
    [(3.0, "features are the same for all points"), (None, "too large to be standardised")],
)
def test_what_cannot_be_standardised(value: float | None, message: str) -> None:
    frame = table()
    frame["warmth"] = np.where(EVERY % 2, 1e300, -1e300) if value is None else value
    with pytest.raises(GeospotError, match=message):
        encoded(encoder(columns=["warmth"]), frame)


def test_other_columns_than_those_of_the_means(caplog: pytest.LogCaptureFixture) -> None:
    first, second = encoder(), encoder(columns=NAMES[::-1])
    encoded(first, table())
    second.relearn(first.learned)
    with pytest.raises(GeospotError, match="features are warmth, rain, height, and means and"):
        encoded(second, table())
    assert not caplog.records


@pytest.mark.parametrize("learned", [None, 3, {}, {"columns": None, "mean": [1], "deviation": []}])
def test_what_does_not_fit_is_left(learned: object) -> None:
    made = encoder()
    made.relearn(learned)
    assert made.learns
    Mixture([(made, 1.0)]).relearn(learned)
    Spaces({"a": made}).relearn(learned)
    assert made.version == "precomputed-standardized"


def test_the_version_says_which_means() -> None:
    plain, one, same, other = encoder(standardize=False), encoder(), encoder(), encoder()
    for made, seed in ((plain, 0), (one, 0), (same, 0), (other, 1)):
        encoded(made, table(seed))
    assert plain.version == "precomputed"
    assert one.version == same.version != other.version
    again = encoder()
    again.relearn(json.loads(json.dumps(one.learned)))
    assert again.version == one.version
    with pytest.raises(GeospotError, match="regions do not compare: features from precomputed-s"):
        gs.pairwise(regions(one, table()), regions(other, table(1)))
    shared = encoder()
    gs.pairwise(
        regions(shared, table()), regions(shared, table(1)), cost=gs.GroundCost(geo_weight=0)
    )


def test_a_warning_says_where_one_column_decides(caplog: pytest.LogCaptureFixture) -> None:
    made, frame = encoder(standardize=False), table()
    factor = frame[NAMES].std(ddof=0).max() / frame[NAMES].std(ddof=0).min()
    encoded(made, frame)
    encoded(made, frame)
    assert [record.getMessage() for record in caplog.records] == [
        f"columns differ in scale by a factor of {factor:,.0f}: encoder.standardize=true gives "
        "them the same weight"
    ]
    caplog.clear()
    encoded(encoder(), frame)
    encoded(encoder(columns=["height", "rain"], standardize=False), frame)
    gs.Regions.from_points(region=frame["region"], features=frame[NAMES].to_numpy())
    assert not caplog.records


def test_spaces_and_mixtures_keep_what_they_learned(tmp_path: Path) -> None:
    spaces: dict[str, Any] = {
        "raw": encoder(standardize=False),
        "even": encoder(),
        "both": {"raw": 0.5, "even": 0.5},
    }
    made = Spaces(spaces)
    run = gs.sweep(tmp_path / "run", regions(made, table()), cost=gs.GroundCost(geo_weight=0))
    again = Spaces({**spaces, "even": encoder()})
    again.relearn(run.manifest["learned"])
    assert not again.learns
    for name in made.names:
        assert again.only(name).version == made.only(name).version
        assert run.spaces[name].manifest["identity"]["encoder"] == made.only(name).version
    points = gs.read_points(table(1))
    one, two = (s.encoders["even"].encode(points, EVERY, "cpu") for s in (made, again))
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_a_run_keeps_its_means(tmp_path: Path, geospot_here: Geospot) -> None:
    table().to_csv(tmp_path / "points.csv", index=False)
    sweep = (
        *("sweep", "points=table", "points.path=points.csv", "points.region=region", "out=run"),
        *("regions.min_points=1", "cost.geo_weight=0", "outputs=[divergence]"),
        *("encoder=precomputed", f"encoder.columns=[{','.join(NAMES)}]"),
    )
    done = geospot_here(*sweep, "encoder.standardize=true")
    assert done.returncode == 0, done.stderr
    run = gs.Run.open(tmp_path / "run")
    target = table(1).assign(region="t")
    cloud = run.regions_like(gs.read_points(target, text=("region",)), {"t": EVERY})["t"]
    order = np.lexsort((target["lat"], target["lon"]))
    assert cloud.features is not None
    np.testing.assert_allclose(
        np.sort(cloud.features.numpy(), axis=0),
        np.sort(expected(target, table())[order], axis=0),
        atol=1e-6,
    )
    pd.concat([table(), target.assign(height=9e3)]).to_csv(tmp_path / "points.csv", index=False)
    more = geospot_here(*sweep, "encoder.standardize=true")
    assert more.returncode == 0, more.stderr
    assert "pairs total=6 computed=3 reused=3" in more.stdout
    assert gs.Run.open(tmp_path / "run").regions.encoder == run.regions.encoder
    refused = geospot_here(*sweep)
    assert refused.returncode == 1
    assert "holds another sweep (encoder=precomputed-standardized-" in refused.stderr
