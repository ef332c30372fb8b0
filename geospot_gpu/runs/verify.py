"""Whether all of a run is there, and as it was written; and how what is wrong is put right."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geospot_gpu import files
from geospot_gpu.distances.column import Table
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.files import record
from geospot_gpu.files.places import Place
from geospot_gpu.files.read_only import ReadOnly
from geospot_gpu.progress import Progress
from geospot_gpu.runs.block import Contents, proof_in
from geospot_gpu.runs.catalogue import Catalogue
from geospot_gpu.runs.held import Positions
from geospot_gpu.runs.identity import Identity
from geospot_gpu.runs.listing import Listing
from geospot_gpu.runs.manifest import Manifest, entries, unseal, unseal_manifest
from geospot_gpu.runs.neighbours import NeighbourLists
from geospot_gpu.runs.origin import KEPT
from geospot_gpu.runs.pair_store import Block, PairStore
from geospot_gpu.runs.parts import part_name
from geospot_gpu.runs.proof import is_proven
from geospot_gpu.runs.soundness import wrong_in
from geospot_gpu.runs.store import MANIFEST, OUTPUTS, REGIONS, Store
from geospot_gpu.runs.stored_pairs import grid_of

_SWEEP = "run the same geospot sweep again"
_REMOVE = "remove it, and "
_LEFT = {
    ".tmp": ("was left half written, or is being written", "remove it when nothing runs here"),
    ".damaged": ("was found damaged, and set aside", "remove it when nobody wants to look at it"),
}
"""What becomes of files that nobody reads, by their ends."""


class Finding(NamedTuple):
    """Something that is not as it should be."""

    where: str
    what: str
    repair: str


class Verified(NamedTuple):
    """What there is to say of a run."""

    findings: tuple[Finding, ...]
    files: int
    """That were read."""
    bytes: int
    total: int
    """Pairs of its last sweep."""
    missing: int
    """Those of them that are not there with all outputs."""


@out_of_memory("verifying a run", "verify it on a machine with more memory")
def verify(store: Store) -> Verified:
    """Look at everything that a run has stored, and change nothing.

    Args:
        store: of the run.

    Raises:
        GeospotError: there is no run, or a place cannot be listed.
    """
    return _Verification(store).run()


class _Verification:
    """What was found of a run so far."""

    def __init__(self, store: Store) -> None:
        self._store = Store(ReadOnly(store.place))
        self._findings: list[Finding] = []
        self._files = self._bytes = 0

    def run(self) -> Verified:
        """All checks, one after the other."""
        place = self._store.place
        named: list[tuple[Place, str, Callable[[Place, str, bytes], None]]] = [
            (self._store.manifests, ".json", self._check_manifest),
            (self._store.regions.place, ".parquet", self._check_regions),
            (place.child("points"), ".parquet", self._check_points),
            (self._store.pairs.place, ".parquet", self._check_pairs),
            (place.child("baselines"), ".parquet", self._check_baselines),
            (place.child("neighbours"), ".parquet", self._check_neighbours),
        ]
        found = [(where, end, check, where.names(suffix=end)) for where, end, check in named]
        if not any(names for *_, names in found) and MANIFEST not in place.names(MANIFEST):
            raise GeospotError(f"{place}: holds no sweep; make one with geospot sweep out={place}")
        self._identity: Identity | None = None
        self._region_keys: set[str] = set()
        self._blocks: list[Block] = []
        self._old = False
        self._check_identity()
        for where in (place, *(where for where, *_ in found)):
            self._check_leftovers(where)
        with Progress("verifying", "files", total=sum(len(names) for *_, names in found)) as done:
            for where, _, check, names in found:
                for name in names:
                    content = self._read(where, name)
                    if content is not None:
                        check(where, name, content)
                    done.update()
        self._check_outputs()
        manifest = self._last_manifest()
        total, missing = (0, 0) if manifest is None else self._check_run(manifest)
        return Verified(tuple(self._findings), self._files, self._bytes, total, missing)

    def _say(self, where: str, what: str, repair: str) -> None:
        self._findings.append(Finding(where, what, repair))

    def _read(self, place: Place, name: str) -> bytes | None:
        """A file; None where somebody has removed it, or it cannot be read."""
        try:
            content = place.read(name)
        except FileNotFoundError:
            return None
        except GeospotError as error:
            where = place.file(name)
            what = str(error).removeprefix(f"{where}: ")
            self._say(where, what, "look at the disk, and at who may read it")
            return None
        self._files, self._bytes = self._files + 1, self._bytes + len(content)
        return content

    def _check_leftovers(self, place: Place) -> None:
        for end, (what, repair) in _LEFT.items():
            for name in place.names(suffix=end):
                self._say(place.file(name), what, repair)

    def _check_identity(self) -> None:
        place, name = self._store.place, "identity.json"
        try:
            self._identity = unseal(place, name)["identity"]
        except FileNotFoundError:
            if self._store.manifests.names(suffix=".json"):
                self._say(place.file(name), "is not there", f"{_SWEEP}: it is settled anew")
        except GeospotError as error:
            self._say(*_said(place, name, error, f"{_SWEEP}: it is settled anew"))

    def _check_manifest(self, place: Place, name: str, content: bytes) -> None:
        where, repair = place.file(name), f"{_REMOVE}{_SWEEP}"
        if name != f"{files.content_hash(content)}.json":
            self._say(where, "is damaged", repair)
            return
        try:
            manifest = unseal_manifest(place, name)
        except GeospotError as error:
            self._say(*_said(place, name, error, repair))
            return
        if self._identity not in (None, manifest["identity"]):
            self._say(where, "is of another encoder, cost, solver or seed", repair)

    def _check_regions(self, place: Place, name: str, content: bytes) -> None:
        where = place.file(name)
        if name != part_name(content):
            self._say(where, "is damaged", f"{_SWEEP}: it is set aside, and computed again")
            return
        try:
            table = pq.read_table(pa.BufferReader(content), schema=REGIONS)
        except (ValueError, pa.ArrowException) as error:
            self._say(where, f"is of another version ({_line(error)})", "update geospot_gpu")
            return
        self._region_keys.update(table["key"].to_pylist())
        lower, middle, upper = (
            np.asarray(table[f"self_{name}"], np.float64) for name in ("lower", "ot", "upper")
        )
        outside = int(((lower > middle) | (middle > upper)).sum())
        if outside:
            what = f"{outside} values of self_ot are outside their bounds"
            self._say(where, what, f"{_REMOVE}{_SWEEP}")

    def _check_points(self, place: Place, name: str, content: bytes) -> None:
        if name != f"{files.content_hash(content)}.parquet":
            repair = f"{_REMOVE}sweep the same regions again: stored distances are kept"
            self._say(place.file(name), "is damaged", repair)

    def _check_pairs(self, place: Place, name: str, content: bytes) -> None:
        if name.startswith("part-"):
            if not self._old:
                where = f"{self._store.place}"
                self._say(where, "its distances are in the form of version 0.1",
                          f"geospot convert {where}")  # fmt: skip
            self._old = True
            return
        block = self._checked(place, name, content, "pairs")
        if block is not None:
            self._blocks.append(block)

    def _check_baselines(self, place: Place, name: str, content: bytes) -> None:
        if name.startswith("part-"):
            self._say(place.file(name), "is in the form of version 0.1", "remove it")
        else:
            self._checked(place, name, content, "baselines")

    def _checked(self, place: Place, name: str, content: bytes, kind: Table) -> Block | None:
        """A block in which nothing is wrong."""
        where = place.file(name)
        again = _SWEEP if kind == "pairs" else "run the same command again"
        if not name.startswith("block-") or not is_proven(content, proof_in(name)):
            self._say(where, "is damaged", f"{again}: it is set aside, and computed again")
            return None
        try:
            with pq.ParquetFile(io.BytesIO(content)) as file:
                contents, table = Contents.of(file.metadata), file.read()
            wrong = wrong_in(contents, table, kind)
        except (ValueError, TypeError, KeyError, pa.ArrowException) as error:
            self._say(where, f"is of another version ({_line(error)})", "update geospot_gpu")
            return None
        if wrong is not None:
            self._say(where, wrong, f"{_REMOVE}{again}")
            return None
        stamp = place.stamps(name).get(name)
        return None if stamp is None else Block(name, stamp, contents)

    def _check_neighbours(self, place: Place, name: str, content: bytes) -> None:
        if name != part_name(content):
            repair = f"{_SWEEP}: it is set aside, and found again"
            self._say(place.file(name), "is damaged", repair)

    def _check_outputs(self) -> None:
        """The files to look at are those that the last run wrote."""
        place = self._store.place
        for name in sorted(set(OUTPUTS) & set(place.names())):
            if record.markers(place, name) and record.marker(place, name) is None:
                self._say(
                    place.file(name),
                    "was not written by geospot, or changed since",
                    f"move it away, and {_SWEEP}",
                )

    def _last_manifest(self) -> Manifest | None:
        place = self._store.place
        try:
            manifest = unseal_manifest(place, MANIFEST)
            name = f"{files.content_hash(place.read(MANIFEST))}.json"
            if manifest["format"] > 1 and name not in self._store.manifests.names():
                self._say(place.file(MANIFEST), "has no twin in manifests", f"{_SWEEP}")
        except FileNotFoundError:
            pass
        except GeospotError as error:
            self._say(*_said(place, MANIFEST, error, f"{_SWEEP}: it is written anew"))
        with contextlib.suppress(GeospotError):
            return self._store.read_manifest()
        return None

    def _check_run(self, manifest: Manifest) -> tuple[int, int]:
        """How many pairs the last sweep has, and how many of them are missing."""
        place, regions = self._store.place, entries(manifest)
        keys = [region["key"] for region in regions]
        unknown = len(set(keys) - self._region_keys)
        if unknown:
            what = f"what is stored of {unknown} regions of the last sweep is missing"
            self._say(str(self._store.regions.place), what, f"{_SWEEP}: it is computed again")
        points = place.child("points")
        for name in _kept(manifest):
            if f"{name}.parquet" not in points.names(name):
                where, repair = points.file(f"{name}.parquet"), "sweep the same regions again"
                self._say(where, "is not there, and the points of the last sweep are in it", repair)
        total, missing = self._count(manifest, keys)
        if missing:
            self._say(
                str(place),
                f"{missing:,} of {total:,} pairs of the last sweep are missing",
                f"{_SWEEP}: {missing:,} pairs are computed again",
            )
        return total, missing

    def _count(self, manifest: Manifest, keys: list[str]) -> tuple[int, int]:
        """How many pairs the last sweep has, and how many of them are in no sound block."""
        sound = _Sound(self._store.pairs.place, self._blocks)
        outputs, n = manifest.get("outputs", []), len(manifest["sources"])
        if manifest.get("nearest") is not None:
            lists = NeighbourLists.of(self._store, manifest)
            table = lists.read()
            unlisted = int((~table.there).sum())
            if unlisted:
                what = f"lists of the nearest regions of {unlisted} regions are missing"
                self._say(str(self._store.place), what, f"{_SWEEP}: they are found again")
            positions, codes = Positions.of(keys, n, square=lists.square), lists.codes(table)
            listing = Listing(sound, positions, len(keys), codes, outputs)
            return len(codes), int((~listing.there).sum())
        grid = grid_of(manifest)
        if self._old:  # of which nothing is known before it is converted
            return grid.total, 0
        return grid.total, Catalogue(sound, keys, grid, n).count_missing(outputs)


class _Sound(PairStore):
    """Blocks of which nothing has to be proved any more."""

    def __init__(self, place: Place, blocks: list[Block]) -> None:
        super().__init__(place, "pairs")
        self._sound = sorted(blocks, key=lambda b: (-len(b.contents.outputs), b.name))

    def names(self) -> list[str]:
        return [block.name for block in self._sound]

    def blocks(self) -> list[Block]:
        return self._sound


def _kept(manifest: Manifest) -> list[str]:
    """Files of points that a run needs, where it keeps them."""
    sides = (manifest["config"] or {}).get(KEPT, [])
    return [str(entry["file"]) for side in sides for entry in side]


def _said(place: Place, name: str, error: GeospotError, repair: str) -> Finding:
    """A finding in the words of an error, which may say what to do."""
    where = place.file(name)
    what, _, own = str(error).removeprefix(f"{where}: ").partition(": ")
    return Finding(where, what, own or repair)


def _line(error: Exception) -> str:
    return str(error).split("\n")[0]
