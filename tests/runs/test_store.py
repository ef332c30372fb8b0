"""The store on disk: shards, regions, manifest, and what happens when they are damaged."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import threading
import time
from pathlib import Path

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
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.sweep import SweepResult, run_sweep

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


def sweep(out: Path, towns: Path, *names: str, epsilon: float = 0.01) -> SweepResult:
    regions = gs.Regions.from_table(
        towns, region="town", encoder="none", include=list(names) or None
    )
    return run_sweep(
        out,
        regions,
        method=Method(gs.GroundCost(geo_weight=1.0), gs.Sinkhorn(epsilon=epsilon)),
        engine=gs.Engine(device="cpu"),
    )


def shards(out: Path) -> list[Path]:
    return sorted((out / "distances").glob("part-*.parquet"))


def keys_of(shard: Path) -> pa.Array:
    return pq.read_table(shard)["key"].combine_chunks().cast(pa.large_string())


@pytest.fixture
def two_shards(tmp_path: Path, towns: Path) -> Path:
    """A run of four towns in two shards: of the three pairs of three of them, and of the rest."""
    out = tmp_path / "run"
    sweep(out, towns, "lima", "oslo", "rome")
    sweep(out, towns)
    assert sorted(len(pq.read_table(path)) for path in shards(out)) == [3, 3]
    return out


def test_shards_have_the_documented_columns_and_types(two_shards: Path) -> None:
    table = pq.read_table(shards(two_shards)[0])
    assert table.schema.names == COLUMNS
    types: dict[str, list[str]] = {}
    for field in table.schema:
        types.setdefault(str(field.type), []).append(field.name)
    assert types == {
        "string": ["key", "source", "target", "kernel"],
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


def regions_of(out: Path) -> pd.DataFrame:
    """What is stored of the regions of a run, by name."""
    return pd.concat(map(pd.read_parquet, (out / "regions").glob("*.parquet"))).set_index("name")


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


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "footer"])
def test_a_damaged_shard_is_computed_again_and_the_others_kept(
    damage: str, two_shards: Path, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = gs.open_run(two_shards)
    bad, good = shards(two_shards)
    lost = set(pq.read_table(bad)["key"].to_pylist())
    content, intact = bytearray(bad.read_bytes()), good.read_bytes()
    if damage == "empty":
        content.clear()
    elif damage == "half":
        del content[len(content) // 2 :]
    elif damage == "flipped":
        content[len(content) // 3] ^= 1
    else:
        content[-3] ^= 0xFF
    bad.write_bytes(content)

    result = sweep(two_shards, towns)

    assert f"{bad}: is damaged, its pairs have to be computed again" in caplog.text
    assert (result.total, result.computed, result.reused) == (6, 3, 3)
    assert good.read_bytes() == intact
    assert bad.with_suffix(".damaged").exists(), "what was damaged is set aside, not deleted"
    (new,) = set(shards(two_shards)) - {good}
    assert set(pq.read_table(new)["key"].to_pylist()) == lost
    np.testing.assert_allclose(gs.open_run(two_shards).divergence, before.divergence, atol=1e-6)
    caplog.clear()
    assert sweep(two_shards, towns).computed == 0
    assert caplog.text == ""


def test_a_flipped_bit_anywhere_in_a_shard_is_noticed(two_shards: Path) -> None:
    """Also where Parquet's own checksums see nothing: in page headers and the footer."""
    path = shards(two_shards)[0]
    content, keys = path.read_bytes(), keys_of(path)
    assert len(Store(two_shards).pairs.read(keys)) == 3
    for position in range(0, len(content), 67):
        spoiled = bytearray(content)
        spoiled[position] ^= 1
        path.write_bytes(spoiled)
        assert len(Store(two_shards).pairs.read(keys)) == 0, position


