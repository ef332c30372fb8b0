"""Several spaces of one run: side by side in transfer, and together in the predictor."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.distances.baselines import kernel_width
from geospot_gpu.distances.columns import featureless, groups, predictors
from geospot_gpu.encoders import Encoder
from geospot_gpu.errors import GeospotError
from geospot_gpu.points.table import Points
from geospot_gpu.sphere import unit_vectors
from geospot_gpu.transfer.correlation.groups import group_of
from geospot_gpu.transfer.evidence import Loaded, features, load, tidy
from geospot_gpu.transfer.predictor.predictor import Predictor
from geospot_gpu.transfer.scores.scores import Scores, read_scores
from geospot_gpu.transfer.spaces import named, split
from geospot_gpu.transfer.training import training_pairs

NAMES = [f"r{k:02d}" for k in range(10)]
NEW = ["near", "far"]


class Sphere(Encoder):
    """Unit vectors of the places."""

    reads_coordinates = True
    version = "sphere"

    def encode(self, points: Points, rows: NDArray[np.int64], device: str) -> NDArray[np.float32]:
        return unit_vectors(lon=points.lon[rows], lat=points.lat[rows]).astype(np.float32)


INPUTS = gs.Precomputed(columns=["f*"])
SPACES: dict[str, Encoder] = {"place": Sphere(), "inputs": INPUTS}
OPTIONS: Any = {
    "cost": gs.GroundCost(geo_weight=0.5),
    "solver": gs.Sinkhorn(epsilon=0.05),
    "engine": gs.Engine(device="cpu"),
}


def table(names: list[str], seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    centres = random.uniform(-40, 40, (len(names), 2))
    places = np.repeat(centres, 12, axis=0) + random.normal(0, 3, (12 * len(names), 2))
    kinds = np.repeat(random.normal(size=(len(names), 3)), 12, axis=0)
    vectors = kinds + random.normal(size=kinds.shape)
    return pd.DataFrame(
        {"region": np.repeat(names, 12), "lon": places[:, 0], "lat": places[:, 1]}
    ).assign(**{f"f{k}": vectors[:, k] for k in range(3)})


def regions(names: list[str] = NAMES, encoder: Any = None, seed: int = 0) -> gs.Regions:
    encoder = gs.Spaces(SPACES) if encoder is None else encoder
    return gs.Regions.from_table(table(names, seed), region="region", encoder=encoder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ten regions in two spaces."""
    made: Path = tmp_path_factory.mktemp("spaces") / "run"
    gs.sweep(made, regions(), **OPTIONS)
    return made


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Loaded:
    return load(gs.Run.open(folder))


@pytest.fixture
def scores() -> Scores:
    random = np.random.default_rng(2)
    matrix = pd.DataFrame(random.uniform(0.2, 0.9, (10, 10)), NAMES, NAMES)
    return read_scores(matrix, kind="accuracy", regions=NAMES)


def test_a_name_says_its_space_where_features_matter() -> None:
    for name in groups():
        assert named(name, None) == name
        space, matrix = split(named(name, "in-puts_2"))
        assert matrix == name
        assert space == (None if name in featureless() else "in-puts_2")
        assert group_of(named(name, "in-puts_2")) == group_of(name)
    assert group_of("place.road_km") == group_of("9.coverage") == "own"
    assert split("place.n_source") == (None, "place.n_source"), "which nobody calls so"
    assert {"n_source", "n_target", "mean_great_circle_km"} <= featureless()


def test_every_space_has_the_distances_that_it_has_alone(folder: Path, loaded: Loaded) -> None:
    run = gs.Run.open(folder)
    for space, one in run.spaces.items():
        alone = load(gs.Run(one.folder, one.manifest | {"spaces": None}))
        for name, values in alone.distances.items():
            np.testing.assert_array_equal(loaded.distances[named(name, space)], values)
    assert set(loaded.distances) == {
        named(name, space) for name in alone.distances for space in SPACES
    }


def test_training_pairs_have_the_distances_of_all_spaces(loaded: Loaded, scores: Scores) -> None:
    pairs, names, *_ = training_pairs(loaded, scores)
    every = {named(name, space) for name in predictors() for space in SPACES}
    assert set(names) == every & set(loaded.distances)
    assert list(pairs.columns[3 : 3 + len(names)]) == names
    for name in names:
        matrix = pd.DataFrame(loaded.distances[name], NAMES, NAMES)
        assert (
            pairs[name] == [matrix.loc[i, j] for i, j in pairs[["source", "target"]].values]
        ).all()


