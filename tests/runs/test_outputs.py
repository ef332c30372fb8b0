"""What a folder holds of each pair is what was asked for so far."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import geospot_gpu as gs
from geospot_gpu.files import content_hash
from tests.helpers.sweeps import CPU, GEOGRAPHY, assert_same, counts, regions_of, stored, sweep


def test_a_folder_takes_more_outputs_and_keeps_those_it_has(tmp_path: Path, towns: Path) -> None:
    few, more = ["divergence"], ["coverage", "divergence"]
    assert counts(sweep(tmp_path, regions_of(towns), outputs=few)) == (6, 6, 0)
    assert "coverage" not in gs.open_run(tmp_path)
    assert counts(sweep(tmp_path, regions_of(towns, "lima", "oslo"), outputs=more)) == (1, 1, 0)
    assert counts(sweep(tmp_path, regions_of(towns), outputs=few)) == (6, 0, 6)
    assert counts(sweep(tmp_path, regions_of(towns))) == (6, 6, 0)
    every = gs.pairwise(regions_of(towns), cost=GEOGRAPHY, engine=CPU)
    assert_same(gs.open_run(tmp_path), every)
    assert counts(sweep(tmp_path, regions_of(towns), outputs=["nearest"])) == (6, 0, 6)
    assert next(iter(gs.open_run(tmp_path).data_vars)) == "nearest"
    rows = stored(tmp_path)
    assert not rows["key"].duplicated().any(), "rows that say less are tidied away"
    assert counts(sweep(tmp_path, regions_of(towns))) == (6, 0, 6)


def test_outputs_without_self_terms_leave_these_for_later(tmp_path: Path, towns: Path) -> None:
    sweep(tmp_path, regions_of(towns), outputs=["transport_cost"])
    sweep(tmp_path, regions_of(towns), outputs=["divergence"])
    every = gs.pairwise(regions_of(towns), cost=GEOGRAPHY, engine=CPU, outputs=["divergence"])
    assert_same(gs.open_run(tmp_path), every)


def test_rows_of_before_say_by_their_values_what_they_have(tmp_path: Path, towns: Path) -> None:
    """Rows of version 0.1 do not name their outputs, and its identity says that it debiased."""
    sweep(tmp_path, regions_of(towns))
    for path in (tmp_path / "distances").iterdir():
        table = pq.read_table(path).drop_columns(["outputs"])
        path.unlink()
        content = pa.BufferOutputStream()
        pq.write_table(table, content)
        content = content.getvalue().to_pybytes()
        (path.parent / f"part-{content_hash(content)}.parquet").write_bytes(content)
    assert counts(sweep(tmp_path, regions_of(towns))) == (6, 0, 6)
    assert not gs.open_run(tmp_path).coverage.isnull().all()
