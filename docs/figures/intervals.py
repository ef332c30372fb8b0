"""Two kinds of doubt: what the iteration leaves open, and what the sample leaves open."""

import logging

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import geospot_gpu as gs

random = np.random.default_rng(0)
table = pd.DataFrame(random.normal(0, 6, (8000, 2)), columns=["lon", "lat"])
table["region"] = np.repeat(["a", "b"], 4000)
table.loc[4000:, "lon"] += 8


def compared(points: int, solver: gs.Sinkhorn) -> pd.Series:
    """The pair, from so many points of each region."""
    regions = gs.Regions.from_table(table, region="region", encoder="none", max_points=points)
    found = gs.pairwise(regions, solver=solver, outputs=["divergence", "std_error", "bias"])
    return found.sel(source="a", target="b").to_array().to_series()


logging.getLogger("geospot_gpu").setLevel(logging.ERROR)  # three of these are ended early
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
rows = {
    limit: compared(300, gs.Sinkhorn(tolerance=1e-9, max_iterations=limit))
    for limit in (1, 2, 3, 4, 6, 9, 14)
}
ends = pd.DataFrame(rows).T
left.vlines(ends.index, ends.lower, ends.upper, lw=5, color="C0", alpha=0.5)
left.plot(ends.index, ends.divergence, "k_", ms=10)
left.axhline(ends.divergence.iloc[-1], color="0.6", lw=1, zorder=0)
left.set(xlabel="iterations", ylabel="divergence", title="certified interval")
samples = pd.DataFrame({n: compared(n, gs.Sinkhorn()) for n in (50, 100, 200, 400, 800)}).T.astype(
    float
)
right.errorbar(samples.index, samples.divergence, 2 * samples.std_error, fmt="o", label="as it is")
right.errorbar(
    samples.index * 1.08,
    samples.divergence - samples.bias,
    2 * samples.std_error,
    fmt="s",
    label="less its bias",
)
right.set_xscale("log")
right.minorticks_off()
right.set_xticks(samples.index, samples.index.astype(str))
right.set(xlabel="points of each region", title="two standard errors")
right.legend()
