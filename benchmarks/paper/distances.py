"""All distances of the paper: in each space, by geography, and in mixtures of these."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

import geospot_gpu as gs
from benchmarks.paper.samples import Samples
from benchmarks.paper.settings import Settings
from geospot_gpu.encoders import Encoder, Mixture, NoEncoder

GEODESIC = "geodesic"
EVEN = 0.5
PUBLISHED = gs.Sinkhorn(tolerance=1e-7, relaxation=False, precision="high")
"""The solver of ``preset=paper``."""


class Measured(NamedTuple):
    """Matrices of distances, sources in rows."""

    published: pd.DataFrame
    """Transport costs of costs over each pair's largest, as ``preset=paper``."""
    ours: pd.DataFrame
    """Divergences on one scale."""


class Distances:
    """Computes distances between the training samples of the regions.

    Args:
        samples: the samples.
        settings: how many points of a region, and where to compute.
    """

    def __init__(self, samples: Samples, settings: Settings) -> None:
        self._samples, self._settings = samples, settings
        self._engine = gs.Engine(device=settings.device)
        self._known: dict[str, Measured] = {}

    def regions(self, encoder: Encoder) -> gs.Regions:
        """The regions with their features of an encoder."""
        most = self._settings.points
        groups = {name: rows[:most] for name, rows in self._samples.train.items()}
        return gs.Regions.from_groups(self._samples.points, groups, encoder=encoder)

    def alone(self, space: str) -> Measured:
        """Distances in one space, or by great circles."""
        if space not in self._known:
            away = space == GEODESIC
            encoder = NoEncoder() if away else self._samples.encoder(space)
            self._known[space] = self._measured(encoder, 1.0 if away else 0.0)
        return self._known[space]

    def mixed(self, other: str, weight: float) -> Measured:
        """Distances in a mixture of the task's space, of this weight, with another or geography.

        With geography each part is divided by its largest value of a pair, as published; features
        of two spaces are mixed on one scale, which theirs have alike.
        """
        own = self._samples.encoder(self._samples.spaces[0])
        if other == GEODESIC:
            return self._measured(own, 1.0 - weight)
        parts = [(own, weight), (self._samples.encoder(other), 1.0 - weight)]
        return self._measured(Mixture(parts), 0.0)

    def _measured(self, encoder: Encoder, geo_weight: float) -> Measured:
        regions = self.regions(encoder)
        published = gs.pairwise(
            regions,
            cost=gs.GroundCost(geo_weight=geo_weight, scaling="pair_max"),
            solver=PUBLISHED,
            outputs=["transport_cost"],
            engine=self._engine,
        )
        ours = gs.pairwise(
            regions,
            cost=gs.GroundCost(geo_weight=geo_weight),
            outputs=["divergence"],
            engine=self._engine,
        )
        return Measured(published.transport_cost.to_pandas(), ours.divergence.to_pandas())

    def baselines(self) -> dict[str, pd.DataFrame]:
        """Simple distances: between mean vectors in each space, and mean great circles."""
        found = {}
        names = self._samples.names
        left, right = np.triu_indices(len(names), k=1)
        for space in self._samples.spaces:
            regions = self.regions(self._samples.encoder(space))
            columns = gs.baselines(
                regions, left, right, outputs=["centroid_cosine", "mean_great_circle_km"]
            )
            for name, label in (
                ("centroid_cosine", f"cosine of means, {space}"),
                ("mean_great_circle_km", "mean great circle"),
            ):
                matrix = np.zeros((len(names), len(names)))
                matrix[left, right] = matrix[right, left] = columns[name]
                found[label] = pd.DataFrame(matrix, regions.names, regions.names)
        return found