def by_hand(space: Any, sides: tuple[gs.Regions, gs.Regions]) -> dict[str, Any]:
    """Distances from the first side to the second, [R, R'], each from a call of its own."""
    there = gs.pairwise(*sides, **OPTIONS)
    back = gs.pairwise(*sides[::-1], **OPTIONS)
    found = {"divergence": there.divergence.to_numpy()}
    for name in ("coverage", "nearest"):
        found[name] = there[name].to_numpy()
        found[f"{name}_reversed"] = back[name].to_numpy().T
    left, right = (side.ravel() for side in np.meshgrid(range(10), [10, 11], indexing="ij"))
    together, width = sides[0].concatenated(sides[1]), kernel_width(sides[0])
    simple = gs.baselines(together, left, right, width=width)
    for name in predictors():
        stored = name.replace("_reversed", "_target_to_source")
        for column in (name, stored, f"{stored}_source_to_target"):
            if column in simple:
                found[name] = simple[column].to_numpy().reshape(10, 2)
    return {named(name, space): values for name, values in found.items()}


@pytest.mark.usefixtures("few_models")
def test_predictions_are_made_of_features_in_every_space(
    folder: Path, loaded: Loaded, scores: Scores, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = gs.sweep(folder, regions(), **OPTIONS)
    points = gs.read_points(table(NEW, 7))
    targets = run.regions_like(points, gs.by_column(points, "region"))
    assert targets.spaces == ("place", "inputs")
    asked: list[pd.DataFrame] = []
    predict = Predictor.predict

    def watched(self: Predictor, pairs: pd.DataFrame, **labels: Any) -> pd.DataFrame:
        asked.append(pairs)
        return predict(self, pairs, **labels)

    monkeypatch.setattr(Predictor, "predict", watched)
    found = gs.predict_scores(run, scores, targets=targets)
    distances: dict[str, Any] = {}
    for space, encoder in SPACES.items():
        sides = regions(encoder=encoder), regions(NEW, encoder, 7)
        distances |= by_hand(space, sides)
    wanted = tidy(features(distances, *sides, np.diag(scores.score)), NAMES, sorted(NEW))
    pd.testing.assert_frame_equal(asked[0], wanted[list(asked[0])], atol=1e-5)
    assert set(asked[0]) == set(wanted)
    assert list(asked[0].columns[2:]) == list(training_pairs(loaded, scores)[0].columns[3:])
    assert len(found.table) == 20


@pytest.mark.slow
@pytest.mark.usefixtures("few_models")
def test_a_grid_takes_the_spaces_of_coordinates(
    folder: Path, scores: Scores, caplog: pytest.LogCaptureFixture
) -> None:
    run = gs.sweep(folder, regions(), **OPTIONS)
    with caplog.at_level(logging.WARNING, "geospot_gpu"):
        found = gs.predict_scores(run, scores, degrees=90, points=12)
    assert [r.getMessage() for r in caplog.records if "grid" in r.getMessage()] == [
        "a grid over the land has coordinates alone: predicted without the distances of space "
        "inputs"
    ]
    assert found.evaluation.best_single is not None
    assert split(found.evaluation.best_single)[0] in (None, "place")
    assert all(split(name)[0] in (None, "place") for name in found.evaluation.single)


def test_targets_need_the_features_of_all_spaces(folder: Path, scores: Scores) -> None:
    run = gs.sweep(folder, regions(), **OPTIONS)
    with pytest.raises(GeospotError, match="targets have no features in space place, and its dist"):
        gs.predict_scores(run, scores, targets=regions(NEW, "none", 7))
    points = gs.read_points(table(NEW, 7)[["region", "lon", "lat"]])
    with pytest.raises(GeospotError, match=r"encoder.columns='f\*' matches no column"):
        run.regions_like(points, gs.by_column(points, "region"))


def test_a_space_that_lags_behind_is_said(tmp_path: Path) -> None:
    gs.sweep(tmp_path / "run", regions(NAMES[:3]), **OPTIONS)
    gs.sweep(tmp_path / "run", regions(NAMES[:4]).space("place"), **OPTIONS)
    with pytest.raises(GeospotError, match=r"spaces/inputs: has other regions than .*run: finish"):
        load(gs.Run.open(tmp_path / "run"))
