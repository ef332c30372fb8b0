"""The store on disk: what its files hold, and who may read them meanwhile."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray

import geospot_gpu as gs
from geospot_gpu import files
from geospot_gpu.distances.columns import schema
from geospot_gpu.errors import GeospotError
from geospot_gpu.runs.store import Store
from tests.helpers.stored import keys_of, regions_of, shards, sweep

COLUMNS = [
    *("key", "source", "target", "n_source", "n_target", "geo_weight", "epsilon"),
    *("divergence", "lower", "upper", "std_error", "bias"),
    *("ot_value", "ot_lower", "ot_upper"),
    *("transport_cost", "transport_cost_lower", "transport_cost_upper"),
    *(f"coverage_source_to_target{bound}" for bound in ("", "_lower", "_upper")),
    *(f"coverage_target_to_source{bound}" for bound in ("", "_lower", "_upper")),
    *("nearest_source_to_target", "nearest_target_to_source"),
    *("iterations", "marginal_error", "converged", "kernel", "outputs", "seconds"),
]


def test_shards_have_the_documented_columns_and_types(two_shards: Path) -> None:
    table = pq.read_table(shards(two_shards)[0])
    assert table.schema.names == COLUMNS
    types: dict[str, list[str]] = {}
    for field in table.schema:
        types.setdefault(str(field.type), []).append(field.name)
    assert types == {
        "string": ["key", "source", "target", "kernel", "outputs"],
        "int64": ["n_source", "n_target", "iterations"],
        "double": [
            *("geo_weight", "epsilon", "divergence", "lower", "upper", "std_error", "bias"),
            *("ot_value", "ot_lower", "ot_upper"),
            *(n for n in COLUMNS if n.startswith(("transport_cost", "coverage", "nearest"))),
            *("marginal_error", "seconds"),
        ],
        "bool": ["converged"],
    }
    assert table.column("n_source").to_pylist() == [30, 30, 30]
    assert set(table.column("geo_weight").to_pylist()) == {1.0}
    assert set(table.column("epsilon").to_pylist()) == {0.01}
    assert all(seconds > 0 for seconds in table.column("seconds").to_pylist())


def test_columns_that_older_shards_lack_are_null(two_shards: Path) -> None:
    absent = ["transport_cost_lower", "transport_cost_upper"]
    before = gs.open_run(two_shards)
    old, _ = shards(two_shards)
    content = pa.BufferOutputStream()
    table = pq.read_table(old)
    pq.write_table(table.drop_columns(absent), content)
    old.unlink()
    digest = hashlib.blake2b(content.getvalue(), digest_size=16).hexdigest()
    (two_shards / "distances" / f"part-{digest}.parquet").write_bytes(content.getvalue())
    after = gs.open_run(two_shards)
    pairs = {
        "source": xarray.DataArray(table["source"]),
        "target": xarray.DataArray(table["target"]),
    }
    for name in absent:
        assert after[name].sel(pairs).isnull().all()
        assert after[name].notnull().sum() == 6  # both triangles of the other shard
        assert before[name].notnull().sum() == 12
    assert after.drop_vars(absent).identical(before.drop_vars(absent))


def test_other_tools_read_the_folder(two_shards: Path) -> None:
    """DuckDB finds every pair once, source before target, and its regions by name."""
    with duckdb.connect() as database:
        pairs = database.execute(
            f"select p.source, p.target, a.n_points from '{two_shards}/distances/*.parquet' p "
            f"join '{two_shards}/regions.parquet' a on p.source = a.name order by 1, 2"
        ).fetchall()
    assert pairs == [
        ("lima", "oslo", 30),
        ("lima", "rome", 30),
        ("lima", "suva", 30),
        ("oslo", "rome", 30),
        ("oslo", "suva", 30),
        ("rome", "suva", 30),
    ]


def test_regions_hold_self_terms_and_centres(two_shards: Path) -> None:
    table = regions_of(two_shards)
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


def test_unreadable_is_not_damaged(two_shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard that cannot be opened now may be fine later: it is neither set aside nor redone."""

    def too_many_files(path: Path) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files", path)

    keys = keys_of(shards(two_shards)[0])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", too_many_files)
        for read in (Store(two_shards).pairs.read, Store(two_shards).regions.read):
            with pytest.raises(GeospotError, match=r"parquet: cannot be read \(Too many open"):
                read(keys)
    assert len(Store(two_shards).pairs.read(keys)) == 3


