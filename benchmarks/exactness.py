"""How exact the default sweep is: 50 random pairs of gallery countries, up to 1,000 points each.

    python -m benchmarks.exactness

Ours in float32 at the default tolerance, against POT's `ot.sinkhorn` in float64 run to 1e-9 on
the same cost, written anew with NumPy; and `preset=paper` against POT as published.
"""

from __future__ import annotations

import numpy as np
import ot
import torch

import geospot_gpu as gs
from benchmarks.peers import published
from benchmarks.record import save
from benchmarks.side_by_side import PAPER
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from tests.helpers.clouds import Array, cost_matrix, weights

PAIRS = 50
EPSILON = 0.01


def exact(a: Array, b: Array, costs: Array) -> tuple[float, float]:
    """OT value and transport cost."""
    plan = ot.sinkhorn(a, b, costs, EPSILON, numItermax=100_000, stopThr=1e-9)
    transport = float((plan * costs).sum())
    positive = plan > 0
    relative = plan[positive] / np.outer(a, b)[positive]
    return transport + EPSILON * float((plan[positive] * np.log(relative)).sum()), transport


def as_published(a: Array, b: Array, feature: Array, km: Array) -> tuple[float, bool]:
    """The transport cost in float32, and whether plain Sinkhorn failed and it is by logarithms."""
    mixed = 0.5 * feature / feature.max() + 0.5 * km / km.max()
    a32, b32, cost = (torch.tensor(values).float() for values in (a, b, mixed / mixed.max()))
    return published(a32, b32, cost)


def main() -> None:
    regions = gs.Regions.from_gallery()
    left, right = np.triu_indices(len(regions), 1)
    chosen = np.random.default_rng(0).choice(len(left), PAIRS, replace=False)
    left, right = left[chosen], right[chosen]
    engine, cost = gs.Engine(device="cpu"), gs.GroundCost(geo_weight=0.5)
    ours = PairEngine(regions, Method(cost, gs.Sinkhorn(epsilon=EPSILON)), engine).pairs(
        left, right
    )
    paper_cost = gs.GroundCost(geo_weight=0.5, scaling="pair_max")
    paper = PairEngine(regions, Method(paper_cost, PAPER), engine).pairs(left, right)
    value_error, transport_error, paper_error, inside, transport_inside, twice = [], [], [], 0, 0, 0
    for k, (i, j) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        a, b = weights(regions, i), weights(regions, j)
        feature = cost_matrix(regions, i, j, gs.GroundCost(geo_weight=0.0))
        km = cost_matrix(regions, i, j, gs.GroundCost(geo_weight=1.0, geo_scale=1.0))
        value, transport = exact(a, b, 0.5 * feature + 0.5 * km / cost.geo_scale)
        value_error.append(abs(ours["ot_value"][k] / value - 1))
        transport_error.append(abs(ours["transport_cost"][k] / transport - 1))
        inside += ours["ot_lower"][k] <= value <= ours["ot_upper"][k]
        low, high = (ours[f"transport_cost_{end}"][k] for end in ("lower", "upper"))
        transport_inside += low <= transport <= high
        reference, again = as_published(a, b, feature, km)
        paper_error.append(abs(paper["transport_cost"][k] / reference - 1))
        twice += again
    widths = (ours["transport_cost_upper"] - ours["transport_cost_lower"]) / ours["transport_cost"]
    save(
        "exactness",
        {
            "pairs": PAIRS,
            "OT value, largest relative error (limit 1e-3)": f"{max(value_error):.1e}",
            "transport cost, largest relative error (limit 1e-3)": f"{max(transport_error):.1e}",
            "float64 value inside the certified interval": f"{inside} of {PAIRS}",
            "widest OT interval": f"{(ours['ot_upper'] - ours['ot_lower']).max():.1e}",
            "float64 transport cost inside its interval": f"{transport_inside} of {PAIRS}",
            "width of its interval, share of the value, median": f"{np.median(widths):.1e}",
            "width of its interval, share of the value, largest": f"{widths.max():.1e}",
            "preset=paper, largest relative error (limit 1e-4)": f"{max(paper_error):.1e}",
            "preset=paper, pairs that POT solved again in the log domain": twice,
        },
    )


if __name__ == "__main__":
    main()
