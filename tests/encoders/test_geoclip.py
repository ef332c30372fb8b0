"""GeoCLIP: the package's own features, computed once and without its dependencies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from geospot_gpu import Regions
from geospot_gpu.encoders import GeoClip
from geospot_gpu.points import Points

PLACES = Points.build(
    lon=[2.35, -77.0, 178.4, -180.0, 0.0, 2.35], lat=[48.85, -12.0, -18.1, 5.0, 90.0, 48.85]
)
EVERY = np.arange(len(PLACES))


@pytest.fixture
def model_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many places each run of the model was given; the model itself still runs."""
    runs: list[int] = []
    real = GeoClip._run

    def counted(lat_lon: Any, model: Any, device: str) -> Any:
        runs.append(len(lat_lon))
        return real(lat_lon, model, device)

    monkeypatch.setattr(GeoClip, "_run", staticmethod(counted))
    return runs


# --- geoclip


@pytest.mark.slow
def test_geoclip_agrees_with_the_packages_own_encoder(tmp_path: Path) -> None:
    """Imported as its users do, in a process of its own; its image encoder's needs are stubbed."""
    lat_lon = np.stack([PLACES.lat, PLACES.lon], axis=1)
    np.save(tmp_path / "places.npy", lat_lon)
    program = """if True:
        import numpy, sys, torch
        from unittest.mock import MagicMock
        for name in ("torchvision", "torchvision.transforms", "transformers"):
            sys.modules[name] = MagicMock()
        from geoclip import LocationEncoder
        places = torch.from_numpy(numpy.load(sys.argv[1])).float()
        with torch.inference_mode():
            numpy.save(sys.argv[2], LocationEncoder().eval()(places).numpy())
    """
    arguments = [str(tmp_path / "places.npy"), str(tmp_path / "features.npy")]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)
    expected = np.load(tmp_path / "features.npy")
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    features = GeoClip(tmp_path).encode(PLACES, EVERY, "cpu")
    assert features.dtype == np.float32
    # Rounding differs with the batch, and the encoder's high frequencies amplify it.
    np.testing.assert_allclose(features, expected, atol=5e-5)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-6)
    swapped = GeoClip(tmp_path).encode(Points.build(lon=[48.85], lat=[2.35]), EVERY[:1], "cpu")
    assert (features[0] * swapped[0]).sum() < 0.9  # (lat, lon) and (lon, lat) differ


@pytest.mark.slow
def test_geoclip_needs_neither_torchvision_nor_transformers(tmp_path: Path) -> None:
    program = """if True:
        import sys
        sys.modules["torchvision"] = sys.modules["transformers"] = None  # importing them raises
        import geospot_gpu as gs
        regions = gs.Regions.from_points(lon=[1.0, 2.0], lat=[3.0, 4.0], region=["a", "b"])
        points = gs.Points.build(lon=[2.0], lat=[48.0])
        print(gs.GeoClip().encode(points, __import__("numpy").array([0]), "cpu").shape)
        assert "geoclip" not in sys.modules
    """
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"GEOSPOT_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 512)"


def test_geoclip_tells_near_from_far(tmp_path: Path) -> None:
    points = Points.build(lon=[2.35, 2.35, 2.35], lat=[48.85, 48.86, 49.75])  # 1 and 100 km north
    features = GeoClip(tmp_path).encode(points, np.arange(3), "cpu")
    near, far = features[0] @ features[1], features[0] @ features[2]
    assert near > 0.9 > 0.4 > far


def test_geoclip_runs_once(tmp_path: Path, model_runs: list[int]) -> None:
    encoder = GeoClip(tmp_path)
    first = encoder.encode(PLACES, EVERY, "cpu")
    assert model_runs == [5]  # the place that occurs twice is encoded once
    np.testing.assert_array_equal(first[0], first[5])
    second = GeoClip(tmp_path).encode(PLACES, EVERY[::-1], "cpu")
    assert model_runs == [5]
    np.testing.assert_array_equal(second[::-1], first)


def test_geoclip_goes_on_with_the_same_features(
    tmp_path: Path, model_runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit what an encoding in one go would have given."""
    monkeypatch.setattr("geospot_gpu.encoders.cache.MOST", 2)
    whole = GeoClip(tmp_path / "whole").encode(PLACES, EVERY, "cpu")
    runs = model_runs.copy()
    assert len(runs) > 2
    for stored in (tmp_path / "whole").rglob("*.f32"):
        stored.unlink()
        model_runs.clear()
        again = GeoClip(tmp_path / "whole").encode(PLACES, EVERY, "cpu")
        np.testing.assert_array_equal(again, whole)
        assert len(model_runs) == 1


def test_geoclip_gives_rows_of_the_points_asked_for(tmp_path: Path) -> None:
    encoder = GeoClip(tmp_path)
    everything = encoder.encode(PLACES, EVERY, "cpu")
    np.testing.assert_allclose(
        encoder.encode(PLACES, np.array([3, 1]), "cpu"), everything[[3, 1]], atol=5e-5
    )


def test_regions_with_geoclip_carry_its_version(tmp_path: Path) -> None:
    table = pd.DataFrame({"lon": [1.0, 2.0], "lat": [3.0, 4.0], "r": ["a", "b"]})
    regions = Regions.from_table(table, region="r", encoder=GeoClip(tmp_path))
    assert regions.encoder == GeoClip().version
    assert regions.encoder.startswith("geoclip-1.")
    assert regions.features is not None
    assert regions.features.shape == (2, 512)
    assert regions.features.dtype == torch.float32
    assert regions.unit_features
