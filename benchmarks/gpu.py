"""How fast a GPU is: ours beside its floor and beside peers, on the same data.

    python -m benchmarks.gpu              under ten minutes on an H200; needs a GPU
    python -m benchmarks.gpu --rehearse   the same code at tiny sizes on a CPU; writes nothing
    python -m benchmarks.gpu --predict    what a model says it takes, on any machine; not measured

Before anything is timed, every kernel is checked against float64. What was measured stands beside
what was predicted for the card, where there is such a prediction.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

import geospot_gpu as gs
from benchmarks import gpu_peers, workloads
from benchmarks.gpu_checks import predicted
from benchmarks.gpu_selection import check_selection, nearest_on
from benchmarks.gpu_tools import Ceilings, floor, seconds
from benchmarks.peers import pot_as_published
from benchmarks.record import save, show
from geospot_gpu.arrays import Indices
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.distances.solve import chosen_outputs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.needs import Need
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels import make_kernel
from geospot_gpu.kernels.clouds import CloudBatch
from geospot_gpu.kernels.contract import IterationSettings
from geospot_gpu.kernels.iterate import iterate
from geospot_gpu.kernels.keops import keops_problem
from geospot_gpu.runs.solving import solve
from geospot_gpu.sinkhorn.bounds import certify

REHEARSAL = "--rehearse" in sys.argv
if REHEARSAL:
    os.environ["TRITON_INTERPRET"] = "1"  # Triton is imported when it is used
DEVICE = "cpu" if REHEARSAL else "cuda"
FEATURES = 16 if REHEARSAL else 512
SOLVER = gs.Sinkhorn()
NEEDS: tuple[Need, ...] = ("coverage", "nearest")
COLUMNS = {"divergence": ("divergence",), "default": chosen_outputs(None)}
"""Divergences alone; and what a user gets who asks for nothing in particular."""
NEAR = 10.0
"""Nearest costs are close to zero: they may be off by so much of the relative error of others."""
REPEATS = 1 if REHEARSAL else 3
BUDGET = 2**26 if REHEARSAL else 32 * 2**30
DEADLINE_S = 540.0
"""What has not begun by then is not timed."""

Figures = dict[str, object]


@dataclass
class Clock:
    """Runs parts of the benchmark until the time is up."""

    started: float = field(default_factory=time.perf_counter)

    def run(self, name: str, part: Callable[[], Figures]) -> Figures:
        """The figures of a part, or why there are none."""
        spent = time.perf_counter() - self.started
        if spent > DEADLINE_S:
            return {"not timed": f"{spent:.0f} s had passed"}
        print(f"{spent:6.0f} s  {name}", flush=True)
        return part()


def random_regions(sizes: list[int]) -> gs.Regions:
    """Regions of random points with features around a centre of their own."""
    generator = np.random.default_rng(0)
    total, region = sum(sizes), np.repeat(np.arange(len(sizes)), sizes)
    centres = generator.normal(size=(len(sizes), FEATURES))
    return gs.Regions.from_points(
        lon=generator.uniform(-180, 180, total),
        lat=np.degrees(np.arcsin(generator.uniform(-1, 1, total))),
        region=[f"r{k:04d}" for k in region],
        features=centres[region] + generator.normal(size=(total, FEATURES)),
    )


def gallery(max_points: int | None) -> gs.Regions:
    """The countries of the gallery; in a rehearsal, a few random regions."""
    if REHEARSAL:
        return random_regions([9, 30, 70, 20])
    return gs.Regions.from_gallery(max_points=max_points)


def district_regions() -> gs.Regions:
    """The gallery in 2,048 districts of equally many points."""
    if REHEARSAL:
        return random_regions([6] * 12)
    return workloads.districts()


def check() -> Figures:
    """Every kernel against float64; raises where one is wrong."""
    regions = random_regions([1, 3, 40, 70] if REHEARSAL else [1, 3, 70, 400, 1500, 2500])
    left, right = all_pairs(len(regions), None)
    square = gs.GroundCost(feature="sqeuclidean", geo_weight=0.0)
    costs = [square, *(gs.GroundCost(geo_weight=weight) for weight in (0.5, 0.0, 1.0))]
    found: Figures = {}
    for cost in costs[: 2 if REHEARSAL else None]:
        high = gs.Sinkhorn(epsilon=0.02, tolerance=1e-6, precision="high")
        engine = gs.Engine(DEVICE, "torch", "kept")
        exact = PairEngine(regions, Method(cost, high), engine).pairs(left, right, NEEDS)
        names = ["torch kept", "torch streamed", "triton kept", "triton streamed"]
        if cost.geo_weight == 0.5 and keops_problem(DEVICE) is None:  # it compiles for long
            names.append("keops streamed")
        for name in names:
            engine = gs.Engine(DEVICE, *name.split())
            single = PairEngine(regions, Method(cost, gs.Sinkhorn(epsilon=0.02)), engine)
            ours = single.pairs(left, right, NEEDS)
            error = float(np.abs(ours["ot_value"] / exact["ot_value"] - 1.0).max())
            inside = np.ones(len(left), bool)
            for lower, upper in (
                ("ot_lower", "ot_upper"),
                ("coverage_source_to_target_lower", "coverage_source_to_target_upper"),
                ("coverage_target_to_source_lower", "coverage_target_to_source_upper"),
            ):
                inside &= (ours[lower] <= exact[upper]) & (exact[lower] <= ours[upper])
            for column in ("nearest_source_to_target", "nearest_target_to_source"):
                error = max(error, float(np.abs(ours[column] - exact[column]).max()) / NEAR)
            case = f"{name}, {cost.feature}, geo_weight {cost.geo_weight}"
            if set(ours["kernel"]) != {name} or not (inside.all() and error < 1e-4):
                raise SystemExit(f"{case}: relative error {error:.1e}, inside {inside.all()}")
            found[case] = error
    return found


def sweep(
    regions: gs.Regions, cost: gs.GroundCost, left: Indices, right: Indices,
    ceilings: Ceilings, kernels: tuple[str, ...] = ("triton auto",),
) -> Figures:  # fmt: skip
    """Pairs and the self terms they need, end to end: divergences alone, and the default columns.

    The floor is that of divergences.
    """
    needed = np.unique(np.concatenate([left, right]))
    entries = float((regions.sizes[left] * regions.sizes[right]).sum())
    entries += float((regions.sizes[needed] ** 2).sum())
    found: Figures = {"pairs": len(left), "costs": entries}
    for name in kernels:
        engine = gs.Engine(DEVICE, *name.split())

        for what, columns in COLUMNS.items():
            solve_all = partial(solve, regions, left, right, Method(cost, SOLVER), columns)
            found[f"{name}, {what}, seconds"] = seconds(
                partial(solve_all, engine=engine), repeats=REPEATS
            )
    pairs = PairEngine(regions, Method(cost, SOLVER), engine).pairs(left, right)
    read = 2.0 * float((pairs["iterations"] * regions.sizes[left] * regions.sizes[right]).sum())
    features = FEATURES if cost.uses_features else 0
    found["floor, seconds"] = floor(ceilings, entries, features, cost.uses_geography, read)
    found["converged"] = int(pairs["converged"].sum())
    found["mean iterations"] = float(pairs["iterations"].mean())
    found["widest OT interval"] = float((pairs["ot_upper"] - pairs["ot_lower"]).max())
    return found


def beside_peers(regions: gs.Regions, cost: gs.GroundCost, clock: Clock, count: int) -> Figures:
    """A sample of pairs by ours and by peers that solve one balanced problem per pair."""
    every = len(regions) * (len(regions) - 1) // 2
    left, right = workloads.sampled_pairs(len(regions), min(count, every))
    engine = PairEngine(regions, Method(cost, SOLVER), gs.Engine(DEVICE, "triton"))
    reference = torch.tensor(engine.pairs(left, right)["ot_value"])
    clouds = [
        (engine.clouds(left[k : k + 1]), engine.clouds(right[k : k + 1])) for k in range(len(left))
    ]
    found: Figures = {"pairs": len(left)}
    found["ours, seconds"] = seconds(lambda: engine.pairs(left, right))
    for backend in ("tensorized", "online"):
        found[f"GeomLoss {backend}"] = clock.run(
            f"GeomLoss {backend}",
            partial(gpu_peers.geomloss, clouds, cost, SOLVER.epsilon, reference, backend),
        )
    found["GeomLoss's loop over our kernels"] = clock.run(
        "GeomLoss's loop", lambda: geomloss_loop(regions, cost, left, right, reference)
    )
    problems = [
        workloads.problem(regions, i, j, cost.geo_weight).to(DEVICE)
        for i, j in zip(left, right, strict=True)
    ]
    scaled = [p._replace(pair_max=True) for p in problems]
    found["POT as published (the paper's problem), seconds"] = seconds(
        lambda: pot_as_published(scaled), repeats=1
    )
    found["KeOps softmin loop"] = clock.run("KeOps", lambda: keops_loop(regions, cost, left, right))
    return found


def geomloss_loop(
    regions: gs.Regions, cost: gs.GroundCost, left: Indices, right: Indices, reference: torch.Tensor
) -> Figures:
    """``solver=geomloss`` at the coarsest annealing that is accurate enough."""

    def values(scaling: float) -> torch.Tensor:
        method = Method(cost, gs.GeomLoss(SOLVER.epsilon, scaling))
        engine = PairEngine(regions, method, gs.Engine(DEVICE, "triton"))
        return torch.tensor(engine.pairs(left, right)["ot_value"])

    return gpu_peers.equally_accurate(values, reference)


def keops_loop(regions: gs.Regions, cost: gs.GroundCost, left: Indices, right: Indices) -> Figures:
    """Our iteration over a softmin that KeOps computes."""
    problem = gpu_peers.installed("pykeops") or keops_problem(DEVICE)
    if problem is not None:
        return {"not timed": problem}
    engine = PairEngine(regions, Method(cost, SOLVER), gs.Engine(DEVICE, "keops"))
    return {"seconds": seconds(lambda: engine.pairs(left, right), repeats=1)}


def random_cloud(points: int, seed: int, features: int = FEATURES) -> CloudBatch:
    """Points anywhere on Earth with random unit features, on the device."""
    generator = torch.Generator().manual_seed(seed)
    parts = (torch.randn(points, size, generator=generator) for size in (features, 3))
    vectors, xyz = (torch.nn.functional.normalize(part)[None].to(DEVICE) for part in parts)
    return CloudBatch.padded(vectors, xyz, torch.full((1, points), 1.0 / points, device=DEVICE))


def giant(ceilings: Ceilings) -> Figures:
    """50,000 x 50,000 points, two iterations on each kernel, and the certificate apart."""
    points = 150 if REHEARSAL else 50_000
    source, target = random_cloud(points, 0), random_cloud(points, 1)
    cost = gs.GroundCost(geo_weight=0.5)
    found: Figures = {"points": points}
    problem = cost, source, target, SOLVER.epsilon, BUDGET
    for name in ("triton kept", "triton streamed", "torch streamed"):

        def run(name: str = name) -> None:
            backend, storage = name.split()
            iterate(
                make_kernel(*problem, backend=backend, storage=storage), IterationSettings(1e-12, 2)
            )

        found[f"{name}, seconds"] = seconds(run, repeats=REPEATS)
    kernel = make_kernel(*problem, backend="triton")
    potentials = iterate(kernel, IterationSettings(1e-12, 2))
    found["certificate, seconds"] = seconds(
        lambda: certify(kernel, cost, potentials, 1e-3), repeats=REPEATS
    )
    entries = float(points) ** 2
    return found | {"floor, seconds": floor(ceilings, entries, FEATURES, True, 4.0 * entries)}


FLASH = ((512, 40_000, 100), (64, 10_000, 10), (64, 20_000, 10), (64, 50_000, 10))
"""Features, points and iterations of problems that FlashSinkhorn can solve; the last three are its
own."""


def flash(ceilings: Ceilings, features: int, points: int, iterations: int) -> Figures:
    """Squared distances, so many iterations, as FlashSinkhorn can solve them."""
    if REHEARSAL:
        features, points, iterations = 16, 70, 3
    epsilon, cost = 0.05, gs.GroundCost(feature="sqeuclidean", geo_weight=0.0)
    source, target = (random_cloud(points, seed, features) for seed in (0, 1))
    settings, found = IterationSettings(1e-30, iterations, relaxed=False), Figures()
    value = 0.0
    problem = cost, source, target, epsilon, BUDGET
    for storage in ("kept", "streamed"):

        def run(storage: str = storage) -> float:
            kernel = make_kernel(*problem, backend="triton", storage=storage)
            f, _, g, _, _ = iterate(kernel, settings)
            return float((source.weight * f).sum() + (target.weight * g).sum())

        value = run()
        found[f"triton {storage}, seconds"] = seconds(run, repeats=REPEATS)
    x, y = (cloud.part().features for cloud in (source, target))
    assert x is not None
    assert y is not None
    found["FlashSinkhorn"] = gpu_peers.flash_sinkhorn(x[0], y[0], epsilon, iterations, value)
    entries = float(points) ** 2
    read = 2.0 * iterations * entries
    return found | {
        "points": points,
        "features": features,
        "iterations": iterations,
        "floor, seconds": floor(ceilings, entries, features, False, read),
    }


def parts(clock: Clock) -> Iterator[tuple[str, Figures]]:
    """All figures, one part after the other."""
    yield "largest relative error against float64", clock.run("check", check)
    few = random_regions([9, 30, 70, 20] if REHEARSAL else [100, 400, 900, 250, 700])
    yield (
        "selection, largest difference from float64",
        clock.run("check of selection", partial(check_selection, few, DEVICE)),
    )
    ceilings = Ceilings.measure(DEVICE, tiny=REHEARSAL)
    yield "ceilings, per second", vars(ceilings)
    countries = gallery(1000)
    left, right = all_pairs(len(countries), None)
    kernels: tuple[str, ...] = ("torch kept", "torch streamed", "triton auto")
    for weight in (0.5, 0.0):
        cost = gs.GroundCost(geo_weight=weight)
        yield (
            f"countries, geo_weight {weight}",
            clock.run(
                "countries",
                partial(sweep, countries, cost, left, right, ceilings, kernels),
            ),
        )
        yield (
            f"countries beside peers, geo_weight {weight}",
            clock.run(
                "peers",
                partial(beside_peers, countries, cost, clock, 3 if REHEARSAL else 20),
            ),
        )
    mixed = gs.GroundCost(geo_weight=0.5)
    districts = district_regions()
    left, right = workloads.sampled_pairs(len(districts), 20 if REHEARSAL else 20_000)
    yield (
        "districts",
        clock.run(
            "districts",
            partial(sweep, districts, mixed, left, right, ceilings),
        ),
    )
    for weight in (0.5, 0.0):
        yield (
            f"nearest of all districts, geo_weight {weight}",
            clock.run("nearest", partial(nearest_on, districts, DEVICE, weight)),
        )
    world = gallery(None)
    names = list(world.names)
    pair = [names.index(name) for name in (("r0000", "r0001") if REHEARSAL else ("US", "GB"))]
    one, other = np.array(pair[:1]), np.array(pair[1:])
    yield (
        "districts beside peers",
        clock.run(
            "peers",
            partial(beside_peers, districts, mixed, clock, 3 if REHEARSAL else 200),
        ),
    )
    yield (
        "US x GB, all points",
        clock.run("US x GB", lambda: sweep(world, mixed, one, other, ceilings)),
    )
    yield "giant", clock.run("giant", lambda: giant(ceilings))
    for features, points, iterations in FLASH:
        name = f"FlashSinkhorn's problem, D {features}, {points:,} points"
        yield name, clock.run(name, partial(flash, ceilings, features, points, iterations))
    yield (
        "world, all points, all pairs",
        clock.run("world", lambda: sweep(world, mixed, *all_pairs(len(world), None), ceilings)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes on a CPU, no file")
    parser.add_argument("--predict", action="store_true", help="predicted times: not measured")
    if parser.parse_args().predict:
        predicted.show()
        return
    if not REHEARSAL and not torch.cuda.is_available():
        raise SystemExit("there is no GPU here; --rehearse runs the same code on a CPU")
    figures: Figures = dict(parts(Clock()))
    if REHEARSAL:
        show(figures)
        return
    figures["predicted"] = predicted.beside(figures, torch.cuda.get_device_name())
    save("gpu", figures)


if __name__ == "__main__":
    main()
