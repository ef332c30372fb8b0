"""Blocks: what is put into a file comes out of it, in few bytes."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.distances.columns import bounds_stored_in, outputs_by_default, schema
from geospot_gpu.runs.block import (
    Contents,
    Shape,
    Side,
    encoded,
    file_name,
    in_stored_form,
    places_in,
)
from geospot_gpu.runs.pair_store import PairStore
from tests.helpers.places import Memory

names = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=7, unique=True)
floats = st.floats(width=64)
FLOATS = [field.name for field in schema("pairs") if pa.types.is_float32(field.type)]
LOWER, UPPER = bounds_stored_in("pairs")


@st.composite
def sides(draw: st.DrawFn) -> Side:
    found = tuple(draw(names))
    return Side(found, tuple(f"key of {name}" for name in found), tuple(range(1, len(found) + 1)))


@st.composite
def contents(draw: st.DrawFn) -> tuple[Contents, tuple[Indices, Indices]]:
    """What a block may say of itself, and the places of its pairs."""
    shape: Shape = draw(st.sampled_from(("all", "triangle", "listed")))
    left = draw(sides())
    right = left if shape == "triangle" else draw(sides())
    n, m = len(left.names), len(right.names)
    if shape == "triangle":
        pairs = list(itertools.combinations(range(n), 2))
    else:
        pairs = list(itertools.product(range(n), range(m)))
    if shape == "listed":
        pairs = draw(st.lists(st.sampled_from(pairs), unique=True))
    places = np.array(pairs, np.int64).reshape(-1, 2).T
    outputs = tuple(draw(st.sets(st.sampled_from(outputs_by_default()))))
    said = Contents(left, right, shape, outputs, len(pairs), draw(st.text(max_size=5)))
    return said, (places[0], places[1])


@settings(max_examples=40)
@given(one=contents(), data=st.data())
def test_a_block_reads_back_as_it_was_written(
    one: tuple[Contents, tuple[Indices, Indices]], data: st.DataObject
) -> None:
    said, places = one
    columns: Columns = {
        name: data.draw(arrays(np.float32, said.rows, elements=st.floats(width=32)))
        for name in data.draw(st.sets(st.sampled_from(FLOATS), max_size=3))
    }
    number = st.integers(-(2**31), 2**31 - 1)
    columns["iterations"] = data.draw(arrays(np.int64, said.rows, elements=number))
    columns["converged"] = data.draw(arrays(np.bool_, said.rows))
    columns["kernel"] = data.draw(arrays(object, said.rows, elements=st.text(max_size=3)))
    place = Memory("blocks")
    store = PairStore(place, "pairs", said.about)
    written = store.write(said[:2], said.shape, said.outputs, places, columns)
    assert written.contents == said
    (name,) = place.files
    assert name == written.name == file_name(place.files[name])

    (block,) = PairStore(place, "pairs", said.about).blocks()
    assert block == written
    assert PairStore(place, "pairs", said.about + "x").blocks() == []
    assert store.columns(block) == [name for name in schema("pairs").names if name in columns]
    table = store.read(block, ["source", "target", *schema("pairs").names])
    assert table is not None
    assert len(table) == said.rows
    known = said.places()
    assert (known is None) == (said.shape == "listed")
    for found in (known or places, places_in(said, table)):
        assert [side.tolist() for side in found] == [side.tolist() for side in places]
    for side, at, column in zip(said[:2], places, ("source", "target"), strict=True):
        assert table[column].to_pylist() == [side.names[k] for k in at]
    for field in schema("pairs"):
        if field.name in columns:
            values = table[field.name].to_numpy(zero_copy_only=False)
            np.testing.assert_array_equal(values, columns[field.name])
        else:
            assert table[field.name].null_count == said.rows
        if field.name != "kernel":
            assert table[field.name].type == field.type


@given(one=contents())
def test_what_a_block_says_of_itself_is_read_from_its_end(
    one: tuple[Contents, tuple[Indices, Indices]],
) -> None:
    said, places = one
    content = encoded(said, places, pa.table({"converged": np.zeros(said.rows, np.bool_)}))
    footer = content[-8 - int.from_bytes(content[-8:-4], "little") :]
    assert Contents.of(pq.read_metadata(pa.BufferReader(footer))) == said
    plain = json.loads(pq.read_metadata(pa.BufferReader(content)).metadata[b"geospot"])
    assert len(plain["sides"]) == (1 if said.shape == "triangle" else 2)


@pytest.mark.parametrize("change", ["format", "none", "no object"])
def test_what_says_something_else_is_no_block(change: str) -> None:
    side = Side(("a",), ("k",), (1,))
    said = Contents(side, side, "all", ("divergence",), 1).footer()
    if change == "format":
        said = said | {b"geospot": said[b"geospot"].replace(b'"format":3', b'"format":4')}
    elif change == "none":
        said = {}
    else:
        said = dict.fromkeys(said, b"[]")
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, pa.schema([("x", pa.int32())])) as writer:
        writer.add_key_value_metadata(said)
    with pytest.raises(ValueError, match="does not say which pairs"):
        Contents.of(pq.read_metadata(pa.BufferReader(sink.getvalue())))


@given(values=arrays(np.float64, st.integers(1, 30), elements=floats))
def test_bounds_are_rounded_outward_and_no_further(values: Indices) -> None:
    names = (LOWER[0], UPPER[0], "divergence")
    table = in_stored_form(dict.fromkeys(names, values), schema("pairs"), (LOWER, UPPER))
    lower, upper, value = (np.asarray(table[name]) for name in names)
    assert {lower.dtype, upper.dtype, value.dtype} == {np.dtype(np.float32)}
    known = ~np.isnan(values)
    for bound in (lower, upper, value):
        assert (np.isnan(bound) == ~known).all()
    exact = values[known]
    assert (lower[known] <= exact).all()
    assert (exact <= upper[known]).all()
    with np.errstate(over="ignore"):
        up = np.nextafter(lower[known], np.float32(np.inf))
        down = np.nextafter(upper[known], np.float32(-np.inf))
    assert ((up > exact) | (lower[known] == exact)).all(), "the next one would be beyond"
    assert ((down < exact) | (upper[known] == exact)).all()
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(value, values.astype(np.float32))


def test_every_bound_of_the_register_is_rounded() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    columns: Columns = dict.fromkeys(schema("pairs").names, values)
    columns |= {"converged": values > 0, "kernel": np.full(1000, "k")}
    columns["iterations"] = np.arange(1000)
    table = in_stored_form(columns, schema("pairs"), (LOWER, UPPER))
    assert table.schema == schema("pairs")
    for name in FLOATS:
        above = np.asarray(table[name]) > values
        below = np.asarray(table[name]) < values
        assert above.any() == (not name.endswith("lower")), name
        assert below.any() == (not name.endswith("upper")), name


def realistic(n: int) -> Columns:
    """Columns of pairs as sweeps of samples of a thousand points have them."""
    generator = np.random.default_rng(0)
    distance = generator.gamma(2.0, 0.2, n)
    found: Columns = {"divergence": distance}
    spread = 10 ** generator.uniform(-6, -3.5, n)
    for name in FLOATS:
        base = distance * generator.uniform(0.8, 1.2)
        if name in LOWER:
            base = base - spread
        elif name in UPPER:
            base = base + spread
        else:
            base = base * generator.uniform(0.9, 1.1, n)
        found[name] = base
    found["lower"], found["upper"] = distance - spread, distance + spread
    found["divergence"] = distance
    found["marginal_error"] = 10 ** generator.uniform(-4, -3, n)
    found["seconds"] = np.repeat(generator.uniform(0.001, 0.002, n // 100), 100)
    found["iterations"] = generator.integers(5, 60, n)
    found["converged"] = np.ones(n, np.bool_)
    found["kernel"] = np.full(n, "triton streamed")
    return found


@pytest.mark.parametrize(
    ("columns", "most"),
    [
        (("divergence", "lower", "upper", "iterations", "marginal_error", "converged"), 24),
        (tuple(schema("pairs").names), 90),
    ],
    ids=["few", "all"],
)
@pytest.mark.parametrize("shape", ["triangle", "all", "listed"])
def test_a_pair_takes_few_bytes(columns: tuple[str, ...], most: int, shape: Shape) -> None:
    """Of two groups of regions, and of regions of anywhere."""
    generator = np.random.default_rng(1)
    if shape == "triangle":
        n, (left, right) = 448, np.triu_indices(448, 1)
    elif shape == "all":
        n = 316
        left, right = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    else:
        n, (left, right) = 20_000, generator.integers(0, 20_000, (2, 100_000))
    keys = tuple(generator.bytes(16).hex() for _ in range(n))
    side = Side(tuple(f"region {k:05d}" for k in range(n)), keys, (1000,) * n)
    values = realistic(100_000)
    table = in_stored_form({c: values[c] for c in columns}, schema("pairs"), (LOWER, UPPER))
    count = min(len(left), 100_000)
    table, left, right = table.slice(0, count), left[:count], right[:count]
    said = Contents(side, side, shape, outputs_by_default(), count)
    size = len(encoded(said, (left, right), table)) / count
    regions = len(said.footer()[b"geospot"]) / count
    assert size - regions * (shape == "listed") <= most
