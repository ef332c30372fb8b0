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
import pytest

import geospot_gpu as gs
from geospot_gpu.errors import GeospotError
from geospot_gpu.runs import pair_store
from geospot_gpu.runs.block import Side
from geospot_gpu.runs.store import Store
from tests.helpers.stored import blocks, pairs_in, read_pairs, regions_of, sweep


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "footer"])
def test_a_damaged_block_is_computed_again_and_the_others_kept(
    damage: str, two_blocks: Path, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = gs.open_run(two_blocks).load()
    bad, good = blocks(two_blocks)
    lost = pairs_in(bad)
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

    result = sweep(two_blocks, towns)

    assert f"{bad}: is damaged, its pairs have to be computed again" in caplog.text
    assert (result.total, result.computed, result.reused) == (6, 3, 3)
    assert good.read_bytes() == intact
    assert bad.with_suffix(".damaged").exists(), "what was damaged is set aside, not deleted"
    (new,) = set(blocks(two_blocks)) - {good}
    assert pairs_in(new) == lost
    np.testing.assert_allclose(gs.open_run(two_blocks).divergence, before.divergence, atol=1e-6)
    caplog.clear()
    assert sweep(two_blocks, towns).computed == 0
    assert caplog.text == ""


def test_a_flipped_bit_anywhere_in_a_block_is_noticed(
    two_blocks: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where Parquet's own checksums see nothing: in page headers and the footer."""
    for path in blocks(two_blocks):
        content = path.read_bytes()
        assert len(read_pairs(two_blocks)) == 6
        for position in range(0, len(content), 97):
            spoiled = bytearray(content)
            spoiled[position] ^= 1
            path.write_bytes(spoiled)
            caplog.clear()
            assert len(read_pairs(two_blocks)) == 3, position
            assert f"{path}: is damaged" in caplog.text, position
        path.write_bytes(content)


def test_damage_in_values_is_noticed_by_whoever_looks_at_them(two_blocks: Path) -> None:
    """An opened run has read what the files say of themselves, and no value yet."""
    path = next(path for path in blocks(two_blocks) if ("lima", "oslo") in pairs_in(path))
    pair_store.forget()
    dataset = gs.open_run(two_blocks)
    content = bytearray(path.read_bytes())
    content[8] ^= 1
    path.write_bytes(content)
    assert int(dataset.divergence.isnull().sum()) == 6
    assert path.with_suffix(".damaged").exists()


def test_a_half_written_block_is_not_read_and_goes_away(two_blocks: Path, towns: Path) -> None:
    content = blocks(two_blocks)[0].read_bytes()
    old = two_blocks / "distances" / ".block-1.parquet.0123456789ab.tmp"
    recent = two_blocks / "distances" / ".block-2.parquet.0123456789ab.tmp"
    for path in (old, recent):
        path.write_bytes(content[: len(content) // 2])
    os.utime(old, (time.time() - 7200,) * 2)

    assert sweep(two_blocks, towns).computed == 0

    assert not old.exists()
    assert recent.exists(), "another process may be writing it"
    os.utime(recent, (time.time() - 7200,) * 2)
    side, nothing = Side(("a",), ("k",), (1,)), np.zeros(0, np.int64)
    Store(two_blocks).pairs.write((side, side), "listed", [], (nothing, nothing), {})
    assert not recent.exists(), "whoever stores a block clears up as well"


def test_a_damaged_manifest_is_replaced_by_its_twin_and_written_anew(
    two_blocks: Path, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, before = two_blocks / "manifest.json", gs.open_run(two_blocks).load()
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    refused: list[str] = []
    for position in generator.choice(len(content), 40, replace=False):
        spoiled = bytearray(content)
        spoiled[position] ^= 1 << int(generator.integers(8))
        path.write_bytes(spoiled)
        caplog.clear()
        try:
            found = gs.open_run(two_blocks)
        except GeospotError as error:  # a byte of its format or of the name of a part of it
            refused.append(str(error))
            continue
        assert found.equals(before)
        told = "manifest.json: is damaged" in caplog.text and "is read instead" in caplog.text
        assert told or json.loads(spoiled) == json.loads(content), "all that changed is a blank"
    assert all(re.search("newer version|is not of geospot", error) for error in refused)
    path.write_bytes(content.replace(b"rome", b"roma", 1))
    caplog.clear()
    assert sweep(two_blocks, towns).computed == 0
    assert "is damaged, or was changed by hand: set aside as manifest.damaged" in caplog.text
    assert path.read_bytes() == content


def test_a_manifest_of_another_run_is_not_believed(
    two_blocks: Path, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of another folder, or an older one of this: its seal is whole, but it is not the last."""
    before = gs.open_run(two_blocks).load()
    other = two_blocks.with_name("other")
    sweep(other, towns, "lima", "suva")
    path, content = two_blocks / "manifest.json", (two_blocks / "manifest.json").read_bytes()
    (older,) = (own for own in (two_blocks / "manifests").iterdir() if own.read_bytes() != content)
    for foreign in (other / "manifest.json", older):
        path.write_bytes(foreign.read_bytes())
        os.utime(older, (1, 1))
        caplog.clear()
        assert gs.open_run(two_blocks).equals(before)
        assert "manifest.json: is not that of the last run here; " in caplog.text
        with pytest.raises(GeospotError, match="was not written by geospot, or changed since"):
            sweep(two_blocks, towns)
    shutil.rmtree(two_blocks / ".geospot")
    path.write_bytes((other / "manifest.json").read_bytes())
    assert gs.open_run(two_blocks).equals(before), "the record need not be there"
    path.write_bytes(content)
    assert gs.open_run(two_blocks).equals(before)


def test_a_run_without_any_whole_manifest_is_made_whole_by_a_sweep(
    two_blocks: Path, towns: Path
) -> None:
    for path in (two_blocks / "manifests").iterdir():
        path.unlink()
    (two_blocks / "manifest.json").write_text("{")
    with pytest.raises(GeospotError, match="run geospot sweep again: stored distances are kept"):
        gs.open_run(two_blocks)
    assert sweep(two_blocks, towns).computed == 0
    assert gs.open_run(two_blocks).divergence.notnull().all()


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


def test_a_newer_manifest_is_refused_as_such(two_blocks: Path, towns: Path) -> None:
    path = two_blocks / "manifest.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 3'))
    content = path.read_bytes()
    for attempt in (lambda: sweep(two_blocks, towns), lambda: gs.open_run(two_blocks)):
        with pytest.raises(GeospotError, match=r"newer version .*format 3.*update geospot_gpu"):
            attempt()
    assert path.read_bytes() == content


def test_distances_in_the_form_of_version_0_1_are_refused_and_kept(
    two_blocks: Path, towns: Path
) -> None:
    (two_blocks / "distances" / "part-0.parquet").write_bytes(b"of before")
    for attempt in (
        lambda: sweep(two_blocks, towns),
        lambda: sweep(two_blocks, towns, epsilon=0.02),
        lambda: gs.Run.open(two_blocks),
        lambda: gs.open_run(two_blocks),
    ):
        with pytest.raises(GeospotError, match=rf"with geospot convert {two_blocks}$"):
            attempt()
    assert (two_blocks / "distances" / "part-0.parquet").read_bytes() == b"of before"


def test_a_folder_of_version_0_1_goes_on_once_it_is_converted(
    two_blocks: Path, towns: Path
) -> None:
    """It had no checksums, no record, and the self terms in one file, which is not believed."""
    manifest = json.loads((two_blocks / "manifest.json").read_text())
    blocks_before = {path: path.read_bytes() for path in blocks(two_blocks)}
    del manifest["checksum"]
    for region in manifest["sources"]:
        for key in ("n_points", "n_available", "weight"):
            del region[key]
    (two_blocks / "manifest.json").write_text(json.dumps(manifest | {"format": 1}))
    (two_blocks / "identity.json").unlink()
    for name in (".geospot", "manifests", "regions"):
        shutil.rmtree(two_blocks / name)
    (two_blocks / "matrix.csv").write_text("old")
    with pytest.raises(GeospotError, match=r"of version 0\.1: run the same geospot sweep again"):
        gs.open_run(two_blocks)
    with pytest.raises(GeospotError, match=r"another sweep \(solver\.epsilon=0\.01 there, 0\.02"):
        sweep(two_blocks, towns, epsilon=0.02)

    assert sweep(two_blocks, towns).computed == 0

    assert {path: path.read_bytes() for path in blocks(two_blocks)} == blocks_before
    assert gs.open_run(two_blocks).divergence.notnull().all()
    assert not (two_blocks / "matrix.csv").exists(), "it is of another run"


@pytest.mark.parametrize("damage", ["missing", "half", "flipped"])
def test_damaged_regions_are_computed_again(
    damage: str, two_blocks: Path, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = regions_of(two_blocks)
    for path in (two_blocks / "regions").iterdir():
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
        gs.open_run(two_blocks)

    assert sweep(two_blocks, towns).computed == 0

    assert ("its regions have to be computed again" in caplog.text) == (damage != "missing")
    pd.testing.assert_frame_equal(regions_of(two_blocks), before, rtol=1e-6, check_like=True)


def test_a_damaged_identity_is_settled_again(
    two_blocks: Path, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = two_blocks / "identity.json"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0.01", b"0.02"))
    with pytest.raises(GeospotError, match=r"epsilon=0\.01 there, 0\.02 here"):
        sweep(two_blocks, towns, epsilon=0.02)
    assert "identity.json: is damaged, or was changed by hand: set aside" in caplog.text
    assert sweep(two_blocks, towns).computed == 0
    assert path.read_bytes() == content


def test_a_folder_without_a_sweep(tmp_path: Path, towns: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path, towns):
        with pytest.raises(GeospotError, match=f"{folder}: holds no sweep; make one with geospot"):
            gs.open_run(folder)
