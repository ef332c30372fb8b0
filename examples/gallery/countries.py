"""
Which countries are alike?
==========================

GeoCLIP knows what photographs of a place look like, from its coordinates alone. Its package
brings the places of 100,000 photographs. Here 100 of each country stand for it, and the
distance between two countries says how different they look to a model that sees such features.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import squareform

import geospot_gpu as gs

# %%
# The regions
# -----------
#
# Countries with fewer than 600 photographs are left out, so that this page is made fast. With
# ``min_points=100`` there are 63.

regions = gs.Regions.from_gallery(min_points=600, max_points=100)
regions

# %%
# The distances
# -------------
#
# ``geo_weight=0`` asks for features alone: that two countries are neighbours does not count, only
# that they look alike. One number is the Sinkhorn divergence, with its certified interval.

distances = gs.pairwise(
    regions, cost=gs.GroundCost(geo_weight=0.0), outputs=["divergence", "std_error"]
)
pair = distances.sel(source="FR", target="BR")
print(
    f"France and Brazil: {pair.divergence:.3f}, certified within "
    f"[{pair.lower:.6f}, {pair.upper:.6f}], give or take {pair.std_error:.3f} by sampling"
)

# %%
# What is nearest to what?

divergence = distances.divergence.to_pandas()
nearest = divergence.mask(np.eye(len(regions), dtype=bool)).idxmin()
print(", ".join(f"{name}: {other}" for name, other in nearest.items()))

# %%
# The picture
# -----------
#
# Average linkage draws the countries as a tree. On the right stand their distances from France,
# with two standard errors of what another 100 photographs might give.

from_france = distances.sel(source="FR").to_dataframe().drop("FR").sort_values("divergence")

figure: Any
figure, (tree, row) = plt.subplots(1, 2, figsize=(11, 5.5), layout="constrained")
dendrogram(
    linkage(squareform(divergence.to_numpy(), checks=False), method="average"),
    labels=list(divergence.index),
    orientation="left",
    color_threshold=0,
    above_threshold_color="0.3",
    ax=tree,
)
tree.set(xlabel="Sinkhorn divergence", title="which join first")
row.errorbar(
    from_france.divergence, from_france.index, xerr=2 * from_france.std_error, fmt="o", color="C0"
)
row.invert_yaxis()
row.grid(axis="x", alpha=0.3)
row.set(xlabel="Sinkhorn divergence", title="from France")
plt.show()

# %%
# What it means
# -------------
#
# Countries that join at the right of the tree look alike to GeoCLIP: Chile and Argentina, the
# Nordic countries, the Alps. Most are neighbours, although geography was not asked; Australia
# and New Zealand join Canada and the United States before they join anything near them. Where
# bars overlap, 100 photographs do not say which country is nearer to France.
#
# Whether a model transfers better between countries that join early is another question, which
# :doc:`elsewhere` asks.
