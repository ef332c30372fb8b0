"""GeomLoss's loop over our kernels, beside its own SamplesLoss and our solver, on a CPU.

    python -m benchmarks.geomloss

Pairs of gallery countries on one scale. ``SamplesLoss`` is set up as its experts would: tensorized,
each cost computed once, its diameter given, one pair at a time; debiased it solves both self terms
with every pair. The same loop over our kernels takes pairs in batches and self terms once a region,
and certifies what it finds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

import geospot_gpu as gs
from benchmarks.record import Stopwatch, save
from benchmarks.workloads import EPSILON, Problem, countries, problem, sampled_pairs
from geospot_gpu.distances.solve import PairSolver
from geospot_gpu.engine.method import Method
from geospot_gpu.kernels.keops import quiet_import

PAIRS, ROUNDS = 30, 3
SCALINGS = (0.5, 0.95)
KERNELS = (("compiled", "kept"), ("compiled", "streamed"), ("torch", "kept"), ("torch", "streamed"))
OUTPUTS = ("divergence", "ot_value")

Values = Sequence[float]


def samples_loss(problems: Sequence[Problem], scaling: float, *, debias: bool) -> Values:
    """Divergences, or OT values, one pair at a time."""
    with quiet_import():
        from geomloss import SamplesLoss

    values = []
    for p in problems:
        sides = (p.x, p.degrees_x), (p.y, p.degrees_y)
        costs: dict[tuple[int, int], Tensor] = {}

        def of(x: Tensor, y: Tensor, p: Problem = p, costs: Any = costs, sides: Any = sides) -> Any:
            i, j = int(x[0, 0, 0]), int(y[0, 0, 0])
            if (i, j) not in costs:
                (left, degrees_left), (right, degrees_right) = sides[i], sides[j]
                own = p._replace(x=left, y=right, degrees_x=degrees_left, degrees_y=degrees_right)
                costs[i, j] = own.cost()
                costs[j, i] = costs[i, j].T
            return costs[i, j][None]

        loss = SamplesLoss(
            "sinkhorn",
            p=1,
            blur=EPSILON,
            scaling=scaling,
            diameter=2.0 - 1.0 * p.geo_weight,
            cost=of,
            debias=debias,
            backend="tensorized",
        )
        # Of its points the cost reads no more than which side they are of.
        x, y = torch.zeros(1, len(p.a), 1), torch.ones(1, len(p.b), 1)
        values.append(float(loss(p.a[None], x, p.b[None], y)))
    return values


class Ours:
    """Pairs as the engine solves them, self terms by the share that the pairs have of all.

    Args:
        regions: the collection.
        pairs: positions of the two sides, [2, K].
        geo_weight: share of geography in the cost.
        solver: what solves.
        kernel: backend and storage.
    """

    def __init__(
        self,
        regions: gs.Regions,
        pairs: Any,
        geo_weight: float,
        solver: gs.Sinkhorn | gs.GeomLoss,
        kernel: tuple[str, str] = KERNELS[0],
    ) -> None:
        engine = gs.Engine("cpu", backend=kernel[0], storage=kernel[1])
        method = Method(gs.GroundCost(geo_weight=geo_weight), solver)
        self._make: Callable[[], PairSolver] = partial(PairSolver, regions, method, engine)
        self._pairs = pairs
        self._members = np.unique(pairs)
        # A sweep of these regions has so many pairs, and solves their self terms once.
        count = len(self._members)
        self._share = pairs.shape[1] / (count * (count - 1) / 2)

    def __call__(self) -> tuple[float, Any]:
        """Seconds, and the columns."""
        solver = self._make()
        with Stopwatch() as selves:
            solver.know(self._members, OUTPUTS)
        with Stopwatch() as watch:
            solved = solver.solve(self._pairs[0], self._pairs[1], OUTPUTS)
        return watch.seconds + self._share * selves.seconds, solved.columns


def compare(regions: gs.Regions, geo_weight: float) -> dict[str, Any]:
    """Milliseconds a pair, medians of interleaved rounds, and errors over the OT value."""
    pairs = np.array(sampled_pairs(len(regions), PAIRS))
    problems = [problem(regions, i, j, geo_weight) for i, j in pairs.T]
    fine = gs.Sinkhorn(tolerance=1e-7, precision="high")
    _, exact = Ours(regions, pairs, geo_weight, fine, ("torch", "kept"))()

    def own(solver: gs.Sinkhorn | gs.GeomLoss, kernel: tuple[str, str] = KERNELS[0]) -> Ours:
        return Ours(regions, pairs, geo_weight, solver, kernel)

    def theirs(scaling: float, debias: bool) -> tuple[float, Any]:
        with Stopwatch() as watch:
            values = samples_loss(problems, scaling, debias=debias)
        return watch.seconds, {OUTPUTS[0] if debias else OUTPUTS[1]: np.array(values)}

    runs: dict[str, Callable[[], tuple[float, Any]]] = {"solver=sinkhorn": own(gs.Sinkhorn())}
    for scaling in SCALINGS:
        runs |= {
            f"SamplesLoss, divergences, scaling {scaling:g}": partial(theirs, scaling, True),
            f"SamplesLoss, OT values, scaling {scaling:g}": partial(theirs, scaling, False),
            f"solver=geomloss, scaling {scaling:g}": own(gs.GeomLoss(scaling=scaling)),
        }
    for kernel in KERNELS[1:]:
        named = f"solver=geomloss, scaling {SCALINGS[0]:g}, {' '.join(kernel)}"
        runs[named] = own(gs.GeomLoss(scaling=SCALINGS[0]), kernel)
    own(gs.GeomLoss(scaling=0.1))()  # compiles the loops
    times: dict[str, list[float]] = {name: [] for name in runs}
    found: dict[str, Any] = {}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            seconds, found[name] = run()
            times[name].append(seconds)

    def worst(differences: Any) -> str:
        return f"{np.abs(differences / exact['ot_value']).max():.1e}"

    rows = []
    for name, columns in found.items():
        row = {"method": name, "ms per pair": round(1e3 * float(np.median(times[name])) / PAIRS, 1)}
        for output in OUTPUTS:
            off = worst(columns[output] - exact[output]) if output in columns else ""
            row[f"{output}, worst error"] = off
        certified = "upper" in columns
        row["widest interval"] = worst(columns["upper"] - columns["lower"]) if certified else ""
        rows.append(row)
    return {
        "pairs": PAIRS,
        "regions of these": len(np.unique(pairs)),
        "threads": torch.get_num_threads(),
        "methods": rows,
    }


def main() -> None:
    regions = countries()
    save(
        "geomloss",
        {f"geo_weight {geo_weight:g}": compare(regions, geo_weight) for geo_weight in (0.5, 0.0)},
    )


if __name__ == "__main__":
    main()
