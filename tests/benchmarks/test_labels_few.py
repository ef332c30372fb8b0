"""The benchmark of a few labels counts every target the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.labels.few import Case, Tried, figures, scores_of


def table(truth: float, pairs: int) -> pd.DataFrame:
    """Predictions off by 0.4, labels by 0.2, both together by 0.1."""
    return pd.DataFrame(
        {
            "truth": truth, "before": truth + 0.4, "shown": truth - 0.2,
            "predicted": truth + 0.1, "lower": truth - 0.1, "upper": truth + 0.3,
            "before_width": 0.8, "said": [0.5] * pairs,
        }
    )  # fmt: skip


def test_a_line_has_errors_and_intervals() -> None:
    off = table(0.5, 30).assign(predicted=0.8, lower=0.6)
    found = figures([Case(20, "random", table(0.3, 2)), Case(20, "random", off)])
    (row,) = found
    assert (row["labels"], row["points"]) == (20, "random")
    assert row["error"] == pytest.approx(0.2)
    assert row["over that without labels"] == "0.50"
    assert row["over labels alone"] == "1.00"
    assert row["90 % intervals hold"] == "50.0%"
    assert row["mean width"] == pytest.approx(0.3)
    assert row["said beforehand"] == 0.5
    assert row["off by, of a target"] == "87%"


def test_scores_are_of_points_no_model_was_trained_on() -> None:
    value = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    rows = [np.array([0, 1]), np.array([2, 3])]
    tried = Tried(value, rows, [np.array([1]), np.array([2, 3])], "mean")
    found = scores_of(tried, ["a", "b"])
    assert found["score"].tolist() == [0.0, 1.0, 0.0, 1.0]
    assert found["weight"].tolist() == [1, 2, 1, 2]
