"""Which regions take part, and which of their points."""

from __future__ import annotations

import logging
import unicodedata
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.names import Names, name_of

log = logging.getLogger("geospot_gpu")

LONGEST_NAME = 128


@dataclass(frozen=True)
class Sampling:
    """A seeded subsample of at most ``max_points`` points of each region; None takes all."""

    max_points: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_points is not None and self.max_points < 1:
            raise GeospotError(
                f"regions.max_points={self.max_points}: give at least 1, or null to take all points"
            )
        if self.seed < 0:
            raise GeospotError(f"regions.seed={self.seed}: give a seed of 0 or more")

    def draw(
        self, name: str, rows: NDArray[np.int64], weight: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The sampled rows of region ``name`` and their weights.

        Every region has a generator of its own, so that its sample does not depend on others.
        """
        if self.max_points is None or len(rows) <= self.max_points:
            return rows, weight
        generator = self._generator(name)
        kept = np.sort(generator.choice(len(rows), self.max_points, replace=False))
        return rows[kept], weight[kept]

    def order(self, name: str, count: int) -> NDArray[np.int64]:
        """A random order of the ``count`` points of a sample of region ``name``."""
        return self._generator(name).permutation(count)

    def _generator(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])


class ChosenGroups(NamedTuple):
    """Which regions take part."""

    kept: dict[str, NDArray[np.int64]]
    """Rows of each, by name in order."""
    small: dict[str, NDArray[np.int64]]
    """Rows of those that are left out because they have too few."""


def select_groups(
    groups: Mapping[str, NDArray[np.int64]],
    origin: str,
    min_points: int,
    *,
    include: Iterable[object] | None,
    exclude: Iterable[object],
    unions: Iterable[object],
) -> ChosenGroups:
    """The regions that take part.

    Raises:
        GeospotError: a name is unknown, one of a region that takes part is not allowed, a region
            asked for has fewer points than ``min_points``, or no region is left.
    """
    names = Names(groups)
    asked = None if include is None else dict.fromkeys(_found(include, names, "include", origin))
    left_out = set(_found(exclude, names, "exclude", origin))
    joined = [_union(union, names, origin) for union in checks.listed(unions, "regions.unions")]
    kept = {
        name: rows
        for name, rows in groups.items()
        if (asked is None or name in asked) and name not in left_out
    }
    for union, members in joined:
        kept[union] = np.unique(np.concatenate([groups[name] for name in members]))
    small = {name: rows for name, rows in kept.items() if len(rows) < min_points}
    for name in [*(asked or ()), *(union for union, _ in joined)]:
        if name in small:
            raise GeospotError(
                f"{origin}: region {name!r} has {len(small[name])} points, fewer than "
                f"regions.min_points={min_points}: lower that, or leave the region out"
            )
    large = {name: kept[name] for name in sorted(kept) if name not in small}
    for name in large:
        _check_name(name, origin)
    if not large:
        biggest = max(map(len, small.values()), default=0)
        raise GeospotError(
            f"{origin}: no region has regions.min_points={min_points} points (the largest has "
            f"{biggest}): lower it, or group the points differently"
        )
    if small:
        shown = ", ".join(f"{name} ({len(rows)})" for name, rows in list(small.items())[:5])
        log.warning(
            "%s: left out %d regions with fewer than regions.min_points=%d points: %s%s",
            *(origin, len(small), min_points, shown, ", ..." if len(small) > 5 else ""),
        )
    return ChosenGroups(large, small)


def _check_name(name: str, origin: str) -> None:
    problem = None
    if len(name) > LONGEST_NAME:
        problem = f"has {len(name)} characters, more than {LONGEST_NAME}"
    elif any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in name):
        problem = "contains a line break or another control character"
    if problem:
        shown = name if len(name) <= 40 else name[:40] + "..."
        raise GeospotError(f"{origin}: region name {shown!r} {problem}: rename it")


def _found(wanted: Iterable[object], names: Names, key: str, origin: str) -> list[str]:
    """Names as the points spell them."""
    written = list(names)
    return [
        written[_position(name_of(name, f"regions.{key}"), names, origin)]
        for name in checks.listed(wanted, f"regions.{key}")
    ]


def _position(name: str, names: Names, origin: str) -> int:
    found = names.find(name)
    if found is None:
        raise GeospotError(f"{origin}: there is no region {name!r}; {names.hint(name)}")
    return found


def _union(union: object, names: Names, origin: str) -> tuple[str, list[str]]:
    """A union's name and its members; names may hold plus signs of their own."""
    name = name_of(union, "regions.unions")
    parts, written = name.split("+"), list(names)
    if len(parts) < 2:
        raise GeospotError(f"regions.unions: {name!r} must join names with +, as in FR+DE")
    if names.find(name) is not None:
        raise GeospotError(f"regions.unions: {name!r} is the name of a region: leave it out")
    ways = [way for way in names.readings(name) if len(way) > 1]
    if len(ways) > 1:
        raise GeospotError(
            f"regions.unions: {name!r} can be read in several ways, for names hold a +: rename them"
        )
    if not ways:
        for part in parts:
            _position(part, names, origin)
    return name, [written[member] for member in ways[0]]
