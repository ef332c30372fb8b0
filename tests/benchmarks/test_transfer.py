"""The benchmark of transfer measures what the predictor says, and is as sure as it may be."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import geospot_gpu as gs
from benchmarks.transfer import noise, prediction
from benchmarks.transfer.deployment import Deployed, row
from benchmarks.transfer.distances import Known
from benchmarks.transfer.former import Former
from benchmarks.transfer.jackknife import jackknife_z
from geospot_gpu.transfer.predictor import predictor as settings

NAMES = [f"r{k}" for k in range(10)]


def known_of(generator: np.random.Generator) -> tuple[Known, NDArray[np.float64]]:
    """Regions on a line, and scores that fall with the distance."""
    place = generator.uniform(size=len(NAMES))
    away = np.abs(place[:, None] - place)
    distances = {
        f"{space}.{name}": away + generator.normal(0.0, noise_, away.shape)
        for space, noise_ in (("place", 0.05), ("inputs", 0.2))
        for name in ("coverage", "proxy_a_distance")
    }
    latitude = {"latitude_source": np.broadcast_to(place[:, None], away.shape)}
    return Known(NAMES, distances, distances | latitude), 0.9 - 0.5 * away


@pytest.mark.slow
def test_what_is_measured_is_what_the_predictor_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "GROUPINGS", 1)
    known, score = known_of(np.random.default_rng(0))
    few = np.arange(8)
    pairs, distances = known.among(few).pairs(score[:8, :8], *prediction.SPACES["with inputs"])
    own = prediction.in_spaces(pairs, distances, "accuracy", 3)
    ours = gs.Predictor(pairs, distances, "accuracy", seed=3).evaluation
    assert ours.error_of_single is not None
    assert own["error"] == ours.error
    assert own["simple"] == min(ours.error_of_constant, ours.error_of_single)
    assert (own["covered"], own["width"]) == (ours.covered, ours.width)
    assert own["gains"] == ours.gains
    assert own["trees alone"] == ours.errors["trees"]


def test_pairs_have_the_distances_of_their_spaces_and_scores_at_home() -> None:
    known, score = known_of(np.random.default_rng(1))
    pairs, distances = known.pairs(score, "place")
    assert distances == ["place.coverage", "place.proxy_a_distance"]
    assert len(pairs) == 90
    some = pairs[(pairs["source"] == "r2") & (pairs["target"] == "r5")]
    assert some["score"].tolist() == [score[2, 5]]
    assert some["score_source"].tolist() == [score[2, 2]]
    few = known.among(np.array([5, 2]))
    assert few.names == ["r5", "r2"]
    np.testing.assert_array_equal(
        few.distances["place.coverage"], known.distances["place.coverage"][[5, 2]][:, [5, 2]]
    )


def test_the_jackknife_knows_that_pairs_share_regions() -> None:
    """Gains that are those of regions vary as means of so many regions do, not of pairs."""
    generator = np.random.default_rng(0)
    source, target = np.nonzero(~np.eye(30, dtype=bool))
    found = []
    for _ in range(200):
        of_region = generator.normal(size=30)
        found.append(jackknife_z(of_region[source] + of_region[target], source, target))
    assert np.std(found) == pytest.approx(1.0, abs=0.15)


def test_widths_are_compared_where_as_many_scores_are_held() -> None:
    before = Former(0.1, np.zeros(1), np.array([0.5, 0.8, 1.0]), np.array([1.0, 2.0, 4.0]))
    assert before.width_at(0.9) == pytest.approx(3.0)


def test_relabelled_scores_are_counted_with_a_bound() -> None:
    line = noise.row("dams", (65, 0), (1000, 100))
    assert [*line.values()] == ["dams", "65 of 1000: 6.5% (4.8%)", "0 of 100: 0.0% (0.0%)"]


def test_regions_without_scores_are_averaged() -> None:
    line = row("dams", [Deployed(0.1, 0.2, 1.0, 0.0), Deployed(0.3, 0.2, 0.8, 0.5)])
    assert (line["mean absolute error"], line["better for"]) == (0.2, "1 of 2")
    assert (line["90 % intervals hold"], line["in the worst region"]) == ("90.0%", "80.0%")
