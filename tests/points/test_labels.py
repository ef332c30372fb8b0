"""Labels of points: what is a class, what a number, and what is unknown."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.points.labels import MOST_WHOLE, are_numbers, as_labels, known, together


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["a", " b ", None, ""], ["a", "b", None, None]),
        ([True, False, None], ["True", "False", None]),
        (np.array([True, False]), ["True", "False"]),
        ([1.0, 2.0, np.nan], ["1", "2", None]),
        (pd.array([3, None, 1], dtype="Int64"), ["3", None, "1"]),
        (pd.Categorical(["x", None]), ["x", None]),
        (range(MOST_WHOLE), [str(k) for k in range(MOST_WHOLE)]),
    ],
)
def test_text_truths_and_few_whole_numbers_are_classes(values: Any, labels: list[Any]) -> None:
    found = as_labels(values, "y", "t.csv")
    assert not are_numbers(found)
    assert found.tolist() == labels
    assert known(found).tolist() == [label is not None for label in labels]


def test_words_for_nothing_are_no_labels(caplog: pytest.LogCaptureFixture) -> None:
    classes = as_labels(["forest", " NA", "none", "-", "crop"], "y", "t.csv")
    assert classes.tolist() == ["forest", None, None, None, "crop"]
    assert "t.csv: 3 labels of y are 'NA', 'none', '-': taken as missing" in caplog.text
    numbers = as_labels(["0.5", "NA", "1e1", None], "y", "t.csv")
    np.testing.assert_array_equal(numbers, [0.5, np.nan, 10.0, np.nan])
    assert as_labels(["1", "nan", "3"], "y", "t.csv").tolist() == ["1", None, "3"]
    with pytest.raises(gs.GeospotError, match="y has no label"):
        as_labels(["NA", "NA"], "y", "t.csv")


@pytest.mark.parametrize("values", [[0.5, np.nan], range(MOST_WHOLE + 1), [1.5, 2.0]])
def test_other_numbers_are_numbers(values: Any) -> None:
    found = as_labels(values, "y", "t.csv")
    assert are_numbers(found)
    np.testing.assert_array_equal(found, np.asarray(values, float))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([None, ""], "t.csv: y has no label: give some points one"),
        ([np.nan], "t.csv: y has no label"),
        ([0.5, np.inf], "a label of y is infinite"),
        (pd.to_datetime([date(2020, 1, 1)]), "labels of y are dates"),
    ],
)
def test_what_is_neither_is_refused(values: Any, message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        as_labels(values, "y", "t.csv")


def test_two_tables_have_one_kind() -> None:
    numbers, few = as_labels([0.5, 1.0], "y", "t"), as_labels([1, 2], "y", "t")
    for parts in ([(numbers, 2), (few, 2)], [(few, 2), (numbers, 2)]):
        found = together(parts)
        assert found is not None
        assert are_numbers(found)
    absent = together([(few, 2), (None, 1)])
    assert absent is not None
    assert absent.tolist() == ["1", "2", None]
    with pytest.raises(gs.GeospotError, match="labels do not compare"):
        together([(numbers, 2), (as_labels(["a"], "y", "t"), 1)])
    assert together([(None, 3)]) is None
