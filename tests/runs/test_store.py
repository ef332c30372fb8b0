"""The store on disk: what its files hold, and who may read them meanwhile."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray

import geospot_gpu as gs
from geospot_gpu import files
from geospot_gpu.distances.columns import schema
from geospot_gpu.engine.method import Method
from geospot_gpu.errors import GeospotError
from geospot_gpu.files.places import Folder
from geospot_gpu.runs import pair_store
from geospot_gpu.runs.block import Side
from geospot_gpu.runs.identity import Identity, run_identity
from geospot_gpu.runs.pair_store import PairStore
from geospot_gpu.runs.store import Store
from tests.helpers.stored import (
    blocks,
    put_block,
    read_pairs,
    regions_of,
    sweep,
    with_seconds,
)

COLUMNS = [
    *("source", "target", "divergence", "lower", "upper", "std_error", "bias"),
    *("ot_value", "ot_lower", "ot_upper"),
    *("transport_cost", "transport_cost_lower", "transport_cost_upper"),
    *(f"coverage_source_to_target{bound}" for bound in ("", "_lower", "_upper")),
    *(f"coverage_target_to_source{bound}" for bound in ("", "_lower", "_upper")),
    *("nearest_source_to_target", "nearest_target_to_source"),
    *("iterations", "marginal_error", "converged", "kernel", "seconds"),
]


def test_blocks_have_the_documented_columns_and_types(two_blocks: Path) -> None:
    table = pq.read_table(blocks(two_blocks)[0])
    assert table.schema.names == COLUMNS
    types: dict[str, list[str]] = {}
    for field in table.schema:
        types.setdefault(str(field.type), []).append(field.name)
    assert types == {
        "string": ["source", "target", "kernel"],
        "int32": ["iterations"],
        "float": [
            *("divergence", "lower", "upper", "std_error", "bias"),
            *("ot_value", "ot_lower", "ot_upper"),
            *(n for n in COLUMNS if n.startswith(("transport_cost", "coverage", "nearest"))),
            *("marginal_error", "seconds"),
        ],
        "bool": ["converged"],
    }
    assert all(seconds > 0 for seconds in table.column("seconds").to_pylist())
    read = read_pairs(two_blocks)
    assert read.columns.tolist() == [*COLUMNS[:2], "n_source", "n_target", *COLUMNS[2:]]
    assert {name: str(kind) for name, kind in read[types["float"]].dtypes.items()} == dict.fromkeys(
        types["float"], "float32"
    )
    assert read["n_source"].tolist() == read["n_target"].tolist() == [30] * 6


def test_columns_that_older_blocks_lack_are_null(two_blocks: Path) -> None:
    absent = ["transport_cost_lower", "transport_cost_upper"]
    before = gs.open_run(two_blocks).load()
    old, _ = blocks(two_blocks)
    table = pq.read_table(old)
    old.unlink()
    put_block(two_blocks, table.drop_columns(absent))
    after = gs.open_run(two_blocks)
    pairs = {
        "source": xarray.DataArray(table["source"]),
        "target": xarray.DataArray(table["target"]),
    }
    for name in absent:
        assert after[name].sel(pairs).isnull().all()
        assert after[name].notnull().sum() == 6  # both triangles of the other block
        assert before[name].notnull().sum() == 12
    assert after.drop_vars(absent).identical(before.drop_vars(absent))


def test_other_tools_read_the_folder(two_blocks: Path) -> None:
    """DuckDB finds every pair once, source before target, and its regions by name."""
    with duckdb.connect() as database:
        pairs = database.execute(
            f"select p.source, p.target, a.n_points from '{two_blocks}/distances/*.parquet' p "
            f"join '{two_blocks}/regions.parquet' a on p.source = a.name order by 1, 2"
        ).fetchall()
    assert pairs == [
        ("lima", "oslo", 30),
        ("lima", "rome", 30),
        ("lima", "suva", 30),
        ("oslo", "rome", 30),
        ("oslo", "suva", 30),
        ("rome", "suva", 30),
    ]


def test_regions_hold_self_terms_and_centres(two_blocks: Path) -> None:
    table = regions_of(two_blocks)
    assert sorted(table.index) == ["lima", "oslo", "rome", "suva"]
    assert table.columns.tolist() == [
        *("key", "n_distinct", "lon", "lat", "self_ot", "self_lower", "self_upper"),
        "self_converged",
    ]
    assert table["lat"].to_dict() == pytest.approx(
        {"lima": -12.0, "oslo": 59.9, "rome": 41.9, "suva": -18.1}, abs=1
    )
    # The points of Suva lie on both sides of the antimeridian; their mean direction beside it.
    assert table["lon"].abs().to_dict() == pytest.approx(
        {"lima": 77.0, "oslo": 10.7, "rome": 12.5, "suva": 178.4}, abs=1
    )
    assert table["self_converged"].all()
    assert (table["self_lower"] <= table["self_ot"]).all()
    assert (table["self_ot"] <= table["self_upper"]).all()


def test_unreadable_is_not_damaged(two_blocks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that cannot be opened now may be fine later: it is neither set aside nor redone."""

    def too_many_files(path: Path, *_: object) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files", path)

    keys = pa.array(regions_of(two_blocks)["key"], pa.large_string())
    for method, read in (
        ("open", lambda: Store(two_blocks).pairs.blocks()),
        ("read_bytes", lambda: Store(two_blocks).regions.read(keys)),
    ):
        pair_store.forget()
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, too_many_files)
            with pytest.raises(GeospotError, match=r"parquet: cannot be read \(Too many open"):
                read()
    pairs = gs.Run.open(two_blocks).distances()
    assert len(pairs.catalogue.blocks) == 2, "it is known what is there"
    pair_store.forget()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", too_many_files)
        with pytest.raises(GeospotError, match=r"parquet: cannot be read \(Too many open"):
            pairs.to_table()
    assert len(read_pairs(two_blocks)) == 6


