"""From a table of texts or images to a file of feature vectors, batch by batch."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geospot_gpu.devices import find_device
from geospot_gpu.embedding.base import Embedder, Item, Model, Unusable
from geospot_gpu.embedding.parts import Part, Parts, write_features
from geospot_gpu.embedding.rows import Rows, key_of, table_of
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.kept import kept
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.files import content_hash, expanded
from geospot_gpu.files.outputs import OutputFolder
from geospot_gpu.names import name_of
from geospot_gpu.points.table import Invalid, check_invalid
from geospot_gpu.progress import Progress, shows_progress

log = logging.getLogger("geospot_gpu")

_READERS = 8
_ADVICE = "lower embed.batch"
_MEND = "mend them, or leave them out with points.invalid=drop"


@dataclass(frozen=True)
class Embedded:
    """What a file of features holds, and what was done for it.

    Attributes:
        path: of the file.
        version: the model, with a hash of its weights, as the identity of a run has it.
        rows: that were asked for.
        computed: of them, embedded now; the others were there from an earlier time.
        dropped: of them, left out, as they could not be embedded; by row, counted from 1, why.
        dimension: of the vectors; 0 where the file was there already.
    """

    path: Path
    version: str
    rows: int
    computed: int
    dropped: dict[int, str]
    dimension: int


@shows_progress
def embed(
    source: Any,
    by: Embedder,
    out: str | Path,
    *,
    id: str = "id",
    invalid: Invalid = "error",
    overwrite: bool = False,
    device: str = "auto",
    progress: bool = False,
) -> Embedded:
    """Embed the texts or images of a table, and store the vectors with their ids.

    ``out`` is a Parquet file with the ids, in a column of their name, and the vectors, fixed-size
    lists of float32 in ``embedding``; it is there as a whole or not at all, and
    ``Precomputed(path=out, id=id)`` takes it. Until then every batch has a file in
    ``<out>.parts`` beside it, so that a call that was ended goes on where it was.

    Args:
        source: a table of points, in a file or in memory, or a ``Dataset`` of Hugging Face. It
            needs no coordinates.
        by: :class:`~geospot_gpu.Texts` or :class:`~geospot_gpu.Images`.
        out: the file.
        id: column that tells rows apart.
        invalid: ``error`` refuses rows without a text or an image that can be read, ``drop``
            leaves them out and counts them.
        overwrite: replace a file that geospot did not write.
        device: where the model runs; ``auto`` is a GPU if there is one.
        progress: draw how far it is.

    Raises:
        GeospotError: the table, a column, a package or weights are missing, rows cannot be
            embedded, or ``out`` cannot be written.
    """
    checks.instance(by, Embedder, "by", "as Texts(...) or Images(...)")
    invalid, overwrite = check_invalid(invalid), checks.flag(overwrite, "overwrite")
    path = expanded(checks.path(out, "out"))
    if path.suffix.lower() != ".parquet":
        raise GeospotError(f"out={checks.shown(str(out))}: give the name of a .parquet file")
    id = name_of(id, "id")
    inputs = [source] if isinstance(source, str | Path) else []
    results = OutputFolder(path.parent, [path.name], inputs=inputs, overwrite=overwrite)
    results.check_writable()
    where = str(find_device(device))
    table = table_of(source, [id, *by.columns])
    rows = Rows(table, by, id)
    work = _Work(rows, Parts(path.with_name(f"{path.name}.parts")), invalid)
    with out_of_memory(f"embedding {by.unit} of {rows.origin}", _ADVICE):
        work.look()
        model = by.open(work.usable, where)
        keys = work.keys(model)
        about = content_hash("\n".join([rows.id, *map(str, rows.ids), *keys]).encode())
        if results.current([path.name], about):
            return Embedded(path, model.version, len(rows), 0, {}, 0)
        work.compute(model, keys)
    with results.replacing(about) as staged:
        dropped, dimension = work.write(staged / path.name, model, keys)
    work.parts.clear()
    numbered = {int(rows.numbers[k]): why for k, why in dropped.items()}
    return Embedded(path, model.version, len(rows), work.computed, numbered, dimension)


class _Work:
    """The batches of some rows."""

    def __init__(self, rows: Rows, parts: Parts, invalid: Invalid) -> None:
        self.rows, self.parts, self._invalid = rows, parts, invalid
        self.computed = 0

    def usable(self) -> Iterator[Item]:
        """All that has anything to embed."""
        return (item for item in self.rows.items() if not isinstance(item, Unusable))

    def look(self) -> None:
        """Raise where rows have nothing to embed, before anything is computed for the others."""
        problems = {
            k: str(item) for k, item in enumerate(self.rows.items()) if isinstance(item, Unusable)
        }
        self._refuse(problems)

    def keys(self, model: Model) -> list[str]:
        """What each batch is called."""
        return [key_of(model.version, batch) for batch in self.rows.batches()]

    def compute(self, model: Model, keys: Sequence[str]) -> None:
        """Embed the batches that are not there yet, the next one being read meanwhile."""
        size, total = self.rows.by.batch, len(self.rows)
        there = [self.parts.has(key) for key in keys]
        done = sum(min(size, total - k * size) for k, had in enumerate(there) if had)
        stored = done > 0
        with (
            Progress("embedding", self.rows.by.unit, total=total, done=done) as progress,
            kept("finished batches", lambda: stored),
            ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1)) as readers,
        ):
            missing = (
                (key, [readers.submit(_loaded, model, item) for item in batch])
                for key, had, batch in zip(keys, there, self.rows.batches(), strict=True)
                if not had
            )
            for key, loading in _one_ahead(missing):
                self.parts.write(key, _embedded(model, loading))
                stored = True
                self.computed += len(loading)
                progress.update(len(loading))

    def write(self, path: Path, model: Model, keys: Sequence[str]) -> tuple[dict[int, str], int]:
        """The file of all vectors; which positions it lacks, and how long vectors are."""
        problems: dict[int, str] = {}

        def batches() -> Iterator[tuple[Any, Any]]:
            low = 0
            for key, items in zip(keys, self.rows.batches(), strict=True):
                part = self.parts.read(key)
                if part is None:  # damaged
                    part = _embedded(model, [_loaded(model, item) for item in items])
                found = np.array([why is None for why in part.problems])
                problems.update(
                    {low + k: why for k, why in enumerate(part.problems) if why is not None}
                )
                ids = self.rows.ids[low : low + len(found)]
                low += len(found)
                if found.any():
                    yield ids[found], part.vectors[found]

        count, dimension = write_features(path, self.rows.id, batches(), model.about)
        if count == 0:
            raise GeospotError(self.rows.say(problems, "there is none left"))
        self._refuse(problems)
        if problems:
            log.warning(self.rows.say(problems, "they are left out"))
        return problems, dimension

    def _refuse(self, problems: dict[int, str]) -> None:
        if problems and self._invalid == "error":
            raise GeospotError(self.rows.say(problems, _MEND))


def _loaded(model: Model, item: Item | Unusable) -> Any:
    """What a model reads of an item, or why it does not."""
    if isinstance(item, Unusable):
        return item
    try:
        return model.load(item)
    except Unusable as problem:
        return problem


def _one_ahead(
    batches: Iterator[tuple[str, list[Future[Any]]]],
) -> Iterator[tuple[str, list[Any]]]:
    """Batches that were read; of each the next one is begun before it is given."""
    begun = next(batches, None)
    while begun is not None:
        (key, loading), begun = begun, next(batches, None)
        yield key, [future.result() for future in loading]


def _embedded(model: Model, loaded: Sequence[Any]) -> Part:
    """A batch of what was loaded."""
    problems = [str(one) if isinstance(one, Unusable) else None for one in loaded]
    good = [k for k, problem in enumerate(problems) if problem is None]
    if not good:
        return Part(np.full((len(loaded), 1), np.nan, np.float32), problems)
    found = model.features([loaded[k] for k in good])
    vectors = np.full((len(loaded), found.shape[1]), np.nan, np.float32)
    vectors[good] = found
    for k in good:
        if not np.isfinite(vectors[k]).all():
            problems[k] = "gets a vector that is not finite"
    return Part(vectors, problems)
