"""
Will my model work there?
=========================

Models of one country each are tested in others: mean temperature from elevation and rain, at
weather stations. Do distances between countries say where such a model fails? And what is to be
expected in countries that have no labels yet?

``STATIONS=stations.csv.gz python elsewhere.py`` takes a table of your own with the columns
``iso3``, ``lon``, ``lat``, ``elev_m``, ``bio12`` (mm of rain a year) and ``temp_c``. Without it
the stations are made here: real places, an invented climate.
"""

import os
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor

import geospot_gpu as gs

INPUTS = ["elev_m", "bio12"]
PLACES = {
    "NOR": (10, 62), "POL": (19, 52), "FRA": (2, 47), "ESP": (-4, 40), "EGY": (30, 27),
    "SEN": (-14, 14), "KEN": (38, 0), "ZAF": (24, -30), "VNM": (107, 16), "MNG": (104, 47),
    "AUS": (145, -30), "BRA": (-50, -12), "DEU": (10, 51), "IND": (78, 22), "USA": (-98, 39),
}  # fmt: skip


def invented_stations() -> pd.DataFrame:
    """Forty stations in each of some countries; it is colder far from the equator and uphill."""
    random = np.random.default_rng(0)
    lon, lat = np.repeat(np.array(list(PLACES.values()), float), 40, axis=0).T
    lon, lat = lon + random.normal(0, 3, lon.size), lat + random.normal(0, 3, lat.size)
    height = random.gamma(1.0, 400, lon.size)
    rain = 300 + 1800 * np.exp(-((lat / 15) ** 2)) + 500 * np.exp(-(((abs(lat) - 52) / 12) ** 2))
    return pd.DataFrame(
        {
            "iso3": np.repeat(list(PLACES), 40),
            "lon": lon,
            "lat": lat,
            "elev_m": height,
            "bio12": rain * random.lognormal(0, 0.3, lon.size),
            "temp_c": 29 - 0.007 * lat**2 - 0.006 * height + random.normal(0, 1, lon.size),
        }
    )


path = os.environ.get("STATIONS")
stations = pd.read_csv(path, keep_default_na=False) if path else invented_stations()

# %%
# Scores
# ------
#
# One model per country, tested at home on the other half of its stations, and everywhere else.


def scores_of(stations: pd.DataFrame) -> pd.DataFrame:
    """Root mean square error of every country's model in every country."""
    half = stations.groupby("iso3").cumcount() % 2 == 0
    tests = dict(list(stations[~half].groupby("iso3")))
    rows = []
    for source, known in stations[half].groupby("iso3"):
        model = ExtraTreesRegressor(10, random_state=0).fit(known[INPUTS], known["temp_c"])
        for target, test in tests.items():
            error = model.predict(test[INPUTS]) - test["temp_c"]
            score = float(np.sqrt((error**2).mean()))
            rows.append({"source": source, "target": target, "score": score, "n": len(test)})
    return pd.DataFrame(rows)


measured = scores_of(stations)
home = measured.source == measured.target
print(
    f"at home {measured.score[home].mean():.1f} degrees, "
    f"elsewhere {measured.score[~home].mean():.1f}"
)

# %%
# Three countries are new: what was measured there is put away until the end.

new = ["DEU", "IND", "USA"]
known = measured[~measured.source.isin(new) & ~measured.target.isin(new)]

# %%
# Distances, and the verdict
# --------------------------
#
# A sweep stores the distances between countries by GeoCLIP's features of the stations'
# coordinates, and :func:`~geospot_gpu.correlate` sets what is lost beside them. It permutes
# countries, since pairs share them. ``geospot transfer`` does the same with all distances of
# the register.

folder = Path(mkdtemp()) / "run"
regions = gs.Regions.from_table(stations[~stations.iso3.isin(new)], region="iso3")
run = gs.sweep(folder, regions, cost=gs.GroundCost(geo_weight=0.0))
scores = gs.read_scores(known, kind="error", change="difference", regions=run.names)
distances = run.dataset()
_, verdict = gs.correlate(
    {name: distances[name] for name in ("divergence", "coverage", "nearest")}, scores.loss
)
print(verdict.text)

# %%
# What is to be expected
# ----------------------
#
# The predictor learns from pairs with scores. The new countries come with coordinates alone.

points = gs.read_points(stations.loc[stations.iso3.isin(new), ["iso3", "lon", "lat"]])
targets = run.regions_like(points, gs.by_column(points, "iso3"))
found = gs.predict_scores(run, scores, targets=targets)
worth = found.evaluation
print(
    f"off by {worth.error:.1f} degrees for countries left out, where always the {worth.constant} "
    f"is off by {worth.error_of_constant:.1f}; 90 % intervals hold {worth.covered:.0%}"
)

# %%
# The picture
# -----------
#
# For each new country: what the model of every other was expected to be off by, with its
# interval, beside what it was off by.

table = found.table.merge(measured, on=["source", "target"], suffixes=("", "_measured"))
inside = table.score_measured.between(table.lower, table.upper).mean()

figure, panels = plt.subplots(1, 3, figsize=(11, 4), sharey=True, layout="constrained")
for axes, (target, rows) in zip(panels, table.groupby("target"), strict=True):
    rows = rows.sort_values("predicted")
    at = np.arange(len(rows))
    axes.vlines(at, rows.lower, rows.upper, color="0.75", lw=6, label="90 % interval")
    axes.plot(at, rows.predicted, "k_", ms=9, label="expected")
    axes.plot(at, rows.score_measured, "o", color="C1", label="measured")
    axes.set_xticks(at, rows.source, rotation=90)
    axes.set(title=f"in {target}", xlabel="model of")
panels[0].set_ylabel("error, degrees")
panels[0].legend(loc="upper left")
plt.show()

# %%
# What it means
# -------------
#
# Models of near countries are known to do well in a new one, those of far countries to fail,
# before anything is labelled there:

print(f"{inside:.0%} of what was measured in new countries lies in the intervals")

# %%
# The climate here follows places closely, so prediction is easy; with a table of your own look
# first at the line that says what a constant is worth. Intervals are wide, since twelve
# countries are few. ``found.table.extrapolates`` marks targets unlike all that was seen: there,
# trust neither.
