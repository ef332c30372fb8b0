"""Checks of arguments: the one place that knows how to say that one is of the wrong kind."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from geospot_gpu.errors import GeospotError


def number(value: object, key: str) -> float:
    """The value as a float.

    Raises:
        GeospotError: it is no number; NaN is none.

    >>> number(2, "epsilon")
    2.0
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        raise GeospotError(f"{key}={_shown(value)}: give a number")
    found = float(value)
    if np.isnan(found):
        raise GeospotError(f"{key}=nan: give a number")
    return found


def whole(value: object, key: str, *, least: int | None = None) -> int:
    """The value as an int.

    Raises:
        GeospotError: it is no whole number, or below ``least``.

    >>> whole(3.0, "seed", least=0)
    3
    """
    found = number(value, key)
    if not found.is_integer():
        raise GeospotError(f"{key}={_shown(value)}: give a whole number")
    if least is not None and found < least:
        raise GeospotError(f"{key}={_shown(value)}: give a whole number of {least} or more")
    return int(value) if isinstance(value, int | np.integer) else int(found)


def one_of(value: object, choices: Collection[str], key: str) -> str:
    """The value, where it is one of the choices.

    Raises:
        GeospotError: it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        raise GeospotError(f"{key}={_shown(value)} is unknown: use one of {', '.join(choices)}")
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
        raise GeospotError(f"{key}={_shown(value)}: give text")
    return value


def texts(value: object, key: str) -> list[str]:
    """The values, where they are a list of texts.

    Raises:
        GeospotError: they are text themselves, no list, or a list of something else.
    """
    if isinstance(value, str):
        raise GeospotError(f"{key}={_shown(value)} must be a list: [{_shown(value)}]")
    if not isinstance(value, Iterable):
        raise GeospotError(f"{key}={_shown(value)} must be a list")
    return [text(one, key) for one in value]


def flag(value: object, key: str) -> bool:
    """The value, where it is true or false."""
    if not isinstance(value, bool | np.bool_):
        raise GeospotError(f"{key}={_shown(value)}: give true or false")
    return bool(value)


def path(value: object, key: str) -> Path:
    """The value as a path of a file or folder."""
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise GeospotError(f"{key}={_shown(value)}: give the path of a file or folder")
    return Path(value)


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
