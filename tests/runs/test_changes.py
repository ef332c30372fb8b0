"""What is computed again when regions come, go and change: the pairs that depend on it alone."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import geospot_gpu as gs
from geospot_gpu.runs import plan
from tests.helpers.stored import read_pairs
from tests.helpers.sweeps import CPU, GEOGRAPHY, counts, sweep

OUTPUTS = ["transport_cost"]
"""Without self terms, which take as long as pairs of so few points."""
Region = tuple[str, tuple[tuple[float, float], ...]]


def regions_of(table: dict[str, np.ndarray]) -> gs.Regions:
    names = np.repeat(list(table), [len(points) for points in table.values()])
    lon, lat = np.concatenate(list(table.values())).T
    return gs.Regions.from_points(lon=lon, lat=lat, region=names)


def contents(table: dict[str, np.ndarray]) -> list[Region]:
    """All that a pair depends on, of each region."""
    return [(name, tuple(sorted(map(tuple, points)))) for name, points in sorted(table.items())]


def changed(table: dict[str, np.ndarray], how: str, generator: np.random.Generator) -> None:
    """Change a table of points in one way."""
    name = str(generator.choice(list(table)))
    new = f"r{generator.integers(100)}"
    if how == "add":
        table[new] = generator.uniform(-60, 60, (4, 2))
    elif how == "remove" and len(table) > 3:
        del table[name]
    elif how == "rename":
        table[new] = table.pop(name)
    elif how == "one point":
        table[name] = table[name].copy()
        table[name][generator.integers(4), 1] += 0.5
    elif how == "order of points":
        table[name] = table[name][::-1]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_change_computes_the_pairs_that_depend_on_it(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a set of all pairs that the folder has seen, over a long life of it."""
    monkeypatch.setattr(plan, "_LEAST_ENTRIES", {"cpu": 64})
    generator = np.random.default_rng(seed)
    table = {f"r{k}": generator.uniform(-60, 60, (4, 2)) for k in range(6)}
    before: list[dict[str, np.ndarray]] = []
    known: set[frozenset[Region]] = set()
    ways = ("add", "remove", "rename", "one point", "order of points", "back", "against")
    for step in range(10):
        how = ways[step % len(ways)] if step < len(ways) else str(generator.choice(ways))
        other = None
        if how == "back" and before:
            table = dict(before[int(generator.integers(len(before)))])
        elif how == "against" and before:
            other = dict(before[-1])
        else:
            before.append(dict(table))
            changed(table, how, generator)
        own = contents(table)
        if other is None:
            pairs = [frozenset(pair) for pair in itertools.combinations(own, 2)]
        else:
            pairs = [frozenset(pair) for pair in itertools.product(own, contents(other))]
        one, against = regions_of(table), None if other is None else regions_of(other)
        result = sweep(tmp_path, one, against, outputs=OUTPUTS)
        missing = len([pair for pair in pairs if pair not in known])
        if other is None:
            assert counts(result) == (len(pairs), missing, len(pairs) - missing), (step, how)
        else:  # a pair in both directions is computed once for each
            assert result.computed == missing, (step, how)
        known |= set(pairs)
        memory = gs.pairwise(one, against, cost=GEOGRAPHY, engine=CPU, outputs=OUTPUTS)
        stored = gs.open_run(tmp_path).transport_cost
        # What is stored of a pair in one direction serves the other, to the solver's tolerance.
        np.testing.assert_allclose(stored, memory.transport_cost, atol=1e-3)
        assert len(read_pairs(tmp_path)) == len(pairs)
        again = sweep(tmp_path, one, against, outputs=OUTPUTS)
        assert counts(again) == (len(pairs), 0, len(pairs))
