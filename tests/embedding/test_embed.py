"""From tables to files of features: what is stored, left out, gone on with, and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.embedding import Embedder
from geospot_gpu.embedding.base import Item, Model, Unusable
from geospot_gpu.files import features
from tests.helpers.images import noise, png

CODES = "abc"


class Letters(Embedder):
    """Turns a text into how often it has some letters; counts what it embeds."""

    unit = "texts"

    def __init__(self, column: Any = "text", batch: int = 2, stop: int = 10**9) -> None:
        super().__init__(column, batch)
        self.embedded: list[str] = []
        self._stop = stop

    def item(self, cells: Sequence[Any], folder: Path) -> Item:
        if not all(isinstance(cell, str) for cell in cells):
            raise Unusable("has no text")
        return " ".join(cells)

    def open(self, items: Callable[[], Iterator[Item]], device: str) -> Model:
        def load(text: Item) -> str:
            if text == "broken":
                raise Unusable("cannot be read")
            return str(text)

        def count(texts: Sequence[str]) -> NDArray[np.float32]:
            if len(self.embedded) >= self._stop:
                raise KeyboardInterrupt
            self.embedded += texts
            rows = [[text.count(letter) + 1 for letter in CODES] for text in texts]
            return np.array(rows, np.float32) / (0.0 if "nan" in texts else 1.0)

        return Model({"version": "letters-1"}, load, count)


def table(count: int = 7, **more: Any) -> pd.DataFrame:
    texts = ["".join("abc"[(k + j) % 3] for j in range(k % 4 + 1)) + str(k) for k in range(count)]
    columns = {"id": [f"p{k}" for k in range(count)], "text": texts}
    return pd.DataFrame(columns | {"lon": np.arange(count), "lat": 0.0} | more)


def vectors(path: Path) -> dict[str, list[float]]:
    read = pq.read_table(path)
    return dict(zip(read["id"].to_pylist(), read["embedding"].to_pylist(), strict=True))


def expected(frame: pd.DataFrame) -> dict[str, list[float]]:
    rows = zip(frame["id"], frame["text"], strict=True)
    return {str(id): [str(text).count(letter) + 1 for letter in CODES] for id, text in rows}


def test_the_file_has_ids_vectors_and_its_maker(tmp_path: Path) -> None:
    out = tmp_path / "f.parquet"
    done = gs.embed(table(), Letters(), out)
    assert done == gs.Embedded(out, "letters-1", 3, 7, 0, 7)
    assert vectors(out) == expected(table())
    assert pq.read_schema(out).field("embedding").type == pa.list_(pa.float32(), 3)
    assert features.maker(out) == "letters-1"
    assert [path.name for path in tmp_path.iterdir() if path.name != ".geospot"] == ["f.parquet"]


def test_a_sweep_takes_the_file_and_is_known_by_the_model(tmp_path: Path) -> None:
    out, frame = tmp_path / "f.parquet", table(12, region=list("xy") * 6)
    gs.embed(frame, Letters(), out)
    encoder = gs.Precomputed(path=out, id="id")
    assert encoder.version == "precomputed-letters-1"
    assert gs.Precomputed(path=out, id="id", normalize=False).version == "precomputed-raw-letters-1"
    regions = gs.Regions.from_table(frame, region="region", encoder=encoder)
    assert regions.encoder == "precomputed-letters-1"
    assert regions.features is not None
    assert regions.features.shape == (12, 3)


def test_other_files_of_features_name_no_model(tmp_path: Path) -> None:
    frame = table().drop(columns="text")
    frame.to_parquet(tmp_path / "own.parquet")
    frame.to_csv(tmp_path / "own.csv")
    pq.write_table(
        pa.table({"id": ["a"]}, metadata={features.KEY: b"[1]"}), tmp_path / "odd.parquet"
    )
    for name in ("own.parquet", "own.csv", "odd.parquet", "gone.parquet"):
        assert features.maker(tmp_path / name) is None
        assert gs.Precomputed(path=tmp_path / name, id="id").version == "precomputed"


def test_what_was_ended_goes_on_where_it_was(tmp_path: Path) -> None:
    out, frame = tmp_path / "f.parquet", table(20)
    ended = Letters(stop=8)
    with pytest.raises(KeyboardInterrupt) as error:
        gs.embed(frame, ended, out)
    assert error.value.__notes__ == [
        "finished batches are kept, and the same command goes on from there"
    ]
    assert not out.exists()
    assert len(list((tmp_path / "f.parquet.parts").glob("*.parquet"))) == 4
    rest = Letters()
    done = gs.embed(frame, rest, out)
    assert done.computed == len(rest.embedded) == 12
    assert vectors(out) == expected(frame)
    again = Letters()
    assert gs.embed(frame, again, out) == gs.Embedded(out, "letters-1", 3, 20, 0, 0)
    assert again.embedded == []


def test_damaged_parts_are_embedded_again(tmp_path: Path) -> None:
    out, frame = tmp_path / "f.parquet", table(20)
    with pytest.raises(KeyboardInterrupt):
        gs.embed(frame, Letters(stop=8), out)
    one, two, *_ = sorted((tmp_path / "f.parquet.parts").glob("*.parquet"))
    one.write_bytes(one.read_bytes()[:-9])
    content = bytearray(two.read_bytes())
    content[10:40] = bytes(30)
    two.write_bytes(content)
    gs.embed(frame, Letters(), out)
    assert vectors(out) == expected(frame)


def test_a_table_that_grew_is_embedded_where_it_did(tmp_path: Path) -> None:
    out = tmp_path / "f.parquet"
    with pytest.raises(KeyboardInterrupt):
        gs.embed(table(8), Letters(stop=6), out)
    grown = Letters()
    gs.embed(table(12), grown, out)
    assert len(grown.embedded) == 6
    changed = table(12).replace({"text": {"b": "bb"}})
    gs.embed(changed, Letters(), out)
    assert vectors(out) == expected(changed)


def test_rows_without_anything_are_found_first(tmp_path: Path) -> None:
    frame = table(9)
    frame.loc[[1, 3, 4, 7], "text"] = None
    by = Letters()
    message = (
        "table: 4 of 9 rows cannot be embedded: row 2 has no text; row 4 has no text; row 5 has no "
        r"text; \.\.\.: mend them, or leave them out with points\.invalid=drop"
    )
    with pytest.raises(gs.GeospotError, match=message):
        gs.embed(frame, by, tmp_path / "f.parquet")
    assert by.embedded == []


def test_rows_that_turn_out_unusable_are_refused_at_the_end_or_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out, frame = tmp_path / "f.parquet", table(9)
    frame.loc[2, "text"], frame.loc[[4, 5], "text"] = "broken", "nan"
    message = "3 of 9 rows cannot be embedded: row 3 cannot be read; row 5 gets a vector that is n"
    with np.errstate(divide="ignore"):
        with pytest.raises(gs.GeospotError, match=message):
            gs.embed(frame, Letters(batch=1), out)
        by = Letters(batch=1)
        done = gs.embed(frame, by, out, invalid="drop")
    assert by.embedded == [], "all others are kept"
    assert (done.rows, done.dropped, done.computed) == (9, 3, 0)
    assert vectors(out) == expected(frame.drop(index=[2, 4, 5]))
    assert "3 of 9 rows cannot be embedded: row 3 cannot be read;" in caplog.text
    assert "they are left out" in caplog.text
    assert gs.embed(frame, by, out, invalid="drop").dropped == 3
    with np.errstate(divide="ignore"), pytest.raises(gs.GeospotError, match="3 of 9 rows cannot"):
        gs.embed(frame, by, out)


def test_parts_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "f.parquet.parts").write_text("")
    with pytest.raises(
        gs.GeospotError, match=r"f\.parquet\.parts: cannot be written \(File exists"
    ):
        gs.embed(table(), Letters(), tmp_path / "f.parquet")


def test_vectors_of_one_file_are_equally_long(tmp_path: Path) -> None:
    class Growing(Letters):
        def open(self, items: Callable[[], Iterator[Item]], device: str) -> Model:
            def grow(texts: Sequence[str]) -> NDArray[np.float32]:
                self.embedded += texts
                return np.ones((len(texts), len(self.embedded)), np.float32)

            return super().open(items, device)._replace(features=grow)

    with pytest.raises(gs.GeospotError, match="the model gives vectors of 2 numbers and of 4"):
        gs.embed(table(), Growing(), tmp_path / "f.parquet")


def test_where_none_is_left_there_is_no_file(tmp_path: Path) -> None:
    frame, out = table(3).assign(text="broken"), tmp_path / "f.parquet"
    with pytest.raises(
        gs.GeospotError, match=r"3 of 3 rows cannot be embedded: .*: there is none l"
    ):
        gs.embed(frame, Letters(), out, invalid="drop")
    assert not out.exists()


def test_rows_of_one_id_are_embedded_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As tables have them that repeat a photo for each of its labels, and its file for one."""
    frame = pd.concat([table(5), table(3)], ignore_index=True)
    frame.loc[[1, 7], "text"] = [None, "abc"]
    by = Letters()
    assert gs.embed(frame, by, tmp_path / "f.parquet").rows == 5
    assert sorted(by.embedded) == sorted([*frame["text"][[0, 2, 3, 4]], frame["text"][6]])
    assert "table: 3 of 8 rows have an id that another one has: one of each is e" in caplog.text


