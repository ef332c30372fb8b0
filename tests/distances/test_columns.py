"""The register says all that can be known of a pair, and nothing has to be said twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import geospot_gpu as gs
from benchmarks import page
from geospot_gpu.distances import columns
from geospot_gpu.distances.baselines import baselines
from geospot_gpu.distances.column import DIRECTIONS, Column
from geospot_gpu.distances.columns import REGISTER, choices, find, outputs_by_default, schema
from geospot_gpu.distances.dataset import to_dataset
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.engine.method import Method, default_cost
from geospot_gpu.regions import Regions
from geospot_gpu.runs.block import Side
from geospot_gpu.runs.solving import solve
from geospot_gpu.runs.store import Store
from geospot_gpu.selection.target_distances import check_distance
from geospot_gpu.transfer.correlation.groups import group_of
from geospot_gpu.transfer.evidence import matrices
from tests.helpers.clouds import random_regions
from tests.helpers.commands import Geospot

Indices = NDArray[np.int64]


def lengths(regions: Regions, left: Indices, right: Indices) -> tuple[Indices, Indices]:
    """How many letters the names have: those of the region that is come from."""
    letters = np.array([len(name) for name in regions.names])
    return letters[left], letters[right]


LETTERS = Column(
    *("letters", "float32", "Letters of the source", "letters of the first region's name"),
    group="own",
    unit="letters",
    table="baselines",
    directed=True,
    compute=lengths,
)
GAP = Column(
    *("gap", "float32", "Gap", "what lies between two regions", "transport", "km"),
    bounds=("gap_lower", "gap_upper"),
    of_self=(0.0, "self_lower", 7.0),
)


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two more columns in the register: one of pairs, and a directed one of a person's own."""
    monkeypatch.setattr(columns, "REGISTER", (*REGISTER, LETTERS, GAP))


def test_every_name_is_there_once() -> None:
    for names in (
        [column.name for column in REGISTER],
        [variable for column in REGISTER for variable in column.variables],
        [name for column in REGISTER for name in column.stored],
        [name for column in REGISTER for name in column.matrices],
        [column.title for column in REGISTER],
    ):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("column", REGISTER, ids=[column.name for column in REGISTER])
def test_a_column_is_of_one_piece(column: Column) -> None:
    assert column.of_self == () or len(column.of_self) == len(column.variables)
    assert not column.directed or all(name.startswith(column.name) for name in column.variables)
    assert not column.mirror or find(column.mirror).mirror == column.name
    quantity = column.dtype in ("int32", "float32")
    assert bool(column.unit) == quantity
    assert quantity or column.group in ("record", "evidence")
    assert column.meaning[0].islower()
    assert not column.meaning.endswith(".")


def test_baselines_are_stored_as_they_always_were() -> None:
    found = schema("baselines")
    floats = (
        *("centroid_cosine", "mean_feature_distance", "mean_great_circle_km"),
        *("energy_distance", "gaussian_mmd"),
        *("dissimilarity_source_to_target", "dissimilarity_target_to_source", "proxy_a_distance"),
        *(f"nearest_great_circle_km_{way}" for way in DIRECTIONS),
        *("label_shift", "label_shift_error"),
    )
    assert found.names == [*floats]
    assert [str(kind) for kind in found.types] == ["float"] * len(floats)


def test_every_variable_of_a_dataset_says_what_it_is() -> None:
    dataset = gs.pairwise(random_regions([5, 6, 7]), engine=gs.Engine(device="cpu"))
    assert dataset.divergence.attrs == {
        "long_name": "Sinkhorn divergence",
        "units": "scaled ground cost",
    }
    assert dataset.coverage_upper.attrs["long_name"] == "Coverage, upper bound"
    for name, variable in dataset.data_vars.items():
        assert variable.attrs["long_name"], name
        assert ("units" in variable.attrs) == (name != "converged")


def test_what_is_not_asked_has_no_matrix() -> None:
    regions, outputs = random_regions([5, 6, 7]), ["divergence", "ot_value", "transport_cost"]
    left, right = all_pairs(3, None)
    pairs = solve(regions, left, right, Method(default_cost(regions), gs.Sinkhorn()), outputs)
    found = matrices(pairs.to_pandas(regions.names), list(regions.names))
    assert set(found) == {"divergence", "ot_value", "transport_cost", "n_source", "n_target"}


