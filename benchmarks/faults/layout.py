"""What the experiments know of geospot's files and of its code: change it here."""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

NO_RESULTS = ("identity.json", "identity.damaged", "manifest.damaged")
"""Files of a sweep that are not there to look at."""
_PATTERNS = {
    "distances": "distances/*.parquet",
    "regions": "regions/*.parquet",
    "baselines": "baselines/*.parquet",
    "identity": "identity.json",
    "manifest": "manifest.json",
    "manifests": "manifests/*.json",
    "matrix": "matrix.csv",
    "heatmap": "heatmap.png",
    "regions to look at": "regions.parquet",
    "record": ".geospot/*-*",
}
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
_CACHE = "embeddings/**/*.f32"


def kinds(folder: Path) -> dict[str, list[Path]]:
    """The files of a sweep, by what they are."""
    return {kind: sorted(folder.glob(pattern)) for kind, pattern in _PATTERNS.items()}


def cached(folder: Path) -> list[Path]:
    """The files of the embedding cache."""
    return sorted(folder.glob(_CACHE))


def redundant(folder: Path) -> list[str]:
    """Files of pairs of a run of which others have every pair."""
    run = module("runs.run").Run.open(folder)
    return [block.name for block in run.distances().catalogue.redundant()]


def twice(folder: Path) -> int:
    """How many pairs of baselines are there more than once."""
    ends = [
        pq.read_table(path, columns=["source", "target"]) for path in kinds(folder)["baselines"]
    ]
    table = pa.concat_tables(ends)
    return len(table) - len(table.group_by(ends[0].column_names).aggregate([]))


def temporaries(folder: Path) -> list[Path]:
    """Files and folders that are half written, below a folder."""
    return sorted(path for path in folder.rglob(".*.tmp") if _TEMPORARY.fullmatch(path.name))


# What follows is done in the process of a trial, before its command.

CHUNK = {"encoding": 40, "self terms": 8, "solving": 8, "baselines": 4}
"""Units that are kept together once they are finished, and lost together before."""
AT_ONCE = {"self terms": 2, "solving": 2, "baselines": 2}
"""Chunks that may be lost where not one: while one is written, the next is computed."""


def module(name: str) -> Any:
    """A module of geospot, to change it."""
    return importlib.import_module(f"geospot_gpu.{name}")


def make_small() -> None:
    """Small chunks, few permutations and models, small pictures: trials are many."""
    from hydra._internal.hydra import Hydra
    from matplotlib.figure import Figure

    # Hydra composes all settings twice, first to learn hydra.mode, which no trial sets.
    Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]
    module("encoders.cache").MOST = CHUNK["encoding"]
    module("runs.baselines")._SIDE = 2
    module("runs.plan")._LEAST_ENTRIES = {"cpu": 2800}  # 4 pairs of 20 points each, 7 self terms
    engine = module("engine.pair_engine")
    whole = engine.batches_of_similar_size
    engine.batches_of_similar_size = lambda n, m, _, *others: whole(n, m, 1600, *others)
    module("pictures.maps")._PIXELS = 36
    module("kernels.cpu").load = lambda: None  # to load it takes longer than to solve
    predictor = module("transfer.predictor.predictor")
    models, predictor.GROUPINGS = predictor.candidates, 1
    predictor.candidates = lambda signs, positive: {
        name: models(signs, positive=positive)[name] for name in ("mean", "median", "linear")
    }
    correlation = module("transfer.correlation.correlate")
    correlation.PERMUTATIONS, correlation.RESAMPLES, correlation.KENDALL = 49, 5, 5
    save = Figure.savefig

    def savefig(self: Figure, *path: Any, **options: Any) -> None:
        self.set_layout_engine("none")
        save(self, *path, **options | {"dpi": 20})

    Figure.savefig = savefig  # type: ignore[method-assign]


class Phase(NamedTuple):
    """A function with which a phase begins."""

    name: str
    function: str
    """``module:attribute``."""


PHASES = (
    Phase("reading", "geospot_gpu.config.objects:make_regions"),
    Phase("encoding", "geospot_gpu.encoders.geoclip:GeoClip._run"),
    Phase("self terms", "geospot_gpu.engine.pair_engine:PairEngine.self_terms"),
    Phase("solving", "geospot_gpu.engine.pair_engine:PairEngine.pairs"),
    Phase("solving", "geospot_gpu.transfer.contributions:contributions"),
    Phase("choosing", "geospot_gpu.selection.regions:select_regions"),
    Phase("bounding", "geospot_gpu.distances.nearest.search:NeighbourSearch.nearest"),
    Phase("baselines", "geospot_gpu.distances.baselines:baselines"),
    Phase("correlating", "geospot_gpu.transfer.correlation.correlate:correlate"),
    Phase("predicting", "geospot_gpu.transfer.predictor.predictor:Predictor.__init__"),
    Phase("writing outputs", "geospot_gpu.files.outputs:OutputFolder.replacing"),
)
KEPT = {
    "sweep": ("encoding", "self terms", "solving"),
    "transfer": ("encoding", "baselines"),
    "predict": ("encoding", "baselines"),
    "explain": ("encoding",),
    "select": ("encoding", "baselines"),
    "nearest": ("encoding",),
}
"""What a command keeps of what it finished, beside its results."""


def watch_units(done: Callable[[str, list[str]], None]) -> None:
    """Say of every point, region and pair when it is finished."""
    geoclip = module("encoders.geoclip").GeoClip
    run = geoclip._run

    def encoded(lat_lon: Any, *others: Any) -> Any:
        features = run(lat_lon, *others)
        done("encoding", [_short(row.tobytes()) for row in lat_lon])
        return features

    geoclip._run = staticmethod(encoded)
    engine = module("engine.pair_engine").PairEngine
    solve = engine._solve_batch

    def solved(self: Any, spec: Any, index: Any, needs: Any, *, symmetric: bool) -> Any:
        columns = solve(self, spec, index, needs, symmetric=symmetric)
        digests, (left, right) = self.regions.digests, index
        kind = "self terms" if symmetric else "solving"
        done(kind, [_short(f"{digests[i]} {digests[j]}") for i, j in zip(left, right, strict=True)])
        return columns

    engine._solve_batch = solved
    worker = module("runs.baselines").BaselineWorker
    compute = worker.compute

    def computed(self: Any, item: Any) -> Any:
        found = compute(self, item)
        if self._store is not None:  # predict has others of its own
            names = self._regions.names
            pairs = zip(item.left, item.right, strict=True)
            done("baselines", [f"{names[i]} {names[j]}" for i, j in pairs])
        return found

    worker.compute = computed


def _short(content: str | bytes) -> str:
    content = content.encode() if isinstance(content, str) else content
    return hashlib.blake2b(content, digest_size=6).hexdigest()
