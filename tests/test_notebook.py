"""What objects show of themselves in a notebook."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.displayed import Displayed, Tabled
from geospot_gpu.errors import GeospotError
from geospot_gpu.notebook import plots, tables
from geospot_gpu.notebook.tables import page, small_map
from geospot_gpu.pictures.maps import pyplot
from tests.helpers.hasty import hurry

EVIL = "<img onerror=alert(1)>"
NAMES = [EVIL, "=cmd()", *"abcdefgh"]


@pytest.fixture(scope="module")
def regions() -> gs.Regions:
    generator = np.random.default_rng(0)
    lon, lat = generator.uniform(0, 40, (2, 60))
    return gs.Regions.from_points(lon=lon, lat=lat, region=NAMES * 6)


@pytest.fixture(scope="module")
def run(regions: gs.Regions, tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    return gs.sweep(tmp_path_factory.mktemp("notebook") / "run", regions)


@pytest.fixture(scope="module")
def things(regions: gs.Regions, run: gs.Run) -> dict[str, Tabled]:
    generator = np.random.default_rng(1)
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        return some_things(regions, run, generator)


def some_things(
    regions: gs.Regions, run: gs.Run, generator: np.random.Generator
) -> dict[str, Tabled]:
    """One of each that needs no scores of single predictions."""
    pairs = pd.DataFrame([(a, b) for a in NAMES for b in NAMES], columns=["source", "target"])
    scores = gs.read_scores(
        pairs.assign(score=generator.uniform(0.2, 0.9, len(pairs))),
        kind="accuracy", regions=run.names,
    )  # fmt: skip
    return {
        "regions": regions,
        "run": run,
        "scores": scores,
        "selection": gs.select_regions(regions, "a", 6),
        "scattered": gs.select_regions(regions, "a", 6, method="scatter"),
        "points": gs.select_points(regions, "a", 3),
        "neighbours": gs.nearest_regions(regions, "a", 3),
        "explanation": gs.explain_distance(run, "a", EVIL),
        "assessment": gs.assess_transfer(run, scores),
    }


def parsed(fragment: str) -> Element:
    """HTML of which every part is closed."""
    return ElementTree.fromstring(f"<div>{fragment}</div>")


def words(element: Element | None) -> str:
    assert element is not None
    return "".join(element.itertext())


def test_every_table_is_html_in_which_names_are_text(things: dict[str, Tabled]) -> None:
    for name, thing in things.items():
        found = thing._repr_html_()
        page_ = parsed(found)
        assert page_.find(".//img") is None, name
        assert words(page_.find("p")), name
        assert page_.find("table") is not None, name
        assert len(found) < 20_000, name


def test_the_map_has_a_dot_where_every_region_is(regions: gs.Regions) -> None:
    table = regions.table()
    dots = parsed(small_map(table)).findall(".//circle")
    assert [words(dot.find("title")) for dot in dots] == list(table["name"])
    left = [float(dot.attrib["cx"]) for dot in dots]
    assert np.argmin(left) == np.argmin(table["lon"] * np.cos(np.deg2rad(table["lat"])))
    assert small_map(table.assign(lon=np.nan)) == ""


def test_long_tables_are_cut_and_say_so() -> None:
    table = pd.DataFrame({"value": range(1234)})
    found = parsed(page("words", table))
    assert len(found.findall(".//tr")) == 11
    assert words(found.findall("p")[-1]) == "and 1,224 more"


@pytest.mark.slow
def test_every_picture_is_drawn_on_the_axes_that_are_given(things: dict[str, Tabled]) -> None:
    plt = pyplot()
    for name, thing in things.items():
        if isinstance(thing, Displayed):
            figure, axes = plt.subplots()
            assert thing.plot(ax=axes) is axes, name
            assert axes.has_data(), name
            own = thing.plot()
            assert own.figure is not figure, name
            plt.close("all")


def test_what_has_no_places_says_so(regions: gs.Regions) -> None:
    features = np.random.default_rng(0).normal(size=(60, 3))
    without = gs.Regions.from_points(region=NAMES * 6, features=features)
    assert "<svg" not in without._repr_html_()
    with pytest.raises(GeospotError, match="no coordinates: no map can be drawn"):
        without.plot()


@pytest.mark.parametrize(("base", "shown"), [(Tabled, tables.html), (Displayed, plots.plot)])
def test_whatever_shows_itself_has_a_view(base: type[Any], shown: Callable[..., Any]) -> None:
    """A class that promises a table or a picture has one."""

    def below(kind: type[Any]) -> set[type[Any]]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    own = {kind for kind in below(base) if kind not in (Tabled, Displayed)}
    registered = set(inspect.getattr_static(shown, "registry")) - {object}
    assert own
    assert own <= registered
