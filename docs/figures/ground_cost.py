"""What it costs to move a point of Paris eastwards: between single points the divergence is it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import geospot_gpu as gs

km = np.concatenate([[0], np.geomspace(1, 5000, 40)])
lon, lat = 2.3 + km / (111.2 * np.cos(np.deg2rad(48.9))), 48.9
names = [f"{k:02d}" for k in range(km.size)]
regions = gs.Regions.from_table(
    pd.DataFrame({"lon": lon, "lat": lat, "region": names}), region="region"
)

figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for weight, text in ((0.0, "0: features alone"), (0.5, "0.5: both"), (1.0, "1: geography alone")):
    found = gs.pairwise(
        regions["00"], regions, cost=gs.GroundCost(geo_weight=weight), outputs=["divergence"]
    )
    axes.plot(km, found.divergence.sel(source="00", target=names), label=f"geo_weight {text}")
axes.set_xscale("symlog", linthresh=1)
axes.set(xlabel="km east of Paris", ylabel="ground cost", xlim=(0, 5000))
axes.legend()
