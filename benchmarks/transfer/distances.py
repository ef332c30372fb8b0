"""Distances between the regions of a task, in two spaces: of places, and of what a task reads."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import geospot_gpu as gs
from benchmarks.transfer.tasks import MOST, Task, inputs, read
from geospot_gpu.distances.baselines import baselines
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.engine.method import Method
from geospot_gpu.runs.solving import solve
from geospot_gpu.transfer.evidence import features, load, matrices, tidy
from geospot_gpu.transfer.spaces import split

COST = gs.GroundCost(geo_weight=0.0)
PLACE, INPUTS = "place", "inputs"
_WORDS = 64
"""Dimensions of the names of airports."""
Array = NDArray[np.float64]
Matrices = dict[str, Array]


def distances_of(regions: gs.Regions) -> Matrices:
    """All distances of regions in their one space."""
    left, right = all_pairs(len(regions), None)
    engine = gs.Engine(device="cpu")
    solved = solve(regions, left, right, Method(COST, gs.Sinkhorn()), engine=engine)
    pairs = pd.concat([solved.to_pandas(regions.names), baselines(regions, left, right)], axis=1)
    return matrices(pairs, list(regions.names))


def described(task: Task, folder: Path) -> pd.DataFrame:
    """The points of a task: ``lon``, ``lat``, ``region``, and its inputs as ``f0``, ``f1``, ...

    Columns of numbers are standardised, what is not known is their mean; the n-grams of names are
    the first components of their singular value decomposition.
    """
    table = read(task, folder)
    x, _ = inputs(task, table)
    if isinstance(x, np.ndarray):
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        x = make_pipeline(SimpleImputer(), StandardScaler()).fit_transform(x)
    else:
        from sklearn.decomposition import TruncatedSVD

        x = TruncatedSVD(_WORDS, random_state=0).fit_transform(x)
    found = pd.DataFrame(x, columns=[f"f{k}" for k in range(x.shape[1])])
    places = {"lon": table["lon"], "lat": table["lat"], "region": table[task.region].astype(str)}
    return found.assign(**places)


def run_of(points: pd.DataFrame, out: Path, most: int = MOST) -> gs.Run:
    """A sweep of such points in both spaces.

    Args:
        points: as :func:`described` has them.
        out: folder of the sweep.
        most: points of a region that take part.
    """
    encoder = gs.Spaces({PLACE: gs.GeoClip(), INPUTS: gs.Precomputed(columns=["f*"])})
    regions = gs.Regions.from_table(points, region="region", encoder=encoder, max_points=most)
    return gs.sweep(out, regions, cost=COST, engine=gs.Engine(device="cpu"))


class Known(NamedTuple):
    """What is known of all pairs of regions without scores, [R, R] each."""

    names: list[str]
    distances: Matrices
    """Of both spaces."""
    learned: Matrices
    """What predictors learn from: some of the distances, latitudes and spreads."""

    @classmethod
    def of(cls, run: gs.Run) -> Known:
        """That of a sweep of all pairs."""
        loaded = load(run)
        learned = features(loaded.distances, run.regions, run.regions, None)
        arrays = {name: np.array(values) for name, values in learned.items()}
        return cls(loaded.names, loaded.distances, arrays)

    def among(self, some: NDArray[np.int64]) -> Known:
        """The same of some of the regions."""
        at = np.ix_(some, some)
        return Known(
            [self.names[k] for k in some],
            *({n: v[at] for n, v in one.items()} for one in (self.distances, self.learned)),
        )

    def pairs(
        self, score: Array, *spaces: str, own: Array | None = None
    ) -> tuple[pd.DataFrame, list[str]]:
        """Pairs of different regions with what is learned from, and which of it are distances.

        Args:
            score: of all pairs, [R, R].
            spaces: whose distances are learned from.
            own: scores at home, [R]; those of ``score`` if not given.
        """
        some = {n: x for n, x in self.learned.items() if split(n)[0] in (None, *spaces)}
        home = np.broadcast_to((np.diag(score) if own is None else own)[:, None], score.shape)
        table = tidy({"score": score, **some, "score_source": home}, self.names, self.names)
        table = table[table["source"] != table["target"]].reset_index(drop=True)
        return table, [name for name in some if name in self.distances]