def test_ids_are_needed(tmp_path: Path) -> None:
    out = tmp_path / "f.parquet"
    with pytest.raises(gs.GeospotError, match=r"table: id='id' is not a column; there are: photo"):
        gs.embed(table().rename(columns={"id": "photo"}), Letters(), out)
    frame = table()
    frame.loc[[1, 2], "id"] = [None, " "]
    with pytest.raises(gs.GeospotError, match=r"2 rows have no id in column 'id': rows 2, 3: give"):
        gs.embed(frame, Letters(), out)
    with pytest.raises(gs.GeospotError, match="table: has no rows"):
        gs.embed(table(0), Letters(), out)
    with pytest.raises(gs.GeospotError, match=r"embed\.column='title' is not a column"):
        gs.embed(table(), Letters("title"), out)
    gs.embed(table().rename(columns={"id": "photo"}), Letters(), out, id="photo")
    assert pq.read_schema(out).names == ["photo", "embedding"]


def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "f.parquet"
    table().to_parquet(out)
    with pytest.raises(gs.GeospotError, match="was not written by geospot"):
        gs.embed(table(), Letters(), out)
    with pytest.raises(gs.GeospotError, match="input"):
        gs.embed(out, Letters(), out)
    gs.embed(table(), Letters(), out, overwrite=True)
    assert len(vectors(out)) == 7
    with pytest.raises(gs.GeospotError, match=r"out='f\.csv': give the name of a \.parquet file"):
        gs.embed(table(), Letters(), "f.csv")


