"""The store on disk: shards, regions, manifest, and what happens when they are damaged."""

from __future__ import annotations

import errno
import hashlib
import json
import os
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
from geospot_gpu.errors import GeospotError
from geospot_gpu.sweep.run import SweepResult, run_sweep
from geospot_gpu.sweep.store import SCHEMA, Store

COLUMNS = [
    *("key", "source", "target", "n_source", "n_target", "geo_weight", "epsilon"),
    *("divergence", "lower", "upper", "std_error", "bias"),
    *("ot_value", "ot_lower", "ot_upper"),
    *("transport_cost", "transport_cost_lower", "transport_cost_upper"),
    *(f"coverage_source_to_target{bound}" for bound in ("", "_lower", "_upper")),
    *(f"coverage_target_to_source{bound}" for bound in ("", "_lower", "_upper")),
    *("nearest_source_to_target", "nearest_target_to_source"),
    *("iterations", "marginal_error", "converged", "kernel", "seconds"),
]


def sweep(out: Path, towns: Path, *names: str) -> SweepResult:
    regions = gs.Regions.from_table(
        towns, region="town", encoder="none", include=list(names) or None
    )
    return run_sweep(
        out,
        regions,
        cost=gs.GroundCost(geo_weight=1.0),
        solver=gs.Sinkhorn(),
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


def test_regions_hold_self_terms_and_centres(two_shards: Path) -> None:
    table = pd.read_parquet(two_shards / "regions.parquet").set_index("name")
    assert set(table.columns) >= {
        *("key", "n_points", "weight", "lon", "lat"),
        *("self_ot", "self_lower", "self_upper", "self_converged"),
    }
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
    assert len(Store(two_shards).read_pairs(keys)) == 3
    for position in range(0, len(content), 67):
        spoiled = bytearray(content)
        spoiled[position] ^= 1
        path.write_bytes(spoiled)
        assert len(Store(two_shards).read_pairs(keys)) == 0, position


def test_a_half_written_shard_is_not_read_and_goes_away(two_shards: Path, towns: Path) -> None:
    content = shards(two_shards)[0].read_bytes()
    old = two_shards / "distances" / ".part-1.parquet.123.tmp"
    recent = two_shards / "distances" / ".part-2.parquet.123.tmp"
    for path in (old, recent):
        path.write_bytes(content[: len(content) // 2])
    os.utime(old, (time.time() - 7200,) * 2)

    assert sweep(two_shards, towns).computed == 0

    assert not old.exists()
    assert recent.exists(), "another process may be writing it"


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", "\xff", '{"identity": {}}'),
        '{"identity": 1, "value": "x", "sources": [], "targets": null}',
        '{"identity": {}, "value": "x", "sources": [1], "targets": null}',
    ],
)
def test_a_damaged_manifest_is_refused_and_nothing_is_lost(
    content: str, two_shards: Path, towns: Path
) -> None:
    manifest = two_shards / "manifest.json"
    manifest.write_bytes(content.encode("latin-1"))
    message = r"manifest\.json: is damaged; delete it and run again: stored distances are kept"
    with pytest.raises(GeospotError, match=message):
        sweep(two_shards, towns)
    with pytest.raises(GeospotError, match=message):
        gs.open_run(two_shards)
    manifest.unlink()
    assert sweep(two_shards, towns).computed == 0


@pytest.mark.parametrize("damage", ["missing", "half", "flipped"])
def test_damaged_regions_are_computed_again(
    damage: str, two_shards: Path, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = two_shards / "regions.parquet"
    before, content = pd.read_parquet(path), bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        if damage == "half":
            del content[len(content) // 2 :]
        else:
            content[40] ^= 0xFF
        path.write_bytes(content)
    with pytest.raises(
        GeospotError, match=r"regions\.parquet: is missing or damaged; run the sweep again"
    ):
        gs.open_run(two_shards)

    assert sweep(two_shards, towns).computed == 0

    assert ("self terms have to be computed again" in caplog.text) == (damage != "missing")
    pd.testing.assert_frame_equal(pd.read_parquet(path), before, rtol=1e-6)


def test_regions_without_those_of_the_manifest_are_refused(two_shards: Path) -> None:
    path = two_shards / "regions.parquet"
    pd.read_parquet(path)[:2].to_parquet(path)
    with pytest.raises(GeospotError, match=r"regions\.parquet: is missing or damaged"):
        gs.open_run(two_shards)


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
        for read in (lambda: Store(two_shards).read_pairs(keys), Store(two_shards).read_regions):
            with pytest.raises(GeospotError, match=r"parquet: cannot be read \(Too many open"):
                read()
    assert len(Store(two_shards).read_pairs(keys)) == 3


def test_a_reader_without_the_right_to_write_still_reads(
    two_shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    bad = shards(two_shards)[0]
    bad.write_bytes(b"")
    monkeypatch.setattr(Path, "rename", refuse)
    assert int(gs.open_run(two_shards).divergence.isnull().sum()) == 6


def test_two_writers_of_one_pair_leave_one_value(two_shards: Path) -> None:
    path = shards(two_shards)[0]
    Store(two_shards).write_shard(pd.read_parquet(path).assign(seconds=1.0))
    assert len(shards(two_shards)) == 3
    assert len(Store(two_shards).read_pairs(keys_of(path))) == 3


def test_absent_columns_are_null(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare()
    store.write_shard(pd.DataFrame({"key": ["k"], "source": ["a"], "target": ["b"]}))
    (row,) = pq.read_table(shards(tmp_path)[0]).to_pylist()
    assert row.keys() == set(SCHEMA.names)
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
    stored = pd.read_parquet(two_shards / "regions.parquet")["key"]
    assert {region["key"] for region in manifest["sources"]} == set(stored)
