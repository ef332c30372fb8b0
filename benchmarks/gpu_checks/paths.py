"""The paths of the package that compute on a device, each as a function of the engine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import geospot_gpu as gs

Values = dict[str, NDArray[np.float64]]
Path = Callable[[gs.Regions, gs.Engine], Values]

SOLVER = gs.Sinkhorn(epsilon=0.05)
_MIXED = gs.GroundCost(geo_weight=0.5)
_SQUARES = gs.GroundCost(feature="sqeuclidean", geo_weight=0.3, feature_scale=9.0)
_ALL = ("divergence", "std_error", "bias", "coverage", "nearest")


def sampled(*sizes: int, features: int = 6, most: int | None = None, seed: int = 1) -> gs.Regions:
    """Regions of random points, of which each keeps ``most``."""
    generator = np.random.default_rng(seed)
    region, total = np.repeat(np.arange(len(sizes)), sizes), sum(sizes)
    centres = generator.normal(size=(len(sizes), features))
    return gs.Regions.from_points(
        lon=generator.uniform(-180, 180, total),
        lat=generator.uniform(-60, 60, total),
        region=[f"r{k}" for k in region],
        features=centres[region] + generator.normal(size=(total, features)),
        max_points=most,
    )


def _pairwise(regions: gs.Regions, engine: gs.Engine) -> Values:
    found = gs.pairwise(regions, solver=SOLVER, outputs=_ALL, engine=engine)
    return {name: np.asarray(found[name], float) for name in _ALL}


def _grown(regions: gs.Regions, engine: gs.Engine) -> Values:
    found = gs.pairwise(regions, solver=SOLVER, target_error=0.02, engine=engine)
    return {"divergence": np.asarray(found["divergence"], float)}


def _warm(regions: gs.Regions, engine: gs.Engine) -> Values:
    warm = gs.WarmStarts()
    for epsilon in (0.06, 0.05):
        solver = gs.Sinkhorn(epsilon=epsilon)
        found = gs.pairwise(regions, solver=solver, engine=engine, warm=warm)
    return {"divergence": np.asarray(found["divergence"], float)}


def _high_precision(regions: gs.Regions, engine: gs.Engine) -> Values:
    solver = gs.Sinkhorn(epsilon=0.05, precision="high")
    found = gs.pairwise(regions, solver=solver, engine=engine)
    return {"divergence": np.asarray(found["divergence"], float)}


def _geomloss(regions: gs.Regions, engine: gs.Engine) -> Values:
    engine = gs.Engine(engine.device)  # which has a kernel of its own
    found = gs.pairwise(regions, cost=_MIXED, solver=gs.GeomLoss(epsilon=0.05), engine=engine)
    return {"divergence": np.asarray(found["divergence"], float)}


def _contributions(regions: gs.Regions, engine: gs.Engine) -> Values:
    table = gs.contributions(
        regions, source="r0", target="r1", cost=_MIXED, solver=SOLVER, engine=engine
    )
    return {"contribution": table["contribution"].to_numpy(float)}


def _baselines(regions: gs.Regions, engine: gs.Engine) -> Values:
    left, right = np.triu_indices(len(regions), 1)
    table = gs.baselines(regions.to(engine.torch_device()), left, right)
    return {str(name): table[name].to_numpy(float) for name in table}


def _select_regions(method: str) -> Path:
    def path(regions: gs.Regions, engine: gs.Engine) -> Values:
        chosen = gs.select_regions(
            regions, "r0", 20, max_regions=2, method=method, solver=SOLVER, engine=engine  # type: ignore[arg-type]
        )  # fmt: skip
        return {"distance": chosen.table["distance"].to_numpy(float)}

    return path


def _nearest_regions(cost: gs.GroundCost) -> Path:
    def path(regions: gs.Regions, engine: gs.Engine) -> Values:
        found = gs.nearest_regions(regions, "r0", 2, cost=cost, solver=SOLVER, engine=engine)
        return {"divergence": found.table["divergence"].to_numpy(float)}

    return path


def _select_points(cost: gs.GroundCost, have: tuple[str, ...] = ()) -> Path:
    def path(regions: gs.Regions, engine: gs.Engine) -> Values:
        chosen = gs.select_points(
            regions, "r0", 5, have=have, cost=cost, solver=SOLVER, engine=engine
        )
        return {"weight": chosen.table["weight"].to_numpy(float)}

    return path


def _sweep(regions: gs.Regions, engine: gs.Engine) -> Values:
    with tempfile.TemporaryDirectory() as folder:
        run = gs.sweep(f"{folder}/run", regions, cost=_MIXED, solver=SOLVER, engine=engine)
        pairs = run.pairs.sort_values(["source", "target"])
        return {"divergence": pairs["divergence"].to_numpy(float)}


PATHS: dict[str, Path] = {
    "pairwise": _pairwise,
    "pairwise, larger samples": _grown,
    "pairwise, warm": _warm,
    "pairwise, high precision": _high_precision,
    "pairwise, geomloss": _geomloss,
    "contributions": _contributions,
    "baselines": _baselines,
    "select_regions, coverage": _select_regions("coverage"),
    "select_regions, union": _select_regions("union"),
    "nearest_regions": _nearest_regions(_MIXED),
    "nearest_regions, squares": _nearest_regions(_SQUARES),
    "select_points": _select_points(_MIXED),
    "select_points, squares": _select_points(_SQUARES),
    "select_points, have": _select_points(_MIXED, ("r2",)),
    "sweep": _sweep,
}
