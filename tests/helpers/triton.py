"""Batches of pairs for tests of Triton's kernel: on a GPU where there is one, else interpreted."""

from __future__ import annotations

import numpy as np
import torch

import geospot_gpu as gs
from geospot_gpu.arrays import Indices
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels.gpu.kernel import TritonKernel
from geospot_gpu.kernels.tiles import CostTiles
from tests.helpers.clouds import random_regions

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MIXED = gs.GroundCost(geo_weight=0.5)
SIZES = [1, 1, 3, 70, 130, 65]
LEFT, RIGHT = np.array([0, 2, 4]), np.array([1, 3, 5])
EPSILON = 0.02


def regions_of(sizes: list[int] = SIZES, dimension: int = 40) -> gs.Regions:
    return random_regions(sizes, dimension=dimension)


def batch(
    regions: gs.Regions,
    cost: gs.GroundCost = MIXED,
    *,
    keep: bool = False,
    left: Indices = LEFT,
    right: Indices = RIGHT,
) -> TritonKernel:
    engine = PairEngine(regions, Method(cost, gs.Sinkhorn()), gs.Engine(device=DEVICE))
    source = engine.clouds(left)
    target = engine.clouds(right)
    return TritonKernel(CostTiles(cost, source, target, 1 << 20), source, target, EPSILON, keep)


def potentials_of(kernel: TritonKernel, scale: float = 0.2) -> list[torch.Tensor]:
    """Random potentials f, g and positive vectors u, v."""
    generator = torch.Generator().manual_seed(0)
    sides = (kernel.source, kernel.target) * 2
    return [scale * torch.rand(*s.shape, generator=generator).to(DEVICE) for s in sides]
