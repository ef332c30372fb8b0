"""Groupings: what ``regions=...`` and its settings mean is what the function of Python does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

import geospot_gpu as gs
from geospot_gpu.config.groupings import within
from geospot_gpu.config.objects import make_encoder, make_regions
from geospot_gpu.config.settings import SweepConfig, of_manifest
from geospot_gpu.regions.grouping import GROUPINGS
from tests.helpers.polygon_files import UNITS, boxes

CONF = Path(gs.__file__).parent / "conf" / "regions"


def settings(path: Path, by: str, given: dict[str, Any]) -> SweepConfig:
    points = {"source": "table", "path": str(path)} | ({"region": "town"} if by == "column" else {})
    return of_manifest(
        {
            "out": "run", "points": points, "encoder": {"name": "none"},
            "solver": {"name": "sinkhorn"}, "regions": {"by": by, **given},
        },
        "test",
    )  # fmt: skip


def made(config: SweepConfig) -> gs.Regions:
    return make_regions(config, make_encoder(config), "cpu")[0]


@pytest.fixture
def areas(tmp_path: Path) -> str:
    pytest.importorskip("geopandas")
    path = tmp_path / "areas.parquet"
    table = UNITS.rename(columns={"country": "NAME_0", "iso": "GID_0", "state": "NAME_1"})
    boxes(table, world=True).to_parquet(path)
    return str(path)


GIVEN: dict[str, dict[str, Any]] = {
    "column": {},
    "country": {},
    "country of a file": {"path": "areas"},
    "polygons": {"path": "areas", "name": "NAME_0"},
    "levels": {"path": "areas", "level": 1},
    "grid": {"degrees": 20.0},
    "h3": {"resolution": 2},
    "s2": {"level": 4},
    "kmeans": {"count": 3, "seed": 5},
    "kd": {"count": 6},
}


@pytest.mark.parametrize("case", GIVEN)
def test_settings_are_arguments(case: str, towns: Path, areas: str) -> None:
    by = case.partition(" ")[0]
    given = GIVEN[case] | ({"path": areas} if "path" in GIVEN[case] else {})
    config = settings(towns, by, given)
    arguments = given | ({"name": "town"} if by == "column" else {})
    groups = GROUPINGS[by](gs.read_points(towns), **arguments)
    expected = gs.Regions.from_groups(gs.read_points(towns), groups, encoder="none")
    found = made(config)
    assert found.names == expected.names
    assert found.digests == expected.digests
    assert ("in no polygon" in found.account(within(config.regions))) == (
        "path" in given and found.counts["without_region"] > 0
    )


def test_every_grouping_has_a_file_of_settings_and_a_public_function() -> None:
    options: dict[str, Any] = {path.stem: OmegaConf.load(path) for path in CONF.glob("*.yaml")}
    assert {name for name in options if name != "default"} == {*GROUPINGS}
    for by, function in GROUPINGS.items():
        assert options[by]["by"] == by
        assert getattr(gs, f"by_{by}") is function
    assert {case.partition(" ")[0] for case in GIVEN} == {*GROUPINGS}


@pytest.mark.parametrize(
    ("by", "given", "message"),
    [
        ("polygons", {}, r"^regions=polygons needs regions\.path=\.\.\.: the file of polygons$"),
        ("levels", {"path": "x"}, r"^regions=levels needs regions\.level=\.\.\.: 0 is the coarse"),
        ("grid", {}, r"^regions=grid needs regions\.degrees=\.\.\.: the size of a cell$"),
        ("h3", {}, r"^regions=h3 needs regions\.resolution=\.\.\.: 0 is the coarsest$"),
        ("kd", {}, r"^regions=kd needs regions\.count=\.\.\.: how many regions$"),
        (
            "grid",
            {"degrees": 1.0, "level": 2},
            r"^regions\.level=2 has no effect without regions=levels or s2$",
        ),
        ("kd", {"count": 2, "path": "x"}, r"=x has no effect without regions=country or polygons "),
        ("column", {"name": "x"}, r"^regions\.name=x has no effect without regions=country or pol"),
        ("country", {"name": "x"}, r"^regions\.name='x' has no effect without regions\.path"),
        (
            "h4",
            {},
            r"^regions\.by='h4' is unknown: use one of auto, column, country, pol",
        ),
    ],
)
def test_settings_that_lack_or_have_no_effect(
    by: str, given: dict[str, Any], message: str, towns: Path
) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        made(settings(towns, by, given))
