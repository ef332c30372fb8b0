"""The picture of a sweep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray
from matplotlib import image

from geospot_gpu.ordering import profile_order
from geospot_gpu.pictures.maps import save
from geospot_gpu.pictures.sweep import heatmap


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.draws
def test_names_are_plain_text_in_the_heatmap(
    square: bool, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """Neither formulas nor missing letters stop the picture or clutter the terminal."""
    names = ["$x^$", "$\\frac$", "東京", "b", "c"]
    position = np.array([0.0, 10.0, 0.1, 10.1, 0.2])
    values = np.abs(position[:, None] - position)
    dataset = xarray.Dataset(
        {"divergence": (("source", "target"), values)},
        coords={"source": names, "target": names},
        attrs={"value": "divergence"},
    )
    save(heatmap(dataset, square=square), tmp_path / "map.png")
    pixels = image.imread(tmp_path / "map.png")
    assert min(pixels.shape[:2]) > 300
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 50
    assert not recwarn.list
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]
    order = profile_order(values).tolist()
    assert {frozenset(order[:2]), frozenset(order[:3])} & {frozenset({1, 3}), frozenset({0, 2, 4})}
