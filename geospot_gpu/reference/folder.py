"""A folder of the reference's outputs: what is in it, and what becomes of it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import expanded
from geospot_gpu.reference.embeddings import (
    ARRAYS,
    DOMAIN,
    Embedded,
    aligned,
    of_domains,
    read_points,
    read_vectors,
    with_coordinates,
)
from geospot_gpu.reference.results import choices, distances, read_result, scores

log = logging.getLogger("geospot_gpu")


class ReferenceFolder:
    """The outputs of the reference in a folder and those below it.

    Args:
        folder: where they are.

    Raises:
        GeospotError: there is no such folder, it has none of them, or two have one name.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = expanded(folder)
        if not self.folder.is_dir():
            raise GeospotError(f"{folder}: is no folder: give the one of the reference's outputs")
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        self.arrays = [path for path in found if ARRAYS.fullmatch(path.name)]
        tensors = [path for path in found if path.suffix == ".pt"]
        self.tensors = [path for path in tensors if not DOMAIN.fullmatch(path.name)]
        self.domains: dict[str, list[Path]] = {}
        for path in tensors:
            if named := DOMAIN.fullmatch(path.name):
                of = path.parent.parent if path.parent.name == named["split"] else path.parent
                self.domains.setdefault(f"{of.name}_{named['split']}", []).append(path)
        self.results = [path for path in found if path.suffix == ".csv"]
        taken = {*self.arrays, *tensors, *self.results}
        if not taken:
            raise GeospotError(
                f"{folder}: holds no outputs of the reference: files <dataset>_<split>_<model>.npz,"
                " .pt, or .csv of distances or accuracies are expected"
            )
        kinds = Counter(path.suffix or path.name for path in found if path not in taken)
        if kinds:
            listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
            log.warning("%s: left out: %s", self.folder, listed)
        names = Counter(self.tables)
        twice = next((name for name, count in names.items() if count > 1), None)
        if twice:
            raise GeospotError(
                f"{folder}: two files would become {twice}.parquet: import one folder at a time"
            )

    @property
    def tables(self) -> list[str]:
        """Names of all tables of points that there may be."""
        return [path.stem for path in (*self.arrays, *self.tensors)] + list(self.domains)

    def embedded(self) -> Iterator[tuple[str, Embedded]]:
        """Tables of points with a vector each, by name.

        Raises:
            GeospotError: a file is broken, or not as the reference writes it.
        """
        known = with_coordinates({path: read_points(path) for path in self.arrays})
        for path, points in known.items():  # vectors of one model at a time
            yield path.stem, read_vectors(path, points)
        for path in self.tensors:
            found = aligned(path, known)
            if found is not None:
                yield path.stem, found
        for name, paths in self.domains.items():
            yield name, of_domains(paths)

    @cached_property
    def _read(self) -> dict[str, list[tuple[Path, pd.DataFrame]]]:
        found: dict[str, list[tuple[Path, pd.DataFrame]]] = {"distance": [], "score": []}
        other = []
        for path in self.results:
            kind, table = read_result(path)
            if kind in found:
                found[kind].append((path, table))
            else:
                other.append(path)
        if other:
            log.warning(
                "%s: left out: %d .csv that are neither distances nor accuracies, as %s",
                *(self.folder, len(other), other[0].name),
            )
        return found

    def distances(self) -> pd.DataFrame | None:
        """All distances (:func:`~geospot_gpu.reference.results.distances`); None without any."""
        tables = self._read["distance"]
        return distances(tables) if tables else None

    def scores(self) -> dict[str, pd.DataFrame]:
        """Accuracies between domains (:func:`~geospot_gpu.reference.results.scores`)."""
        return scores(self._read["score"])

    def choices(self) -> pd.DataFrame:
        """Accuracies of choices of domains (:func:`~geospot_gpu.reference.results.choices`)."""
        return choices(self._read["score"])
