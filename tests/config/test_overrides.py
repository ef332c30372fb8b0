"""Settings as they were typed, through Hydra and back."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hypothesis import given
from hypothesis import strategies as st

from geospot_gpu.config.overrides import FolderNames, keep_text, text_keys
from geospot_gpu.config.settings import SCHEMAS


def read(value: str) -> Any:
    """What Hydra reads of a setting that holds text."""
    parsed = OverridesParser.create().parse_override(keep_text(f"target={value}", {"target"}))
    found = parsed.value()
    if isinstance(found, ChoiceSweep):
        return tuple(Override._convert_value(element) for element in found.list)
    return found


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("1_2", "1_2"),
        ("2.50", "2.50"),
        ("7e4", "7e4"),
        ("-5", "-5"),
        ("true", "true"),
        ("inf", "inf"),
        (" 007 ", "007"),
        ("null", None),
        ("'null'", "null"),
        ("", ""),
        ("Côte d'Ivoire", "Côte d'Ivoire"),
        ("Congo (Kinshasa)", "Congo (Kinshasa)"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("Etc/GMT+1", "Etc/GMT+1"),
        ("a=b", "a=b"),
        ("日本", "日本"),
        (r"a\,b", "a,b"),
        (r"C:\data\x", r"C:\data\x"),
        ("'it\\'s, is it'", "it's, is it"),
        ("[1_2,2.50,null,Perú,'a,b']", ["1_2", "2.50", "null", "Perú", "a,b"]),
        ("[]", []),
        ("{1_2:3,Perú:0.5}", [["1_2", 3], ["Perú", 0.5]]),
        ("{a:b:2}", [["a:b", 2]]),
        ("1_2,KEN", ("1_2", "KEN")),
        ("[1_2],[]", (["1_2"], [])),
        ("choice(1_2,KEN)", ("1_2", "KEN")),
        ("${device}", "${device}"),
    ],
)
def test_text_is_what_was_typed(typed: str, meant: object) -> None:
    assert read(typed) == meant


def test_numbers_stay_numbers() -> None:
    assert keep_text("k=1_2", {"target"}) == "k=1_2"
    parsed = OverridesParser.create().parse_override(keep_text("target=range(1,3)", {"target"}))
    assert parsed.is_range_sweep()


@given(
    st.text(min_size=1).filter(
        lambda name: not set(name) & set("\\'\"[]{}(),$:") and name.strip() not in ("null", "")
    )
)
def test_any_name_without_brackets_keeps_its_text(name: str) -> None:
    assert read(name) == name.strip()
    assert read(f"[{name},1_2]") == [name.strip(), "1_2"]


def test_every_command_knows_its_text() -> None:
    assert {"points.region", "regions.include", "encoder.columns", "out"} <= text_keys("sweep")
    assert {"target", "have", "exclude", "pool.id"} <= text_keys("select")
    for command in SCHEMAS:
        assert not text_keys(command) & {"regions.seed", "solver.epsilon", "k", "budget", "seed"}


def test_folders_tell_jobs_apart() -> None:
    folders = FolderNames()
    long = [f"regions.exclude=[{'x' * 300}{k}]" for k in range(2)]
    jobs = ["target='1_2'", "target='a/b'", "target=a-b", *long, "target='Perú'"]
    names = [folders(job) for job in jobs]
    assert names[:2] == ["target=1_2", "target=a-b"]
    assert names[5] == "target=Perú"
    assert len(set(names)) == len(names)
    assert all(len(name.encode()) <= 200 and "/" not in name for name in names)
    assert [folders(job) for job in jobs] == names
