"""Scores in any form: the same are found, or one line says why not."""

from __future__ import annotations

import csv
import io
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geospot_gpu as gs
from geospot_gpu.transfer.scores.scores import Scores
from tests.helpers.examples import examples
from tests.helpers.scored import accuracies

pytestmark = pytest.mark.slow

ODD_NAMES = (
    *("NA", "nan", "Perú", "Côte d'Ivoire", "a, b", "x; y", "North/South", "12", "-", "mean sea"),
    *("test site", "score", "0", 'the "old" one', "1.5", "n", "A|B", "to", "1", "2"),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], pd.DataFrame, bytes]:
    """Scores as a frame, and the same scores as somebody may have published them."""
    names = draw(st.lists(st.sampled_from(ODD_NAMES), min_size=3, max_size=6, unique=True))
    count = len(names)
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    values = generator.integers(1, 1000, (count, count)) / 1000
    values[generator.random((count, count)) < draw(st.sampled_from([0.0, 0.2]))] = np.nan
    frame = pd.DataFrame(values, index=names, columns=names)

    delimiter = draw(st.sampled_from(",;\t|"))
    comma = delimiter != "," and draw(st.booleans())
    form = draw(st.sampled_from(["{:.3f}", "{:.3f} ± 0.02", "{:.3f} (0.02)", "{:.3f}+/-0.1", "%"]))
    missing = draw(st.sampled_from(["NA", "", "-", "nan"]))

    def cell(value: float) -> str:
        if np.isnan(value):
            return missing
        text = f"{100 * value:.1f} %" if form == "%" else form.format(value)
        return text.replace(".", ",") if comma else text

    def name(text: str) -> str:
        text = unicodedata.normalize(draw(st.sampled_from(["NFC", "NFD"])), text)
        return text + draw(st.sampled_from(["", "", " "]))

    average = draw(st.booleans())
    if draw(st.booleans()):
        rows = [
            ["", *map(name, names), *["Average"][:average]],
            *(
                [name(one), *map(cell, row), *["0"][:average]]
                for one, row in zip(names, values.tolist(), strict=True)
            ),
        ]
        if draw(st.booleans()):  # an index column
            rows[0][0] = "region of training"
            rows = [[str(k - 1) if k else "", *row] for k, row in enumerate(rows)]
    else:
        header = draw(
            st.sampled_from(
                [
                    ["source", "target", "score"],
                    ["Train Region", "Test Region", "Accuracy"],
                    ["src", "tgt", "f1_macro"],
                ]
            )
        )
        rows = [
            [*header, "seed"],
            *(
                [name(names[i]), name(names[j]), cell(value), str(seed % 97)]
                for (i, j), value in np.ndenumerate(values)
            ),
        ]
        order = draw(st.permutations(range(4)))
        rows = [[row[k] for k in order] for row in rows]
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows(rows)
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    return names, frame, file.getvalue().encode(encoding)


@settings(max_examples=examples(100))
@given(tables())
def test_whatever_the_form_the_scores_are_the_same(
    table: tuple[list[str], pd.DataFrame, bytes],
) -> None:
    names, frame, raw = table
    long = pd.Series(frame.stack(), name="score")
    long.index.names = ["source", "target"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.csv"
        path.write_bytes(raw)

        def read(source: object) -> Scores | str:
            try:
                return accuracies(source, regions=names, change="raw")
            except gs.GeospotError as error:
                return str(error)

        found, expected = read(path), read(long.reset_index())
    if isinstance(expected, str):
        assert isinstance(found, str), "what cannot be judged cannot in any form"
    else:
        assert isinstance(found, Scores), found
        assert found.regions == expected.regions
        np.testing.assert_allclose(found.score, expected.score, rtol=1e-12)


CELLS = st.sampled_from(
    [
        *(
            "r00",
            "r01",
            " r00",
            "12",
            "12.0",
            "source",
            "target",
            "score",
            "n",
            "se",
            "Avg",
            "index",
        ),
        *("0.5", "0,6", "0.7 ± 1", "71 %", "-", "", "1,234", "inf", '"', '"a\nb"', "\0", "\ud7ff"),
    ]
)


@settings(max_examples=examples(300))
@given(st.lists(st.lists(CELLS, max_size=5), max_size=5), st.sampled_from(",;\t"), st.booleans())
def test_any_table_is_read_or_refused_in_a_line(
    rows: list[list[str]], delimiter: str, framed: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table: object = Path(folder) / "scores.csv"
        assert isinstance(table, Path)
        table.write_text("\n".join(delimiter.join(row) for row in rows), encoding="utf-8")
        if framed and rows:
            width = len(rows[0])
            cells = [(row + [None] * width)[:width] for row in rows[1:]]
            table = pd.DataFrame(cells, columns=rows[0])
        try:
            found = accuracies(table, regions=["r00", "r01", "12"], change="raw")
        except gs.GeospotError as error:
            lines, any_change = len(str(error).splitlines()), True
        else:
            lines, any_change = 1, bool(np.isfinite(found.change).any())
        assert (lines, any_change) == (1, True)
