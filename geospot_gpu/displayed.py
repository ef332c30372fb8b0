"""Objects that show themselves in a notebook, as a table and as a picture."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_ROOM = "geospot_gpu.notebook"
"""Found by its name when something is shown: it draws, which no room below it does."""


class Tabled:
    """What a notebook shows as a table, with what it says in words above."""

    def _repr_html_(self) -> str:
        found: str = import_module(f"{_ROOM}.tables").html(self)
        return found


class Displayed(Tabled):
    """What can be drawn, too."""

    def plot(self, ax: Any | None = None) -> Any:
        """Draw this with Matplotlib, as xarray and geopandas do.

        Args:
            ax: axes of Matplotlib to draw on; those of a new figure if not given.

        Returns:
            The axes.

        Raises:
            GeospotError: it has no places to be drawn at.
        """
        return import_module(f"{_ROOM}.plots").plot(self, ax)
