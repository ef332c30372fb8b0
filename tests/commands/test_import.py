"""Outputs of the published code become tables that the other commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import geospot_gpu as gs
from geospot_gpu.reference import ReferenceFolder
from tests.data import reference
from tests.helpers.commands import Geospot

IMPORT = ("import", "reference=theirs", "out=ours")


@pytest.mark.slow
def test_a_sweep_and_a_report_go_on_from_an_import(
    geospot_here: Geospot, tmp_path: Path, few_models: None
) -> None:
    reference.write_arrays(tmp_path / "theirs")
    reference.write_scores(tmp_path / "theirs")
    done = geospot_here(*IMPORT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "tables=3 distances=0 scores=16 choices=2"
    table = "points.path=ours/geoyfcc_text_train_bert_singlelabel.parquet"
    sweep = ("sweep", "points=table", table, "points.region=region", "cost.geo_weight=0")
    features = ("encoder=precomputed", "encoder.columns=[features]", "regions.min_points=1")
    done = geospot_here(*sweep, *features, "device=cpu", "outputs=[divergence]", "out=run")
    assert done.returncode == 0, done.stderr
    scores = "scores=ours/scores_zeroshot_eval_countries_bert_singlelabel.csv"
    report = ("transfer", "sweep=run", scores, "scores.kind=accuracy", "out=report")
    done = geospot_here(*report)
    assert done.returncode == 0, done.stderr
    assert "regions=4 pairs=12 missing=0" in done.stdout


def test_points_have_the_coordinates_that_another_model_of_them_has(
    geospot_here: Geospot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Latitude comes first in the arrays, and in no array of BERT."""
    reference.write_arrays(tmp_path / "theirs")
    done = geospot_here(*IMPORT)
    assert done.returncode == 0, done.stderr
    indices, domains, coords = reference.points()
    for name in ("geoyfcc_text_train_bert_singlelabel", "geoyfcc_text_train_geoclip", "bert"):
        table = pd.read_parquet(tmp_path / "ours" / f"{name}.parquet")
        assert table["id"].tolist() == indices.astype(str).tolist()
        assert table["region"].tolist() == domains.astype(str).tolist()
        np.testing.assert_array_equal(table[["lat", "lon"]].to_numpy(np.float32), coords)
        assert set(table["split"]) == {"train"}
    arrays = np.load(tmp_path / "theirs" / "embeddings" / "geoyfcc_text_train_geoclip.npz")
    found = pd.read_parquet(tmp_path / "ours" / "geoyfcc_text_train_geoclip.parquet")
    np.testing.assert_array_equal(np.stack(found["features"].tolist()), arrays["embeddings"])
    assert "bert.pt: its rows are taken for those of geoyfcc_text_train_" in caplog.text
    assert "bert.parquet: 40 points in 4 regions, 6 features each\n" in done.stdout


def test_distances_go_from_training_to_target(geospot_here: Geospot, tmp_path: Path) -> None:
    reference.write_distances(tmp_path / "theirs")
    done = geospot_here(*IMPORT)
    assert done.returncode == 0, done.stderr
    table = pd.read_parquet(tmp_path / "ours" / "distances.parquet")
    union = table[table["k"] == 2].iloc[0]
    assert (union["source"], union["target"], union["greedy"]) == ("5+12", "57", True)
    alone = table[(table["space"] == "bert") & (table["k"] == 1)]
    pairs = alone.set_index(["source", "target"])["distance"]
    assert pairs.loc[("12", "5")] == pytest.approx(0.07 + 0.012)  # 5 is the reference's source
    assert set(table["epsilon"]) == {0.01}
    assert set(table["norm"]) == {"max_per_domain"}
    # lambda weighs the space that is first by the alphabet, wherever it stands
    mixed = table.dropna(subset=["lambda"]).set_index("space")
    assert mixed["geo_weight"].to_dict() == {
        "bert+geodesic": pytest.approx(0.7),
        "satclip_L10+geodesic": pytest.approx(0.3),
        "satclip_L10+bert": 0.0,
    }
    assert mixed.loc["satclip_L10+bert", "weights"] == "bert:0.3 satclip_L10:0.7"
    assert set(table.loc[table["space"] == "geodesic", "geo_weight"]) == {1.0}
    wide = alone.pivot(index="source", columns="target", values="distance")
    found = gs.correlate({"bert": wide}, wide**2).table.set_index(["statistic", "scope"])["value"]
    assert found.loc[("spearman", "overall")] == pytest.approx(1.0)


