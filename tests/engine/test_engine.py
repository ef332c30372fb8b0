"""The engine: what it plans, what it refuses, and what it leaves as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import geospot_gpu as gs
from geospot_gpu.cluster import LocalPool, RayPool
from geospot_gpu.engine import settings as engine_settings
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.errors.say import warn_once
from geospot_gpu.kernels.spec import Workload
from tests.helpers.clouds import random_regions

CPU = gs.Engine(device="cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "gpu"}, "device='gpu' is unknown: use auto, cpu, cuda or cuda:1"),
        (
            {"backend": "fast"},
            "engine.backend='fast' is unknown: use one of auto, triton, compiled, torch, keops",
        ),
        (
            {"storage": "dense"},
            "engine.storage='dense' is unknown: use one of auto, kept, streamed",
        ),
        (
            {"backend": "keops", "storage": "kept"},
            "engine.backend=keops does not go with engine.storage=kept: leave one of them out",
        ),
        ({"kernel": "dense"}, "kernel=dense is now engine.storage=kept"),
        ({"kernel": "keops"}, "kernel=keops is now engine.backend=keops"),
        (
            {"kernel": "auto"},
            "kernel=auto is now engine.backend=auto engine.storage=auto",
        ),
        ({"memory_budget": "1.1.1GiB"}, "engine.memory_budget='1.1.1GiB': give auto or at least"),
        ({"memory_budget": "2 parsecs"}, "engine.memory_budget='2 parsecs': give auto"),
        ({"memory_budget": "12"}, "engine.memory_budget='12': give auto or at least 1MiB"),
        ({"cluster": "ray"}, "engine.cluster is of type str: give a Ray"),
    ],
)
def test_values_that_are_not_understood_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        gs.Engine(**settings)  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_cuda_without_cuda_is_refused(device: str) -> None:
    with pytest.raises(gs.GeospotError, match=f"device={device}: there is no CUDA device here"):
        gs.pairwise(random_regions([3, 4]), engine=gs.Engine(device=device))


def test_work_is_shared_out_in_this_process_or_on_a_cluster() -> None:
    assert isinstance(CPU.pool(), LocalPool)
    assert isinstance(replace(CPU, cluster=gs.Ray()).pool(), RayPool)
    with pytest.raises(gs.GeospotError, match=r"device=cuda:1: engine=ray gives each worker its"):
        gs.Engine("cuda:1", cluster=gs.Ray()).pool()


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    warn_once.cache_clear()


@pytest.mark.usefixtures("two_gpus")
def test_work_is_shared_out_to_all_gpus_of_the_machine() -> None:
    pytest.importorskip("ray")
    for device in ("auto", "cuda"):
        pool = gs.Engine(device).pool()
        assert isinstance(pool, RayPool)
        assert pool.is_of(gs.Ray("local"), "cuda")
    for device in ("cuda:1", "cpu"):
        assert isinstance(gs.Engine(device).pool(), LocalPool)
    chosen = gs.Engine("cuda", cluster=gs.Ray("ray://head:10001")).pool()
    assert isinstance(chosen, RayPool)
    assert chosen.is_of(gs.Ray("ray://head:10001"), "cuda")


@pytest.mark.usefixtures("two_gpus")
def test_without_ray_one_line_says_that_one_gpu_of_several_is_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine_settings, "has_ray", lambda: False)
    for device in ("auto", "cuda", "cuda:1", "cpu"):
        assert isinstance(gs.Engine(device).pool(), LocalPool)
    (said,) = caplog.messages
    assert said == engine_settings.one_of(2)
    assert "there are 2 GPUs, and one of them is used: pip install 'geospot_gpu[clu" in said


def test_one_gpu_needs_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert isinstance(gs.Engine().pool(), LocalPool)


def test_budgets_are_bytes() -> None:
    assert gs.Engine(memory_budget="1.5GiB").budget_bytes() == 3 * 2**29
    assert gs.Engine(memory_budget=2**21).budget_bytes() == 2**21
    assert 0 < gs.Engine(device="cpu").budget_bytes() <= 2**31


def test_features_are_needed_for_a_feature_cost() -> None:
    regions = random_regions([5, 6], dimension=None)
    with pytest.raises(gs.GeospotError, match=r"geo_weight=0.5 needs features"):
        gs.pairwise(regions, cost=gs.GroundCost(geo_weight=0.5))
    assert gs.pairwise(regions).converged.all()  # by default geography alone


def test_cosine_needs_vectors_of_length_one() -> None:
    regions = gs.Regions.from_points(
        lon=[0, 1],
        lat=[0, 1],
        region=["a", "b"],
        features=[[3.0, 4.0], [1.0, 2.0]],
        normalize=False,
    )
    with pytest.raises(gs.GeospotError, match="cosine needs features of length one"):
        gs.pairwise(regions)


def test_one_region_is_refused() -> None:
    with pytest.raises(gs.GeospotError, match=r"only one region \(r00\): distances need two"):
        gs.pairwise(random_regions([5]))


def test_the_features_of_a_batch_stay_within_the_budget() -> None:
    regions = random_regions([1] * 200, dimension=512)
    small = gs.Engine(device="cpu", memory_budget="4MiB")
    engine = PairEngine(regions, Method(gs.GroundCost(), gs.Sinkhorn(precision="high")), small)
    left, right = np.triu_indices(200, 1)
    for _, batch in engine._plan(regions.sizes[left], regions.sizes[right]):
        assert 2 * len(batch) * 512 * 8 <= 2**20


@pytest.mark.parametrize("precision", ["single", "high"])
def test_small_budgets_change_nothing_but_rounding(precision: str) -> None:
    regions = random_regions([150, 90, 120])
    small = gs.Engine(device="cpu", memory_budget="1MiB")
    solver = gs.Sinkhorn(precision=precision)  # type: ignore[arg-type]
    one, other = (gs.pairwise(regions, solver=solver, engine=e) for e in (CPU, small))
    np.testing.assert_allclose(one.divergence, other.divergence, atol=1e-5)


@pytest.mark.parametrize("dimension", [None, 8])
def test_auto_streams_beyond_the_budget_on_a_cpu(dimension: int | None) -> None:
    """Also where there are few features: KeOps is many times slower there."""
    engine = gs.Engine(device="cpu", memory_budget="1MiB")
    regions = random_regions([600, 700], dimension=dimension)
    cost = gs.GroundCost(geo_weight=1.0 if dimension is None else 0.5)
    solved = PairEngine(regions, Method(cost, gs.Sinkhorn()), engine).pairs(
        np.array([0]), np.array([1])
    )
    assert solved["kernel"].tolist() == ["compiled streamed"]
    assert solved["converged"].all()


def test_geomloss_on_points_that_coincide() -> None:
    regions = gs.Regions.from_points(lon=[1, 1], lat=[1, 1], region=["a", "b"])
    result = gs.pairwise(regions, solver=gs.GeomLoss(), engine=CPU)
    assert float(result.ot_value[0, 1]) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize(
    "kernel", ["torch kept", "torch streamed", "keops streamed", "triton kept", "triton streamed"]
)
@pytest.mark.parametrize("geo_weight", [0.0, 0.5, 1.0])
def test_cuda_gives_what_the_cpu_gives(kernel: str, geo_weight: float) -> None:
    regions = random_regions([300, 260, 40, 35])
    cost = gs.GroundCost(geo_weight=geo_weight)
    exact = gs.pairwise(regions, cost=cost, solver=gs.Sinkhorn(precision="high"), engine=CPU)
    cuda = gs.pairwise(regions, cost=cost, engine=gs.Engine("cuda", *kernel.split()))
    np.testing.assert_allclose(cuda.ot_value, exact.ot_value, rtol=1e-4)
    assert (cuda.ot_lower <= exact.ot_upper).all()
    assert (exact.ot_lower <= cuda.ot_upper).all()


def test_half_of_what_is_free_is_the_budget_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch keeps of freed tensors is free; and it is asked of the device itself."""
    numbers = {"mem_get_info": (10 << 30, 80 << 30), "memory_reserved": 7 << 30}
    numbers["memory_allocated"] = 3 << 30
    asked: list[torch.device] = []
    for name, number in numbers.items():

        def answer(device: torch.device, number: object = number) -> object:
            asked.append(device)
            return number

        monkeypatch.setattr(torch.cuda, name, answer)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert gs.Engine(device="cuda:1").budget_bytes() == 7 << 30
    assert asked == [torch.device("cuda", 1)] * 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: use it")
def test_a_workload_knows_which_gpu_it_is_for() -> None:
    pretended = pytest.importorskip("benchmarks.gpu_checks.pretended")
    method = Method(gs.GroundCost(), gs.Sinkhorn())
    regions = random_regions([5, 4])
    on_cpu = PairEngine(regions, method, CPU).workload
    assert (on_cpu.device, on_cpu.place) == ("cpu", torch.device("cpu"))
    with pretended.Pretended():
        engine = PairEngine(regions, method, gs.Engine(device="cuda:0", memory_budget="1GiB"))
        assert (engine.workload.device, engine.workload.place) == ("cuda", torch.device("cuda:0"))
        of_clouds = Workload.of(method.cost, engine.clouds(np.array([0])), 1 << 30)
        assert of_clouds.place == torch.device("cuda:0")
