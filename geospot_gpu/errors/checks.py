"""Checks of arguments: the one place that knows how to say that one is of the wrong kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError

_TOO_LARGE = 2.0**63


def real(value: object, key: str) -> float:
    """The value as a float, which may be NaN: for settings whose range is checked next.

    Raises:
        GeospotError: it is no number.
    """
    kinds = int | float | np.integer | np.floating
    if isinstance(value, bool | np.bool_) or not isinstance(value, kinds):
        raise GeospotError(f"{key}={shown(value)}: give a number")
    try:
        return float(value)
    except OverflowError as error:
        raise GeospotError(f"{key}={shown(value)} is too large: give a smaller number") from error


def number(value: object, key: str) -> float:
    """The value as a float.

    Raises:
        GeospotError: it is no number; NaN is none.

    >>> number(2, "epsilon")
    2.0
    """
    found = real(value, key)
    if np.isnan(found):
        raise GeospotError(f"{key}=nan: give a number")
    return found


def whole(value: object, key: str, *, least: int | None = None) -> int:
    """The value as an int.

    Raises:
        GeospotError: it is no whole number that fits 64 bits, or below ``least``.

    >>> whole(3.0, "seed", least=0)
    3
    """
    found = number(value, key)
    if not found.is_integer():
        raise GeospotError(f"{key}={shown(value)}: give a whole number")
    if least is not None and found < least:
        raise GeospotError(f"{key}={shown(value)}: give a whole number of {least} or more")
    if abs(found) >= _TOO_LARGE:
        raise GeospotError(f"{key}={shown(value)} is too large: give a smaller number")
    return int(value) if isinstance(value, int | np.integer) else int(found)


def optional(kind: Callable[[object, str], Any]) -> Callable[[object, str], Any]:
    """The same check of a value that may be None."""
    return lambda value, key: None if value is None else kind(value, key)


def settle(settings: object, group: str, **kinds: Callable[[object, str], object]) -> None:
    """Check fields of frozen settings, and keep what the checks make of them.

    So ``1``, ``1.0`` and ``numpy.float32(1)`` are the same setting.

    Args:
        settings: a frozen dataclass.
        group: name of the group of settings, for messages.
        kinds: a check by the name of each field.
    """
    for name, kind in kinds.items():
        object.__setattr__(settings, name, kind(getattr(settings, name), f"{group}.{name}"))


def one_of(value: object, choices: Collection[str], key: str) -> str:
    """The value, where it is one of the choices.

    Raises:
        GeospotError: it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        raise GeospotError(f"{key}={shown(value)} is unknown: use one of {', '.join(choices)}")
    return value


def instance(value: object, kind: type | tuple[type, ...], key: str, hint: str = "") -> Any:
    """The value, where it is of a kind.

    Args:
        value: the argument.
        kind: its class, or several.
        key: its name.
        hint: how to make one, for the message.

    Raises:
        GeospotError: it is of another kind.
    """
    if not isinstance(value, kind):
        kinds = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
        raise GeospotError(
            f"{key} is of type {type(value).__name__}: give a {kinds}{', ' if hint else ''}{hint}"
        )
    return value


def text(value: object, key: str) -> str:
    """The value, where it is text."""
    if not isinstance(value, str):
        raise GeospotError(f"{key}={shown(value)}: give text")
    return value


def listed(value: object, key: str) -> list[Any]:
    """The values of a list, or of anything else that holds several; text is one value."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise GeospotError(f"{key}={shown(value)} must be a list: [{shown(value)}]")
    return list(value)


def one_or_several(value: object, key: str) -> list[Any]:
    """The values of a list, or the one that is no list; a tuple is one name of several levels.

    >>> one_or_several("FRA", "source"), one_or_several(["FRA", "DEU"], "source")
    (['FRA'], ['FRA', 'DEU'])
    """
    single = isinstance(value, str | bytes | int | float | tuple | np.generic)
    return [value] if single else listed(value, key)


def texts(value: object, key: str) -> list[str]:
    """The values of a list of texts."""
    return [text(one, key) for one in listed(value, key)]


def some_of(value: object, choices: Collection[str], key: str) -> list[str]:
    """The values of a list, each of which is one of the choices."""
    return [one_of(one, choices, key) for one in listed(value, key)]


def positions(value: object, count: int, key: str) -> NDArray[np.int64]:
    """The value as positions [k] in something of ``count``, counted from 0.

    Raises:
        GeospotError: it is no vector of whole numbers, or one of them is out of range.
    """
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):
        found = np.zeros((), object)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise GeospotError(f"{key}={shown(value)}: give a vector of positions, whole numbers")
    if found.size and not (found.min() >= 0 and found.max() < count):
        raise GeospotError(f"{key}={shown(value)}: positions must be from 0 to {count - 1}")
    return found.astype(np.int64)


def flag(value: object, key: str) -> bool:
    """The value, where it is true or false."""
    if not isinstance(value, bool | np.bool_):
        raise GeospotError(f"{key}={shown(value)}: give true or false")
    return bool(value)


def path(value: object, key: str) -> Path:
    """The value as a path of a file or folder."""
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise GeospotError(f"{key}={shown(value)}: give the path of a file or folder")
    return Path(value)


def location(value: object, key: str) -> str | Path:
    """The value as a path of a folder, or as the URL that it is."""
    found = path(value, key)
    return value if isinstance(value, str) and "://" in value else found


def shown(value: object) -> str:
    """A value in a message: one short line, whatever it is."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
