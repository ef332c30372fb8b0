"""Differences between spaces: those of ``difference``, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray
from numpy.typing import NDArray

from geospot_gpu.pictures.maps import save
from geospot_gpu.pictures.spaces import spaces_picture
from geospot_gpu.transfer.correlation import correlate as correlation
from geospot_gpu.transfer.correlation.between import between_spaces, sentences
from geospot_gpu.transfer.correlation.correlate import Judged, difference, judge
from geospot_gpu.transfer.scores.scores import Scores

Array = NDArray[np.float64]
_SIDES = ("", "other_")
NAMES = [f"r{k:02d}" for k in range(12)]


def labelled(values: Array) -> xarray.DataArray:
    return xarray.DataArray(values, {"source": NAMES, "target": NAMES}, ("source", "target"))


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in (("PERMUTATIONS", 99), ("RESAMPLES", 199), ("KENDALL", 9)):
        monkeypatch.setattr(correlation, name, count)


@pytest.fixture
def world() -> tuple[dict[str, Array], Array]:
    """A place that the loss follows, inputs that it follows less, and a third space of noise."""
    random = np.random.default_rng(0)
    places = random.normal(size=(12, 2))
    near = np.linalg.norm(places[:, None] - places, axis=2)
    loss = near + 0.3 * random.normal(size=near.shape)
    distances = {
        "place.divergence": near,
        "place.coverage": near + 0.5 * random.random(near.shape),
        "place.nearest": near + 0.1 * random.random(near.shape),
        "n_source": random.random(near.shape),
        "inputs.divergence": near + random.random(near.shape),
        "inputs.coverage": near + 2.0 * random.random(near.shape),
        "noise.coverage": random.random(near.shape),
        "noise.divergence": np.ones_like(near),  # takes no part
    }
    return distances, loss


def judged(world: tuple[dict[str, Array], Array], seed: int = 0) -> tuple[Judged, pd.DataFrame]:
    distances, loss = world
    found = judge({name: labelled(d) for name, d in distances.items()}, labelled(loss), seed=seed)
    return found, between_spaces(found.correlations.table, found.gain)


def test_they_are_those_of_difference(world: tuple[dict[str, Array], Array]) -> None:
    distances, loss = world
    rows = judged(world, seed=4)[1]
    for row in rows.to_dict("records"):
        sides = (
            f"{row['space']}.{row['distance']}",
            f"{row['other_space']}.{row['other_distance']}",
        )
        one, other = (labelled(distances[name]) for name in sides)
        wanted = difference(one, other, labelled(loss), seed=4)
        assert (row["difference"], row["lower"], row["upper"]) == pytest.approx(wanted, abs=1e-12)
        assert row["difference"] == pytest.approx(row["rho"] - row["other_rho"])


def test_each_two_spaces_are_compared_by_what_both_have(
    world: tuple[dict[str, Array], Array],
) -> None:
    rows = judged(world)[1]
    compared = rows[["space", "distance", "other_space", "other_distance", "best"]]
    assert list(compared.itertuples(index=False, name=None)) == [
        ("place", "divergence", "inputs", "divergence", True),
        ("place", "coverage", "inputs", "coverage", False),
        ("place", "divergence", "noise", "coverage", True),
        ("place", "coverage", "noise", "coverage", False),
        ("inputs", "divergence", "noise", "coverage", True),
        ("inputs", "coverage", "noise", "coverage", False),
    ]


def test_what_is_said(world: tuple[dict[str, Array], Array]) -> None:
    rows = judged(world)[1]
    row = rows.iloc[2]
    figures = f"(rho {row['rho']:.2f} of divergence, {row['other_rho']:.2f} of coverage)"
    said = f"by {row['difference']:+.2f} [{row['lower']:+.2f}, {row['upper']:+.2f}]"
    assert sentences(rows)[1] == f"place above noise {said} {figures}"
    turned = rows.iloc[[2]].assign(
        space="noise",
        other_space="place",
        rho=row["other_rho"],
        other_rho=row["rho"],
        distance="coverage",
        other_distance="divergence",
        difference=-row["difference"],
        lower=-row["upper"],
        upper=-row["lower"],
    )
    assert sentences(turned) == [f"place above noise {said} {figures}"]
    unsure = rows.iloc[[2]].assign(lower=-0.1)
    assert sentences(unsure)[0].startswith(
        f"no difference can be seen between place and noise: {row['difference']:+.2f} [-0.10, "
    )


def test_one_space_is_compared_with_none(world: tuple[dict[str, Array], Array]) -> None:
    distances, loss = world
    alone = {name: d for name, d in distances.items() if not name.startswith(("inputs", "noise"))}
    rows = judged((alone, loss))[1]
    assert len(rows) == 0
    assert sentences(rows) == []


@pytest.mark.draws
def test_a_picture_is_drawn(world: tuple[dict[str, Array], Array], tmp_path: Path) -> None:
    (table, verdict), rows = judged(world)[0].correlations, judged(world)[1]
    distances, loss = world
    scores = Scores(tuple(NAMES), loss, loss, "error")
    save(spaces_picture(table, rows, distances, scores, verdict), tmp_path / "spaces.png")
    assert (tmp_path / "spaces.png").stat().st_size > 20_000
