"""On which side of a threshold scores are likely to lie."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from geospot_gpu.errors import GeospotError
from geospot_gpu.pictures.sides import side_colours
from geospot_gpu.pictures.transfer import prediction_map
from geospot_gpu.transfer.scores.scores import Kind
from geospot_gpu.transfer.threshold import Threshold, with_sides

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
    threshold = Threshold(0.7, "accuracy")
    found = with_sides(TABLE, threshold)
    expected = ["above", "unclear", "below", "unclear", "unclear"]
    assert found["threshold_side"].tolist() == expected
    assert threshold.summary(found) == {"threshold": 0.7, "above": 1, "below": 1, "unclear": 3}
    assert threshold.text(found) == (
        "by their 90 % intervals 1 are likely above 0.7, 1 likely below, and of 3 it cannot be said"
    )
    assert with_sides(TABLE, None) is TABLE


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
        Threshold.of(value, kind, limits)
    assert message in str(error.value)
    assert Threshold.of(None, kind, limits) is None


@pytest.mark.slow
@pytest.mark.draws
def test_of_errors_what_lies_above_is_worse(tmp_path: Path) -> None:
    colours = {}
    for kind in ("accuracy", "error"):
        threshold = Threshold(0.7, kind)
        colours[kind] = {side: one[0] for side, one in side_colours(threshold).items()}
    assert colours["accuracy"]["above"] == colours["error"]["below"]
    assert colours["accuracy"]["below"] == colours["error"]["above"]
    threshold = Threshold(0.7, "error")
    prediction_map(with_sides(TABLE, threshold), 10.0, "error", tmp_path / "map.png", threshold)
    drawn = matplotlib.image.imread(tmp_path / "map.png")[..., :3].reshape(-1, 3)
    for colour in colours["error"].values():
        wanted = matplotlib.colors.to_rgb(colour)
        assert (np.abs(drawn - wanted).max(axis=1) < 0.01).sum() > 500, colour
