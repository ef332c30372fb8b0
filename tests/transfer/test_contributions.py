"""What points contribute to a divergence: sums, variations, and places that must matter."""

from __future__ import annotations

import numpy as np
import pytest

import geospot_gpu as gs
from geospot_gpu.transfer.contributions import contributions
from tests.helpers.clouds import random_regions

CPU = gs.Engine(device="cpu")
SOLVER = gs.Sinkhorn(epsilon=0.05, precision="high", tolerance=1e-8)
COST = gs.GroundCost(geo_weight=0.5)


def test_either_side_sums_to_half_of_the_divergence() -> None:
    regions = random_regions([30, 45, 20])
    points = contributions(
        regions, source="r00", target="r02", cost=COST, solver=SOLVER, engine=CPU
    )
    run = gs.pairwise(regions, cost=COST, solver=SOLVER, engine=CPU)
    divergence = float(run.divergence.sel(source="r00", target="r02"))
    sums = points.groupby("side")["contribution"].sum()
    assert sums["source"] == pytest.approx(divergence / 2, rel=1e-6)
    assert sums["target"] == pytest.approx(divergence / 2, rel=1e-6)
    assert points.groupby("region", sort=False).size().to_dict() == {"r00": 30, "r02": 20}
    source = points[points["side"] == "source"]
    assert source["weight"] @ source["importance"] == pytest.approx(1.0)
    assert points[points["side"] == "target"]["importance"].isna().all()


def test_what_did_not_converge_is_said(caplog: pytest.LogCaptureFixture) -> None:
    hasty = gs.Sinkhorn(epsilon=0.05, precision="high", tolerance=1e-8, max_iterations=2)
    regions = random_regions([30, 45, 20])
    pair = {"source": "r00", "target": "r02", "cost": COST, "engine": CPU}
    contributions(regions, solver=SOLVER, **pair)  # type: ignore[arg-type]
    assert not caplog.records
    contributions(regions, solver=hasty, **pair)  # type: ignore[arg-type]
    assert "r00 - r02 did not converge (marginal error" in caplog.text
    assert "r02 - r02 did not converge" in caplog.text


def test_they_are_the_first_variation() -> None:
    """A little mass moved between two source points changes the divergence as they say."""
    generator = np.random.default_rng(0)
    lon, lat = generator.uniform(0, 40, 24), generator.uniform(0, 20, 24)
    names = ["a"] * 12 + ["b"] * 12

    def with_weights(step: float) -> gs.Regions:
        weight = np.ones(24)
        weight[3] += step
        weight[8] -= step
        return gs.Regions.from_points(lon=lon, lat=lat, region=names, weight=weight)

    cost = gs.GroundCost(geo_weight=1.0, geo_scale=3000.0)
    points = contributions(
        with_weights(0.0), source="a", target="b", cost=cost, solver=SOLVER, engine=CPU
    ).set_index("lon")
    density = points["contribution"] / points["weight"]
    expected = (density.loc[lon[3]] - density.loc[lon[8]]) / 12
    values = [
        float(
            gs.pairwise(with_weights(step), cost=cost, solver=SOLVER, engine=CPU).divergence[0, 1]
        )
        for step in (1e-3, -1e-3)
    ]
    assert (values[0] - values[1]) / 2e-3 == pytest.approx(expected, rel=1e-3)


def test_the_place_that_only_one_region_has_drives_the_distance() -> None:
    generator = np.random.default_rng(0)
    lon = np.concatenate([generator.normal(0, 1, 45), generator.normal(60, 1, 5)])
    regions = gs.Regions.from_points(
        lon=np.concatenate([lon, generator.normal(0, 1, 50)]),
        lat=np.concatenate([generator.normal(0, 1, 100)]),
        region=["a"] * 50 + ["b"] * 50,
    )
    cost = gs.GroundCost(geo_weight=1.0)
    points = contributions(
        regions, source="a", target="b", cost=cost, solver=gs.Sinkhorn(), engine=CPU
    )
    source = points[points["side"] == "source"]
    far = source["lon"] > 30
    assert source[far]["contribution"].min() > source[~far]["contribution"].max()
    assert source[far]["importance"].max() < 0.01 < source[~far]["importance"].min()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "xx"}, "target=xx is no region here; there are: r00, r01"),
        ({"target": "r00"}, "source and target are both r00"),
        ({"solver": gs.Engine()}, "solver is of type Engine"),
    ],
)
def test_what_cannot_be_explained(settings: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"source": "r00", "target": "r01", "solver": SOLVER}
    with pytest.raises(gs.GeospotError, match=message):
        contributions(random_regions([5, 6]), cost=COST, engine=CPU, **(arguments | settings))  # type: ignore[arg-type]