def test_a_reader_without_the_right_to_write_still_reads(
    two_blocks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    bad = blocks(two_blocks)[0]
    bad.write_bytes(b"")
    monkeypatch.setattr(Path, "rename", refuse)
    assert int(gs.open_run(two_blocks).divergence.isnull().sum()) == 6


def test_pairs_that_two_stored_are_read_once_and_tidied(two_blocks: Path, towns: Path) -> None:
    expected = read_pairs(two_blocks)
    first, second = (pq.read_table(path) for path in blocks(two_blocks))
    put_block(two_blocks, with_seconds(first, 1.0))
    put_block(two_blocks, with_seconds(second, 2.0))
    put_block(two_blocks, with_seconds(second, 3.0))
    assert len(blocks(two_blocks)) == 5
    before = gs.open_run(two_blocks).load()
    found = read_pairs(two_blocks)
    pd.testing.assert_frame_equal(found.drop(columns="seconds"), expected.drop(columns="seconds"))

    assert sweep(two_blocks, towns).computed == 0

    kept = blocks(two_blocks)
    assert len(kept) == 2, "each pair is stored once"
    assert gs.open_run(two_blocks).equals(before)
    pd.testing.assert_frame_equal(read_pairs(two_blocks), found)
    assert sweep(two_blocks, towns).computed == 0
    assert blocks(two_blocks) == kept


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_reader_goes_on_where_another_tidies(
    call: int, two_blocks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between listing the blocks and reading any of them, others take their place."""
    expected = read_pairs(two_blocks)
    first, second = blocks(two_blocks)
    calls: list[str] = []

    def tidied(method: Callable[..., Any]) -> Callable[..., Any]:
        def read(folder: Folder, name: str, *more: int) -> Any:
            calls.append(name)
            if len(calls) == call:
                for path in (first, second):
                    put_block(two_blocks, with_seconds(pq.read_table(path), 1.0))
                    path.unlink()
            return method(folder, name, *more)

        return read

    monkeypatch.setattr(PairStore, "_pool", PairStore(Folder(two_blocks), "pairs")._pool)
    for name in ("tail", "read", "open"):
        monkeypatch.setattr(Folder, name, tidied(getattr(Folder, name)))
    found = read_pairs(two_blocks)
    assert len(calls) >= call
    pd.testing.assert_frame_equal(found.drop(columns="seconds"), expected.drop(columns="seconds"))
    assert not set(blocks(two_blocks)) & {first, second}


@pytest.mark.parametrize("method", ["stat", "read_bytes"])
def test_a_file_that_goes_while_it_is_read_is_absent(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "part"
    path.write_bytes(b"x")
    look = getattr(Path, method)

    def gone(self: Path, *arguments: object, **options: object) -> object:
        path.unlink(missing_ok=True)
        return look(self, *arguments, **options)

    monkeypatch.setattr(Path, method, gone)
    with pytest.raises(FileNotFoundError):
        files.stored(path)


def test_a_block_that_is_none(two_blocks: Path) -> None:
    dangling = two_blocks / "distances" / "block-0.parquet"
    dangling.symlink_to(two_blocks / "nowhere")
    with pytest.raises(GeospotError, match=r"block-0\.parquet: cannot be read \(No such file"):
        read_pairs(two_blocks)
    dangling.unlink()
    os.mkfifo(dangling)
    with pytest.raises(GeospotError, match=r"block-0\.parquet: is no file"):
        read_pairs(two_blocks)
    dangling.unlink()
    for table in (pa.table({"source": [{"a": 1}]}), pq.read_table(blocks(two_blocks)[0])):
        metadata = dict.fromkeys(table.schema.metadata or {}, b"other")
        foreign = put_block(two_blocks, table.replace_schema_metadata(metadata))
        with pytest.raises(GeospotError, match="was not written by this version of geospot_gpu"):
            read_pairs(two_blocks)
        foreign.unlink()
    assert len(read_pairs(two_blocks)) == 6


def test_one_of_many_settles_the_identity(tmp_path: Path) -> None:
    """Of twenty threads that come at once with another epsilon each, one is accepted."""
    folder = tmp_path / "run"
    Store(folder).prepare()
    barrier = threading.Barrier(20)
    accepted: list[int] = []
    refused: list[str] = []

    def with_epsilon(number: int) -> Identity:
        return run_identity("none", 0, Method(gs.GroundCost(), gs.Sinkhorn(epsilon=number)))

    def settle(number: int) -> None:
        barrier.wait()
        try:
            Store(folder).settle(with_epsilon(number))
        except GeospotError as error:
            refused.append(str(error))
        else:
            accepted.append(number)

    threads = [threading.Thread(target=settle, args=(number,)) for number in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = accepted
    assert all(f"solver.epsilon={winner}.0 there, " in error for error in refused)
    Store(folder).settle(with_epsilon(winner))
    with pytest.raises(GeospotError, match=f"epsilon={winner}.0 there, 99.0 here"):
        Store(folder).settle(with_epsilon(99))
    assert not list(folder.rglob(".*.tmp"))


def test_nothing_to_do_writes_nothing(two_blocks: Path, towns: Path) -> None:
    """So that it works on a disk that is full or read-only, too."""

    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in two_blocks.rglob("*")}

    before = times()
    assert sweep(two_blocks, towns).computed == 0
    assert times() == before


def test_absent_columns_are_null(tmp_path: Path) -> None:
    store, one = Store(tmp_path).pairs, np.zeros(1, np.int64)
    sides = Side(("a",), ("k",), (1,)), Side(("b",), ("l",), (1,))
    block = store.write(sides, "all", ["divergence"], (one, one), {"divergence": np.ones(1)})
    assert pq.read_table(blocks(tmp_path)[0]).to_pylist() == [
        {"source": "a", "target": "b", "divergence": 1.0}
    ]
    names = schema("pairs").names
    table = store.read(block, names)
    assert table is not None
    assert table.column_names == names
    (row,) = table.to_pylist()
    assert {name for name, value in row.items() if value is not None} == {"divergence"}


def test_the_manifest_says_what_was_done(two_blocks: Path) -> None:
    manifest = json.loads((two_blocks / "manifest.json").read_text())
    assert manifest["identity"]["encoder"] == "none"
    assert manifest["identity"]["cost"]["geo_weight"] == 1.0
    assert manifest["identity"]["solver"]["epsilon"] == 0.01
    assert manifest["identity"]["seed"] == 0
    assert manifest["value"] == "divergence"
    assert manifest["device"] == "cpu"
    assert manifest["targets"] is None
    assert [region["name"] for region in manifest["sources"]] == ["lima", "oslo", "rome", "suva"]
    assert manifest["versions"]["geospot_gpu"] == gs.__version__
    assert {"python", "torch", "numpy"} <= manifest["versions"].keys()
    assert {region["key"] for region in manifest["sources"]} == set(regions_of(two_blocks)["key"])
    assert [region["n_points"] for region in manifest["sources"]] == [30] * 4
