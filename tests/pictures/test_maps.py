"""Maps: what is drawn where, and the borders of regions that are polygons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geospot_gpu.pictures.maps import Map, map_axes, pyplot
from tests.helpers.commands import Geospot

geopandas = pytest.importorskip("geopandas")
SQUARES = {"a": (178.0, -20.0), "b": (-180.0, -20.0), "c": (170.0, -45.0)}


def squares() -> object:
    """Three squares of two degrees on both sides of the antimeridian."""
    from shapely import box  # type: ignore[import-untyped]

    shapes = [box(lon, lat, lon + 2.0, lat + 2.0) for lon, lat in SQUARES.values()]
    return geopandas.GeoDataFrame({"name": list(SQUARES)}, geometry=shapes, crs="EPSG:4326")


def test_borders_meet_at_the_antimeridian() -> None:
    plt = pyplot()
    figure, shown = map_axes(np.array([179.0, -179.0]), np.array([-19.0, -19.0]))
    shown.borders(squares(), ["a", "b"])
    first, second = (line[:, 0] for line in shown.axes.collections[-1].get_segments())
    assert first.max() == pytest.approx(second.min(), abs=1e-12)
    assert first.min() < 0.0 < second.max()
    plt.close(figure)


def test_a_cell_has_the_area_of_its_place() -> None:
    plt = pyplot()
    figure, axes = plt.subplots()
    shown = Map(axes, np.array([-170.0, 0.0, 170.0]), np.array([0.0, 80.0, -80.0]))
    x, y = np.moveaxis(shown.cells(np.array([10.0, 100.0]), np.array([0.0, 60.0]), 5.0), -1, 0)
    area = 0.5 * np.abs((x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1))
    bands = np.sin(np.deg2rad([5.0, 65.0])) - np.sin(np.deg2rad([0.0, 60.0]))
    np.testing.assert_allclose(area, np.deg2rad(5.0) * bands, rtol=2e-3)
    plt.close(figure)


@pytest.mark.slow
@pytest.mark.draws
def test_regions_that_are_polygons_are_drawn_as_such(
    geospot_here: Geospot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    squares().to_file(tmp_path / "squares.gpkg")  # type: ignore[attr-defined]
    generator = np.random.default_rng(0)
    corners = np.repeat([*SQUARES.values()], 6, axis=0)
    lon, lat = (corners + generator.uniform(0.1, 1.9, corners.shape)).T
    pd.DataFrame({"lon": lon, "lat": lat}).to_csv(tmp_path / "points.csv", index=False)
    sweep = (
        *("points=table", "points.path=points.csv", "regions=polygons", "encoder=none"),
        *("regions.path=squares.gpkg", "regions.min_points=1"),
    )
    drawn: list[list[str]] = []
    borders = Map.borders

    def watched(self: Map, polygons: object, names: list[str], color: str = "0.25") -> None:
        assert polygons is not None
        drawn.append(list(names))
        borders(self, polygons, names, color)

    assert geospot_here("sweep", *sweep, "out=run").returncode == 0
    with monkeypatch.context() as patch:
        patch.setattr(Map, "borders", watched)
        for command in (
            ("nearest", *sweep, "target=a", "k=2"),
            ("select", "sweep=run", "target=a", "budget=4"),
            ("explain", "sweep=run", "source=a", "target=b"),
        ):
            done = geospot_here(*command, f"out={command[0]}")
            assert done.returncode == 0, done.stderr
    assert [sorted(names) for names in drawn] == [["b", "c"], ["a"], ["b", "c"], ["a"], ["a", "b"]]
    (tmp_path / "squares.gpkg").rename(tmp_path / "moved.gpkg")
    caplog.clear()
    done = geospot_here("explain", "sweep=run", "source=a", "target=b", "out=again")
    assert "squares.gpkg" in done.stderr + " ".join(caplog.messages)
