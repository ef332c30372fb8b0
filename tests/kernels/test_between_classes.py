"""Mass that has to change its class does so within one iteration, not in hundreds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels import make_kernel
from geospot_gpu.kernels.between_classes import REST, Exchange
from geospot_gpu.kernels.clouds import CloudBatch, PointArrays, required
from geospot_gpu.kernels.contract import IterationSettings, Kernel
from geospot_gpu.kernels.iterate import iterate
from tests.helpers.clouds import STORAGES, exact_transport, random_regions

COST = gs.GroundCost(
    geo_weight=0.0,
    label_weight=1.0,
    classes=("u", "v", "w"),
    class_costs=((0.0, 1.0, 0.8), (1.0, 0.0, 0.7), (0.8, 0.7, 0.0)),
)
EPSILON = 0.01
SHARES = ((0.7, 0.2, 0.1), (0.2, 0.3, 0.5))
Array = NDArray[np.float64]


def labelled(sizes: tuple[int, int] = (90, 70)) -> gs.Regions:
    """Two regions whose classes lie apart, and have different shares."""
    plain = random_regions(list(sizes), dimension=None)
    generator = np.random.default_rng(3)
    label = np.concatenate(
        [
            generator.choice(["u", "v", "w"], size, p=share)
            for size, share in zip(sizes, SHARES, strict=True)
        ]
    )
    apart = np.eye(6)[np.searchsorted(["u", "v", "w"], label)]
    features = torch.from_numpy(apart + 0.05 * generator.normal(size=apart.shape))
    return gs.Regions.from_points(
        lon=plain.lon, lat=plain.lat, region=np.repeat(["a", "b"], sizes).tolist(),
        weight=plain.weight.numpy() * 50.0, features=features, label=label.tolist(),
    )  # fmt: skip


def kernel_of(
    regions: gs.Regions, storage: str, dtype: torch.dtype, epsilon: float = EPSILON
) -> Kernel:
    engine = gs.Engine(device="cpu")
    method = Method(COST, gs.Sinkhorn(epsilon=EPSILON))
    points = PairEngine(regions, method, engine).points
    points = PointArrays(
        required(points.features), points.xyz.to(dtype), points.mass.to(dtype), points.classes
    )
    source, target = (
        CloudBatch(points, regions.offsets[k : k + 1], regions.sizes[k : k + 1]) for k in (0, 1)
    )
    return make_kernel(COST, source, target, epsilon, 2**20, storage=storage)


def dense(kernel: Kernel) -> tuple[Array, Array, Array, Array, Array]:
    """Costs in float64, masses, and which points are of which class."""
    x, y = (required(c.part().features)[0].double().numpy() for c in (kernel.source, kernel.target))
    of = [c.class_masks[0].double().numpy() for c in (kernel.source, kernel.target)]
    table = np.array(COST.class_table)[: len(of[0]), : len(of[1])]
    a, b = (c.weight[0].double().numpy() for c in (kernel.source, kernel.target))
    return 1.0 - x @ y.T + of[0].T @ table @ of[1], a, b, of[0], of[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("storage", STORAGES)
def test_softmins_by_class_are_those_of_float64(storage: str, dtype: torch.dtype) -> None:
    kernel = kernel_of(labelled(), storage, dtype)
    costs, a, _, of_source, _ = dense(kernel)
    f = np.random.default_rng(1).normal(0.0, 0.02, len(a))
    parts = kernel.class_sums(torch.tensor(f, dtype=dtype)[None])
    assert parts is not None
    reference, sums = parts
    found = reference[:, None] - EPSILON * sums.log()
    joined = reference - EPSILON * sums.sum(1).log()
    for k, members in enumerate(of_source):
        with np.errstate(divide="ignore"):
            exponents = (f[:, None] - costs) / EPSILON + np.log(a * members)[:, None]
        expected = -EPSILON * logsumexp(exponents, axis=0)
        # Far classes count for nothing beside near ones, as far as the type can tell.
        near = expected < joined[0].double().numpy() + 10 * EPSILON
        np.testing.assert_allclose(found[0, k][near], expected[near], atol=2e-5)
    whole = kernel.softmin(torch.tensor(f, dtype=dtype)[None], "target")
    torch.testing.assert_close(joined, whole, rtol=0, atol=1e-5)


def test_classes_have_their_marginals_at_once() -> None:
    kernel = kernel_of(labelled(), "kept", torch.float64, epsilon := 0.1)
    costs, a, b, of_source, of_target = dense(kernel)
    g = torch.zeros_like(kernel.target.weight)
    f = kernel.softmin(g, "source")
    parts = kernel.class_sums(f)
    assert parts is not None
    exchange = Exchange(kernel)
    moved = exchange.balance(1, f, g, parts, torch.zeros(1))
    assert moved is not None
    assert exchange.due == 2
    moved_f, moved_g, next_g = moved
    plan = np.exp((moved_f[0].numpy()[:, None] + moved_g[0].numpy() - costs) / epsilon)
    by_class = of_source @ (a[:, None] * plan * b) @ of_target.T
    np.testing.assert_allclose(by_class.sum(0), of_target @ b, rtol=1e-3)
    np.testing.assert_allclose(by_class.sum(1), of_source @ a, rtol=1e-3)
    torch.testing.assert_close(next_g, kernel.softmin(moved_f, "target"), rtol=0, atol=1e-9)
    # Classes are no part of such an error, and are left alone for some iterations.
    assert exchange.balance(2, f, g, parts, torch.full((1,), 1e9)) is None
    assert exchange.due == 2 + REST


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_few_iterations_find_what_many_do(storage: str, dtype: torch.dtype) -> None:
    kernel = kernel_of(labelled(), storage, dtype)
    settings = IterationSettings(1e-4, 3000)
    found = iterate(kernel, settings)
    costs, a, b, *_ = dense(kernel)
    value, _ = exact_transport(a, b, costs, EPSILON)
    dual = found.f[0].double().numpy() @ a + found.next_g[0].double().numpy() @ b
    assert dual == pytest.approx(value, abs=2e-5)
    slow = iterate(kernel, settings._replace(by_class=False))
    assert 3 * int(found.iterations[0]) < int(slow.iterations[0])


def required_label(regions: gs.Regions) -> list[str]:
    assert regions.label is not None
    return [str(one) for one in regions.label]


def test_a_class_that_is_nowhere_moves_nothing() -> None:
    """A class without points on one side, and one without any."""
    regions = labelled()
    label = np.array(["u" if one == "w" else one for one in required_label(regions)], object)
    label[: len(label) // 2] = "u"
    one_sided = replace(regions, label=label)
    found = PairEngine(one_sided, Method(COST, gs.Sinkhorn()), gs.Engine(device="cpu")).pairs(
        np.array([0]), np.array([1])
    )
    assert bool(found["converged"][0])
    assert np.isfinite(found["ot_value"]).all()