def test_every_kind_of_table_gives_the_same(tmp_path: Path) -> None:
    frame = table(9, note="x")
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    (tmp_path / "parts").mkdir()
    frame[:5].to_parquet(tmp_path / "parts" / "0.parquet")
    frame[5:].to_parquet(tmp_path / "parts" / "1.parquet")
    sources = [
        *(tmp_path / "t.csv", tmp_path / "t.parquet", str(tmp_path / "parts"), frame),
        *(gs.read_points(frame), pa.Table.from_pandas(frame), datasets.Dataset.from_pandas(frame)),
    ]
    for number, source in enumerate(sources):
        out = tmp_path / f"{number}.parquet"
        gs.embed(source, Letters(["text", "note"]), out)
        assert vectors(out) == expected(frame)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(gs.GeospotError, match=r"broken\.parquet: cannot be read"):
        gs.embed(broken, Letters(), tmp_path / "f.parquet")
    with pytest.raises(gs.GeospotError, match=r"points\.path=3: give the path of a file or folder"):
        gs.embed(3, Letters(), tmp_path / "f.parquet")


def test_points_that_were_dropped_keep_the_numbers_of_rows(tmp_path: Path) -> None:
    frame = table(5)
    frame.loc[0, "lon"], frame.loc[3, "text"] = np.nan, None
    points = gs.read_points(frame, invalid="drop")
    with pytest.raises(gs.GeospotError, match="1 of 4 rows cannot be embedded: row 4 has no text:"):
        gs.embed(points, Letters(), tmp_path / "f.parquet")


def test_images_in_files_and_in_columns_give_the_same(tmp_path: Path) -> None:
    """Paths, and bytes as Parquet files and data sets of Hugging Face have them."""
    contents = [png(noise(8, 9, seed)) for seed in range(5)]
    for k, content in enumerate(contents):
        (tmp_path / f"{k}.png").write_bytes(content)
    ids = pd.DataFrame({"id": range(5)})
    ids.assign(image=[f"{k}.png" for k in range(5)]).to_csv(tmp_path / "paths.csv", index=False)
    cells: Any = [{"bytes": content, "path": "nowhere.png"} for content in contents]
    ids.assign(image=cells).to_parquet(tmp_path / "cells.parquet")
    dataset = datasets.Dataset.from_dict(
        {"id": list(range(5)), "image": cells},
        features=datasets.Features({"id": datasets.Value("int64"), "image": datasets.Image()}),
    )
    found = []
    sources = [
        *(tmp_path / "paths.csv", tmp_path / "cells.parquet"),
        *(ids.assign(image=contents), dataset),
    ]
    for number, source in enumerate(sources):
        out = tmp_path / "out" / f"{number}.parquet"
        gs.embed(source, gs.Images(features=8, batch=2), out)
        found.append(vectors(out))
    assert len(found[0]["0"]) == 8
    assert found[1:] == found[:1] * 3


def test_an_image_that_changed_is_embedded_again(tmp_path: Path) -> None:
    path, out = tmp_path / "a.png", tmp_path / "f.parquet"
    path.write_bytes(png(noise(8, 8)))
    frame = pd.DataFrame({"id": ["a"], "image": [str(path)]})
    by = gs.Images(features=8)
    gs.embed(frame, by, out)
    before = vectors(out)
    assert gs.embed(frame, by, out).computed == 0
    path.write_bytes(png(noise(9, 8, 1)))
    assert gs.embed(frame, by, out).computed == 1
    assert vectors(out) != before


def test_wrong_arguments_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(gs.GeospotError, match="by is of type str: give a Embedder, as Texts"):
        gs.embed(table(), "text", tmp_path / "f.parquet")  # type: ignore[arg-type]
    with pytest.raises(gs.GeospotError, match=r"points\.invalid='skip' is unknown"):
        gs.embed(table(), Letters(), tmp_path / "f.parquet", invalid="skip")  # type: ignore[arg-type]
