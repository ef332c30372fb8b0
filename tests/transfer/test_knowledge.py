"""What each source of knowledge adds to what is known before it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.transfer.evidence import Loaded
from geospot_gpu.transfer.knowledge import knowledge, removed, sentence
from geospot_gpu.transfer.predictor import predictor as module
from geospot_gpu.transfer.predictor.predictor import Predictor


class _Run:
    def __init__(self, reads_coordinates: bool, **cost: float) -> None:
        self.cost = gs.GroundCost(**cost)  # type: ignore[arg-type]
        self.encoder = gs.GeoClip() if reads_coordinates else gs.Precomputed(columns=["f*"])


def test_features_are_sorted_by_what_has_to_be_known() -> None:
    runs = {"place": _Run(True), "inputs": _Run(False)}
    loaded = Loaded(runs, {}, np.ones((1, 1), bool))  # type: ignore[arg-type]
    names = [
        *("place.coverage", "inputs.coverage_reversed", "mean_great_circle_km", "latitude_source"),
        *("score_source", "inputs.proxy_a_distance"),
    ]
    assert knowledge(loaded, names) == {
        "coordinates": ["place.coverage", "mean_great_circle_km", "latitude_source",
                        "score_source"],
        "inputs": ["inputs.coverage_reversed", "inputs.proxy_a_distance"],
    }  # fmt: skip
    alone = Loaded({None: _Run(False)}, {}, np.ones((1, 1), bool))  # type: ignore[dict-item]
    assert knowledge(alone, ["coverage"]) == {"inputs": ["coverage"]}


@pytest.mark.parametrize(
    ("cost", "needed"), [({"geo_weight": 1.0}, "coordinates"), ({"label_weight": 1.0}, "labels")]
)
def test_a_distance_needs_what_its_cost_compares(cost: dict[str, float], needed: str) -> None:
    run = _Run(reads_coordinates=False, **cost)
    loaded = Loaded({None: run}, {}, np.ones((1, 1), bool))  # type: ignore[dict-item]
    names = ["divergence", "nearest_reversed", "centroid_cosine"]
    assert knowledge(loaded, names) == {
        "inputs": ["centroid_cosine"], needed: ["divergence", "nearest_reversed"],
    }  # fmt: skip


@pytest.mark.usefixtures("few_models")
def test_each_source_takes_its_part_of_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are the sum of two distances of the same spread, of which either explains a half."""
    monkeypatch.setattr(module, "PERMUTATIONS", 1)
    generator, count = np.random.default_rng(0), 24
    i, j = np.nonzero(~np.eye(count, dtype=bool))
    one, other = generator.normal(size=(2, len(i)))
    names = np.array([f"r{k:02d}" for k in range(count)])
    pairs = pd.DataFrame(
        {"source": names[i], "target": names[j], "score": -one - other, "x": one, "z": other}
    )
    fit = Predictor(pairs, ["x", "z"], "skill", knowledge={"coordinates": ["x"], "inputs": ["z"]})
    found = fit.evaluation.known
    assert list(found) == ["always the mean", "coordinates", "inputs"]
    # Of two equal variances one is left, and a little more, as fits are held back.
    assert 0.95 * 2**-0.5 < found["coordinates"] / found["always the mean"] < 0.85
    assert found["inputs"] == fit.evaluation.error
    assert fit.evaluation.error < 0.8 * found["coordinates"]
    rows = removed(found)
    assert sum(row["removed"] for row in rows) == pytest.approx(
        1 - fit.evaluation.error / found["always the mean"], abs=1e-3
    )
    said = sentence(found)
    assert said.startswith("error for regions left out: always the mean 1.")
    assert ", with coordinates " in said
    assert ", then inputs " in said
