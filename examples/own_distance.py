"""A distance of one's own: computed, stored, correlated and chosen by like those that are there.

usage: python examples/own_distance.py FOLDER
"""

import sys

import numpy as np
from numpy.typing import NDArray

import geospot_gpu as gs

Indices = NDArray[np.int64]


def latitude_gaps(regions: gs.Regions, left: Indices, right: Indices) -> NDArray[np.float64]:
    """How many degrees of latitude lie between the centres of the two regions of each pair, [K]."""
    latitude = regions.table()["lat"].to_numpy()
    gap: NDArray[np.float64] = np.abs(latitude[left] - latitude[right])
    return gap


gs.register_column(
    gs.Column(
        name="latitude_gap",
        dtype="float32",
        title="Gap in latitude",
        meaning="degrees of latitude between the centres of the two regions",
        group="own",
        unit="degrees",
        compute=latitude_gaps,
    )
)

names = ["Lima", "Oslo", "Rome", "Suva"]
lon, lat = [-77.0, 10.7, 12.5, 178.4], [-12.0, 59.9, 41.9, -18.1]
spread = np.random.default_rng(0).normal(0, 2, (2, 40))
regions = gs.Regions.from_points(
    lon=np.repeat(lon, 10) + spread[0],
    lat=np.repeat(lat, 10) + spread[1],
    region=np.repeat(names, 10),
)
distances = gs.pairwise(regions, outputs=["divergence", "latitude_gap"])
print(distances.latitude_gap.to_pandas().round(1))

run = gs.sweep(sys.argv[1], regions)  # all that is known of pairs, this among it
print(run.pairs[["source", "target", "divergence", "latitude_gap"]].round(2).to_string(index=False))
