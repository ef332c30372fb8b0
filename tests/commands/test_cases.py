"""Tables as people bring them: each gives the right result, or says what is wrong with it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from tests.helpers.commands import Geospot

SWEEP = ("sweep", "points=table", "encoder=none", "regions.min_points=10", "device=cpu")
OWN = ("points.path=points.csv", "points.region=region", "out=run")


def table(*names: str) -> pd.DataFrame:
    """Forty points around each of some places, one region each."""
    generator = np.random.default_rng(0)
    centres = np.column_stack([np.linspace(10, 100, len(names)), np.linspace(50, -10, len(names))])
    places = np.repeat(centres, 40, axis=0) + generator.normal(0, 2, (40 * len(names), 2))
    return pd.DataFrame({"region": np.repeat(names, 40), "lon": places[:, 0], "lat": places[:, 1]})


Sweep = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def sweep(geospot_here: Geospot, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Sweep:
    """Sweep a table: the exit code, and what was said that is neither progress nor result."""

    def run(points: pd.DataFrame, *arguments: str) -> tuple[int, list[str]]:
        caplog.clear()
        points.to_csv(tmp_path / "points.csv", index=False)
        done = geospot_here(*SWEEP, *OWN, *arguments)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        return done.returncode, [*caplog.messages, *errors]

    return run


def names(folder: Path) -> list[str]:
    manifest = json.loads((folder / "run" / "manifest.json").read_text())
    return [entry["name"] for entry in manifest["sources"]]


@pytest.mark.slow
def test_forms_of_one_name(sweep: Sweep, tmp_path: Path) -> None:
    points = table("Côte d'Ivoire", "Kenya", "Perú")
    points.loc[5:9, "region"] = unicodedata.normalize("NFD", "Côte d'Ivoire")
    points.loc[40:50, "region"] = "Kenya "
    code, said = sweep(points)
    assert (code, names(tmp_path)) == (0, ["Côte d'Ivoire", "Kenya ", "Perú"])
    assert len(said) == 1
    assert "are one: 'Co\\u0302te d\\'Ivoire'" in said[0] or "'Kenya' is 'Kenya '" in said[0]
    for typed in ("[Côte d'Ivoire,Kenya]", "['Côte d\\'Ivoire', Kenya ]"):
        code, _ = sweep(points, f"regions.include={typed}")
        assert (code, names(tmp_path)) == (0, ["Côte d'Ivoire", "Kenya "])


ODD = ("1_2", "2.50", "7e4", "true", "nan", "Europe/Berlin", "a,b", "=")


@pytest.mark.slow
def test_names_that_look_like_something_else(
    sweep: Sweep, geospot_here: Geospot, tmp_path: Path
) -> None:
    """What is typed is what is looked up, in every command."""
    typed = {name: f"'{name}'" if "," in name else name for name in ODD}
    every = ",".join(typed.values())
    points = table("12", "2.5", "70000.0", "x", *ODD)
    unions = ",".join(f"'{name}+x'" for name in ODD)
    code, said = sweep(points, f"regions.include=[{every},x,12]", f"regions.unions=[{unions}]")
    assert (code, said) == (0, [])
    assert sorted(names(tmp_path)) == sorted([*ODD, "x", "12", *(f"{name}+x" for name in ODD)])
    select = geospot_here("select", "sweep=run", f"target=[{every}]", "budget=9", "out=chosen")
    assert select.returncode == 0, select.stderr
    summary = json.loads((tmp_path / "chosen" / "summary.json").read_text())
    assert summary["targets"] == list(ODD)
    twice, thrice = (",".join(f"{text}:{k}" for text in typed.values()) for k in (2, 3))
    some = geospot_here(
        *("select", "sweep=run", f"target={{{twice},x:1}}", f"have={{{thrice}}}", "budget=9"),
        *("out=some",),
    )
    assert some.returncode == 0, some.stderr
    for name, text in typed.items():
        explain = geospot_here("explain", "sweep=run", f"source={text}", "target=12", "out=why")
        assert explain.returncode == 0, explain.stderr
        assert explain.stdout.startswith(f"{name} - 12: divergence")
        nearest = geospot_here(
            *("nearest", *SWEEP[1:], *OWN[:2], f"target={text}", "k=1", "out=near"),
        )
        assert nearest.returncode == 0, nearest.stderr


def test_names_in_a_multirun(sweep: Sweep, tmp_path: Path) -> None:
    code, said = sweep(table("1_2", "12", "x"), "-m", "out=grid", "regions.exclude=[1_2],[12]")
    assert (code, said) == (0, [])
    folders = sorted(path.name for path in (tmp_path / "grid").iterdir() if path.is_dir())
    assert folders == ["regions.exclude=[12]", "regions.exclude=[1_2]"]
    left = [gs.open_run(tmp_path / "grid" / folder).source.values.tolist() for folder in folders]
    assert left == [["1_2", "x"], ["12", "x"]]


def test_long_names_in_a_multirun(sweep: Sweep, tmp_path: Path) -> None:
    long = [f"a_region_whose_name_has_fifty_letters_or_thereabouts_{k}" for k in range(5)]
    code, said = sweep(
        table("x", "y", *long), "-m", "out=m", f"regions.exclude=[{','.join(long)}],[]"
    )
    assert (code, said) == (0, [])
    folders = [path for path in (tmp_path / "m").iterdir() if path.is_dir()]
    assert sorted(len(gs.open_run(folder).source) for folder in folders) == [2, 7]


def test_a_name_that_is_left_out_anyway(sweep: Sweep, tmp_path: Path) -> None:
    points = table("A", "B", "C")
    points.loc[5, "region"] = "N/A"
    points.loc[6, "region"] = "line\nbreak"
    code, said = sweep(points)
    assert (code, names(tmp_path)) == (0, ["A", "B", "C"])
    assert len(said) == 1
    assert "left out 2 regions with fewer than regions.min_points=10 points: N/A (1)" in said[0]


def test_points_at_zero(sweep: Sweep) -> None:
    points = table("A", "B", "C")
    points.loc[90:105, ["lon", "lat"]] = 0.0
    code, said = sweep(points)
    assert (code, len(said)) == (0, 1)
    assert "16 points lie at exactly 0, 0, where tables put missing coordinates: rows 91" in said[0]


def test_boxes_beside_coordinates(sweep: Sweep, tmp_path: Path) -> None:
    """Boxes of objects in pictures are x and y, too."""
    points = table("A", "B", "C")
    right, _ = sweep(points), names(tmp_path)
    assert right == (0, [])
    expected = gs.open_run(tmp_path / "run").divergence.values
    points = points.rename(columns={"lon": "decimalLongitude", "lat": "decimalLatitude"})
    points.insert(1, "x", np.linspace(0, 1, len(points)))
    points.insert(2, "y", np.linspace(0, 1, len(points)))
    code, said = sweep(points, "out=boxes")
    assert code == 0
    assert said == [
        "points.csv: took column 'decimalLongitude' for lon, not 'x': name the right one "
        "with points.lon=...",
        "points.csv: took column 'decimalLatitude' for lat, not 'y': name the right one "
        "with points.lat=...",
    ]
    np.testing.assert_array_equal(gs.open_run(tmp_path / "boxes").divergence.values, expected)


def test_polygons_in_collections(sweep: Sweep, tmp_path: Path) -> None:
    def square(west: float) -> dict[str, object]:
        ring = [[west, 0], [west + 10, 0], [west + 10, 10], [west, 10], [west, 0]]
        return {"type": "Polygon", "coordinates": [ring]}

    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    shapes = {
        "plain": square(0),
        "collected": {
            "type": "GeometryCollection",
            "geometries": [line, {"type": "GeometryCollection", "geometries": [square(20)]}],
        },
        "line": line,
        "nothing": None,
    }
    features = [
        {"type": "Feature", "properties": {"id": name}, "geometry": shape}
        for name, shape in shapes.items()
    ]
    content = json.dumps({"type": "FeatureCollection", "features": features})
    (tmp_path / "areas.geojson").write_text(content)
    generator = np.random.default_rng(0)
    lon, lat = generator.uniform(-5, 35, 200), generator.uniform(0, 10, 200)
    code, said = sweep(
        pd.DataFrame({"lon": lon, "lat": lat}),
        *("regions=polygons", "regions.path=areas.geojson", "regions.name=id"),
        "points.region=null",
    )
    assert (code, names(tmp_path)) == (0, ["collected", "plain"])
    (warning,) = said
    left_out = "left out 2 features without a polygon: line (LineString), nothing (no geometry)"
    assert warning.endswith(left_out)
