"""Names: kept as first written, compared by one rule, wherever they come from."""

from __future__ import annotations

import logging
import unicodedata
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geospot_gpu.errors import GeospotError
from geospot_gpu.names import Names, labels, match_names, name_key, name_of, unified

NFC, NFD = "Côte d'Ivoire", unicodedata.normalize("NFD", "Côte d'Ivoire")
NAMES = st.text(st.sampled_from("aAé é\u0301\u200b1.0 \u00a0"), max_size=5)


def series(*values: object) -> pd.Series[Any]:
    return labels(pd.Series(list(values), dtype=object, name="region"))


def test_a_name_is_what_was_first_written(caplog: pytest.LogCaptureFixture) -> None:
    values = series("Kenya ", "Kenya", NFC, NFD, "", "  ", None, "kenya", "Ken ya")
    found = unified(values, "t.csv: column 'region'")
    assert found.fillna("-").tolist() == [
        *("Kenya ", "Kenya ", NFC, NFC, "-", "-", "-", "kenya", "Ken ya"),
    ]
    (record,) = caplog.records
    assert record.message.startswith("t.csv: column 'region': names that differ in surrounding")
    assert "'Kenya' is 'Kenya '" in record.message
    assert "\u0302" not in record.message, "terminals may not show it"


def test_characters_that_cannot_be_seen_are_said(caplog: pytest.LogCaptureFixture) -> None:
    found = unified(series("Mali", "Mali\u200b", "\u202eilaM"), "t.csv")
    assert found.nunique() == 3
    (record,) = caplog.records
    assert "'Mali\\u200b', '\\u202eilaM'" in record.message


def test_nothing_is_said_of_plain_names(caplog: pytest.LogCaptureFixture) -> None:
    assert unified(series("a", "b", "a"), "t.csv").tolist() == ["a", "b", "a"]
    assert not caplog.records


@given(st.lists(NAMES, max_size=8))
def test_unified_names_are_the_first_of_their_key(names: list[str]) -> None:
    logging.disable(logging.WARNING)
    try:
        found = unified(series(*names), "t.csv")
    finally:
        logging.disable(logging.NOTSET)
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(name_key(name), name)
    expected = [first[name_key(name)] if name_key(name) else None for name in names]
    assert [None if pd.isna(name) else name for name in found] == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        (np.str_("x"), "x"),
        (b"img_1", "img_1"),
        (6037, "6037"),
        (np.int16(7), "7"),
        (7.0, "7"),
        (2.5, "2.5"),
        (np.float32(3), "3"),
        (True, "True"),
        (("FR", 2020), "FR/2020"),
        (2**64 - 1, "18446744073709551615"),
    ],
)
def test_whatever_names_a_thing(value: object, text: str) -> None:
    assert name_of(value, "target") == text
    assert Names([text]).find(value) == 0


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), [], {}, (), object(), b"\xff"])
def test_what_is_no_name(value: object) -> None:
    with pytest.raises(GeospotError, match=r"^target: ") as error:
        name_of(value, "target")
    assert "\n" not in str(error.value)


def test_columns_of_every_type() -> None:
    assert labels(pd.Series([1.0, None, 3.0])).fillna("-").tolist() == ["1", "-", "3"]
    assert labels(pd.Series([1.5, 2.0])).tolist() == ["1.5", "2.0"]
    assert labels(pd.Series([2**64 - 1], dtype="uint64")).tolist() == ["18446744073709551615"]
    assert labels(pd.Series([b"a", "b", 3, 4.0, None], dtype=object)).fillna("-").tolist() == [
        *("a", "b", "3", "4", "-")
    ]
    assert labels(pd.Series(["x", "y"], dtype="category")).tolist() == ["x", "y"]
    assert labels(pd.Series([7.0, None], dtype="category")).fillna("-").tolist() == ["7", "-"]
    assert labels(pd.Series(pd.arrays.IntervalArray.from_breaks([0, 1]))).tolist() == ["(0, 1]"]


def test_whole_numbers_match_whatever_wrote_them() -> None:
    known = series("1", "2.0", "3", "3.0", "007")
    assert match_names(series("1.0", "2", "3", "3.0", "3.00", "7", None), known).tolist() == [
        *(0, 1, 2, 3, -1, -1, -1)
    ]
    assert match_names(series("a"), series()).tolist() == [-1]
    assert match_names(series(), known).tolist() == []


@given(st.lists(NAMES, max_size=6), st.lists(NAMES, max_size=6))
def test_positions_find_the_first_of_the_same_key(wanted: list[str], known: list[str]) -> None:
    found = match_names(series(*wanted), series(*known))
    keys = [name_key(name) for name in known]
    for name, at in zip(wanted, found, strict=True):
        key = name_key(name)
        if key and key in keys:
            assert at == keys.index(key)
        elif at >= 0:  # another spelling of a whole number
            assert float(keys[at]) == float(key)


def test_hints() -> None:
    names = Names(["Kenya", "Mali"])
    assert names.hint("Kenia") == "did you mean 'Kenya'?"
    assert names.hint("zz") == "there are: Kenya, Mali"
    assert names.hint(None) == "there are: Kenya, Mali"
    assert (len(names), names["Mali "], list(names)) == (2, 1, ["Kenya", "Mali"])
    with pytest.raises(KeyError):
        names["mali"]
