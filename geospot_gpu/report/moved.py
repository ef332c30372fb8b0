"""The part of a page on how distances move with the settings of a multirun."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import expanded
from geospot_gpu.report.html import Section, paragraph, table
from geospot_gpu.runs.run import Run
from geospot_gpu.runs.store import MANIFEST

_TITLES = {
    "spearman": "Spearman's rho with the run of this page",
    "same_nearest": "regions whose nearest is the same",
    "max_points": "points of a region at most",
}
_FEWEST = 3
"""Pairs, of fewer of which there is no correlation."""


def moved(run: Run, folder: str | Path) -> Section:
    """How the distance of the same pairs differs between the jobs of a multirun.

    Args:
        run: the run of the page, which the others are compared with.
        folder: of the multirun.

    Raises:
        GeospotError: the folder holds no runs, or none that shares two regions with this one.
    """
    own = run.matrix()
    rows = []
    for job in _jobs(Path(expanded(folder))):
        if job.nearest is not None or job.manifest["targets"] is not None:
            continue
        both = [name for name in job.names if name in set(run.names)]
        if len(both) < 2:
            continue
        other = job.matrix().sel(source=both, target=both).to_numpy()
        here = own.sel(source=both, target=both).to_numpy()
        upper = np.triu_indices(len(both), k=1)
        a, b = here[upper].astype(float), other[upper].astype(float)
        known = np.isfinite(a) & np.isfinite(b)
        rows.append(
            {
                "job": Path(job.folder).name,
                "epsilon": job.solver.epsilon,
                "geo_weight": job.cost.geo_weight,
                "max_points": job.manifest.get("max_points"),
                "encoder": job.manifest["identity"]["encoder"],
                "pairs": int(known.sum()),
                "median": float(np.nanmedian(b)) if known.any() else np.nan,
                "spearman": _spearman(a[known], b[known]),
                "same_nearest": _same_nearest(here, other),
            }
        )
    if not rows:
        raise GeospotError(
            f"multirun={folder}: none of its runs has all pairs of two regions of {run.folder}: "
            "give the folder of geospot sweep -m on the same regions"
        )
    frame = pd.DataFrame(rows).sort_values(["epsilon", "geo_weight", "max_points"])
    text = paragraph(
        f"Each row is a sweep of {folder}, on the regions that it shares with this page: how large "
        f"{run.value} is, and whether it orders pairs as here. Values of other settings are on "
        "other scales; orders compare."
    )
    text += table("moved", frame, _TITLES)
    return Section("moved", "How distances move with settings", text)


def _jobs(folder: Path) -> Iterator[Run]:
    found = [path for path in sorted(folder.glob("*")) if (path / MANIFEST).is_file()]
    if not found:
        raise GeospotError(
            f"multirun={folder}: holds no folders of runs: give what geospot sweep -m wrote to"
        )
    for path in found:
        yield Run.open(path)


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < _FEWEST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic)


def _same_nearest(a: np.ndarray, b: np.ndarray) -> float:
    """Share of regions whose nearest is the same in two matrices."""
    first, second = (np.where(np.isfinite(side), side, np.inf) for side in (a, b))
    for side in (first, second):
        np.fill_diagonal(side, np.inf)
    return float(np.mean(first.argmin(1) == second.argmin(1)))
