"""SatCLIP's location encoder, against SciPy's harmonics and its network written out."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import sph_harm_y

import geospot_gpu as gs
from geospot_gpu.encoders.harmonics import satclip_harmonics
from geospot_gpu.encoders.satclip import SatClip
from geospot_gpu.errors import GeospotError
from geospot_gpu.points import Points
from tests.helpers.checkpoints import save_satclip

LON = np.array([2.35, -77.0, 178.4, -180.0, 0.0, 15.0, 33.3, 120.0, -0.001])
LAT = np.array([48.85, -12.0, -18.1, 5.0, 90.0, -90.0, 89.99, -89.9, 0.0])
PLACES = Points.build(lon=LON, lat=LAT)
EVERY = np.arange(len(LON))


def harmonics(degrees: int, convention: str) -> NDArray[np.float64]:
    """What SatCLIP's code defines, from complex harmonics that have the phase (-1)^m."""
    phi, theta = np.radians(LON + 180), np.radians(LAT + 90)
    columns = []
    for degree in range(degrees):
        for m in range(-degree, degree + 1):
            value = sph_harm_y(degree, abs(m), theta, phi)
            part = value.real if m >= 0 else value.imag
            scale = np.sqrt(2) if m else 1.0
            if convention == "analytic":
                scale *= (-1.0) ** m if m else np.pi
            columns.append(scale * part)
    return np.stack(columns, axis=1)


def expected(state: Any, degrees: int, convention: str) -> NDArray[np.float64]:
    """The network of sines in NumPy, of unit length."""
    x = harmonics(degrees, convention)
    for name, frequency in (("layers.0", 30.0), ("layers.1", 1.0)):
        weight, bias = (state[f"model.nnet.{name}.{part}"].numpy() for part in ("weight", "bias"))
        x = np.sin(frequency * (x @ weight.T + bias))
    weight, bias = (state[f"model.nnet.last_layer.{part}"].numpy() for part in ("weight", "bias"))
    y = x @ weight.T + bias
    unit: NDArray[np.float64] = y / np.linalg.norm(y, axis=1, keepdims=True)
    return unit


@pytest.mark.parametrize("convention", ["analytic", "closed-form"])
@pytest.mark.parametrize("degrees", [1, 10, 40])
def test_harmonics_are_those_of_scipy(degrees: int, convention: str) -> None:
    lon, lat = torch.tensor(LON), torch.tensor(LAT)
    found = satclip_harmonics(lon, lat, degrees, convention)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), harmonics(degrees, convention), atol=2e-12)


def test_harmonics_are_orthonormal_to_degree_40() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(44)
    lon, sine = np.meshgrid(np.arange(90) * 4.0 - 180, nodes)
    weight = np.repeat(weights * 2 * np.pi / 90, 90)
    lat = torch.tensor(np.degrees(np.arcsin(sine.ravel())))
    found = satclip_harmonics(torch.tensor(lon.ravel()), lat, 40, "closed-form").numpy()
    np.testing.assert_allclose(found.T @ (weight[:, None] * found), np.eye(1600), atol=1e-12)


def test_the_constants_of_its_own_code() -> None:
    """Written out in ``spherical_harmonics_ylm.py``, to 15 digits."""
    lon, lat = torch.tensor([-180.0 + 30.0]).double(), torch.tensor([-90.0 + 60.0]).double()
    found = satclip_harmonics(lon, lat, 2, "analytic")[0].numpy()
    around = 0.48860251190292 * np.sin(np.radians(60))
    own = [0.886226925452758, around * 0.5, 1.53499006191973 * 0.5, around * np.cos(np.pi / 6)]
    np.testing.assert_allclose(found, own, rtol=1e-13)


@pytest.mark.parametrize(("degrees", "convention"), [(10, "analytic"), (40, "closed-form")])
def test_vectors_are_those_of_the_network(degrees: int, convention: str, tmp_path: Path) -> None:
    state = save_satclip(tmp_path / "s.ckpt", degrees=degrees, convention=convention)
    encoder = SatClip(tmp_path / "s.ckpt", cache=tmp_path)
    found = encoder.encode(PLACES, EVERY, "cpu")
    assert found.dtype == np.float32
    assert found.shape == (len(LON), 256)
    np.testing.assert_allclose(found, expected(state, degrees, convention), atol=2e-6)
    swapped = Points.build(lon=LAT[:3], lat=LON[:3] / 2)
    assert np.abs(encoder.encode(swapped, EVERY[:3], "cpu") - found[:3]).max() > 0.01


def test_the_sphere_has_no_seam_and_one_vector_at_each_pole(tmp_path: Path) -> None:
    save_satclip(tmp_path / "s.ckpt", degrees=40)
    encoder = SatClip(tmp_path / "s.ckpt", cache=tmp_path)
    seam = Points.build(lon=[-180.0, 180 - 1e-9, 0, 77, -77, 5], lat=[10, 10, 90, 90, -90, -90])
    found = encoder.encode(seam, np.arange(6), "cpu")
    np.testing.assert_allclose(found[::2], found[1::2], atol=1e-6)