def test_a_reader_without_the_right_to_write_still_reads(
    two_shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    bad = shards(two_shards)[0]
    bad.write_bytes(b"")
    monkeypatch.setattr(Path, "rename", refuse)
    assert int(gs.open_run(two_shards).divergence.isnull().sum()) == 6


def test_pairs_that_two_stored_are_read_once_and_tidied(two_shards: Path, towns: Path) -> None:
    first, second = shards(two_shards)
    values = pd.concat([pd.read_parquet(first), pd.read_parquet(second)])
    Store(two_shards).pairs.write(pd.read_parquet(first).assign(seconds=1.0))
    Store(two_shards).pairs.write(values.iloc[1:5].assign(seconds=2.0))
    assert len(shards(two_shards)) == 4
    before = gs.open_run(two_shards)
    assert len(Store(two_shards).pairs.read(keys_of(first))) == 3

    assert sweep(two_shards, towns).computed == 0

    (merged,) = shards(two_shards)
    table = pd.read_parquet(merged)
    assert sorted(table["key"]) == sorted(values["key"])
    assert gs.open_run(two_shards).equals(before)
    assert sweep(two_shards, towns).computed == 0
    assert shards(two_shards) == [merged]


def test_a_reader_goes_on_where_another_tidies(
    two_shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between listing the parts and reading them, some are merged into one."""
    first, _ = shards(two_shards)
    keys = keys_of(first)
    Store(two_shards).pairs.write(pd.read_parquet(first).assign(seconds=1.0))
    other = Store(two_shards)
    other.pairs.read(keys)
    stored, times = files.stored, []

    def tidied(path: Path) -> bytes:
        times.append(path)
        if len(times) == 1:
            with monkeypatch.context() as patch:
                patch.setattr(files, "stored", stored)
                other.pairs.tidy()
        return stored(path)

    monkeypatch.setattr(files, "stored", tidied)
    reader = Store(two_shards)
    assert len(reader.pairs.read(keys)) == 3
    assert not reader.pairs.repeats
    assert len(shards(two_shards)) == 2


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


def test_a_part_that_is_none(two_shards: Path) -> None:
    first, _ = shards(two_shards)
    keys = keys_of(first)
    dangling = two_shards / "distances" / "part-0.parquet"
    dangling.symlink_to(two_shards / "nowhere")
    with pytest.raises(GeospotError, match=r"part-0\.parquet: cannot be read \(No such file"):
        Store(two_shards).pairs.read(keys)
    dangling.unlink()
    os.mkfifo(dangling)
    with pytest.raises(GeospotError, match=r"part-0\.parquet: is no file"):
        Store(two_shards).pairs.read(keys)
    dangling.unlink()
    content = pa.BufferOutputStream()
    pq.write_table(pa.table({"key": [{"a": 1}]}), content)
    part = content.getvalue().to_pybytes()
    digest = hashlib.blake2b(part, digest_size=16).hexdigest()
    (two_shards / "distances" / f"part-{digest}.parquet").write_bytes(part)
    with pytest.raises(GeospotError, match="was not written by this version of geospot_gpu"):
        Store(two_shards).pairs.read(keys)


def test_one_of_many_settles_the_identity(tmp_path: Path) -> None:
    """Of twenty threads that come at once with another epsilon each, one is accepted."""
    folder = tmp_path / "run"
    Store(folder).prepare()
    barrier = threading.Barrier(20)
    accepted: list[int] = []
    refused: list[str] = []

    def settle(number: int) -> None:
        barrier.wait()
        try:
            Store(folder).settle({"solver": {"epsilon": number}})
        except GeospotError as error:
            refused.append(str(error))
        else:
            accepted.append(number)

    threads = [threading.Thread(target=settle, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = accepted
    assert all(f"solver.epsilon={winner} there, " in error for error in refused)
    Store(folder).settle({"solver": {"epsilon": winner}})
    with pytest.raises(GeospotError, match=f"epsilon={winner} there, 99 here"):
        Store(folder).settle({"solver": {"epsilon": 99}})
    assert not list(folder.rglob(".*.tmp"))


def test_nothing_to_do_writes_nothing(two_shards: Path, towns: Path) -> None:
    """So that it works on a disk that is full or read-only, too."""

    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in two_shards.rglob("*")}

    before = times()
    assert sweep(two_shards, towns).computed == 0
    assert times() == before


def test_absent_columns_are_null(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare()
    store.pairs.write(pd.DataFrame({"key": ["k"], "source": ["a"], "target": ["b"]}))
    (row,) = pq.read_table(shards(tmp_path)[0]).to_pylist()
    assert row.keys() == set(schema("pairs").names)
    assert {name for name, value in row.items() if value is not None} == {"key", "source", "target"}


def test_the_manifest_says_what_was_done(two_shards: Path) -> None:
    manifest = json.loads((two_shards / "manifest.json").read_text())
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
    assert {region["key"] for region in manifest["sources"]} == set(regions_of(two_shards)["key"])
    assert [region["n_points"] for region in manifest["sources"]] == [30] * 4
