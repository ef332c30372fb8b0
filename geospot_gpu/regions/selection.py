"""Which regions take part, and which of their points."""

from __future__ import annotations

import difflib
import logging
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError

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


def select_groups(
    groups: Mapping[str, NDArray[np.int64]],
    origin: str,
    min_points: int,
    *,
    include: Sequence[str] | None,
    exclude: Sequence[str],
    unions: Sequence[str],
) -> dict[str, NDArray[np.int64]]:
    """The regions that take part, by name in order.

    Raises:
        GeospotError: a name is unknown or not allowed, a region asked for has fewer points than
            ``min_points``, or no region is left.
    """
    for key, value in (("include", include), ("exclude", exclude), ("unions", unions)):
        if isinstance(value, str):
            raise GeospotError(f"regions.{key}={value!r} must be a list of names: [{value!r}]")
    for name in [*(include or ()), *exclude]:
        _check_known(name, groups, origin)
    kept = {
        name: rows
        for name, rows in groups.items()
        if (include is None or name in include) and name not in exclude
    }
    for name in kept:
        _check_name(name, origin)
    for union in unions:
        members = union.split("+")
        if len(members) < 2:
            raise GeospotError(f"regions.unions: {union!r} must join names with +, as in FR+DE")
        for name in members:
            _check_known(name, groups, origin)
            _check_name(name, origin)
        kept[union] = np.unique(np.concatenate([groups[name] for name in members]))
    small = {name: len(rows) for name, rows in kept.items() if len(rows) < min_points}
    asked = [name for name in [*(include or ()), *unions] if name in small]
    if asked:
        raise GeospotError(
            f"{origin}: region {asked[0]!r} has {small[asked[0]]} points, fewer than "
            f"regions.min_points={min_points}: lower that, or leave the region out"
        )
    large = {name: kept[name] for name in sorted(kept) if name not in small}
    if not large:
        biggest = max(small.values(), default=0)
        raise GeospotError(
            f"{origin}: no region has regions.min_points={min_points} points (the largest has "
            f"{biggest}): lower it, or group the points differently"
        )
    if small:
        shown = ", ".join(f"{name} ({count})" for name, count in list(small.items())[:5])
        log.warning(
            "%s: left out %d regions with fewer than regions.min_points=%d points: %s%s",
            *(origin, len(small), min_points, shown, ", ..." if len(small) > 5 else ""),
        )
    return large


def _check_name(name: str, origin: str) -> None:
    problem = None
    if not name.strip():
        problem = "is empty"
    elif len(name) > LONGEST_NAME:
        problem = f"has {len(name)} characters, more than {LONGEST_NAME}"
    elif any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in name):
        problem = "contains a line break or another control character"
    elif "/" in name:
        problem = "contains a slash"
    elif "+" in name:
        problem = "contains a plus sign, which joins the members of a union"
    if problem:
        shown = name if len(name) <= 40 else name[:40] + "..."
        raise GeospotError(f"{origin}: region name {shown!r} {problem}: rename it")


def _check_known(name: str, groups: Mapping[str, NDArray[np.int64]], origin: str) -> None:
    if name not in groups:
        close = difflib.get_close_matches(name, list(groups), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise GeospotError(f"{origin}: there is no region {name!r}{hint or _some(groups)}")


def _some(groups: Mapping[str, NDArray[np.int64]]) -> str:
    """What there is instead, where no name is close."""
    return f"; there are: {', '.join(sorted(groups)[:10])}{', ...' if len(groups) > 10 else ''}"
