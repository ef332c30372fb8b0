"""The paper, run again on small data sets in the files of the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import geospot_gpu as gs
from benchmarks.paper.__main__ import main
from benchmarks.paper.correlations import relative_change, rhos
from benchmarks.paper.probes import accuracy, trained, transfer_matrix
from benchmarks.paper.samples import prepare
from benchmarks.paper.settings import Settings, read
from geospot_gpu.transfer.correlation import correlate as correlation
from tests.data import fmow, geoyfcc

SMALL = ("points=6", "budgets=6,12", "counts=1", "lambdas=0.3")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KENDALL", "PERMUTATIONS", "RESAMPLES"):
        monkeypatch.setattr(correlation, name, 19)


@pytest.mark.slow
def test_geoyfcc_from_its_pickle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    geoyfcc.write_pickle(tmp_path / "data", 24)
    out = tmp_path / "figures.json"
    main(["dataset=geoyfcc", f"root={tmp_path / 'data'}", f"out={out}", *SMALL, "lambdas="])
    said = capsys.readouterr().out
    assert said.startswith(
        "geoyfcc: 5 regions, 60 training and 30 test samples; spaces words, geoc"
    )
    assert "over targets Uganda, Finland, Peru\n" in said  # 57, 12 and 34, as published
    figures = json.loads(out.read_text())
    assert len(figures["transfer"]) == 25
    assert {one["method"] for one in figures["choices"]} == {
        "words", "geoclip", "geodesic", "random", "all", "own"
    }  # fmt: skip
    assert {(one["count"], one["budget"]) for one in figures["choices"]} == {(1, 6), (1, 12)}
    assert set(figures["correlations"]) == {
        "words", "geoclip", "geodesic", "words + geoclip", "words + geodesic",
        "cosine of means, words", "cosine of means, geoclip", "mean great circle",
    }  # fmt: skip
    assert figures["mixtures"] == []
    # Words mean something else in the south.
    words = figures["correlations"]["words"]
    assert max(words["published"]["rho"], words["ours"]["rho"]) < -0.5
    nearest = [one["score"] for one in figures["choices"] if one["method"] == "words"]
    assert np.mean(nearest) > np.mean([one["score"] for one in figures["choices"]])


@pytest.mark.slow
def test_fmow_with_embeddings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fmow.write_countries(tmp_path / "data", 12)
    points = gs.read_dataset("fmow", tmp_path / "data")
    generator = np.random.default_rng(0)
    kinds = (points.attributes["label"] == "dam").to_numpy(float)
    vectors = np.stack([kinds, points.lat / 50, *generator.normal(0, 0.3, (2, len(points)))], 1)
    (tmp_path / "features").mkdir()
    ids = points.attributes["id"].to_numpy(str)
    np.savez(tmp_path / "features" / "resnet50.npz", id=ids[1:], features=vectors[1:])
    given = [f"embeddings={tmp_path / 'features'}", "geoclip=false", "regions=3"]
    out = tmp_path / "figures.json"
    main(["dataset=fmow", f"root={tmp_path / 'data'}", f"out={out}", *SMALL, *given])
    said = capsys.readouterr().out
    assert "spaces resnet50; probes read resnet50" in said
    assert "resnet50 + geodesic" in said
    assert "1 of 48 points have no features in resnet50\n" in said
    assert "fmow: 3 regions, 24 training and 12 test samples" in said
    (mixture,) = json.loads(out.read_text())["mixtures"]
    assert (mixture["space"], mixture["weight"]) == ("geodesic", 0.3)


def test_the_change_is_relative_to_the_targets_own_model() -> None:
    names = list("abcd")
    generator = np.random.default_rng(0)
    score = generator.uniform(0.1, 0.9, (4, 4))
    score[3, 3] = 0.0  # to which nothing is relative
    table = pd.DataFrame(
        [(s, t, score[i, j]) for i, s in enumerate(names) for j, t in enumerate(names)],
        columns=["source", "target", "score"],
    )
    scores, nothing = relative_change(table)
    assert nothing == ["d"]
    away = generator.uniform(size=(4, 4))
    found = rhos({"away": pd.DataFrame(away, names, names)}, scores)["away"]
    pairs = [(i, j) for i in range(4) for j in range(3) if i != j]
    change = [(score[i, j] - score[j, j]) / score[j, j] for i, j in pairs]
    expected = spearmanr([away[i, j] for i, j in pairs], change).statistic
    assert found.rho == pytest.approx(expected)
    assert found.lower <= found.upper


def test_a_photo_with_several_labels_is_right_by_any_of_them(tmp_path: Path) -> None:
    geoyfcc.write_pickle(tmp_path)
    settings = Settings("geoyfcc", str(tmp_path), geoclip=False, points=12, budgets=[4])
    samples = prepare(settings)
    rows = samples.train["Norway"]
    table = samples.points.attributes.iloc[rows]
    both = table[table["id"].duplicated(keep=False)]
    assert set(both["label"]) == {0, 1}
    at = np.flatnonzero(samples.points.attributes["id"] == both["id"].iloc[0])
    for label, right in ((0, 1.0), (1, 1.0), (2, 0.0)):
        found = accuracy(samples, lambda x, label=label: np.full(len(x), label, object), at)  # type: ignore[misc]
        assert found == (right, 1)
    one = rows[table["label"].to_numpy() == 2]
    assert set(trained(samples, one, 0)(samples.features(rows))) == {2}
    matrix = transfer_matrix(samples, 12, 2)
    assert set(matrix["n"]) == {3}
    of_norway = matrix[matrix["source"] == "Norway"].set_index("target")["score"].to_dict()
    assert of_norway["Norway"] > of_norway["Kenya"]


def test_mistakes_get_one_line(tmp_path: Path) -> None:
    for arguments, message in (
        (["point=3"], "point: there is no such setting; use dataset, root, embeddings"),
        (["points=x"], "points=x is no int"),
        (["geoclip=maybe"], "geoclip=maybe is no bool"),
        (["dataset=geode"], "dataset='geode' is unknown: use one of geoyfcc, fmow"),
        (["dataset=fmow"], "root is needed: give root=FOLDER"),
    ):
        with pytest.raises(gs.GeospotError, match=message):
            read(arguments)
    fmow.write(tmp_path)
    root = ["dataset=fmow", f"root={tmp_path}"]
    with pytest.raises(gs.GeospotError, match="0 regions have samples: three are needed"):
        main(root)
    fmow.write_countries(tmp_path / "many", 6)
    root = ["dataset=fmow", f"root={tmp_path / 'many'}"]
    with pytest.raises(gs.GeospotError, match="there is no space: give embeddings=FOLDER"):
        main([*root, "geoclip=false"])
    with pytest.raises(gs.GeospotError, match="holds no feature files"):
        main([*root, f"embeddings={tmp_path}"])
