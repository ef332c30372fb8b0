"""What a folder holds of each pair is what was asked for so far."""

from __future__ import annotations

from pathlib import Path

import geospot_gpu as gs
from tests.helpers.stored import stored
from tests.helpers.sweeps import CPU, GEOGRAPHY, assert_same, counts, regions_of, sweep


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
    assert not rows.duplicated(["source", "target"]).any(), "rows that say less are tidied away"
    assert counts(sweep(tmp_path, regions_of(towns))) == (6, 0, 6)


def test_outputs_without_self_terms_leave_these_for_later(tmp_path: Path, towns: Path) -> None:
    sweep(tmp_path, regions_of(towns), outputs=["transport_cost"])
    sweep(tmp_path, regions_of(towns), outputs=["divergence"])
    every = gs.pairwise(regions_of(towns), cost=GEOGRAPHY, engine=CPU, outputs=["divergence"])
    assert_same(gs.open_run(tmp_path), every)


def test_what_is_there_of_a_pair_is_kept_where_more_is_asked(tmp_path: Path, towns: Path) -> None:
    """A row has all that is known of its pair, so that no two have to be put together."""
    for outputs in (["coverage"], ["nearest"], ["divergence"]):
        assert sweep(tmp_path, regions_of(towns), outputs=outputs).computed == 6
    together = ["divergence", "coverage", "nearest"]
    assert counts(sweep(tmp_path, regions_of(towns), outputs=together)) == (6, 0, 6)
    assert len(stored(tmp_path)) == 6
    every = gs.pairwise(regions_of(towns), cost=GEOGRAPHY, engine=CPU, outputs=together)
    assert_same(gs.open_run(tmp_path), every)
