"""What is wrong with a run is found, said with what to do, and left as it is."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import geospot_gpu as gs
from geospot_gpu.errors import GeospotError
from geospot_gpu.files.places import Folder
from geospot_gpu.files.read_only import ReadOnly
from geospot_gpu.runs.baselines import stored_baselines
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.verify import Finding, verify
from tests.helpers.folders import rewrite_manifest
from tests.helpers.old_runs import aged, write_part
from tests.helpers.s3 import BUCKET, ObjectServer
from tests.helpers.stored import put_block
from tests.helpers.sweeps import CPU, GEOGRAPHY, regions_of

AGAIN = "run the same geospot sweep again"


@pytest.fixture
def run(tmp_path: Path, towns: Path) -> Path:
    """A sweep of the four towns, with baselines, which keeps its points."""
    made = gs.sweep(tmp_path / "run", regions_of(towns), cost=GEOGRAPHY, engine=CPU)
    left, right = np.triu_indices(4, k=1)
    stored_baselines(made.place, made.keys, made.regions, left, right, CPU)
    return tmp_path / "run"


def tree(folder: Path) -> dict[str, str]:
    """Names and contents of all files."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def the_one(folder: Path, kind: str) -> Path:
    (path,) = (path for path in (folder / kind).iterdir() if path.suffix != ".tmp")
    return path


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def change(folder: Path, name: str, values: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change values of a block as if geospot had written it so."""
    path = the_one(folder, "distances")
    table = pq.read_table(path)
    at = table.column_names.index(name)
    changed = pa.array(values(np.array(table[name])), table.schema.field(name).type)
    path.unlink()
    put_block(folder, table.set_column(at, table.schema.field(name), changed))


def keep_rows(folder: Path, rows: slice) -> None:
    path = the_one(folder, "distances")
    table = pq.read_table(path)
    path.unlink()
    put_block(folder, table.take(pa.array(range(len(table))[rows])))


def rename(path: Path, name: str) -> None:
    path.rename(path.with_name(name))


def leave(*paths: Path) -> None:
    for path in paths:
        path.touch()


def test_nothing_is_wrong_with_a_run(run: Path) -> None:
    before = tree(run)
    found = verify(Store(run))
    assert found.findings == ()
    counted = sum(
        1 for name in before if name.startswith(("distances", "reg", "man", "poi", "bas"))
    )
    assert found.files == counted - 2, "all but two that are there to look at"
    assert (found.total, found.missing) == (6, 0)
    assert tree(run) == before


SIX = f"{AGAIN}: 6 pairs are computed again"
MISSING = ("", "6 of 6 pairs of the last sweep are missing", SIX)
FAULTS: dict[str, tuple[Callable[[Path], object], list[tuple[str, str, str]]]] = {
    "pairs damaged": (
        lambda run: flip(the_one(run, "distances")),
        [("distances/block-", "is damaged", f"{AGAIN}: it is set aside"), MISSING],
    ),
    "pairs gone": (lambda run: the_one(run, "distances").unlink(), [MISSING]),
    "pairs under another name": (
        lambda run: rename(the_one(run, "distances"), "block-1.parquet"),
        [("distances/block-1", "is damaged", f"{AGAIN}: it is set aside"), MISSING],
    ),
    "values outside their bounds": (
        lambda run: change(run, "upper", lambda upper: np.where(upper == upper.max(), -1, upper)),
        [("distances/", "1 values of divergence are outside their bounds", "remove it"), MISSING],
    ),
    "rows gone": (
        lambda run: keep_rows(run, slice(1, None)),
        [("distances/block-", "it has 5 rows, and 6 pairs", "remove it, and run"), MISSING],
    ),
    "rows in another order": (
        lambda run: keep_rows(run, slice(None, None, -1)),
        [("distances/", "its rows are not of the pairs that it says", "remove it"), MISSING],
    ),
    "a region of another name": (
        lambda run: change(run, "source", lambda names: np.full(len(names), "paris")),
        [("distances/block-", "there is no column or region 'paris'", "remove it"), MISSING],
    ),
    "self terms damaged": (
        lambda run: flip(the_one(run, "regions")),
        [
            ("regions/part-", "is damaged", f"{AGAIN}: it is set aside, and computed again"),
            ("regions", "what is stored of 4 regions of the last sweep is missing", AGAIN),
        ],
    ),
    "points damaged": (
        lambda run: flip(the_one(run, "points")),
        [("points/", "is damaged", "remove it, and sweep the same regions again")],
    ),
    "points gone": (
        lambda run: the_one(run, "points").unlink(),
        [("points/", "is not there, and the points of the last sweep are in it", "sweep the same")],
    ),
    "baselines damaged": (
        lambda run: flip(the_one(run, "baselines")),
        [("baselines/block-", "is damaged", "run the same command again: it is set aside")],
    ),
    "identity damaged": (
        lambda run: flip(run / "identity.json"),
        [("identity.json", "is damaged, or", f"{AGAIN}: it is settled anew")],
    ),
    "identity gone": (
        lambda run: (run / "identity.json").unlink(),
        [("identity.json", "is not there", f"{AGAIN}: it is settled anew")],
    ),
    "manifest of the run damaged": (
        lambda run: flip(the_one(run, "manifests")),
        [
            ("manifests/", "is damaged", f"remove it, and {AGAIN}"),
        ],
    ),
    "last manifest damaged": (
        lambda run: (run / "manifest.json").write_text("{"),
        [
            ("manifest.json", "was not written by geospot, or changed since", "move it away"),
            ("manifest.json", "is damaged, or not of geospot", f"{AGAIN}: it is written anew"),
        ],
    ),
    "last manifest of a newer version": (
        lambda run: rewrite_manifest(run, lambda manifest: manifest.update(format=9)),
        [("manifest.json", "was written by a newer version", "update geospot_gpu")],
    ),
    "last manifest without a twin": (
        lambda run: rewrite_manifest(run, lambda manifest: manifest.update(seed=9)),
        [("manifest.json", "has no twin in manifests", AGAIN)],
    ),
    "a table that was changed": (
        lambda run: (run / "regions.parquet").write_text("mine"),
        [("regions.parquet", "was not written by geospot, or changed since", "move it away, and")],
    ),
    "leftovers": (
        lambda run: leave(
            run / "distances" / ".block-1.parquet.0123456789ab.tmp",
            run / "regions" / "part-1.damaged",
        ),
        [
            ("regions/part-1.damaged", "was found damaged, and set aside", "remove it when nobody"),
            ("distances/.block-1", "was left half written, or is being", "remove it when nothing"),
        ],
    ),
    "pairs of version 0.1": (
        lambda run: aged(run),
        [("", "its distances are in the form of version 0.1", "geospot convert ")],
    ),
    "baselines of version 0.1": (
        lambda run: write_part(run / "baselines", gs.Run.open(run).pairs[:1]),
        [("baselines/part-", "is in the form of version 0.1", "remove it")],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_found_and_left(fault: str, run: Path) -> None:
    bring_about, expected = FAULTS[fault]
    bring_about(run)
    before = tree(run)
    found = verify(Store(run)).findings
    for finding, (where, what, repair) in zip(found, expected, strict=True):
        assert finding.where.startswith(f"{run}/{where}" if where else str(run))
        assert finding.what.startswith(what)
        assert finding.repair.startswith(repair)
    assert tree(run) == before


@pytest.mark.parametrize(
    "fault", [name for name, (_, found) in FAULTS.items() if found[0][2].startswith(AGAIN)]
)
def test_the_same_sweep_repairs_what_it_is_said_to(fault: str, run: Path, towns: Path) -> None:
    FAULTS[fault][0](run)
    gs.sweep(run, regions_of(towns), cost=GEOGRAPHY, engine=CPU)
    left = [finding for finding in verify(Store(run)).findings if ".damaged" not in finding.where]
    assert left == []


def test_a_manifest_of_another_sweep_is_found(run: Path, towns: Path, tmp_path: Path) -> None:
    solver = gs.Sinkhorn(epsilon=0.02)
    gs.sweep(tmp_path / "other", regions_of(towns), cost=GEOGRAPHY, solver=solver, engine=CPU)
    shutil.copy(the_one(tmp_path / "other", "manifests"), run / "manifests")
    (found,) = verify(Store(run)).findings
    assert found.what == "is of another encoder, cost, solver or seed"


def test_what_was_not_solved_yet_is_missing(run: Path) -> None:
    """Also outputs: the last sweep asks for one that no block has."""
    rewrite_manifest(run, lambda manifest: manifest.update(outputs=["divergence", "road_km"]))
    missing = [finding for finding in verify(Store(run)).findings if finding.where == str(run)]
    assert missing == [Finding(str(run), *MISSING[1:])]


def test_of_the_nearest_alone_no_other_pair_is_missing(tmp_path: Path, towns: Path) -> None:
    def sweep() -> None:
        gs.sweep(tmp_path / "run", regions_of(towns), cost=GEOGRAPHY, engine=CPU, nearest=1)

    sweep()
    run = tmp_path / "run"
    found = verify(Store(run))
    assert found.findings == ()
    assert (0 < found.total < 6, found.missing) == (True, 0)
    for path in (run / "distances").iterdir():
        flip(path)
    flip(the_one(run, "neighbours"))
    what = [finding.what for finding in verify(Store(run)).findings]
    lists = "lists of the nearest regions of 4 regions are missing"
    assert what == ["is damaged"] * (len(what) - 1) + [lists]
    sweep()
    left = verify(Store(run)).findings
    assert left
    assert all(finding.where.endswith(".damaged") for finding in left)


def test_what_cannot_be_read_is_not_damaged(run: Path) -> None:
    path = the_one(run, "distances")
    path.unlink()
    path.mkdir()
    found = verify(Store(run)).findings
    assert found[0] == Finding(
        str(path), "is no file: move it away", "look at the disk, and at who may read it"
    )


def test_no_run_is_an_error(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(GeospotError, match=f"{folder}: holds no sweep; make one with"):
            verify(Store(folder))


def test_a_place_to_read_alone_is_never_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    found = ReadOnly(Folder(tmp_path))
    assert (found.names(), found.read("a"), found.tail("a", 1)) == (["a"], b"a", b"a")
    assert found.newest() == ["a"]
    found.set_aside("a")
    for attempt in (
        lambda: found.write("a", b"b"),
        lambda: found.create("b", b"b"),
        lambda: found.remove("a"),
        found.child("b").prepare,
    ):
        with pytest.raises(GeospotError, match="was opened to be read alone"):
            attempt()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["a"]


def test_object_storage_is_verified_as_a_folder_is(storage: ObjectServer, towns: Path) -> None:
    out = f"s3://{BUCKET}/run"
    gs.sweep(out, regions_of(towns), cost=GEOGRAPHY, engine=CPU)
    assert verify(Store(out)).findings == ()
    store = Store(out)
    (block,) = store.pairs.names()
    store.pairs.place.write(block, b"x" + store.pairs.place.read(block)[1:])
    found = verify(Store(out))
    assert [finding.what for finding in found.findings] == ["is damaged", MISSING[1]]
    assert found.findings[0].where == f"{out}/distances/{block}"
