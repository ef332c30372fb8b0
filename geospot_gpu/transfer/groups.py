"""What each named quantity of a pair of regions is to a verdict: marked here, and only here."""

from __future__ import annotations

from typing import Literal

Group = Literal["transport", "own", "baseline", "covariate"]

TRANSPORT = ("divergence", "ot_value", "transport_cost", "coverage", "coverage_reversed")
"""Distances between distributions, of which a verdict speaks."""
BASELINES = (
    *("nearest", "nearest_reversed", "centroid_cosine", "mean_feature_distance"),
    *("mean_great_circle_km", "energy_distance", "gaussian_mmd"),
    *("dissimilarity", "dissimilarity_reversed"),
)
"""Simple distances, which a distance of transport has to beat."""
COVARIATES = ("n_source", "n_target")
"""Properties of samples, which no verdict names."""
EVIDENCE = (
    *("lower", "upper", "std_error", "bias", "ot_lower", "ot_upper"),
    *("transport_cost_lower", "transport_cost_upper", "coverage_lower", "coverage_upper"),
    *("iterations", "marginal_error", "converged"),
)
"""What a dataset of distances holds beside them: how exact they are."""

_GROUPS: dict[str, Group] = {
    **dict.fromkeys(TRANSPORT, "transport"),
    **dict.fromkeys(BASELINES, "baseline"),
    **dict.fromkeys(COVARIATES, "covariate"),
}


def group_of(name: str) -> Group:
    """The group of a distance; one that is not known here is a person's own, and under test.

    >>> group_of("coverage"), group_of("nearest"), group_of("n_source"), group_of("road_km")
    ('transport', 'baseline', 'covariate', 'own')
    """
    return _GROUPS.get(name, "own")