def test_scores_are_means_over_seeds(
    geospot_here: Geospot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reference.write_scores(tmp_path / "theirs")
    geospot_here(*IMPORT)
    name = "scores_zeroshot_eval_countries_bert_singlelabel.csv"
    pairs = pd.read_csv(tmp_path / "ours" / name).set_index(["source", "target"])
    assert pairs.loc[(0, 57), "score"] == pytest.approx(0.8 - 57 / 150)
    assert pairs["seeds"].tolist() == [2] * 16
    choices = pd.read_csv(tmp_path / "ours" / "choices.csv").set_index("method")
    chosen = choices[["space", "k", "budget", "target"]].to_dict("index")["ot"]
    assert list(chosen.values()) == ["bert", 2, 2000, 57]
    assert choices["score"].to_dict() == {"ot": pytest.approx(0.7), "random": pytest.approx(0.6)}
    assert "left out: 1 .pkl" in caplog.text
    assert "left out: 1 .csv that are neither distances nor accuracies, as summary" in caplog.text


def test_tensors_of_domains(geospot_here: Geospot, tmp_path: Path) -> None:
    reference.write_domains(tmp_path / "theirs")
    done = geospot_here(*IMPORT)
    assert "resnet50_test.parquet: 7 points in 2 regions, 5 features each, without" in done.stdout
    table = pd.read_parquet(tmp_path / "ours" / "resnet50_test.parquet")
    assert table["region"].tolist() == ["0"] * 3 + ["1"] * 4
    assert table["features"].iloc[3].tolist() == [1.0] * 5
    assert table["id"].is_unique


def test_lambda_that_nobody_says_is_empty(
    geospot_here: Geospot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reference.write_distances(tmp_path / "theirs")
    grid = tmp_path / "theirs" / "distances" / "ot_distance" / "lambda_0.3"
    grid.rename(grid.with_name("other"))
    geospot_here(*IMPORT)
    assert "lambda of 3 distances of mixtures is in no column lambda" in caplog.text
    table = pd.read_parquet(tmp_path / "ours" / "distances.parquet")
    mixed = table["space"].str.contains("+", regex=False)
    assert table.loc[mixed, ["lambda", "weights", "geo_weight"]].isna().all(axis=None)


def test_tensors_that_could_be_of_any_points_are_left_out(
    geospot_here: Geospot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reference.write_arrays(tmp_path / "theirs")
    torch.save(torch.zeros(7, 3), tmp_path / "theirs" / "other.pt")
    geospot_here(*IMPORT)
    assert "other.pt: left out: 0 files of arrays (.npz) have its 7 rows in 0 order" in caplog.text
    assert not (tmp_path / "ours" / "other.parquet").exists()


def error_of(folder: Path) -> str:
    with pytest.raises(gs.GeospotError) as caught:
        everything_in(folder)
    return str(caught.value)


def everything_in(folder: Path) -> tuple[Any, ...]:
    found = ReferenceFolder(folder)
    return list(found.embedded()), found.distances(), found.scores()


def test_what_cannot_be_imported_is_named(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    assert "theirs: is no folder: give the one of the reference's outputs" in error_of(theirs)
    theirs.mkdir()
    assert "theirs: holds no outputs of the reference: files <dataset>_<spl" in error_of(theirs)
    path = theirs / "x_train_bert.npz"
    np.savez(path, embeddings=np.zeros((2, 3)))
    assert "npz: array labels, indices, domains is missing; there are: embeddings" in error_of(
        theirs
    )
    rows: dict[str, Any] = {name: np.arange(2) for name in ("labels", "indices", "domains")}
    np.savez(path, embeddings=np.zeros((3, 3)), **rows)
    assert "embeddings (3, 3) do not have one row for each of 2 points" in error_of(theirs)
    np.savez(path, embeddings=np.zeros((2, 3)), **rows | {"labels": np.arange(3)})
    assert "arrays do not have one row for each point" in error_of(theirs)
    np.savez(path, **rows)
    assert "array embeddings is missing; there are: labels, indices, domains" in error_of(theirs)
    np.savez(path, embeddings=np.zeros((2, 3)), coords=np.full((2, 2), 170.0), **rows)
    assert "coords (2, 2) are no latitudes and longitudes" in error_of(theirs)
    np.savez(path, embeddings=np.array([{}, {}], dtype=object), **rows)
    assert "cannot be read (it holds pickled objects)" in error_of(theirs)
    path.write_bytes(b"no archive")
    assert "x_train_bert.npz: cannot be read (" in error_of(theirs)
    path.unlink()
    path = theirs / "bert.pt"
    torch.save({"model": torch.nn.Linear(2, 2)}, path)
    assert "bert.pt: holds more than tensors and is not read" in error_of(theirs)
    torch.save([1, 2], path)
    assert "bert.pt: holds 0 matrices: one is expected" in error_of(theirs)
    path.write_bytes(b"nothing")
    assert "bert.pt: " in error_of(theirs)
    path.unlink()
    reference.write_distances(theirs)
    (name,) = theirs.rglob("*source57_k2*")
    name.write_text(name.read_text().replace("5+12", "5+x"))
    assert "a domain or distance is no number" in error_of(theirs)
    reference.write_domains(theirs)
    torch.save(torch.zeros(2, 9), theirs / "resnet50" / "test" / "embeddings_test_domain2.pt")
    name.unlink()
    assert "test: vectors of domains are not equally long" in error_of(theirs)
    for folder in ("a", "b"):
        reference.write_arrays(theirs / folder)
    assert "two files would become geoyfcc_text_train_bert_singlelabel.parquet" in error_of(theirs)
