"""Matrices are aligned by their labels, or refused."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from geospot_gpu import GeospotError, correlate
from geospot_gpu.transfer.correlation import correlate as correlation
from geospot_gpu.transfer.correlation.labelled import align

NAMES = [*"ABCDEFGHI", "É"]


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in (("PERMUTATIONS", 99), ("RESAMPLES", 19), ("KENDALL", 9)):
        monkeypatch.setattr(correlation, name, count)


def array(seed: int, names: list[Any] = NAMES) -> xarray.DataArray:
    values = np.random.default_rng(seed).random((len(names), len(names)))
    return xarray.DataArray(values, {"source": names, "target": names}, ("source", "target"))


def frame(values: xarray.DataArray) -> pd.DataFrame:
    return pd.DataFrame(values.to_numpy(), values["source"].values, values["target"].values)


@settings(max_examples=10)
@given(order=st.permutations(NAMES), which=st.integers(0, 3), swapped=st.booleans())
def test_the_order_of_no_input_matters(order: list[str], which: int, swapped: bool) -> None:
    given_ = [array(k) for k in range(4)]
    one, other, loss, weight = given_
    expected = correlate({"coverage": one, "nearest": other}, loss, weight=weight)
    shuffled = given_[which].sel(source=order, target=order[::-1])
    given_[which] = shuffled.transpose() if swapped else shuffled
    one, other, loss, weight = given_
    found = correlate({"coverage": one, "nearest": other}, loss, weight=weight)
    pd.testing.assert_frame_equal(found.table, expected.table)
    assert found.verdict == expected.verdict


def test_frames_datasets_and_arrays_say_the_same() -> None:
    distances, loss = {"coverage": array(0), "mine": array(1)}, array(2)
    expected = correlate(distances, loss).table
    frames = {name: frame(values) for name, values in distances.items()}
    pd.testing.assert_frame_equal(correlate(frames, frame(loss)).table, expected)
    turned = frame(loss).T.rename_axis(index="target", columns="source")
    pd.testing.assert_frame_equal(correlate(frames, turned).table, expected)
    dataset = xarray.Dataset(
        {**distances, "iterations": array(3), "spread": ("source", [1.0] * 10)}
    )
    pd.testing.assert_frame_equal(correlate(dataset, loss).table, expected)


def test_names_are_compared_as_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    spelled = [f" {name}" if name != "É" else "E\u0301" for name in NAMES]
    expected = correlate({"d": array(0)}, array(1)).table
    found = correlate({"d": array(0, spelled)}, array(1)).table
    pd.testing.assert_frame_equal(found, expected)
    numbers = list(range(1, 11))
    whole = correlate({"d": array(0, numbers)}, array(1, [float(k) for k in numbers])).table
    np.testing.assert_allclose(whole["value"], correlate({"d": array(0)}, array(1)).table["value"])
    assert not caplog.records


def test_what_fell_away_is_said(caplog: pytest.LogCaptureFixture) -> None:
    one, loss = array(0), array(1)
    loss.loc[{"source": "C"}] = np.nan
    loss.loc[{"target": "C"}] = np.nan
    some = one.sel(source=[n for n in NAMES if n != "A"], target=[n for n in NAMES if n != "B"])
    with caplog.at_level(logging.WARNING, "geospot_gpu"):
        names = align({"d": some}, loss).names
    assert names == tuple(NAMES[3:])
    (record,) = caplog.records
    assert record.getMessage() == (
        "3 of 10 regions are not source and target of every distance or have no loss, and are left "
        "out: A, B, C"
    )
    kept = align({"d": one}, loss.drop_sel(source=["A"]).drop_sel(target=["B"]))
    assert kept.names == names
    ratio = kept.distances["d"] / one.sel(source=list(names), target=list(names)).to_numpy()
    np.testing.assert_allclose(ratio, ratio[0, 0])


def test_other_numbers_are_numbers() -> None:
    whole = (100 * array(0)).astype(int)
    expected = align({"d": whole.astype(float)}, array(1)).distances["d"]
    nullable = frame(whole).astype("Int64").astype(object)
    nullable.iloc[0, 0] = pd.NA
    for values in (whole, frame(whole).astype("Int64"), frame(whole).astype(object)):
        np.testing.assert_array_equal(align({"d": values}, array(1)).distances["d"], expected)
    assert np.isnan(align({"d": nullable}, array(1)).distances["d"][0, 0])
    near = align({"d": array(0) > 0.5}, array(1)).distances["d"]
    assert set(np.unique(near)) == {0.0, 1.0}


TWICE = array(0, [*NAMES[:-1], "A "])
TEXT = frame(array(0)).map(lambda value: f"{value:.1f} km")


@pytest.mark.parametrize(
    ("distances", "loss", "weight", "message"),
    [
        ({"d": np.ones((3, 3))}, array(0), None, r"distances\['d'\] has no labels of regions: lab"),
        ({"d": array(0)}, np.ones((3, 3)), None, r"^loss has no labels of regions: label it with"),
        ({"d": array(0)}, array(0), np.ones((3, 3)), r"^weight has no labels of regions"),
        (np.ones((3, 3)), array(0), None, r"^distances is of type ndarray: give a Mapping"),
        (array(0), array(0), None, r"^distances is of type DataArray: give a Mapping"),
        (None, array(0), None, r"^distances is of type NoneType: give a Mapping"),
        ({}, array(0), None, r"^distances: there is none"),
        ({3: array(0)}, array(0), None, r"^distances: 3 names a matrix: give text"),
        ({"d": [[1.0]]}, array(0), None, r"distances\['d'\] is of type list: give a DataArray or"),
        ({"d": array(0)}, None, None, r"^loss is of type NoneType"),
        ({"d": xarray.DataArray(np.ones((2, 2)))}, array(0), None, r"no labels of source and targ"),
        ({"d": array(0).drop_vars("source")}, array(0), None, r"no labels of source and target"),
        ({"d": pd.DataFrame(np.ones((3, 3)))}, array(0), None, r"numbers of rows in place of nam"),
        ({"d": TWICE}, array(0), None, r"distances\['d'\]: source 'A' is there twice: keep one"),
        ({"d": array(0)}, TWICE, None, r"^loss: source 'A' is there twice"),
        ({"d": array(0, [*NAMES[1:], None])}, array(0), None, r", source: nan is no name"),
        ({"d": TEXT}, array(0), None, r"distances\['d'\] is a matrix of type object: give numbers"),
        ({"d": array(0).astype("M8[s]")}, array(0), None, r"matrix of type datetime64.*give numb"),
        ({"d": array(0) + 1j}, array(0), None, r"matrix of type complex128: give numbers"),
        (
            {"d": array(0, list("xyz"))},
            array(0),
            None,
            r"^loss: no pair of two regions that all .*",
        ),
        ({"d": array(0)}, array(0) * np.nan, None, r"^loss: no pair of two regions"),
        ({"d": array(0)}, array(0) * 0 + 0.1, None, r"^loss: is the same for all pairs"),
        ({"d": array(0)}, 1 / (array(0) * 0), None, r"^loss from A to B is infinite: give NaN"),
        ({"d": array(0, [])}, array(0), None, r"^loss: no pair of two regions .*there are A, B"),
        ({"d": array(0, [])}, array(0, []), None, r"^loss: no pair .*\(there are none\)"),
        ({"d": array(0)}, array(0), -array(0), r"^weight from A to B is -.*: give 0 or more"),
        ({"d": array(0)}, array(0), array(0) * np.nan, r"^weight from A to B is nan"),
        ({"d": array(0)}, array(0), array(0) ** 20, r"^weight: from .*: such small ones are lost"),
        ({"d": array(0)}, array(0), array(0) * 0, r"^loss: no pair of two regions"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    distances: Any, loss: Any, weight: Any, message: str
) -> None:
    with pytest.raises(GeospotError, match=message) as caught:
        correlate(distances, loss, weight=weight)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [-1, "x", 0.5, None])
def test_seeds_are_whole_numbers(seed: Any) -> None:
    with pytest.raises(GeospotError, match=r"^seed="):
        correlate({"d": array(0)}, array(1), seed=seed)


def test_weights_of_nothing_leave_pairs_out() -> None:
    """A weight of 0 is a pair without a loss."""
    weight = (array(5) > 0.3).astype(int)
    loss = array(1)
    out = correlate({"d": array(0)}, loss.where(weight > 0)).table
    pd.testing.assert_frame_equal(correlate({"d": array(0)}, loss, weight=7 * weight).table, out)
