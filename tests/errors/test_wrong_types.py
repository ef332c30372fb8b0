"""Every public call with every kind of wrong argument: it works, or says in one line why not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from tests.helpers.calls import Call, calls

WRONG: list[Any] = [
    *(None, "text", "", b"bytes", 3, 0, -1, 2.5, float("nan"), float("inf"), -float("inf"), True),
    *([], [1], ["text"], [None], [[1.0]], (), ("a", "b"), {}, {"a": 1}, {"a": "b"}, {"a": np.nan}),
    *(set(), {1}, range(2), object(), int, len, Path("nowhere"), np.zeros(2), np.zeros((2, 2, 2))),
    *(pd.DataFrame(), pd.DataFrame({"a": ["b"]}), pd.Series(["a"]), 1e30, 10**30, 1j, slice(1)),
]


@cache
def calls_of(folder: Path) -> dict[str, Call]:
    return calls(folder)


NAMES = [
    *("GroundCost", "GroundCost.epsilon_km", "Sinkhorn", "GeomLoss", "EMD", "Engine"),
    *("Ray", "WarmStarts"),
    *("Points.build", "Points.take", "Points.balanced", "read_points", "read_dataset"),
    *("by_column", "by_country", "by_country of a file", "by_grid", "by_h3", "by_kd"),
    *("by_kmeans", "by_levels", "by_polygons", "by_s2"),
    *("NoEncoder.encode", "NoEncoder.open", "NoEncoder.usable", "GeoClip", "GeoClip.encode"),
    *("Precomputed", "Precomputed of a file"),
    "Spaces",
    *("Precomputed.encode", "Precomputed.open", "Precomputed.usable"),
    *("NearestEmbedding", "NearestEmbedding.encode", "NearestEmbedding.open"),
    *("NearestEmbedding.usable", "Raster", "Raster.encode", "Raster.open", "Raster.usable"),
    *("SatClip", "SatClip.encode", "TorchModel", "TorchModel.encode"),
    *("Regions.from_groups", "Regions.from_points", "Regions.from_table"),
    *("Regions.position", "Regions.resampled", "Regions.to", "Regions.concatenated"),
    *("pairwise", "baselines", "contributions", "nearest_regions"),
    *("select_regions", "select_regions by prices", "select_regions by union"),
    *("select_regions by chance", "select_regions by nearest"),
    *("select_points", "select_points by importance", "open_run", "Run.open"),
    *("Predictor", "Predictor.predict", "Texts", "Images"),
    *("SpatialBlocks", "KNNDM", "RegionFolds", "nearest_distances", "embed"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wrong")


def test_every_call_is_listed(folder: Path) -> None:
    found = calls(folder)
    assert list(found) == NAMES
    said = {name.partition(".")[0].partition(" ")[0] for name in NAMES}
    elsewhere = {"Embedder", "Encoder", "GeospotError", "correlate", "read_scores", "sweep"}
    elsewhere |= {"assess_transfer", "predict_scores", "explain_distance"}  # of runs: test_run.py
    elsewhere |= {"applicability"}  # test_applicability.py
    elsewhere |= {"with_class_costs"}  # test_class_costs.py, of distances
    elsewhere |= {"split_loss", "correct_priors"}  # transfer/label_shift/test_split.py
    elsewhere |= {"draw_nearest_distances"}  # validation/test_knndm.py
    elsewhere |= {"write_report"}  # of runs: report/test_write.py
    elsewhere |= {"Column", "register_column"}  # test_own_column.py
    elsewhere |= {"FeatureCost", "register_feature_cost"}  # test_feature_costs.py
    elsewhere |= {  # given, not made
        *(
            "Applicability",
            "Assessment",
            "BesideScatter",
            "ChoiceLimits",
            "Comparison",
            "Correlations",
            "Embedded",
            "Estimate",
            "Evaluation",
            "Explanation",
            "Features",
            "Method",
        ),
        *("NearestDistances", "Neighbours", "Place", "PointSelection", "Pool", "Predictions"),
        *(
            "PriorCorrection",
            "Problem",
            "Sampling",
            "Scores",
            "Selection",
            "Source",
            "StoredPairs",
            "Verdict",
        ),
    }
    assert said | elsewhere == set(gs.__all__)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_wrong_arguments_are_refused_in_one_line(name: str, folder: Path) -> None:
    call = calls_of(folder)[name]
    call()
    unclear = []
    for parameter in call.valid:
        for value in WRONG:
            if parameter == "by" and callable(value):  # that is what it may be
                continue
            said = ""
            try:
                call(**{parameter: value})
            except gs.GeospotError as error:
                if not str(error).strip() or "\n" in str(error) or len(str(error)) > 400:
                    said = str(error)
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            if said:
                unclear.append(f"{parameter}={' '.join(repr(value).split())}: {said[:200]}")
    assert not unclear, "\n".join(unclear)


OPENED = ("encode", "open")
UNREAD = {
    *(("NoEncoder.encode", "device"), ("NoEncoder.open", "device")),
    *(("Precomputed.encode", "device"), ("Precomputed.open", "device")),
    *((f"{name}.{what}", "device") for name in ("NearestEmbedding", "Raster") for what in OPENED),
    *(("Regions.from_points", "normalize"), ("Regions.position", "key")),
}
"""Parameters that a valid call does not need."""


@pytest.mark.parametrize("name", NAMES)
def test_what_is_nothing_of_the_kind_is_never_accepted(name: str, folder: Path) -> None:
    call = calls_of(folder)[name]
    for parameter in call.valid:
        if (name, parameter) not in UNREAD:
            with pytest.raises(gs.GeospotError):
                call(**{parameter: object()})
