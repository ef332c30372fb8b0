"""Baselines against GeomLoss, SciPy and plain NumPy."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist

import geospot_gpu as gs
from geospot_gpu.distances import baselines as module
from geospot_gpu.distances.baselines import baselines
from geospot_gpu.distances.column import DIRECTIONS
from geospot_gpu.distances.columns import stored
from geospot_gpu.kernels.keops import quiet_import
from tests.helpers.clouds import cost_matrix, random_regions, weights

SIZES = [40, 55, 1]


@pytest.fixture(params=[8, None], ids=["features", "places"])
def regions(request: pytest.FixtureRequest) -> gs.Regions:
    return random_regions(SIZES, dimension=request.param)


def vectors(regions: gs.Regions, k: int) -> np.ndarray:
    rows = slice(*regions.offsets[k : k + 2].tolist())
    found = regions.xyz if regions.features is None else regions.features
    return found[rows].double().numpy()


def test_they_are_what_their_names_say(
    regions: gs.Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TILE_ENTRIES", 700)  # several blocks
    left, right = np.triu_indices(3, 1)
    found = baselines(regions, left, right)
    assert list(found) == list(stored("baselines"))
    with quiet_import():
        from geomloss import SamplesLoss
    pooled = np.concatenate([vectors(regions, k) for k in range(3)])
    width = float(np.median(pdist(pooled)))
    losses = {
        "energy_distance": SamplesLoss("energy", backend="tensorized"),
        "gaussian_mmd": SamplesLoss("gaussian", blur=width, backend="tensorized"),
    }
    for (_, row), i, j in zip(found.iterrows(), left.tolist(), right.tolist(), strict=True):
        x, y, a, b = (
            vectors(regions, i),
            vectors(regions, j),
            weights(regions, i),
            weights(regions, j),
        )
        mean_x, mean_y = a @ x, b @ y
        cosine = mean_x @ mean_y / np.linalg.norm(mean_x) / np.linalg.norm(mean_y)
        assert row["centroid_cosine"] == pytest.approx(1 - cosine, abs=1e-6)
        assert row["mean_feature_distance"] == pytest.approx(a @ cdist(x, y) @ b, rel=1e-5)
        km = cost_matrix(regions, i, j, gs.GroundCost(geo_weight=1.0, geo_scale=1.0))
        assert row["mean_great_circle_km"] == pytest.approx(a @ km @ b, rel=1e-5)
        tensors = [torch.from_numpy(v) for v in (a, x, b, y)]
        for name, loss in losses.items():
            # The median of torch is the lower of the middle two.
            assert row[name] == pytest.approx(float(loss(*tensors)), rel=2e-3, abs=1e-5)


def test_dissimilarity_is_the_index_of_meyer_and_pebesma() -> None:
    regions = random_regions([40, 55], dimension=6)
    row = baselines(regions, np.array([0]), np.array([1])).iloc[0]
    for source, target, name in (
        (0, 1, "dissimilarity_source_to_target"),
        (1, 0, "dissimilarity_target_to_source"),
    ):
        x, y = vectors(regions, source), vectors(regions, target)
        a, b = weights(regions, source), weights(regions, target)
        deviation = np.sqrt(a @ (x - a @ x) ** 2)
        x, y = x / deviation, y / deviation
        index = cdist(x, y).min(0) / pdist(x).mean()
        assert row[name] == pytest.approx(b @ index, rel=1e-4)


def test_the_nearest_great_circle_is_that_of_all(regions: gs.Regions) -> None:
    row = baselines(regions, np.array([0]), np.array([1])).iloc[0]
    km = cost_matrix(regions, 0, 1, gs.GroundCost(geo_weight=1.0, geo_scale=1.0))
    there, back = (row[f"nearest_great_circle_km_{way}"] for way in DIRECTIONS)
    assert there == pytest.approx(weights(regions, 1) @ km.min(0), rel=1e-6)
    assert back == pytest.approx(weights(regions, 0) @ km.min(1), rel=1e-6)


def test_points_without_places_have_no_great_circles() -> None:
    made = gs.Regions.from_points(region=list("aabb"), features=np.eye(4))
    found = baselines(made, np.array([0]), np.array([1]))
    assert found.filter(like="great_circle").isna().all().all()
    rest = found.drop(columns=found.filter(regex="great_circle|label_shift"))
    assert rest.notna().all().all()


def test_a_region_of_one_place_has_baselines(regions: gs.Regions) -> None:
    found = baselines(regions, np.array([0]), np.array([2]))
    assert np.isfinite(found.drop(columns=found.filter(like="label_shift")).to_numpy()).all()


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A FAISS that knows two GPUs, and on which of them something was put."""
    used: list[int] = []

    def put(resources: object, gpu: int, index: faiss.Index) -> faiss.Index:
        used.append(gpu)
        return index

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 2, raising=False)
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", put, raising=False)
    return used


@pytest.mark.parametrize(
    ("device", "used"), [("cpu", []), ("cuda", [0]), ("cuda:0", [0]), ("cuda:1", [1])]
)
def test_faiss_searches_on_the_device_alone(
    device: str, used: list[int], two_gpus: list[int]
) -> None:
    points = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    search = module._exact_search(points, torch.device(device))
    np.testing.assert_allclose(search(points[:7]), 0.0, atol=1e-5)
    assert two_gpus == used


def test_torch_searches_on_a_gpu_that_faiss_does_not_know(
    two_gpus: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.device] = []
    to = torch.Tensor.to

    def moved(self: torch.Tensor, device: torch.device) -> torch.Tensor:
        asked.append(device)
        return to(self, "cpu")

    monkeypatch.setattr(torch.Tensor, "to", moved)
    third = torch.device("cuda:2")
    points = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    np.testing.assert_array_equal(module._exact_search(points, third)(points[:7]), np.zeros(7))
    assert asked == [third, third]
    assert not two_gpus


@pytest.mark.parametrize("away", [0.0, 1e3])
def test_torch_and_faiss_find_the_same(away: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where points are far from the origin, products alone would lose most digits."""
    monkeypatch.setattr(module, "_TILE_ENTRIES", 700)  # several blocks
    random = np.random.default_rng(0)
    x, y = ((random.normal(size=(n, 6)) + away).astype(np.float32) for n in (100, 90))
    exact = cdist(x.astype(np.float64), y.astype(np.float64), "sqeuclidean").min(1)
    ours = module._nearest_squares(torch.from_numpy(x), torch.from_numpy(y))
    if away == 0.0:
        np.testing.assert_allclose(ours, exact, rtol=1e-5)
        faiss_ = module._exact_search(y, torch.device("cpu"))(x)
        np.testing.assert_allclose(ours, faiss_, rtol=1e-4, atol=1e-5)
    else:  # the nearest is one of those that rounding cannot tell apart
        assert (ours >= exact * (1 - 1e-4)).all()
        assert (ours <= exact + 16 * np.finfo(np.float32).eps * 6 * away**2).all()
