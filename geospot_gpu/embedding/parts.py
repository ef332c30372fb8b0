"""Finished batches, each in a file of its own until all of them become one."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import clear_leftovers, unwritable, written
from geospot_gpu.files.features import described

COLUMN = "embedding"
"""Of the vectors."""
_ROW_GROUP = 1 << 26
"""Bytes of vectors that are written together."""


class Part(NamedTuple):
    """A batch of k items."""

    vectors: NDArray[np.float32]
    """[k, d]; what could not be embedded is NaN."""
    problems: list[str | None]
    """[k]: why it could not."""


class Parts:
    """Batches in a folder beside the result, each under a hash of what it depends on.

    A file is written as a whole, and Parquet's checksums prove its content; where they do not, the
    batch is embedded again.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if folder.is_dir():
            clear_leftovers(folder)

    def has(self, key: str) -> bool:
        """Whether the batch of this key was stored."""
        return self._path(key).is_file()

    def read(self, key: str) -> Part | None:
        """The batch of this key; None where it is not there, or damaged."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(self._path(key), page_checksum_verification=True)
            problems = table.column("problem").to_pylist()
            flat = table.column(COLUMN).combine_chunks().flatten().to_numpy(zero_copy_only=False)
            return Part(flat.reshape(len(problems), -1).astype(np.float32), problems)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, pa.ArrowException):
            with contextlib.suppress(OSError):
                self._path(key).unlink()
            return None

    def write(self, key: str, part: Part) -> None:
        """Store a batch.

        Raises:
            GeospotError: the folder cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        vectors = _fixed(part.vectors)
        table = pa.table({COLUMN: vectors, "problem": pa.array(part.problems, pa.string())})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from error
        with written(self._path(key)) as temporary:
            pq.write_table(table, temporary, write_page_checksum=True)

    def clear(self) -> None:
        """Remove all that is there: the result has it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.parquet"


def write_features(
    path: Path,
    id: str,
    batches: Iterable[tuple[Sequence[Any], NDArray[np.float32]]],
    about: Callable[[], dict[str, Any]],
) -> tuple[int, int]:
    """A Parquet file of ids and vectors, of which some are in memory at a time.

    Args:
        path: of the file, which should not be there.
        id: name of the column of ids.
        batches: ids [k] and vectors [k, d].
        about: what :func:`~geospot_gpu.files.features.described` will say, once all are there.

    Returns:
        How many vectors there are, and of how many numbers.

    Raises:
        GeospotError: vectors of different batches are not equally long.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer, waiting, held, count, dimension = None, [], 0, 0, 0
    with contextlib.ExitStack() as stack:
        for ids, vectors in batches:
            if writer is None:
                dimension = vectors.shape[1]
                columns = [(id, pa.string()), (COLUMN, pa.list_(pa.float32(), dimension))]
                schema = pa.schema(columns)
                writer = stack.enter_context(pq.ParquetWriter(path, schema))
            if vectors.shape[1] != dimension:
                raise GeospotError(
                    f"the model gives vectors of {dimension} numbers and of {vectors.shape[1]}"
                )
            table = pa.table([pa.array(ids, pa.string()), _fixed(vectors)], schema=schema)
            waiting.append(table)
            held, count = held + vectors.nbytes, count + len(ids)
            if held >= _ROW_GROUP:
                writer.write_table(pa.concat_tables(waiting).combine_chunks())
                waiting, held = [], 0
        if writer is not None and waiting:
            writer.write_table(pa.concat_tables(waiting).combine_chunks())
        if writer is not None:
            writer.add_key_value_metadata(described(about() | {"dimension": dimension}))
    return count, dimension


def _fixed(vectors: NDArray[np.float32]) -> Any:
    """Vectors [k, d] as Arrow has lists that are equally long."""
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
