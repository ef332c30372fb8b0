"""Fewer files: what several blocks of a sweep hold goes into one, and nothing is lost meanwhile."""

from __future__ import annotations

import logging
from collections import defaultdict

import numpy as np
import pyarrow as pa

from geospot_gpu import files
from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.distances.columns import mirrors
from geospot_gpu.runs.block import Side
from geospot_gpu.runs.catalogue import Catalogue
from geospot_gpu.runs.held import Held
from geospot_gpu.runs.pair_store import Block, PairStore

log = logging.getLogger("geospot_gpu")

SMALL = 10_000
"""Rows of a block of listed pairs that is worth merging."""
ENOUGH = 16
"""Small blocks that are merged together; fewer do no harm."""
_MOST_ROWS = 100_000


def merge(store: PairStore, catalogue: Catalogue) -> None:
    """Remove blocks of a sweep that others say more than, and put small ones together.

    A block goes when its pairs are stored in another, so that a pair is always in one at least,
    whoever else reads, writes or merges.

    Args:
        store: of the blocks.
        catalogue: what it holds of the sweep.
    """
    try:
        redundant = catalogue.redundant()
        for block in redundant:
            store.remove(block)
        if redundant:
            catalogue.refresh()
        for blocks in _small(store, catalogue):
            _merge(store, catalogue, blocks)
    except (FileNotFoundError, files.Unwritable) as error:  # somebody merges, or nobody can write
        log.warning("%s: some files stay as they are: %s", store.place, error)
    catalogue.refresh()


def _small(store: PairStore, catalogue: Catalogue) -> list[list[Held]]:
    """Small blocks that are merged, those of the same outputs and columns together."""
    found: dict[tuple[tuple[str, ...], ...], list[Held]] = defaultdict(list)
    small = [held for held in catalogue.listed() if held.block.contents.rows <= SMALL]
    if len(small) < ENOUGH:
        return []
    for held in small:
        columns = tuple(store.columns(held.block))
        found[held.block.contents.outputs, columns].append(held)
    return [blocks for blocks in found.values() if len(blocks) >= ENOUGH]


def _merge(store: PairStore, catalogue: Catalogue, small: list[Held]) -> None:
    group: list[tuple[Block, Indices, Indices, Columns]] = []
    rows = 0
    for held in small:
        columns = _values(store, held)
        if columns is None:
            continue
        if rows + len(held.rows) > _MOST_ROWS:
            _write(store, catalogue, group)
            group, rows = [], 0
        group.append((held.block, held.left, held.right, columns))
        rows += len(held.rows)
    _write(store, catalogue, group)


def _values(store: PairStore, held: Held) -> Columns | None:
    """All columns of a block, as they are with the left region as the source."""
    names = store.columns(held.block)
    table = store.read(held.block, names)
    if table is None:
        return None
    table = table.take(pa.array(held.rows))
    found = {name: np.asarray(table[name]) for name in names}
    there = dict(found)
    for name, other in mirrors().items():
        if name in there and other in there:
            found[name] = np.where(held.swapped, there[other], there[name])
    return found


def _write(
    store: PairStore, catalogue: Catalogue, group: list[tuple[Block, Indices, Indices, Columns]]
) -> None:
    if len(group) < 2:
        return
    blocks = [block for block, *_ in group]
    left, right = (np.concatenate([part[k] for part in group]) for k in (1, 2))
    first = np.unique(left * (1 + int(right.max())) + right, return_index=True)[1]
    columns = {
        name: np.concatenate([part[3][name] for part in group])[first] for name in group[0][3]
    }
    known: dict[str, tuple[str, str, int]] = {}
    for block in blocks:
        for side in block.contents[:2]:
            known.update(zip(side.keys, zip(*side, strict=True), strict=True))
    sides, places = [], []
    for positions in (left[first], right[first]):
        index, at = np.unique(positions, return_inverse=True)
        entries = [known[catalogue.keys[k]] for k in index.tolist()]
        sides.append(Side(*map(tuple, zip(*entries, strict=True))))
        places.append(at)
    new = store.write(
        (sides[0], sides[1]), "listed", blocks[0].contents.outputs, (places[0], places[1]), columns
    )
    for block in blocks:
        if block.name != new.name:
            store.remove(block)
