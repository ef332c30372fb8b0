"""Several spaces at once: sets of features of the same points, each compared on its own."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.encoders.base import Encoder, Features
from geospot_gpu.encoders.mixture import Mixture
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.table import Points

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


class Spaces(Encoder):
    """Several encoders of the same points, each of which makes a space of its own.

    A point is used where all of them have features for it, so that all spaces are compared on the
    same samples. :func:`geospot_gpu.pairwise` gives distances in every space, and a sweep stores
    them all; what takes one space takes the first.

    Args:
        spaces: encoders by the name of their space, the first one first. In the place of an encoder
            may stand its name, its settings as ``{"name": "precomputed", "columns": ["f*"]}``, or
            weights of other spaces as ``{"geoclip": 0.3, "inputs": 0.7}``: a mixture of them.
        space: the one space that is meant; all of them if not given.

    Raises:
        GeospotError: there is no space or no such encoder, a name has other signs than letters,
            digits, ``_`` and ``-``, or a mixture cannot be made.

    >>> from geospot_gpu.encoders import Precomputed
    >>> inputs, image = Precomputed(columns=["a", "b"]), Precomputed(columns=["c", "d"])
    >>> spaces = Spaces({"inputs": inputs, "image": image, "both": {"inputs": 0.5, "image": 0.5}})
    >>> spaces.names, spaces.only("both").names
    (('inputs', 'image', 'both'), ('both',))
    """

    def __init__(
        self,
        spaces: Mapping[str, Encoder | str | Mapping[str, Any]] | Sequence[Any],
        space: str | None = None,
    ) -> None:
        given = _mapping(spaces)
        for name in given:
            if not is_space(name):
                raise GeospotError(
                    f"encoder.spaces: {checks.shown(name)} is no name of a space: use letters, "
                    "digits, _ and -"
                )
        pure = {name: _encoder(name, value) for name, value in given.items() if not _mixed(value)}
        self.encoders: dict[str, Encoder] = {
            name: pure[name] if name in pure else _mixture(name, value, pure)
            for name, value in given.items()
        }
        """By the name of their space."""
        self.space = None if space is None else checks.one_of(space, given, "encoder.space")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the spaces that are meant."""
        return tuple(self.encoders) if self.space is None else (self.space,)

    def only(self, name: str) -> Self:
        """One of the spaces, on the points of all of them."""
        return type(self)(self.encoders, name)

    @property
    def own(self) -> Encoder:
        """The encoder of the one space that is meant, or of the first."""
        return self.encoders[self.names[0]]

    @property
    def reads_coordinates(self) -> bool:  # type: ignore[override]
        return self.own.reads_coordinates

    @property
    def unit_length(self) -> bool:  # type: ignore[override]
        return self.own.unit_length

    @property
    def taken(self) -> tuple[str, ...] | None:  # type: ignore[override]
        return self.own.taken

    @property
    def id(self) -> str | None:  # type: ignore[override]
        return self.own.id

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(id for encoder in self.encoders.values() for id in encoder.ids))

    @property
    def version(self) -> str:
        return self.own.version

    @property
    def learned(self) -> object:
        """Of all spaces by name, whichever is meant."""
        found = {name: encoder.learned for name, encoder in self.encoders.items()}
        return {name: part for name, part in found.items() if part is not None} or None

    @property
    def learns(self) -> bool:
        return any(encoder.learns for encoder in self.encoders.values())

    def relearn(self, learned: object) -> None:
        for name, part in learned.items() if isinstance(learned, Mapping) else ():
            if name in self.encoders:
                self.encoders[name].relearn(part)

    def fit(self, points: Points, rows: NDArray[np.int64]) -> None:
        for name, encoder in self.encoders.items():
            with _named(f"encoder.spaces.{name}"):
                encoder.fit(points, rows)

    def encode(
        self, points: Points, rows: NDArray[np.int64], device: str
    ) -> NDArray[np.float32] | None:
        if self.space is None and points.invalid == "error":  # else usable has looked at all
            self._check_others(points, rows, device)
        return self.own.encode(points, rows, device)

    def _check_others(self, points: Points, rows: NDArray[np.int64], device: str) -> None:
        """Raise where another space lacks features: before anything of the first is solved."""
        for name in self.names[1:]:
            lost = rows[~self.encoders[name].usable(points, rows)]
            if len(lost):
                with _named(f"encoder.spaces.{name}"):
                    self.encoders[name].encode(points, lost[:1], device)

    def open(self, points: Points, rows: NDArray[np.int64], device: str) -> Features | None:
        return self.own.open(points, rows, device)

    def usable(self, points: Points, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows have features in all spaces, [len(rows)]."""
        found = [encoder.usable(points, rows) for encoder in self.encoders.values()]
        usable: NDArray[np.bool_] = np.logical_and.reduce(found)
        return usable


def own_of(encoder: Encoder) -> Encoder:
    """The encoder of the one space that is meant, itself where there are no spaces."""
    return encoder.own if isinstance(encoder, Spaces) else encoder


def is_space(name: object) -> bool:
    """Whether a space may have this name: folders and columns are called by it."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _mapping(spaces: object) -> dict[Any, Any]:
    given: dict[Any, Any]
    try:
        given = dict(spaces)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        given = {}
    if not given:
        raise GeospotError(
            "encoder.spaces names the spaces: give encoder.spaces={NAME:ENCODER,...}"
        )
    return given


def _mixed(value: object) -> bool:
    """Whether the value of a space is weights of others."""
    return isinstance(value, Mapping) and "name" not in value


def _encoder(space: str, value: Any) -> Encoder:
    from geospot_gpu.encoders import ENCODERS, get_encoder

    key = f"encoder.spaces.{space}"
    if not isinstance(value, Mapping):
        with _named(key):
            return get_encoder(value)
    settings = dict(value)
    kind = ENCODERS[checks.one_of(settings.pop("name"), ENCODERS, f"{key}.name")]
    with _named(key):
        return kind(**settings)


def _mixture(space: str, weights: Mapping[str, Any], others: Mapping[str, Encoder]) -> Mixture:
    key = f"encoder.spaces.{space}"
    if not others:
        raise GeospotError(
            f"{key}: there is no other space that it could be a mixture of: give one an encoder, "
            "or settings with name among them"
        )
    parts = [(others[checks.one_of(name, others, key)], share) for name, share in weights.items()]
    with _named(key):
        return Mixture(parts)


@contextlib.contextmanager
def _named(key: str) -> Iterator[None]:
    """Say of what goes wrong of which space it does."""
    try:
        yield
    except (GeospotError, TypeError) as error:
        raise GeospotError(f"{key}: {error}") from error
