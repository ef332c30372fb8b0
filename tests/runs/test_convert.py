"""A run in the form of version 0.1 becomes one of now, and nothing is lost or twice."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import geospot_gpu as gs
from geospot_gpu.distances.columns import bounds_stored_in
from geospot_gpu.errors import GeospotError
from geospot_gpu.files.places import Folder
from geospot_gpu.runs import convert as converting
from geospot_gpu.runs.block import places_in
from geospot_gpu.runs.convert import Converted, convert
from geospot_gpu.runs.pair_store import PairStore, forget
from geospot_gpu.runs.store import Store
from tests.helpers.old_runs import EVERY, SCHEMA, aged, old_rows, without_checksum, write_part
from tests.helpers.sweeps import counts, regions_of, sweep


@pytest.fixture
def run(tmp_path: Path, towns: Path) -> Path:
    """A sweep of the four towns."""
    sweep(tmp_path / "run", regions_of(towns))
    return tmp_path / "run"


def converted(folder: Path) -> Converted:
    forget()
    found = convert(Store(folder))
    assert found is not None
    return found


def held(folder: Path) -> Counter[tuple[str, str, tuple[str, ...]]]:
    """How often pairs are in blocks: by the keys of their regions, in order, and outputs."""
    store = Store(folder).pairs
    found: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
    for block in store.blocks():
        table = store.read(block, ["source", "target"])
        assert table is not None
        sides = block.contents.sources.keys, block.contents.targets.keys
        for i, j in zip(*places_in(block.contents, table), strict=True):
            first, second = sorted([sides[0][i], sides[1][j]])
            found[first, second, block.contents.outputs] += 1
    return found


def test_values_are_those_that_were_there(run: Path, towns: Path) -> None:
    before = aged(run).set_index(["source", "target"]).sort_index()
    with pytest.raises(GeospotError, match=r"form of version 0\.1: convert them with"):
        gs.Run.open(run)

    found = converted(run)

    assert (found.pairs, found.files, found.damaged, found.lost) == (6, (3, 1), 0, 0)
    assert [path.name.partition("-")[0] for path in (run / "distances").iterdir()] == ["block"]
    after = gs.Run.open(run).pairs.set_index(["source", "target"]).sort_index()
    assert set(after.columns) == set(SCHEMA.names) - {
        *("key", "source", "target", "geo_weight", "epsilon", "outputs")
    }
    lower, upper = bounds_stored_in("pairs")
    for name in after.columns:
        if before[name].dtype != float:
            assert before[name].tolist() == after[name].tolist()
            continue
        np.testing.assert_allclose(after[name], before[name], rtol=2e-7, err_msg=name)
        if name in (*lower, *upper):
            outward = after[name] < before[name] if name in lower else after[name] > before[name]
            assert outward.all(), name
    assert counts(sweep(run, regions_of(towns))) == (6, 0, 6)
    assert convert(Store(run)) is None


def test_a_run_of_a_manifest_of_format_1_goes_on(run: Path, towns: Path) -> None:
    before = gs.open_run(run).divergence
    aged(run)
    without_checksum(run)
    assert converted(run).pairs == 6
    assert counts(sweep(run, regions_of(towns))) == (6, 0, 6)
    np.testing.assert_allclose(gs.open_run(run).divergence, before, rtol=1e-6, atol=1e-9)


def test_parts_that_do_not_say_their_outputs(run: Path, towns: Path) -> None:
    """The first ones had no such column, nor bounds of the transport cost."""
    rows = old_rows(gs.Run.open(run), None)
    for path in (run / "distances").iterdir():
        path.unlink()
    absent = {"outputs", "transport_cost_lower", "transport_cost_upper"}
    older = pa.schema([field for field in SCHEMA if field.name not in absent])
    coverage = [name for name in rows.columns if name.startswith(("coverage", "nearest"))]
    write_part(run / "distances", rows[:2], older)
    write_part(run / "distances", rows[2:4].assign(**dict.fromkeys(coverage, np.nan)), older)
    write_part(
        run / "distances",
        rows[4:].assign(divergence=np.nan, lower=np.nan, upper=np.nan, outputs="ot_value"),
    )

    converted(run)

    outputs = [block.contents.outputs for block in Store(run).pairs.blocks()]
    ordered = [tuple(EVERY.split(",")), tuple(EVERY.split(",")[:5]), ("ot_value",)]
    assert outputs == ordered
    pairs = gs.Run.open(run).pairs
    assert pairs["transport_cost_lower"].notna().sum() == 2
    assert counts(sweep(run, regions_of(towns), outputs=["divergence", "nearest"])) == (6, 4, 2)
    assert counts(sweep(run, regions_of(towns), outputs=["ot_value"])) == (6, 0, 6)


def test_of_rows_of_a_pair_the_one_that_says_most_is_kept(run: Path) -> None:
    rows = aged(run, each=6)
    less = rows[:3].assign(outputs="divergence", divergence=7.0)
    write_part(run / "distances", less)
    turned = rows[:1].rename(columns={"source": "target", "target": "source"})
    turned = turned.assign(
        key=turned["key"].str[24:] + turned["key"].str[:24], outputs="divergence"
    )
    write_part(run / "distances", turned)
    assert converted(run).pairs == 6
    assert set(held(run).values()) == {1}
    pairs = gs.Run.open(run).pairs.sort_values(["source", "target"])
    np.testing.assert_allclose(pairs["divergence"], rows["divergence"], rtol=1e-6)


def test_regions_that_had_another_content_once_are_told_apart(run: Path) -> None:
    rows = aged(run)
    once = rows.assign(key=rows["key"].str[:24] + "0" * 24, divergence=9.0, n_target=5)
    both = rows.assign(key="1" * 24 + "2" * 24, target=rows["source"])[:1]
    write_part(run / "distances", once[2:3])
    write_part(run / "distances", both)
    assert converted(run).pairs == 8
    for block in Store(run).pairs.blocks():
        for side in (block.contents.sources, block.contents.targets):
            assert len(set(side.names)) == len(side.names)
    (other,) = (
        block.contents.targets
        for block in Store(run).pairs.blocks()
        if block.contents.targets.keys == ("0" * 24,)
    )
    assert other.n_points == (5,)
    assert gs.Run.open(run).pairs["divergence"].max() < 1.0


@pytest.mark.parametrize("whole_footer", [True, False])
def test_damaged_parts_are_set_aside_and_their_pairs_counted(
    whole_footer: bool, run: Path, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    aged(run)
    bad, *_ = sorted((run / "distances").iterdir())
    content = bytearray(bad.read_bytes())
    content[9 if whole_footer else -3] ^= 1
    bad.write_bytes(content)
    found = converted(run)
    assert f"{bad}: is damaged, its pairs have to be computed again" in caplog.text
    assert bad.with_suffix(".damaged").read_bytes() == content
    assert (found.pairs, found.damaged, found.lost) == (4, 1, 2 if whole_footer else 0)
    assert counts(sweep(run, regions_of(towns))) == (6, 2, 4)


@pytest.mark.parametrize("call", ["write", "remove"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_conversion_that_is_stopped_goes_on(
    call: str, number: int, run: Path, towns: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before its first, second or third file is written, or removed."""
    rows = aged(run)
    monkeypatch.setattr(converting, "_ROWS", 2)
    monkeypatch.setattr(converting, "_AT_ONCE", 1)
    counter, done = itertools.count(1), getattr(Folder, call)

    def stopping(self: Folder, *arguments: object) -> None:
        if next(counter) == number:
            raise KeyboardInterrupt
        done(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, call, stopping)
        with pytest.raises(KeyboardInterrupt):
            convert(Store(run))
    left = len(list((run / "distances").glob("part-*")))
    assert left == (3 if call == "write" else 4 - number), "none goes before all is stored"

    found = converted(run)

    assert (found.pairs, found.files) == (6, (left, 3))
    assert sum(held(run).values()) == len(held(run)) == 6
    pairs = gs.Run.open(run).pairs.sort_values(["source", "target"])
    np.testing.assert_allclose(pairs["divergence"], rows["divergence"], rtol=1e-6)
    assert counts(sweep(run, regions_of(towns))) == (6, 0, 6)


