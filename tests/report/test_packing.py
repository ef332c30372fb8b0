"""Arrays as text: what comes back, and what rounding leaves certain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from geospot_gpu.report.packing import KEPT_BITS, difference, packed, rounded
from tests.helpers.unpacked import unpacked

FLOATS = arrays(np.float32, st.integers(1, 20), elements=st.floats(width=32))


@pytest.mark.parametrize("kind", [np.float32, np.int32, np.int16, np.uint8])
def test_arrays_come_back(kind: Any) -> None:
    values = np.random.default_rng(0).integers(0, 200, (7, 3)).astype(kind)
    assert (unpacked({"x": packed(values)}, "x") == values.ravel()).all()


@given(FLOATS)
def test_rounding_is_near_and_bounds_are_outside(values: NDArray[np.float32]) -> None:
    nearest, down, up = (rounded(values, way) for way in ("nearest", "down", "up"))
    for found in (nearest, down, up):
        same = np.array_equal(np.isfinite(found), np.isfinite(values))
        assert same
        assert np.array_equal(rounded(found), found, equal_nan=True)
    known = np.isfinite(values)
    value = values[known].astype(float)
    assert (down[known] <= value).all()
    assert (up[known] >= value).all()
    assert (down[known] <= nearest[known]).all()
    assert (nearest[known] <= up[known]).all()
    least = np.finfo(np.float32).tiny
    normal = (np.abs(value) > least) & (np.abs(value) < np.finfo(np.float32).max / 2)
    error = np.abs(nearest[known] - value)[normal] / np.abs(value)[normal]
    assert (error <= 2.0 ** -(KEPT_BITS + 1)).all()


@given(FLOATS, st.integers(0, 9))
def test_differences_are_exact(values: NDArray[np.float32], seed: int) -> None:
    base = np.random.default_rng(seed).normal(size=len(values)).astype(np.float32)
    both = {"base": packed(base), "x": packed(difference(values, base), base="base")}
    assert np.array_equal(unpacked(both, "x").view(np.int32), values.view(np.int32))


def test_small_values_take_less_room() -> None:
    values = np.random.default_rng(0).random(50_000).astype(np.float32)
    exact, short = (len(packed(x).text) for x in (values, rounded(values)))
    assert short < 0.65 * exact
