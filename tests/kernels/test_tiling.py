"""The choice of tiles: what fits every card, and what it may not change."""

from __future__ import annotations

import typing

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("triton")

from benchmarks.gpu_checks.cards import LIMITS
from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels import halves
from geospot_gpu.kernels.clouds import CloudBatch, PointArrays
from geospot_gpu.kernels.gpu import batch as batches
from geospot_gpu.kernels.gpu.batch import Batch
from geospot_gpu.kernels.gpu.tiling import Card, Pass, Tiling, choose
from geospot_gpu.kernels.tiles import CostTiles

CARDS = [Card(limits.block, name == 100) for name, limits in LIMITS.items()]
OLD = Card(64 << 10, False)  # of compute capability 7.5
PASSES: tuple[Pass, ...] = typing.get_args(Pass)

passes = st.sampled_from(PASSES)
cards = st.sampled_from([*CARDS, OLD])
widths = st.integers(0, 256).map(lambda k: 16 * k)
points = st.integers(1, 10**6)


@given(passes, widths, points, cards)
def test_a_choice_fits_the_card_and_the_compiler(
    which: Pass, features: int, widest: int, card: Card
) -> None:
    chosen = choose(which, features, widest, card)
    assert chosen.shared <= card.shared
    for size in (chosen.rows, chosen.columns, chosen.depth):
        assert size >= 16  # a matrix unit's least
        assert size & (size - 1) == 0  # Triton's ranges
    threads = 32 * chosen.warps
    assert chosen.rows * chosen.columns // threads <= 64  # costs in a thread's registers


@given(widths.filter(bool), points, cards)
def test_little_of_a_product_is_padding(features: int, widest: int, card: Card) -> None:
    depth = choose("softmin", features, widest, card).depth
    steps = -(-features // depth)
    assert steps * depth <= 9 / 8 * features
    assert steps > 1 or depth == 16  # a loop, whose factors take turns in shared memory


@given(passes, widths, cards)
def test_small_clouds_have_small_tiles(which: Pass, features: int, card: Card) -> None:
    small, large = (choose(which, features, n, card) for n in (64, 65))
    assert small.columns <= 64 <= large.columns
    assert small.rows * small.columns < large.rows * large.columns or large.columns == 64


def cloud(sizes: list[int], dimension: int, seed: int) -> CloudBatch:
    generator = torch.Generator().manual_seed(seed)
    total = sum(sizes)
    xyz = torch.nn.functional.normalize(torch.randn(total, 3, generator=generator))
    features = torch.nn.functional.normalize(torch.randn(total, dimension, generator=generator))
    mass = torch.cat([torch.full((n,), 1.0 / n) for n in sizes])
    size = np.array(sizes)
    return CloudBatch(PointArrays(features, xyz, mass), np.cumsum(size) - size, size)


TILINGS = [Tiling(64, 64, 16, 4, 2), Tiling(16, 256, 32, 4, 3), Tiling(128, 64, 64, 8, 4)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="tiles are those of the card")
@pytest.mark.parametrize("geo_weight", [0.0, 0.5, 1.0])
def test_values_do_not_depend_on_tiles(geo_weight: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Odd numbers of features and points; a product has a masked tail at two of the depths."""
    source, target = cloud([70, 3], 37, 0), cloud([5, 131], 37, 1)
    tiles = CostTiles(GroundCost(geo_weight=geo_weight), source, target, 1 << 20)
    g = 0.1 * torch.rand(target.shape, generator=torch.Generator().manual_seed(2))
    f = 0.1 * torch.rand(source.shape, generator=torch.Generator().manual_seed(3))

    def reductions() -> list[torch.Tensor]:
        batch = Batch(tiles, source, target, 0.05)
        softmin = torch.zeros(source.shape)
        batch.softmin(g, "source", softmin, exact=True)
        over_a, over_b = torch.zeros(source.shape), torch.zeros(target.shape)
        batch.marginals(f, g, over_a, over_b)
        return [softmin, over_a, over_b, batch.plan_sums(f, g, f, g).float()]

    expected = reductions()
    for chosen in TILINGS:
        monkeypatch.setattr(batches, "choose", lambda *_, chosen=chosen: chosen)
        for ours, reference in zip(reductions(), expected, strict=True):
            torch.testing.assert_close(ours, reference, rtol=2e-5, atol=1e-6)


@given(st.integers(1, 70), st.integers(1, 5))
def test_halves_are_padded_with_zeros_alone(dimension: int, points: int) -> None:
    values = torch.randn(points, dimension, generator=torch.Generator().manual_seed(dimension))
    found = halves.split(values)
    for half in (found.high, found.low):
        assert half.shape[1] % halves.WIDTH == 0
        assert half.shape[1] - dimension < halves.WIDTH
        assert (half[:, dimension:] == 0).all()
        assert half.is_contiguous()
    numbers = found.unit * (found.high.double() + found.low.double() / halves.STEP)
    np.testing.assert_allclose(numbers[:, :dimension], values, rtol=2.0**-21, atol=1e-6)
    np.testing.assert_allclose(found.square, values.square().sum(1), rtol=1e-5)
