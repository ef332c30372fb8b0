"""A thousand points to label out of a million, for a target of ten thousand.

    python -m benchmarks.points FOLDER

FOLDER gets what the measurement needs and keeps it: places on land with their GeoCLIP features
(2 GB), and a sweep with the target. Encoding is not part of what is measured; reading is.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.lib.format import open_memmap
from tqdm import tqdm

from benchmarks.record import Stopwatch, save
from geospot_gpu.encoders.geoclip import GeoClip, load_location_encoder
from geospot_gpu.land import land
from geospot_gpu.points import Points
from geospot_gpu.points.gallery import read_gallery
from geospot_gpu.regions import grouping

CANDIDATES = 1_000_000
TARGETS = 10_000
BUDGET = 1_000
GEOSPOT = Path(sys.executable).with_name("geospot")
_CHUNK = 2_000
_FLOOR_ROWS = 20_000


def places(count: int) -> pd.DataFrame:
    """Places on land, equally dense on the sphere."""
    generator = np.random.default_rng(0)
    found: list[np.ndarray] = []
    while sum(len(part) for part in found) < count:
        lon = generator.uniform(-180, 180, count)
        lat = np.degrees(np.arcsin(generator.uniform(-1, 1, count)))
        found.append(np.stack([lon, lat], axis=1)[land(lon, lat)])
    lon, lat = np.concatenate(found)[:count].T
    return pd.DataFrame({"id": [f"p{k}" for k in range(count)], "lon": lon, "lat": lat})


def write_features(table: pd.DataFrame, path: Path) -> None:
    """GeoCLIP's features of a table as .npy, with the ids beside them."""
    points = Points.build(lon=table["lon"], lat=table["lat"])
    out = open_memmap(path.with_suffix(".part.npy"), "w+", np.float32, (len(table), 512))
    model = load_location_encoder("cpu")
    for low in tqdm(range(0, len(table), _CHUNK), "encoding", unit=" chunks"):
        rows = np.arange(low, min(low + _CHUNK, len(table)))
        coordinates = np.stack([points.lat[rows], points.lon[rows]], axis=1)
        out[rows] = GeoClip._run(coordinates, model, "cpu")
    out.flush()
    np.save(path.with_suffix(".ids.npy"), table["id"].to_numpy(str))
    path.with_suffix(".part.npy").rename(path)


def prepare(folder: Path) -> None:
    """The pool, and for each geo_weight a sweep with the target."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "pool.npy").exists():
        pool = places(CANDIDATES)
        pool.to_parquet(folder / "pool.parquet")
        write_features(pool, folder / "pool.npy")
    if not (folder / "targets.npy").exists():
        gallery = read_gallery()
        groups = grouping.by_country(gallery)
        generator = np.random.default_rng(0)
        chosen = [generator.choice(groups["US"], TARGETS, replace=False), groups["KE"]]
        rows = np.concatenate(chosen)
        targets = pd.DataFrame(
            {
                "id": [f"t{k}" for k in range(len(rows))],
                "region": np.repeat(["target", "other"], [len(part) for part in chosen]),
                "lon": gallery.lon[rows],
                "lat": gallery.lat[rows],
            }
        )
        targets.to_csv(folder / "targets.csv", index=False)
        write_features(targets, folder / "targets.npy")
    for geo_weight in (0.0, 0.5):
        arguments = (
            *("sweep", "points=table", "points.path=targets.csv", "points.region=region"),
            *("encoder=precomputed", "encoder.path=targets.npy", "encoder.id=id"),
            *(f"cost.geo_weight={geo_weight}", "regions.max_points=null", "regions.min_points=1"),
            *("outputs=[divergence]", f"out=sweep{geo_weight}"),
        )
        subprocess.run([str(GEOSPOT), *arguments], cwd=folder, check=True, capture_output=True)


def measure(folder: Path, geo_weight: float) -> dict[str, object]:
    """Wall time, peak memory and what came out, of the command in a process of its own."""
    arguments = (
        *("select", f"sweep=sweep{geo_weight}", "target=target", "over=points"),
        *("pool=pool.parquet", "pool.features=pool.npy", "pool.id=id"),
        *(f"budget={BUDGET}", f"out=selected{geo_weight}"),
    )
    with Stopwatch() as watch:
        child = subprocess.Popen([str(GEOSPOT), *arguments], cwd=folder, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
    assert status == 0
    summary = json.loads((folder / f"selected{geo_weight}" / "summary.json").read_text())
    assert summary["points"] == BUDGET
    found: dict[str, object] = {
        "seconds (limit 300)": round(watch.seconds, 1),
        "peak memory, GiB (limit 8)": round(usage.ru_maxrss / 2**20, 2),
        "floor: seconds of one product of all features": round(_product_seconds(folder), 1),
        "gains computed again": f"{summary['evaluations']:,} of {BUDGET * CANDIDATES:,}",
        "mean cost reached": round(summary["coverage"], 4),
        "share of the best possible gain, at least": f"{summary['guarantee']:.1%}",
    }
    if geo_weight == 0.0:  # FAISS knows no great circle
        found["FAISS, seconds to find the nearest candidates alone"] = round(_faiss(folder), 1)
    return found


def _faiss(folder: Path) -> float:
    """What FAISS's exact search takes to find the nearest candidate of each target."""
    import faiss

    index = faiss.IndexFlatIP(512)
    pool = np.load(folder / "pool.npy", mmap_mode="r")
    for low in range(0, len(pool), _CHUNK):
        index.add(np.ascontiguousarray(pool[low : low + _CHUNK]))
    targets = np.load(folder / "targets.npy")[:TARGETS]
    with Stopwatch() as watch:
        index.search(targets, 1)
    return watch.seconds


def _product_seconds(folder: Path) -> float:
    """What the products of all candidates and targets take at the rate of a part of them."""
    pool = torch.from_numpy(np.load(folder / "pool.npy", mmap_mode="r")[:_FLOOR_ROWS].copy())
    targets = torch.from_numpy(np.load(folder / "targets.npy")[:TARGETS])
    times = []
    for _ in range(3):
        with Stopwatch() as watch:
            for part in torch.split(pool, 500):
                part @ targets.T
        times.append(watch.seconds)
    return float(np.median(times)) * CANDIDATES / _FLOOR_ROWS


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m benchmarks.points FOLDER")
    work = Path(sys.argv[1]).absolute()
    prepare(work)
    save("points", {f"geo_weight {w:g}": measure(work, w) for w in (0.0, 0.5)})
