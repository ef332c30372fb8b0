"""Simple distances that a claim about transport has to beat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from geospot_gpu.arrays import Columns, Indices
from geospot_gpu.distances.column import DIRECTIONS
from geospot_gpu.distances.columns import stored_in
from geospot_gpu.distances.label_shift import label_shift
from geospot_gpu.distances.proxy_a import proxy_a_distance
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.kernels.precision import full_precision
from geospot_gpu.kernels.tiles import great_circle_km
from geospot_gpu.progress import Progress, shows_progress
from geospot_gpu.regions import Regions
from geospot_gpu.sphere import EARTH_RADIUS_KM, angles

Array = NDArray[np.float64]
_TILE_ENTRIES = 1 << 22
_OF_WIDTH = {"mean_feature_distance", "energy_distance", "gaussian_mmd", "proxy_a_distance"}
_MEDIAN_OF = 1000
"""Points among which the bandwidth of the Gaussian kernel is found."""


@out_of_memory("computing baselines", "take fewer regions, or lower regions.max_points")
@shows_progress
def baselines(
    regions: Regions,
    left: Indices,
    right: Indices,
    outputs: Sequence[str] | None = None,
    width: float | None = None,
    *,
    progress: bool = False,
) -> pd.DataFrame:
    """Baseline distances of pairs of regions, one row per pair.

    Distances between points are Euclidean between their features, or between their unit vectors on
    the sphere where they have no features. Means are weighted by the masses of the points.

    - ``centroid_cosine``: one minus the cosine between the mean vectors of the two regions.
    - ``mean_feature_distance``, ``mean_great_circle_km``: means over all pairs of points; the great
      circle is NaN where points have no coordinates.
    - ``energy_distance``, ``gaussian_mmd``: kernel norms with GeomLoss's convention, half of the
      squared norm (Feydy et al. 2019, section 1). The Gaussian's width is the same for all pairs.
    - ``proxy_a_distance``: :func:`~geospot_gpu.distances.proxy_a.proxy_a_distance`.
    - ``nearest_great_circle_km_source_to_target``: mean over the target of the great circle to the
      nearest point of the source, in km; NaN where points have no coordinates.
    - ``dissimilarity_source_to_target``: mean over the target of the dissimilarity index of the
      area of applicability (Meyer & Pebesma 2021, Predicting into unknown space?, section 2.2):
      distance to the nearest source point, over the mean distance between source points, every
      feature scaled by its standard deviation in the source. All features count alike, for there is
      no model yet.

    Args:
        regions: the regions.
        left, right: positions of the two regions of each pair, [K].
        outputs: names of the baselines to compute; all if not given.
        width: of the Gaussian, and of that of the proxy A-distance; :func:`kernel_width` of the
            regions if not given.
        progress: draw how far it has come.

    Returns:
        Their columns in the register (:mod:`geospot_gpu.distances.columns`), in float64.

    Raises:
        GeospotError: the positions are not those of regions, or not equally many, or an output is
            unknown.
    """
    checks.instance(regions, Regions, "regions", "as Regions.from_table makes them")
    left = checks.positions(left, len(regions), "left")
    right = checks.positions(right, len(regions), "right")
    if len(left) != len(right):
        raise GeospotError(f"left has {len(left)} positions and right {len(right)}: give pairs")
    own = stored_in("baselines")
    names = [column.name for column in own]
    asked = set(names if outputs is None else checks.some_of(outputs, names, "outputs"))
    vectors = regions.xyz.float() if regions.features is None else regions.features
    clouds = [
        (vectors[slice(*ends)], regions.xyz[slice(*ends)], regions.weight[slice(*ends)])
        for ends in zip(regions.offsets[:-1].tolist(), regions.offsets[1:].tolist(), strict=True)
    ]
    found: Columns = {}
    if "centroid_cosine" in asked:
        means = torch.stack([(w[:, None] * x.double()).sum(0) for x, _, w in clouds])
        unit = torch.nn.functional.normalize(means, dim=1)
        cosine = (unit[torch.from_numpy(left)] * unit[torch.from_numpy(right)]).sum(1)
        found["centroid_cosine"] = (1.0 - cosine).cpu().numpy()
    if "dissimilarity" in asked:
        there, back = _dissimilarity(regions, vectors, left, right)
        found |= {"dissimilarity_source_to_target": there, "dissimilarity_target_to_source": back}
    own_width = 0.0
    if asked & _OF_WIDTH:
        own_width = kernel_width(regions) if width is None else width
    if "proxy_a_distance" in asked:
        away = proxy_a_distance(regions, vectors, left, right, own_width)
        found["proxy_a_distance"] = away
    if "nearest_great_circle_km" in asked:
        names = [f"nearest_great_circle_km_{direction}" for direction in DIRECTIONS]
        found |= dict(zip(names, _nearest_km(regions, left, right), strict=True))
    if asked & {"label_shift", "label_shift_error"}:
        shift = label_shift(regions, left, right)
        found |= {"label_shift": shift.value, "label_shift_error": shift.error}
    kernel_means = asked & {"mean_feature_distance", "energy_distance", "gaussian_mmd"}
    if kernel_means:
        selves = {
            k: _kernel_means(clouds[k][0], clouds[k][0], clouds[k][2], clouds[k][2], own_width)
            for k in np.unique(np.concatenate([left, right])).tolist()
        }
    found |= {name: np.empty(len(left)) for name in kernel_means}
    found |= {name: np.empty(len(left)) for name in asked & {"mean_great_circle_km"}}
    with Progress("baselines", "pairs", total=len(left)) as counted:
        for k, (i, j) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
            (x, position_x, a), (y, position_y, b) = clouds[i], clouds[j]
            values = {}
            if kernel_means:
                between, near = _kernel_means(x, y, a, b, own_width)
                values["mean_feature_distance"] = between
                values["energy_distance"] = between - (selves[i][0] + selves[j][0]) / 2
                values["gaussian_mmd"] = (selves[i][1] + selves[j][1]) / 2 - near
            if "mean_great_circle_km" in asked:
                km = _mean_km(position_x.float(), position_y.float(), a, b)
                values["mean_great_circle_km"] = km
            for name in values.keys() & asked:
                found[name][k] = values[name]
            counted.update()
    for column in own:
        if column.name in asked:
            found |= column.computed(regions, left, right)
    names = [name for column in own if column.name in asked for name in column.stored]
    return pd.DataFrame(found)[names]


def kernel_width(regions: Regions) -> float:
    """Width of the Gaussian kernel: the median distance between points of all regions."""
    vectors = regions.xyz if regions.features is None else regions.features
    some = vectors[:: max(1, len(vectors) // _MEDIAN_OF)]
    return max(float(torch.pdist(some.float()).median()), 1e-12)


def _kernel_means(x: Tensor, y: Tensor, a: Tensor, b: Tensor, width: float) -> tuple[float, float]:
    """Weighted means of the distance and of the Gaussian kernel between [n, D] and [m, D]."""
    norm_x, norm_y = x.square().sum(1), y.square().sum(1)
    distance, near = 0.0, 0.0
    for rows in _row_blocks(len(x), len(y)):
        squares = torch.addmm(norm_y.expand(len(x[rows]), -1), x[rows], y.T, alpha=-2.0)
        squares.add_(norm_x[rows, None]).clamp_(min=0.0)
        if x is y:
            squares.diagonal(rows.start).zero_()
        mass = a[rows].float()
        distance += float((mass @ squares.sqrt()).double() @ b)
        near += float((mass @ squares.mul_(-0.5 / width**2).exp_()).double() @ b)
    return distance, near


def _mean_km(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> float:
    """Weighted mean of great circles between unit vectors [n, 3] and [m, 3]."""
    total = 0.0
    for rows in _row_blocks(len(x), len(y)):
        total += float((a[rows].float() @ great_circle_km(x[None, rows], y[None])[0]).double() @ b)
    return total


def _nearest_km(regions: Regions, left: Indices, right: Indices) -> tuple[Array, Array]:
    """Means over the right region of the great circle to the left one, and back, [K] each."""
    from scipy.spatial import KDTree

    if not regions.located:
        return np.full(len(left), np.nan), np.full(len(left), np.nan)
    xyz, weight = regions.xyz.cpu().numpy(), regions.weight.cpu().numpy()
    rows = [slice(*ends) for ends in pairwise(regions.offsets.tolist())]
    trees = {k: KDTree(xyz[rows[k]]) for k in np.unique(np.concatenate([left, right])).tolist()}

    def mean(source: int, target: int) -> float:
        chord = trees[source].query(xyz[rows[target]])[0]
        return EARTH_RADIUS_KM * float(weight[rows[target]] @ angles(np.asarray(chord)))

    pairs = list(zip(left.tolist(), right.tolist(), strict=True))
    return np.array([mean(i, j) for i, j in pairs]), np.array([mean(j, i) for i, j in pairs])


def _row_blocks(n: int, m: int) -> Iterator[slice]:
    """Slices of n rows with at most ``_TILE_ENTRIES`` entries in m columns."""
    rows = max(1, _TILE_ENTRIES // m)
    for low in range(0, n, rows):
        yield slice(low, min(n, low + rows))


def _dissimilarity(
    regions: Regions, vectors: Tensor, left: Indices, right: Indices
) -> tuple[Array, Array]:
    """The index of the right region seen from the left one, and the other way, [K] each."""
    points = np.ascontiguousarray(vectors.cpu().numpy(), np.float32)
    weight = regions.weight.cpu().numpy()
    there, back = np.empty(len(left)), np.empty(len(left))
    for k in np.unique(np.concatenate([left, right])).tolist():
        own = slice(*regions.offsets[k : k + 2].tolist())
        mean = weight[own] @ points[own]
        deviation = np.sqrt(weight[own] @ (points[own] - mean) ** 2)
        scale = (1.0 / np.where(deviation > 0, deviation, np.inf)).astype(np.float32)
        if not scale.any():  # one place: nothing to scale by
            scale[:] = 1.0
        source = points[own] * scale
        search = _exact_search(source, regions.device)
        spread = _mean_distance(source)
        for others, selves, out in ((right, left, there), (left, right, back)):
            for at in np.flatnonzero(selves == k):
                rows = slice(*regions.offsets[others[at] : others[at] + 2].tolist())
                squares = search(points[rows] * scale)
                out[at] = weight[rows] @ np.sqrt(np.maximum(squares, 0.0)) / spread
    return there, back


def _exact_search(
    points: NDArray[np.float32], device: torch.device
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Exact search among points [n, D]: of others [m, D], the squared distances [m] to the nearest.

    By FAISS, on the device where it is built for that; by torch on a GPU that it does not know.
    """
    import faiss

    gpu = device.index or 0
    known = gpu < getattr(faiss, "get_num_gpus", int)()
    if device.type == "cuda" and not known:
        there = torch.from_numpy(points).to(device)
        return lambda others: _nearest_squares(torch.from_numpy(others).to(device), there)
    index: Any = faiss.IndexFlatL2(points.shape[1])
    if device.type == "cuda":
        index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), gpu, index)
    index.add(points)
    return lambda others: index.search(others, 1)[0][:, 0]


@full_precision()
def _nearest_squares(x: Tensor, y: Tensor) -> NDArray[np.float32]:
    """Squared distances [n] of points [n, D] to the nearest of [m, D], which products find."""
    found, norm = torch.empty_like(x[:, 0]), y.square().sum(1)
    for rows in _row_blocks(len(x), len(y)):
        nearest = torch.addmm(norm, x[rows], y.T, alpha=-2.0).argmin(1)
        found[rows] = (x[rows] - y[nearest]).square().sum(1)
    return found.cpu().numpy()


def _mean_distance(points: NDArray[np.float32]) -> float:
    """Mean distance between different points; one where there is a single one."""
    n = len(points)
    if n < 2:
        return 1.0
    vectors, equal = torch.from_numpy(points), torch.full((n,), 1.0 / n, dtype=torch.float64)
    mean = _kernel_means(vectors, vectors, equal, equal, 1.0)[0] * n / (n - 1)
    return max(mean, 1e-12)
