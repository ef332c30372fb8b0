"""Packages that few need, which extras bring."""

from __future__ import annotations

import importlib
from types import ModuleType

from geospot_gpu.errors import GeospotError


def imported(name: str, needs: str, extra: str) -> ModuleType:
    """A module of an optional package, imported when it is needed.

    Args:
        name: of the module.
        needs: what needs which package, in words, as in ``solver=emd needs POT``.
        extra: of geospot_gpu that brings it.

    Raises:
        GeospotError: it cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise not_installed(needs, extra) from error


def not_installed(needs: str, extra: str) -> GeospotError:
    """What is said where a package is missing; see :func:`imported`.

    >>> str(not_installed("solver=emd needs POT", "emd"))
    "solver=emd needs POT: install it with pip install 'geospot_gpu[emd]'"
    """
    return GeospotError(f"{needs}: install it with pip install 'geospot_gpu[{extra}]'")
