"""Products are taken in full precision, whoever asks for them, and settings are left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels import cpu
from tests.helpers.clouds import random_regions

MKLDNN: Any = torch.backends.mkldnn
BACKENDS = (torch.backends.cuda.matmul, MKLDNN.matmul)
PRODUCTS = {torch.ops.aten.mm, torch.ops.aten.bmm, torch.ops.aten.addmm, torch.ops.aten.baddbmm}
"""What TF32 and bfloat16 would round."""

REGIONS = random_regions([100, 95, 120, 200])  # large enough for products in torch


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts products of float32 numbers, and those that might have been rounded."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products = self.rounded = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), named: Any = None
    ) -> Any:
        if function.overloadpacket in PRODUCTS and arguments[0].dtype == torch.float32:
            self.products += 1
            self.rounded += any(backend.fp32_precision != "ieee" for backend in BACKENDS)
        return function(*arguments, **(named or {}))


@pytest.fixture(autouse=True)
def _tf32_is_allowed() -> Iterator[None]:
    before = [backend.fp32_precision for backend in BACKENDS]
    for backend in BACKENDS:
        backend.fp32_precision = "tf32"
    yield
    assert [backend.fp32_precision for backend in BACKENDS] == ["tf32"] * 2
    for backend, precision in zip(BACKENDS, before, strict=True):
        backend.fp32_precision = precision


def pairs(storage: str, feature: str = "cosine", **settings: Any) -> Callable[[], object]:
    cost = gs.GroundCost(feature=feature, geo_weight=0.5, **settings)
    return lambda: gs.pairwise(REGIONS, cost=cost, engine=gs.Engine("cpu", storage=storage))


def abandoned() -> object:
    """The first kernel of a generator that nobody asks for another one."""
    engine = PairEngine(
        REGIONS, Method(gs.GroundCost(geo_weight=0.5), gs.Sinkhorn()), gs.Engine("cpu")
    )
    kernels = engine.kernels(np.array([0, 0]), np.array([1, 3]))
    next(kernels)
    assert [backend.fp32_precision for backend in BACKENDS] == ["tf32"] * 2
    return kernels


CALLS: dict[str, Callable[[], object]] = {
    "kept": pairs("kept"),
    "streamed": pairs("streamed", "sqeuclidean"),
    "pair_max": pairs("kept", scaling="pair_max"),
    "geomloss": lambda: gs.pairwise(REGIONS, solver=gs.GeomLoss(), engine=gs.Engine("cpu")),
    "kernels": abandoned,
    "nearest": lambda: gs.nearest_regions(REGIONS, REGIONS.names[0], 2),
    "select": lambda: gs.select_regions(REGIONS, REGIONS.names[0], 20, max_regions=2),
    "union": lambda: gs.select_regions(
        REGIONS, REGIONS.names[0], 20, max_regions=2, method="union"
    ),
    "points": lambda: gs.select_points(REGIONS, REGIONS.names[0], 5),
    "contributions": lambda: gs.contributions(
        REGIONS,
        source=REGIONS.names[0],
        target=REGIONS.names[1],
        cost=gs.GroundCost(geo_weight=0.5),
        solver=gs.Sinkhorn(),
        engine=gs.Engine("cpu"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("call", CALLS)
def test_products_are_taken_in_full_precision(
    call: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(cpu, "load", lambda: None)
    with Watch() as watch:
        CALLS[call]()
    assert watch.products > 0
    assert watch.rounded == 0
