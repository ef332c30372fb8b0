"""On which side of a threshold scores are likely to lie."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from geospot_gpu.errors import GeospotError
from geospot_gpu.pictures.maps import save
from geospot_gpu.pictures.sides import side_colours
from geospot_gpu.pictures.transfer import prediction_map
from geospot_gpu.transfer.scores.scores import Kind
from geospot_gpu.transfer.threshold import (
    checked_threshold,
    side_clause,
    side_counts,
    with_sides,
)

TABLE = pd.DataFrame(
    {
        "lower": [0.71, 0.70, 0.10, 0.10, math.nan],
        "upper": [0.90, 0.80, 0.69, 0.70, math.nan],
        "lon": [-120.0, -100.0, 20.0, 40.0, 60.0],
        "lat": [50.0, 50.0, 0.0, 50.0, 50.0],
        "predicted": 0.5,
        "extrapolates": [False, True, False, False, True],
    }
)


def test_an_interval_says_which_side_where_it_excludes_the_threshold() -> None:
    found = with_sides(TABLE, 0.7)
    expected = ["above", "unclear", "below", "unclear", "unclear"]
    assert found["threshold_side"].tolist() == expected
    counted = {"threshold": 0.7, "above": 1, "below": 1, "unclear": 3}
    assert side_counts(found, 0.7) == {"score_threshold": counted}
    assert side_clause(found, 0.7) == (
        "; by their 90 % intervals 1 are likely above 0.7, 1 likely below, and of 3 it cannot be "
        "said"
    )
    assert with_sides(TABLE, None) is TABLE
    assert (side_counts(TABLE, None), side_clause(TABLE, None)) == ({}, "")


@pytest.mark.parametrize(
    ("value", "kind", "limits", "message"),
    [
        (70, "accuracy", (0, 1), "threshold=70 is no score of scores.kind=accuracy, from 0 to 1: "),
        (-1.0, "error", (0, np.inf), "threshold=-1 is no score of scores.kind=error, from 0 to"),
        (math.inf, "skill", (-np.inf, np.inf), "threshold=inf is no score of scores.kind=skill: g"),
        (math.nan, "skill", (-np.inf, np.inf), "threshold=nan: give a number"),
        ("high", "skill", (-np.inf, np.inf), "threshold='high': give a number"),
    ],
)
def test_a_threshold_is_a_score(
    value: object, kind: Kind, limits: tuple[float, float], message: str
) -> None:
    with pytest.raises(GeospotError) as error:
        checked_threshold(value, kind, limits)
    assert message in str(error.value)
    assert checked_threshold(None, kind, limits) is None


@pytest.mark.slow
@pytest.mark.draws
def test_of_errors_what_lies_above_is_worse(tmp_path: Path) -> None:
    colours = {
        kind: {side: one[0] for side, one in side_colours(0.7, kind).items()}
        for kind in ("accuracy", "error")
    }
    assert colours["accuracy"]["above"] == colours["error"]["below"]
    assert colours["accuracy"]["below"] == colours["error"]["above"]
    save(prediction_map(with_sides(TABLE, 0.7), 10.0, "error", 0.7), tmp_path / "map.png")
    drawn = matplotlib.image.imread(tmp_path / "map.png")[..., :3].reshape(-1, 3)
    for colour in colours["error"].values():
        wanted = matplotlib.colors.to_rgb(colour)
        assert (np.abs(drawn - wanted).max(axis=1) < 0.01).sum() > 500, colour
