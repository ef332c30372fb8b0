"""What pages of this site show of the code itself: columns, settings and public names."""

from __future__ import annotations

from site_settings import page as settings_page

import geospot_gpu as gs
from geospot_gpu.distances.column import Column
from geospot_gpu.distances.columns import REGISTER

ROOMS = {
    "regions": ("points", "regions"),
    "encoders": ("encoders", "embedding"),
    "costs": ("cost", "feature_costs", "sinkhorn", "engine", "cluster"),
    "distances": ("distances",),
    "runs": ("runs", "files", "errors"),
    "transfer": ("transfer",),
    "selection": ("selection",),
    "validation": ("validation",),
    "pictures": ("pictures", "report"),
}
"""Packages whose public names a page of ``api/`` has."""

EXAMPLES = ("countries", "elsewhere", "collect", "embeddings", "cluster")
"""In the order in which they are read."""


def place_of_example(file: str) -> tuple[int, str]:
    """Where a script of the gallery stands: those that are new at the end."""
    name = file.removesuffix(".py")
    return (EXAMPLES.index(name) if name in EXAMPLES else len(EXAMPLES), name)


def public_names() -> dict[str, list[str]]:
    """Of each page of ``api/``, functions first, as they are called first."""
    pages: dict[str, list[str]] = {page: [] for page in ROOMS}
    page_of = {room: page for page, rooms in ROOMS.items() for room in rooms}
    for name in sorted(gs.__all__, key=lambda name: (name[0].isupper(), name.lower())):
        room = getattr(gs, name).__module__.split(".")[1]
        if room not in page_of:
            raise KeyError(f"docs/site_tables.py: give {room}, the home of {name}, a page in ROOMS")
        pages[page_of[room]].append(name)
    return pages


def _documented(names: list[str]) -> str:
    lines = ["```{eval-rst}", ".. currentmodule:: geospot_gpu", ""]
    for name in names:
        kind = "autoclass" if isinstance(getattr(gs, name), type) else "autofunction"
        lines += [f".. {kind}:: {name}", ""]
    return "\n".join([*lines, "```"])


def _listed(pages: dict[str, list[str]]) -> str:
    rows = [
        f"| [{page}]({page}.md) | {', '.join(f'`{name}`' for name in names)} |"
        for page, names in pages.items()
    ]
    return "\n".join(["| page | names |", "|---|---|", *rows])


def columns(table: str | None) -> str:
    """The columns of a table, or of no table, as the register has them."""
    rows = ["| column | unit | directed | learned from | meaning |", "|---|---|---|---|---|"]
    rows += [_row(column) for column in REGISTER if column.table == table]
    return "\n".join(rows)


def _row(column: Column) -> str:
    names = ", ".join(f"`{name}`" for name in column.variables)
    if column.mirror:
        names = ", ".join(f"`{name}`" for name in column.sides())
    marks = ("yes" if mark else "" for mark in (column.directed, column.predicts))
    return f"| {names} | {column.unit} | {' | '.join(marks)} | {column.meaning} |"


def substitutions() -> dict[str, str]:
    """What stands in pages as ``{{ name }}``."""
    pages = public_names()
    return {
        **{f"api_{page}": _documented(names) for page, names in pages.items()},
        "api_index": _listed(pages),
        "columns_pairs": columns("pairs"),
        "columns_baselines": columns("baselines"),
        "columns_regions": columns(None),
        "settings": settings_page(),
    }
