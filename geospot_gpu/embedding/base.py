"""The contract of what embeds: which cells of a table it reads, and the model it opens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import checks
from geospot_gpu.names import name_of

Item = str | bytes | Path
"""What is embedded: a text; an image, or the file that it is in."""


class Unusable(Exception):
    """A row cannot be embedded; the message says why, as in ``has no text``."""


class Model(NamedTuple):
    """A model that is ready to embed."""

    about: dict[str, Any]
    """What made the vectors, in plain types: ``version``, ``model`` and ``weights`` at least."""
    load: Callable[[Item], Any]
    """Reads an item; in several threads at once. Raises :class:`Unusable`."""
    features: Callable[[Sequence[Any]], NDArray[np.float32]]
    """Vectors [k, d] of what was loaded."""

    @property
    def version(self) -> str:
        """Names all that the vectors depend on besides the items."""
        return str(self.about["version"])


class Embedder(ABC):
    """Turns cells of a table into feature vectors.

    Args:
        column: whose cells are embedded, or several of them.
        batch: how many rows are embedded, and stored, at a time.
    """

    unit: ClassVar[str]
    """What is counted."""

    def __init__(self, column: object, batch: object) -> None:
        single = isinstance(column, str | bytes) or not isinstance(column, Iterable)
        names = [column] if single else checks.listed(column, "embed.column")
        self.columns = [name_of(name, "embed.column") for name in names]
        self.batch = checks.whole(batch, "embed.batch", least=1)

    @abstractmethod
    def item(self, cells: Sequence[Any], folder: Path) -> Item:
        """What is embedded of a row.

        Args:
            cells: those of its columns.
            folder: that of the table, which paths in it are relative to.

        Raises:
            Unusable: there is nothing to embed.
        """

    @abstractmethod
    def open(self, items: Callable[[], Iterator[Item]], device: str) -> Model:
        """The model on a device.

        Args:
            items: goes through all that will be embedded, for models that are made of it.
            device: as in ``cpu`` or ``cuda:1``.

        Raises:
            GeospotError: a package or the weights are missing, or they do not fit.
        """
