"""Stores of pairs as many sweeps would have left them, and what is to be found there, in Python.

Regions are named by letters, and their content by a number: ``a1`` and ``a2`` have one name.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.distances.columns import mirrors
from geospot_gpu.runs.block import Shape, Side
from geospot_gpu.runs.catalogue import Catalogue
from geospot_gpu.runs.manifest import Manifest
from geospot_gpu.runs.pair_store import PairStore
from geospot_gpu.runs.plan import Grid
from tests.helpers.places import Memory

REGIONS = [f"{letter}{content}" for letter in "abcdef" for content in "12"]
OUTPUTS = (("divergence",), ("divergence", "coverage"), ("divergence", "nearest"))
COLUMNS = (
    "divergence",
    "upper",
    "coverage_source_to_target",
    "coverage_target_to_source",
)
"""Of every block; which of them were asked for is another matter."""
Pair = tuple[str, str]


class Stored(NamedTuple):
    """One block, as it was put into a store."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    shape: Shape
    outputs: tuple[str, ...]
    pairs: tuple[Pair, ...]


def side_of(keys: Sequence[str]) -> Side:
    """Regions, of which the names are the first letters of their keys."""
    return Side(tuple(k[0] for k in keys), tuple(keys), tuple(map(n_points, keys)))


def n_points(key: str) -> int:
    """How many points were taken of a region."""
    return 10 * (1 + "abcdef".index(key[0])) + int(key[1:])


def some(keys: Sequence[str], generator: np.random.Generator, most: int) -> tuple[str, ...]:
    """A few regions in any order, no two of one name."""
    letters = generator.permutation(sorted({key[0] for key in keys}))
    chosen = letters[: generator.integers(1, most + 1)]
    return tuple(str(generator.choice([k for k in keys if k[0] == letter])) for letter in chosen)


@st.composite
def blocks(draw: st.DrawFn, most: int = 6) -> list[Stored]:
    """Blocks of all kinds, which overlap."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = []
    for _ in range(draw(st.integers(0, most))):
        shape: Shape = draw(st.sampled_from(("all", "triangle", "listed")))
        sources = some(REGIONS, generator, 4)
        targets = sources if shape == "triangle" else some(REGIONS, generator, 4)
        if shape == "triangle":
            pairs = list(itertools.combinations(sources, 2))
        else:
            pairs = list(itertools.product(sources, targets))
        if shape == "listed":
            chosen = generator.permutation(len(pairs))[: generator.integers(1, len(pairs) + 1)]
            pairs = [pairs[k] for k in chosen]
        outputs = draw(st.sampled_from(OUTPUTS))
        found.append(Stored(sources, targets, shape, outputs, tuple(pairs)))
    return found


def put(store: PairStore, block: Stored, first: int) -> tuple[str, dict[Pair, int]]:
    """Write a block, its rows numbered from a number; returns its name and the numbers."""
    numbers = np.arange(first, first + len(block.pairs), dtype=float)
    written = store.write(
        (side_of(block.sources), side_of(block.targets)),
        block.shape,
        block.outputs,
        places_of(block),
        {name: numbers + k / 4 for k, name in enumerate(COLUMNS)},
    )
    return written.name, dict(zip(block.pairs, map(int, numbers), strict=True))


def places_of(block: Stored) -> tuple[Indices, Indices]:
    at = [
        np.array([side.index(pair[k]) for pair in block.pairs], np.int64)
        for k, side in enumerate((block.sources, block.targets))
    ]
    return at[0], at[1]


class Truth(NamedTuple):
    """What a store holds, as a dictionary says it."""

    rows: list[tuple[str, tuple[str, ...], dict[Pair, int]]]
    """Name, outputs and numbered pairs of each block, the most believed first."""

    def of(self, pair: Pair) -> tuple[str, tuple[str, ...], dict[str, float]] | None:
        """The block that is believed of a pair, its outputs, and the values from the first on."""
        for name, outputs, numbers in self.rows:
            for one, turned in ((pair, False), (pair[::-1], True)):
                if one in numbers:
                    values = {c: numbers[one] + k / 4 for k, c in enumerate(COLUMNS)}
                    other = mirrors()
                    if turned:
                        values = {c: values[other.get(c, c)] for c in values}
                    return name, outputs, values
        return None


def filled(blocks: Sequence[Stored], place: Memory | None = None) -> tuple[PairStore, Truth]:
    """A store with these blocks."""
    store = PairStore(place or Memory("distances"), "pairs")
    rows: list[tuple[str, tuple[str, ...], dict[Pair, int]]] = []
    first = 1
    for block in blocks:
        name, numbers = put(store, block, first)
        rows.append((name, block.outputs, numbers))
        first += len(block.pairs)
    return store, Truth(sorted(rows, key=lambda row: (-len(row[1]), row[0])))


class Sweep(NamedTuple):
    """Regions of a sweep, whose pairs are looked for."""

    sources: tuple[str, ...]
    targets: tuple[str, ...] | None

    @property
    def keys(self) -> tuple[str, ...]:
        return self.sources + (self.targets or ())

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Positions of all pairs."""
        n = len(self.sources)
        if self.targets is None:
            return list(itertools.combinations(range(n), 2))
        return list(itertools.product(range(n), range(n, n + len(self.targets))))

    def name(self, pair: tuple[int, int]) -> Pair:
        return self.keys[pair[0]], self.keys[pair[1]]

    @property
    def grid(self) -> Grid:
        """Of groups of two or three regions."""
        ones = [np.ones(len(side), np.int64) if side else None for side in self]
        assert ones[0] is not None
        return Grid(ones[0], ones[1], "cpu")

    def catalogue(self, store: PairStore) -> Catalogue:
        return Catalogue(store, self.keys, self.grid, len(self.sources))

    @property
    def manifest(self) -> Manifest:
        """As far as reading needs it."""
        sides = [
            None
            if side is None
            else [{"name": key[0], "key": key, "n_distinct": 1} for key in side]
            for side in self
        ]
        return {"sources": sides[0], "targets": sides[1], "device": "cpu", "larger_samples": []}


@st.composite
def sweeps(draw: st.DrawFn) -> Sweep:
    """Regions in the order of their names, as tables have them; rectangular ones may share some."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    sources = tuple(sorted(some(REGIONS, generator, 6)))
    if draw(st.booleans()):
        return Sweep(sources, tuple(sorted(some(REGIONS, generator, 6))))
    return Sweep(sources if len(sources) > 1 else ("a1", "b1"), None)


def values(columns: Columns, names: Sequence[str], at: int) -> dict[str, float]:
    """One row."""
    return {name: float(columns[name][at]) for name in names}