def test_the_cache_knows_the_weights(tmp_path: Path) -> None:
    save_satclip(tmp_path / "a.ckpt", degrees=2)
    save_satclip(tmp_path / "b.ckpt", degrees=2, learning_rate=1.0)
    save_satclip(tmp_path / "c.ckpt", degrees=2, convention="closed-form")
    a, b, c = (SatClip(tmp_path / f"{name}.ckpt", tmp_path) for name in "abc")
    assert a.version == b.version != c.version  # the same weights, used in another way
    assert a.version.startswith("satclip-l2-")
    first = a.encode(PLACES, EVERY, "cpu")
    for stored in (tmp_path / "embeddings" / a.version).rglob("*.f32"):
        assert stored.stat().st_size > 256 * 4
    np.testing.assert_array_equal(b.encode(PLACES, EVERY[:2], "cpu"), first[:2])
    assert (c.encode(PLACES, EVERY, "cpu") != first).any()


def test_workers_need_no_checkpoint(tmp_path: Path) -> None:
    save_satclip(tmp_path / "s.ckpt", degrees=3)
    encoder = SatClip(tmp_path / "s.ckpt", tmp_path)
    version, here = encoder.version, encoder.load("cpu")(np.array([[1.0, 2.0]]))
    sent = pickle.dumps(encoder)
    (tmp_path / "s.ckpt").unlink()
    there = pickle.loads(sent)
    assert there.version == version
    np.testing.assert_array_equal(there.load("cpu")(np.array([[1.0, 2.0]])), here)


@pytest.mark.slow
def test_neither_torchgeo_nor_lightning_is_needed(tmp_path: Path) -> None:
    save_satclip(tmp_path / "s.ckpt", degrees=2)
    program = f"""if True:
        import sys
        for name in ("torchgeo", "lightning", "pytorch_lightning", "timm", "torchvision"):
            sys.modules[name] = None  # importing it raises
        import geospot_gpu as gs
        points = gs.Points.build(lon=[1.0, 2.0], lat=[3.0, 4.0])
        encoder = gs.SatClip({str(tmp_path / "s.ckpt")!r}, {str(tmp_path)!r})
        regions = gs.Regions.from_groups(points, {{"a": [0], "b": [1]}}, encoder=encoder)
        print(regions.features.shape)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "torch.Size([2, 256])\n", done.stderr


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"without": "model.nnet.layers.1.bias"}, r"state_dict lacks model\.nnet\.layers\.1\.bias"),
        ({"le_type": "grid"}, r"have le_type='grid': only checkpoints .* le_type=sphericalharm"),
        (
            {"pe_type": "fcnet"},
            r"have pe_type='fcnet': only checkpoints of SatCLIP with pe_type=si",
        ),
        (
            {"harmonics_calculation": "discretized"},
            r"only analytic and closed-form can be computed",
        ),
        ({"legendre_polys": 3}, r"legendre_polys=3, and the first layer takes 4 harmonics"),
        ({"num_hidden_layers": None}, r"hyper_parameters lack num_hidden_layers"),
    ],
)
def test_other_checkpoints_are_refused(
    changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    save_satclip(tmp_path / "s.ckpt", degrees=2, **changed)
    with pytest.raises(GeospotError, match=message) as error:
        SatClip(tmp_path / "s.ckpt", tmp_path).encode(PLACES, EVERY, "cpu")
    assert str(error.value).startswith(f"{tmp_path / 's.ckpt'}: ")
    assert "\n" not in str(error.value)


class Anything:
    """Of no kind that weights consist of."""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": torch.zeros(2)}, r"is no checkpoint of SatCLIP: it holds no hyper_parameters"),
        ({"hyper_parameters": {}}, r"is no checkpoint of SatCLIP: it holds no state_dict"),
        ([1, 2], r"is no checkpoint of SatCLIP: it holds no hyper_parameters"),
        (
            {"hyper_parameters": Anything()},
            r"is not run: save state_dict and hyper_parameters, the",
        ),
        (b"no zip", r"cannot be read as weights: it is not what torch\.save or safetensors writes"),
    ],
)
def test_other_files_are_refused(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "s.ckpt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(GeospotError, match=message) as error:
        _ = SatClip(path).version
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_all_versions_of_torch(zipped: bool, tmp_path: Path) -> None:
    save_satclip(tmp_path / "new.ckpt", degrees=2)
    content = torch.load(tmp_path / "new.ckpt")
    torch.save(content, tmp_path / "old.ckpt", _use_new_zipfile_serialization=zipped)
    assert SatClip(tmp_path / "old.ckpt").version == SatClip(tmp_path / "new.ckpt").version


def test_layers_that_do_not_fit(tmp_path: Path) -> None:
    save_satclip(tmp_path / "s.ckpt", degrees=2)
    content = torch.load(tmp_path / "s.ckpt")
    content["state_dict"]["model.nnet.last_layer.weight"] = torch.zeros(256, 5)
    torch.save(content, tmp_path / "s.ckpt")
    with pytest.raises(
        GeospotError, match=r"last_layer has weight \(256, 5\) and bias \(256,\), w"
    ):
        _ = SatClip(tmp_path / "s.ckpt").dimension


def test_a_path_is_needed(tmp_path: Path) -> None:
    with pytest.raises(GeospotError, match=r"encoder=satclip needs encoder\.path=\.\.\.: a check"):
        gs.encoders.get_encoder("satclip")
    with pytest.raises(GeospotError, match=r"gone\.ckpt: there is no such file"):
        _ = SatClip(tmp_path / "gone.ckpt").version
