"""OT value and divergence of a region and the same region, moved north."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import geospot_gpu as gs

random = np.random.default_rng(0)
cloud = random.normal(0, 4, (2, 150))
moved = np.linspace(0, 20, 11)  # degrees
frames = [
    pd.DataFrame({"lon": cloud[0], "lat": cloud[1] + by, "region": f"{k:02d}"})
    for k, by in enumerate(moved)
]
regions = gs.Regions.from_table(pd.concat(frames), region="region", encoder="none")
again = gs.Regions.from_table(frames[0].assign(region="here"), region="region", encoder="none")
found = gs.pairwise(again, regions, outputs=["divergence", "ot_value"])

figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, text in (("ot_value", "OT value"), ("divergence", "Sinkhorn divergence")):
    axes.plot(moved * 111.2, found[name].isel(source=0), "o-", label=text)
axes.axhline(0, color="0.7", lw=1)
axes.set(xlabel="km moved north", ylabel="scaled ground cost")
axes.legend()
