"""What is damaged, or not of geospot, is not believed and never lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import geospot_gpu as gs
from geospot_gpu.errors import GeospotError
from geospot_gpu.runs.store import Store
from tests.helpers.stored import keys_of, regions_of, shards, sweep


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
