"""Small blocks become one, and a pair is in one at least at any moment."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from geospot_gpu.files.places import Folder, Place
from geospot_gpu.runs import merging, pair_store
from geospot_gpu.runs.merging import merge
from geospot_gpu.runs.pair_store import PairStore
from geospot_gpu.runs.stored_pairs import StoredPairs
from tests.helpers.pair_stores import COLUMNS, Stored, Sweep, filled, put
from tests.helpers.places import Memory

NAMES = tuple(f"{letter}1" for letter in "abcdef")
SWEEP = Sweep(NAMES, None)
PAIRS = [*itertools.combinations(NAMES, 2)]
SHOWN = ["source", "target", *COLUMNS]


def small_blocks(count: int, twice: int = 0) -> list[Stored]:
    """So many blocks of two pairs, in either direction, and again the first of them.

    Eight have every pair.
    """
    generator = np.random.default_rng(count)
    found = []
    for k in range(count):
        pairs = PAIRS[2 * k : 2 * k + 2]
        pairs = [(b, a) if generator.random() < 0.5 else (a, b) for a, b in pairs]
        sides = [tuple(dict.fromkeys(pair[k] for pair in pairs)) for k in (0, 1)]
        outputs = ("divergence", "coverage")
        found.append(Stored(sides[0], sides[1], "listed", outputs, tuple(pairs)))
    return found + found[:twice]


def table(store: PairStore) -> pd.DataFrame:
    pairs = StoredPairs(store, SWEEP.manifest, SHOWN).to_pandas()
    return pairs.sort_values(["source", "target"], ignore_index=True)


def merged(store: PairStore) -> None:
    merge(store, SWEEP.catalogue(store))


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of the blocks are redundant, and go before the others are merged."""
    monkeypatch.setattr(merging, "ENOUGH", 3)


@pytest.mark.usefixtures("few_are_enough")
def test_many_small_blocks_become_one() -> None:
    store, truth = filled(small_blocks(8, 4))
    before = table(store)
    assert len(before) == len(PAIRS)
    merged(store)
    (block,) = store.blocks()
    assert (block.contents.shape, block.contents.rows) == ("listed", len(PAIRS))
    assert block.contents.outputs == ("divergence", "coverage")
    assert store.columns(block) == [c for c in store.columns(block) if c in COLUMNS]
    assert set(store.columns(block)) == set(COLUMNS)
    pd.testing.assert_frame_equal(table(store), before)
    for _, row in before.iterrows():
        found = truth.of((f"{row['source']}1", f"{row['target']}1"))
        assert found is not None
        assert row[list(COLUMNS)].to_dict() == found[2]
    merged(store)
    assert store.blocks() == [block], "and stay so"


@pytest.mark.parametrize("why", ["few", "large", "of others", "of other columns"])
def test_what_is_not_merged(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = small_blocks(8)
    monkeypatch.setattr(merging, "ENOUGH", 9 if why == "few" else 2)
    if why == "large":
        monkeypatch.setattr(merging, "SMALL", 0)
    if why == "of others":  # of which this sweep has one pair, of all but one
        blocks = [
            Stored(("a1",), (b, "f1"), "listed", ("divergence",), (("a1", b), ("a1", "f1")))
            for b in ("b1", "c2", "d2", "e2")
        ]
    store, _ = filled(blocks)
    if why == "of other columns":
        known = {block.name: k for k, block in enumerate(store.blocks())}
        every = [*itertools.permutations(COLUMNS, 2)]
        monkeypatch.setattr(store, "columns", lambda block: [*every[known[block.name]]])
    before, names = table(store), {block.name for block in store.blocks()}
    merged(store)
    after = {block.name for block in store.blocks()}
    assert after == names
    pd.testing.assert_frame_equal(table(store), before)


@pytest.mark.usefixtures("few_are_enough")
def test_no_more_rows_are_put_together_than_one_block_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(merging, "_MOST_ROWS", 6)
    store, _ = filled(small_blocks(8, 4))
    before = table(store)
    merged(store)
    rows = [block.contents.rows for block in store.blocks()]
    assert max(rows) <= 6
    assert len(rows) < 8
    pd.testing.assert_frame_equal(table(store), before)


NEVER = -(10**6)


class Counted:
    """Does something before one access to a place, by its number."""

    def __init__(self, step: int, meanwhile: Callable[[PairStore], None]) -> None:
        self._step, self._meanwhile = step, meanwhile
        self.count = NEVER
        self.place: Place

    def __call__(self, what: str, name: str) -> None:
        self.count += 1
        if self.count == self._step:
            self._meanwhile(PairStore(self.place, "pairs"))


def at_each_step(
    work: Callable[[PairStore], object], meanwhile: Callable[[PairStore], None]
) -> int:
    """Do something else before every access of some work to the files; returns how many there are.

    Whatever it is, all pairs have to be there before, meanwhile and after.
    """
    for step in itertools.count(1):
        counted = Counted(step, meanwhile)
        place = Memory(f"step {step}", counted)
        counted.place = place
        store, _ = filled(small_blocks(3, 1), place)
        before = table(store)
        pair_store.forget()
        counted.count = 0
        work(store)
        done, counted.count = counted.count, NEVER
        pd.testing.assert_frame_equal(table(store), before)
        if done < step:
            return done
    raise AssertionError


@pytest.mark.usefixtures("few_are_enough")
def test_a_reader_finds_every_pair_whatever_step_another_merges_at() -> None:
    def read(store: PairStore) -> None:
        assert len(table(store)) == 6

    assert at_each_step(read, merged) > 12


@pytest.mark.usefixtures("few_are_enough")
def test_a_merge_shows_every_pair_at_each_of_its_steps() -> None:
    def read(store: PairStore) -> None:
        assert len(table(store)) == 6

    assert at_each_step(merged, read) > 20


@pytest.mark.usefixtures("few_are_enough")
def test_two_merges_at_once_lose_nothing() -> None:
    assert at_each_step(merged, merged) > 20


@pytest.mark.usefixtures("few_are_enough")
def test_a_merge_that_is_killed_at_any_step_loses_nothing() -> None:
    def kill(store: PairStore) -> None:
        raise KeyboardInterrupt

    def killed(store: PairStore) -> None:
        try:
            merged(store)
        except KeyboardInterrupt:
            return

    assert at_each_step(killed, kill) > 20


def test_threads_that_read_and_merge_a_folder(tmp_path: object) -> None:
    """As it is in a file system, where a file that is open can be removed."""
    place: Place = Folder(f"{tmp_path}/distances")
    stop = threading.Event()
    first = threading.Event()
    read: list[int] = []

    def reader() -> None:
        while not stop.is_set():
            read.append(len(table(PairStore(place, "pairs"))))
            first.set()

    store = PairStore(place, "pairs")
    for k, block in enumerate(small_blocks(8, 4)):
        put(store, block, 100 * k)
    thread = threading.Thread(target=reader)
    thread.start()
    try:
        assert first.wait(60)
        for turn in range(1, 6):
            merged(PairStore(place, "pairs"))
            for k, block in enumerate(small_blocks(8, 4)):
                put(store, block, 10_000 * turn + 100 * k)
    finally:
        stop.set()
        thread.join()
    assert set(read) == {len(PAIRS)}