@pytest.mark.usefixtures("toys")
def test_a_column_of_pairs_is_one_entry(tmp_path: Path) -> None:
    """It is stored, read again, in datasets, tables and choices, by being in the register."""
    assert schema("pairs").names[-3:] == ["gap", "gap_lower", "gap_upper"]
    side, one = (Side((name,), (name,), (1,)) for name in "ab"), np.zeros(1, np.int64)
    values = {"converged": [True], "gap": [3.0], "gap_lower": [2.1], "gap_upper": [4.1]}
    rows = {name: np.array(column) for name, column in values.items()}
    store = Store(tmp_path).pairs
    block = store.write((next(side), next(side)), "all", ["gap"], (one, one), rows)
    table = store.read(block, ["source", "target", *schema("pairs").names])
    assert table is not None
    stored = table.to_pandas()
    assert float(stored["gap_lower"][0]) < 2.1
    assert float(stored["gap_upper"][0]) > 4.1
    selves = pd.DataFrame({"name": ["a", "b"], "self_lower": [0.25, 0.5], "self_converged": True})
    selves = selves.assign(self_ot=0.0, self_upper=1.0)
    dataset = to_dataset(stored, outputs_by_default(), selves)
    np.testing.assert_array_equal(dataset.gap, [[0.0, 3.0], [3.0, 0.0]])
    np.testing.assert_array_equal(
        dataset.gap_lower, np.array([[0.25, 2.1], [2.1, 0.5]], np.float32)
    )
    assert dataset.gap_upper.attrs == {"long_name": "Gap, upper bound", "units": "km"}
    assert {"gap"} == set(matrices(stored, ["a", "b"])) - {"transport_cost"}
    assert (group_of("gap"), group_of("gap_lower")) == ("transport", "own")
    assert "gap" in choices()
    with pytest.raises(gs.GeospotError, match=r"by=beauty is unknown: .*, letters, gap$"):
        check_distance("beauty")


@pytest.mark.slow
def test_a_column_of_ones_own_is_one_entry_and_its_function(
    tmp_path: Path, geospot_here: Geospot, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["ccc", "a", "dddd", "bb"]
    generator = np.random.default_rng(0)
    lon, lat = generator.uniform(-40, 40, (2, 40))
    table = pd.DataFrame({"region": names * 10, "lon": lon, "lat": lat})
    table.to_csv(tmp_path / "points.csv", index=False)
    pairs = pd.MultiIndex.from_product([names, names], names=["source", "target"]).to_frame()
    pairs.assign(score=generator.uniform(0, 1, 16)).to_csv(tmp_path / "scores.csv", index=False)
    sweep = ("sweep", "points=table", "points.path=points.csv", "points.region=region")
    near = ("select", "sweep=run", "target=bb", "budget=6", "method=nearest", "overwrite=true")

    def chosen(by: str) -> list[str]:
        done = geospot_here(*near, f"by={by}", "out=chosen")
        assert done.returncode == 0, done.stderr
        return pd.read_csv(tmp_path / "chosen" / "selection.csv")["region"].tolist()

    done = geospot_here(*sweep, "encoder=none", "regions.min_points=1", "out=run")
    assert done.returncode == 0, done.stderr
    before = chosen("mean_great_circle_km")
    with monkeypatch.context() as patch:
        patch.setattr(columns, "REGISTER", (*REGISTER, LETTERS))
        assert chosen("letters") == ["a", "ccc", "dddd"]
        scores = ("scores=scores.csv", "scores.kind=accuracy")
        done = geospot_here("transfer", "sweep=run", *scores, "out=report")
        assert done.returncode == 0, done.stderr
        found = pd.read_parquet(tmp_path / "report" / "correlations.parquet")
        own = found.loc[found["group"] == "own", "distance"]
        assert {*own} == {"letters", "letters_reversed"}
        help_ = geospot_here("select", "--help")
        assert "label_shift, letters" in " ".join(help_.stdout.split())
    # What is stored with it does not stand in the way of what is stored without it.
    assert chosen("mean_great_circle_km") == before


def test_a_function_that_gives_too_little_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    few = dataclasses.replace(LETTERS, compute=lambda regions, left, right: left[:1])
    monkeypatch.setattr(columns, "REGISTER", (*REGISTER, few))
    regions = random_regions([5, 6, 7])
    with pytest.raises(gs.GeospotError, match=r"column letters: its function gave .* 3 pairs"):
        baselines(regions, *all_pairs(3, None))


@pytest.mark.parametrize(
    ("path", "table_of"),
    [(page.README, page.columns), *((one, page.table) for one in page.PAGES)],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_generated_tables_are_current(path: Path, table_of: Callable[[str], str]) -> None:
    text = path.read_text()
    assert page.rewritten(text, table_of) == text, "run python -m benchmarks.page"


def test_the_readme_names_all_columns() -> None:
    text = page.README.read_text()
    for column in REGISTER:
        assert all(f"`{name}`" in text for name in column.sides()), column.name
