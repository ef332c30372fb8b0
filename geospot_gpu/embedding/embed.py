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
from geospot_gpu.embedding.rows import Rows, digest_of, table_of
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.kept import kept
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.files import content_hash, expanded
from geospot_gpu.files.features import about
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
    """A file of features, and what was done for it.

    Attributes:
        path: of the file.
        version: the model, with a hash of its weights, as the identity of a run has it.
        dimension: of the vectors.
        rows: that were asked for.
        dropped: of them, left out, as they could not be embedded.
        computed: of them, embedded now; the others were embedded before.
    """

    path: Path
    version: str
    dimension: int
    rows: int
    dropped: int
    computed: int


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
        model = by.open(rows.items, where)
        made_from = work.name_batches(model)
        there = about(path) if results.current([path.name], made_from) else {}
        if not there or (there["dropped"] and invalid == "error"):
            work.compute(model)
            with results.replacing(made_from) as staged:
                work.write(staged / path.name, model)
            work.parts.clear()
            there = about(path)
    counts = there["dimension"], len(rows), there["dropped"], work.computed
    return Embedded(path, model.version, *counts)


class _Work:
    """The batches of some rows."""

    def __init__(self, rows: Rows, parts: Parts, invalid: Invalid) -> None:
        self.rows, self.parts, self._invalid = rows, parts, invalid
        self.computed = 0
        self._digests: list[str] = []
        self._keys: list[str] = []
        self._problems: dict[int, str] = {}

    def look(self) -> None:
        """Raise where rows have nothing to embed, before anything is computed for the others."""
        with Progress("looking", self.rows.by.unit, total=len(self.rows)) as progress:
            for _, batch in self.rows.batches():
                self._note(progress.done, _problems(batch))
                self._digests.append(digest_of(batch))
                progress.update(len(batch))
        self._refuse()

    def name_batches(self, model: Model) -> str:
        """Give each batch its key; returns a hash of all that the result is made from."""
        version = model.version
        self._keys = [content_hash(f"{version}\0{digest}".encode()) for digest in self._digests]
        return content_hash("\n".join([self.rows.id, *self.rows.ids, *self._keys]).encode())

    def compute(self, model: Model) -> None:
        """Embed the batches that are not there yet, the next one being read meanwhile."""
        missing = [not self.parts.has(key) for key in self._keys]
        counts = zip(self.rows.batch_sizes, missing, strict=True)
        done = sum(size for size, absent in counts if not absent)
        stored = done > 0
        unit, total = self.rows.by.unit, len(self.rows)
        with (
            Progress("embedding", unit, total=total, done=done) as progress,
            kept("finished batches", lambda: stored),
            ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1)) as readers,
        ):
            begun = (
                (number, [readers.submit(_loaded, model, item) for item in batch])
                for number, batch in self.rows.batches(missing)
            )
            for number, loaded in _one_ahead(begun):
                self.parts.write(self._keys[number], _embedded(model, loaded))
                stored = True
                self.computed += len(loaded)
                progress.update(len(loaded))

    def write(self, path: Path, model: Model) -> None:
        """The file of all vectors."""

        def batches() -> Iterator[tuple[Any, Any]]:
            low = 0
            for number, size in enumerate(self.rows.batch_sizes):
                part = self._part(number, model)
                self._note(low, part.problems)
                good = np.array([problem is None for problem in part.problems])
                if good.any():
                    yield self.rows.ids[low : low + size][good], part.vectors[good]
                low += size

        def said() -> dict[str, Any]:
            return model.about | {"rows": len(self.rows), "dropped": len(self._problems)}

        count, _ = write_features(path, self.rows.id, batches(), said)
        if count == 0:
            raise GeospotError(self.rows.say(self._problems, "there is none left"))
        self._refuse()
        if self._problems:
            log.warning(self.rows.say(self._problems, "they are left out"))

    def _part(self, number: int, model: Model) -> Part:
        """A batch that was stored; where it was damaged since, it is embedded again."""
        part = self.parts.read(self._keys[number])
        if part is not None:
            return part
        wanted = [other == number for other in range(len(self._keys))]
        ((_, batch),) = self.rows.batches(wanted)
        return _embedded(model, [_loaded(model, item) for item in batch])

    def _note(self, low: int, problems: Sequence[str | None]) -> None:
        """Keep why rows from ``low`` on cannot be embedded, where there is a reason."""
        self._problems.update({k: why for k, why in enumerate(problems, low) if why is not None})

    def _refuse(self) -> None:
        if self._problems and self._invalid == "error":
            raise GeospotError(self.rows.say(self._problems, _MEND))


def _loaded(model: Model, item: Item | Unusable) -> Any:
    """What a model reads of an item, or why it does not."""
    if isinstance(item, Unusable):
        return item
    try:
        return model.load(item)
    except Unusable as problem:
        return problem


def _one_ahead(
    batches: Iterator[tuple[int, list[Future[Any]]]],
) -> Iterator[tuple[int, list[Any]]]:
    """Batches that were read; of each the next one is begun before it is given."""
    begun = next(batches, None)
    while begun is not None:
        (number, loading), begun = begun, next(batches, None)
        yield number, [future.result() for future in loading]


def _embedded(model: Model, loaded: Sequence[Any]) -> Part:
    """A batch of what was loaded."""
    problems = _problems(loaded)
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


def _problems(batch: Sequence[Any]) -> list[str | None]:
    """Why each of a batch cannot be embedded; None where it can."""
    return [str(one) if isinstance(one, Unusable) else None for one in batch]
