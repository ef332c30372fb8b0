"""Simple distances of the register, which a claim about transport has to beat."""

from __future__ import annotations

from geospot_gpu.distances.column import Column

BASELINES: tuple[Column, ...] = (
    Column(
        "centroid_cosine",
        "float32",
        "Cosine distance of the centroids",
        "one minus the cosine between the mean vectors of the two regions",
        group="baseline",
        unit="1",
        table="baselines",
        predicts=True,
    ),
    Column(
        "mean_feature_distance",
        "float32",
        "Mean feature distance",
        "mean over all pairs of points of the distance between their features",
        group="baseline",
        unit="feature distance",
        table="baselines",
    ),
    Column(
        "mean_great_circle_km",
        "float32",
        "Mean great circle",
        "mean over all pairs of points of the great circle between them",
        group="baseline",
        unit="km",
        table="baselines",
        predicts=True,
        of_features=False,
    ),
    Column(
        "energy_distance",
        "float32",
        "Energy distance",
        "half of the squared kernel norm for minus the distance between features",
        group="baseline",
        unit="feature distance",
        table="baselines",
    ),
    Column(
        "gaussian_mmd",
        "float32",
        "Gaussian MMD",
        "half of the squared kernel norm for a Gaussian of the features, as wide for all pairs",
        group="baseline",
        unit="1",
        table="baselines",
    ),
    Column(
        "dissimilarity",
        "float32",
        "Dissimilarity index",
        "mean over the second region of the dissimilarity index of the area of applicability: "
        "distance to the nearest point of the first, over the mean distance within the first",
        group="baseline",
        unit="1",
        table="baselines",
        directed=True,
    ),
    Column(
        "proxy_a_distance",
        "float32",
        "Proxy A-distance",
        "how well a small classifier tells points of the two regions apart, cross-validated: from "
        "0, not at all, to 2, always",
        group="baseline",
        unit="1",
        table="baselines",
        predicts=True,
    ),
    Column(
        "nearest_great_circle_km",
        "float32",
        "Great circle to the nearest point",
        "mean over the second region of the great circle to the nearest point of the first",
        group="baseline",
        unit="km",
        table="baselines",
        directed=True,
        of_features=False,
    ),
    Column(
        "label_shift",
        "float32",
        "Label shift",
        "how much labels differ, by what is known of them (`points.label`): total variation of the "
        "shares of classes, Wasserstein distance of numbers, less what chance adds; null without "
        "labels",
        group="baseline",
        unit="1, or that of the label",
        table="baselines",
        of_features=False,
    ),
    Column(
        "label_shift_error",
        "float32",
        "Standard error of the label shift",
        "what the number of known labels leaves uncertain about it",
        group="evidence",
        unit="1, or that of the label",
        table="baselines",
        of_features=False,
    ),
)