def test_old_files_stay_where_new_ones_are_not_read_as_they_were_written(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aged(run)
    read = PairStore.read

    def other(self: PairStore, *arguments: object) -> pa.Table:
        table = read(self, *arguments)  # type: ignore[arg-type]
        assert table is not None
        place = table.column_names.index("upper")
        return table.set_column(place, "upper", pa.array([0.0] * len(table), pa.float32()))

    monkeypatch.setattr(PairStore, "read", other)
    with pytest.raises(GeospotError, match=r"is not read as it was written: the files of version"):
        convert(Store(run))
    assert len(list((run / "distances").glob("part-*"))) == 3


def test_columns_that_nobody_knows_are_left_out(run: Path, towns: Path) -> None:
    rows = aged(run).assign(outputs=f"{EVERY},road_km", road_km=1.0)
    for path in (run / "distances").iterdir():
        path.unlink()
    write_part(run / "distances", rows, SCHEMA.append(pa.field("road_km", pa.float64())))
    assert converted(run).unknown == ("road_km",)
    assert {outputs for *_, outputs in held(run)} == {tuple(EVERY.split(","))}
    assert counts(sweep(run, regions_of(towns))) == (6, 0, 6)


def test_baselines_are_removed(run: Path) -> None:
    rows = pd.DataFrame({"key": ["x"], "source": ["a"], "target": ["b"]})
    write_part(run / "baselines", rows)
    (run / "baselines" / "mine.txt").touch()
    before = gs.Run.open(run).pairs
    assert converted(run)[:2] == (6, (0, 1))
    assert [path.name for path in (run / "baselines").iterdir()] == ["mine.txt"]
    pd.testing.assert_frame_equal(gs.Run.open(run).pairs, before)


def test_other_files_of_the_name_are_refused(run: Path) -> None:
    aged(run)
    wrong = write_part(run / "distances", pd.DataFrame({"key": ["k"], "source": ["a"]}))
    with pytest.raises(GeospotError, match=f"{wrong}: its keys are not those of geospot_gpu 0.1"):
        convert(Store(run))
    assert len(list((run / "distances").glob("part-*"))) == 4