def test_a_half_written_shard_is_not_read_and_goes_away(two_shards: Path, towns: Path) -> None:
    content = shards(two_shards)[0].read_bytes()
    old = two_shards / "distances" / ".part-1.parquet.0123456789ab.tmp"
    recent = two_shards / "distances" / ".part-2.parquet.0123456789ab.tmp"
    for path in (old, recent):
        path.write_bytes(content[: len(content) // 2])
    os.utime(old, (time.time() - 7200,) * 2)

    assert sweep(two_shards, towns).computed == 0

    assert not old.exists()
    assert recent.exists(), "another process may be writing it"
    os.utime(recent, (time.time() - 7200,) * 2)
    Store(two_shards).pairs.write(pd.DataFrame({"key": ["k"], "source": ["a"], "target": ["b"]}))
    assert not recent.exists(), "whoever stores a part clears up as well"


def test_a_damaged_manifest_is_replaced_by_its_twin_and_written_anew(
    two_shards: Path, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, before = two_shards / "manifest.json", gs.open_run(two_shards)
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    refused: list[str] = []
    for position in generator.choice(len(content), 40, replace=False):
        spoiled = bytearray(content)
        spoiled[position] ^= 1 << int(generator.integers(8))
        path.write_bytes(spoiled)
        caplog.clear()
        try:
            found = gs.open_run(two_shards)
        except GeospotError as error:  # a byte of its format or of the name of a part of it
            refused.append(str(error))
            continue
        assert found.equals(before)
        told = "manifest.json: is damaged" in caplog.text and "is read instead" in caplog.text
        assert told or json.loads(spoiled) == json.loads(content), "all that changed is a blank"
    assert all(re.search("newer version|is not of geospot", error) for error in refused)
    path.write_bytes(content.replace(b"rome", b"roma", 1))
    caplog.clear()
    assert sweep(two_shards, towns).computed == 0
    assert "is damaged, or was changed by hand: set aside as manifest.damaged" in caplog.text
    assert path.read_bytes() == content


def test_a_manifest_of_another_run_is_not_believed(
    two_shards: Path, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of another folder, or an older one of this: its seal is whole, but it is not the last."""
    before = gs.open_run(two_shards)
    other = two_shards.with_name("other")
    sweep(other, towns, "lima", "suva")
    path, content = two_shards / "manifest.json", (two_shards / "manifest.json").read_bytes()
    (older,) = (own for own in (two_shards / "manifests").iterdir() if own.read_bytes() != content)
    for foreign in (other / "manifest.json", older):
        path.write_bytes(foreign.read_bytes())
        os.utime(older, (1, 1))
        caplog.clear()
        assert gs.open_run(two_shards).equals(before)
        assert "manifest.json: is not that of the last run here; " in caplog.text
        with pytest.raises(GeospotError, match="was not written by geospot, or changed since"):
            sweep(two_shards, towns)
    shutil.rmtree(two_shards / ".geospot")
    path.write_bytes((other / "manifest.json").read_bytes())
    assert gs.open_run(two_shards).equals(before), "the record need not be there"
    path.write_bytes(content)
    assert gs.open_run(two_shards).equals(before)


def test_a_run_without_any_whole_manifest_is_made_whole_by_a_sweep(
    two_shards: Path, towns: Path
) -> None:
    for path in (two_shards / "manifests").iterdir():
        path.unlink()
    (two_shards / "manifest.json").write_text("{")
    with pytest.raises(GeospotError, match="run geospot sweep again: stored distances are kept"):
        gs.open_run(two_shards)
    assert sweep(two_shards, towns).computed == 0
    assert gs.open_run(two_shards).divergence.notnull().all()


@pytest.mark.parametrize(
    "content",
    [
        *("[]", "null", "7", "{}", '{"name": "my web app", "icons": []}', '{"identity": {}}'),
        '{"format": 1, "identity": 1, "value": "x", "sources": [], "targets": null}',
        '{"format": 1, "identity": {}, "value": "x", "sources": [1], "targets": null}',
        '{"format": true, "identity": {}, "value": "x", "sources": [1], "targets": null}',
    ],
)
def test_a_manifest_of_others_is_refused_and_kept(
    content: str, tmp_path: Path, towns: Path
) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(content)
    for attempt in (lambda: sweep(tmp_path, towns), lambda: gs.open_run(tmp_path)):
        with pytest.raises(GeospotError, match=r"manifest\.json: is not of geospot") as caught:
            attempt()
        assert "delete" not in str(caught.value)
    assert path.read_text() == content
    assert not (tmp_path / "distances").exists()


@pytest.mark.parametrize("content", ["", "{", "\xff", "[" * 100_000])
def test_a_manifest_that_is_no_json(content: str, tmp_path: Path, towns: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(GeospotError, match=r"is damaged, or not of geospot: choose another folder"):
        sweep(tmp_path, towns)
    assert path.read_bytes() == content.encode("latin-1")


def test_a_newer_manifest_is_refused_as_such(two_shards: Path, towns: Path) -> None:
    path = two_shards / "manifest.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 3'))
    content = path.read_bytes()
    for attempt in (lambda: sweep(two_shards, towns), lambda: gs.open_run(two_shards)):
        with pytest.raises(GeospotError, match=r"newer version .*format 3.*update geospot_gpu"):
            attempt()
    assert path.read_bytes() == content


def test_a_folder_of_version_0_1_goes_on(two_shards: Path, towns: Path) -> None:
    """It had no checksums, no record, and the self terms in one file, which is not believed."""
    manifest = json.loads((two_shards / "manifest.json").read_text())
    shards_before = {path: path.read_bytes() for path in shards(two_shards)}
    del manifest["checksum"]
    for region in manifest["sources"]:
        for key in ("n_points", "n_available", "weight"):
            del region[key]
    (two_shards / "manifest.json").write_text(json.dumps(manifest | {"format": 1}))
    (two_shards / "identity.json").unlink()
    for name in (".geospot", "manifests", "regions"):
        shutil.rmtree(two_shards / name)
    (two_shards / "matrix.csv").write_text("old")
    with pytest.raises(GeospotError, match=r"of version 0\.1: run the same geospot sweep again"):
        gs.open_run(two_shards)
    with pytest.raises(GeospotError, match=r"another sweep \(solver\.epsilon=0\.01 there, 0\.02"):
        sweep(two_shards, towns, epsilon=0.02)

    assert sweep(two_shards, towns).computed == 0

    assert {path: path.read_bytes() for path in shards(two_shards)} == shards_before
    assert gs.open_run(two_shards).divergence.notnull().all()
    assert not (two_shards / "matrix.csv").exists(), "it is of another run"


@pytest.mark.parametrize("damage", ["missing", "half", "flipped"])
def test_damaged_regions_are_computed_again(
    damage: str, two_shards: Path, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = regions_of(two_shards)
    for path in (two_shards / "regions").iterdir():
        content = bytearray(path.read_bytes())
        if damage == "missing":
            path.unlink()
        else:
            if damage == "half":
                del content[len(content) // 2 :]
            else:
                content[-40] ^= 1
            path.write_bytes(content)
    with pytest.raises(GeospotError, match=r"its regions is missing, damaged or of version 0\.1"):
        gs.open_run(two_shards)

    assert sweep(two_shards, towns).computed == 0

    assert ("its regions have to be computed again" in caplog.text) == (damage != "missing")
    pd.testing.assert_frame_equal(regions_of(two_shards), before, rtol=1e-6, check_like=True)


def test_a_damaged_identity_is_settled_again(
    two_shards: Path, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = two_shards / "identity.json"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0.01", b"0.02"))
    with pytest.raises(GeospotError, match=r"epsilon=0\.01 there, 0\.02 here"):
        sweep(two_shards, towns, epsilon=0.02)
    assert "identity.json: is damaged, or was changed by hand: set aside" in caplog.text
    assert sweep(two_shards, towns).computed == 0
    assert path.read_bytes() == content


def test_a_folder_without_a_sweep(tmp_path: Path, towns: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path, towns):
        with pytest.raises(GeospotError, match=f"{folder}: holds no sweep; make one with geospot"):
            gs.open_run(folder)


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
