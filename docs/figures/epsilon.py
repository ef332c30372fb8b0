"""The same two clouds at a small and a large epsilon: where mass goes."""

import matplotlib.pyplot as plt
import numpy as np
import ot

import geospot_gpu as gs

random = np.random.default_rng(1)
ours = random.normal((0, 45), (3, 2), (12, 2))
theirs = random.normal((14, 45), (3, 2), (12, 2))
apart = np.hypot(*(ours[:, None] - theirs).T).T * 111.2  # close enough for a drawing
cost = gs.GroundCost(geo_weight=1.0)
mass = np.full(12, 1 / 12)

figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for axes, epsilon in zip(panels, (0.0005, 0.05), strict=True):
    plan = ot.sinkhorn(mass, mass, apart / cost.geo_scale, epsilon, method="sinkhorn_log")
    for i, j in np.argwhere(plan > 1e-3):
        ends = np.stack([ours[i], theirs[j]]).T
        axes.plot(*ends, color="0.4", lw=40 * plan[i, j], zorder=0)
    axes.plot(*ours.T, "o", color="C0")
    axes.plot(*theirs.T, "o", color="C1")
    axes.set_title(f"epsilon {epsilon}: {cost.epsilon_km(epsilon):,.0f} km")
    axes.set_xlabel("longitude")
panels[0].set_ylabel("latitude")
