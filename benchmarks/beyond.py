"""Sweeps that no machine here can make: their cost from rates that were measured or predicted.

    python -m benchmarks.beyond

Nothing is run. Time in the solver on a GPU is the prediction of ``benchmarks/gpu.py --predict`` for
small regions; time around it, bytes of a pair and the driver's time for a block are measured
(results/scale.json, results/cluster_driver.json). What is written down is where each of them ends.
"""

from __future__ import annotations

import json
import math
from typing import Any

from benchmarks.record import RESULTS, write
from geospot_gpu.runs.plan import _LARGEST_GROUP

REGIONS = (10_000, 40_000, 1_000_000)
GPUS = (1, 8, 64)
CARD = "H100"
PRICE = 3.0
"""Dollars for an hour of one GPU, as clouds ask for an H100 in 2026; put in your own."""
PUTS = 3_500.0
"""Objects that a prefix of Amazon S3 takes in a second (its documentation on request rates)."""
KIND = "20,000 pairs of 2,048 districts: default"
PAIRS = 20_000


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())["figures"]
    return found


def main() -> None:
    scale, driver = read("scale"), read("cluster_driver")
    predicted = read("gpu_predicted")[CARD][KIND]
    on_gpu = (predicted["lower"] + predicted["upper"]) / 2 / PAIRS
    everything = scale["everything"]
    pairs_there = 5_000 * 4_999 / 2
    around = (everything["sweep, seconds"] - everything["sweep, in the solver"]) / pairs_there
    on_cpu = everything["sweep, in the solver"] / pairs_there
    size = everything["bytes a pair, all outputs"]
    ray = driver["of Ray, two real actors and empty items"]["driver's processor time per item, us"]
    loop = driver["256 fakes, 100,000 blocks, compressed"][
        "driver's processor time per block, loop and schedule, us"
    ]
    block_cpu = (ray + loop) / 1e6
    rows = []
    for regions in REGIONS:
        pairs = regions * (regions - 1) // 2
        group = min(_LARGEST_GROUP, max(316, regions // 64))
        blocks = math.ceil(regions / group) ** 2 // 2
        for gpus in GPUS:
            # Storing goes on while the next block is computed: the slower of the two counts.
            slower = max(on_gpu, around)
            seconds = pairs * slower / gpus
            rows.append(
                {
                    "regions": f"{regions:,}",
                    "GPUs": gpus,
                    "pairs": f"{pairs:.2e}",
                    "hours": _round(seconds / 3600),
                    "hours in the solver": _round(pairs * on_gpu / gpus / 3600),
                    "dollars": _round(seconds / 3600 * gpus * PRICE),
                    "TB": _round(pairs * size / 1e12),
                    "blocks": f"{blocks:,}",
                    "blocks a second": _round(blocks / seconds),
                    "driver busy": f"{blocks * block_cpu / seconds:.2%}",
                    "of a bucket's puts": f"{blocks / seconds / PUTS:.2%}",
                }
            )
    figures: dict[str, Any] = {
        "predicted": {"methods": rows},
        "from": {
            f"us a pair in the solver, {CARD}, predicted": _round(on_gpu * 1e6),
            "us a pair in the solver, two cores, measured": _round(on_cpu * 1e6),
            "us a pair around it, two cores, measured": _round(around * 1e6),
            "bytes a pair, measured": size,
            "driver, CPU ms a block, measured": _round(block_cpu * 1e3),
            "workers that keep one driver busy, blocks of a second": _round(1 / block_cpu),
        },
    }
    write("beyond", figures)
    for row in rows:
        print(row)
    print(figures["from"])


def _round(value: float) -> float:
    """Two digits, as nobody knows more."""
    return float(f"{value:.2g}")


if __name__ == "__main__":
    main()
