"""
What to collect next, under a budget
====================================

A model is to work in Switzerland, where nothing is labelled, and there is money for 200 samples
elsewhere. From which countries should they come, how many of each, and where does more stop
helping? No labels are needed to say so.
"""

import matplotlib.pyplot as plt

import geospot_gpu as gs

# %%
# The candidates
# --------------
#
# Eleven countries of GeoCLIP's gallery of photo locations, with 150 of each.

names = ["AT", "BE", "CH", "DE", "ES", "FR", "GB", "GR", "IT", "NO", "SE", "US"]
regions = gs.Regions.from_gallery(include=names, max_points=150)
looks = gs.GroundCost(geo_weight=0.0)  # features alone

# %%
# Which countries?
# ----------------
#
# The default is *coverage*: samples near to every part of the target, country by country. After
# each step the table says what is left: the mean cost from a place in Switzerland to its
# nearest sample.

few = gs.select_regions(regions, "CH", 200, max_regions=5, cost=looks)
print(few.table[["order", "region", "quota", "distance", "lower", "upper", "improves"]].round(3))

# %%
# Who can go anywhere may scatter the same budget over all countries, by what a plan of coverage
# takes of each.

scattered = gs.select_regions(regions, "CH", 200, method="scatter", cost=looks)
print(scattered.table[["region", "quota"]].to_string(index=False))

# %%
# Which places?
# -------------
#
# Single places can be chosen, too, from all points of the candidates.

places = gs.select_points(regions, "CH", 40, cost=looks).table
print(places[["order", "region", "lon", "lat"]].head(5).round(2).to_string(index=False))

# %%
# The picture
# -----------

figure, (steps, world) = plt.subplots(
    1, 2, figsize=(11, 4.6), layout="constrained", width_ratios=(2, 3)
)
table = few.table
steps.fill_between(table.order, table.lower, table.upper, alpha=0.3, label="95 % interval")
steps.plot(table.order, table.distance, "o-", label="country by country")
steps.axhline(few.scatter.scattered.value, color="C1", ls="--", label="scattered over all")
for row in table.itertuples():
    steps.annotate(
        str(row.region), (row.order, row.upper), xytext=(0, 4), textcoords="offset points"
    )
steps.set_xlim(0.7, 5.5)
steps.set(xlabel="countries taken", ylabel="cost to the nearest sample", xticks=table.order)
steps.legend()

world.scatter(regions.lon, regions.lat, s=8, color="0.7", label="candidates")
target = regions.points_of("CH")
world.scatter(target.lon, target.lat, s=8, color="C3", label="the target")
world.scatter(places.lon, places.lat, s=40, color="C0", marker="x", label="40 places to label")
world.set(xlim=(4, 14), ylim=(44, 50), xlabel="longitude", ylabel="latitude")
world.legend(loc="upper left")
plt.show()

# %%
# What it means
# -------------
#
# Austria is the first place to go, then France, Germany and Italy; a fifth country improves
# nothing beyond the error bars, so the money is better kept, or spent on more samples of the
# first four. The same budget, scattered, ends a little below: it takes most from those that
# have most of what Switzerland looks like. Single places lie along the border, in the Alps and
# the Jura.
#
# Where labels exist in some countries, see first whether distances predict anything for your task
# (:doc:`elsewhere`): where they do not, scatter.
