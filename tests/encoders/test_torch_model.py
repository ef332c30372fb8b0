"""Models of PyTorch as location encoders: what they are given, and what is found out about them."""

from __future__ import annotations

import contextlib
import json
import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.encoders.known_places import CITIES
from geospot_gpu.errors import GeospotError
from geospot_gpu.points import Points
from tests.helpers import models
from tests.helpers.commands import Geospot

LON, LAT = [2.35, -77.0, 178.4, -180.0, 0.0], [48.85, -12.0, -18.1, 5.0, 90.0]
PLACES = Points.build(lon=LON, lat=LAT)
EVERY = np.arange(len(LON))
LONLAT = torch.tensor([LON, LAT]).T
HERE = "tests.helpers.models"

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")


def unit(model: torch.nn.Module, inputs: torch.Tensor) -> NDArray[np.float32]:
    with torch.no_grad():
        found: NDArray[np.float32] = torch.nn.functional.normalize(model(inputs), dim=1).numpy()
    return found


def save(kind: str, model: torch.nn.Module, folder: Path, rows: int | None = None) -> Path:
    """A file of a model; of an exported one, for any number of places or for ``rows`` alone."""
    path = folder / f"model.{kind}"
    if kind == "pt":
        scripted: Any = torch.jit.script(model)
        scripted.save(str(path))
        return path
    dynamic = None if rows else ({0: torch.export.Dim("n", min=2)},)
    program = torch.export.export(model, (torch.zeros(rows or 4, 2),), dynamic_shapes=dynamic)
    torch.export.save(program, path)
    return path


def encode(encoder: gs.TorchModel, points: Points = PLACES) -> NDArray[np.float32]:
    return encoder.encode(points, np.arange(len(points)), "cpu")


@pytest.mark.parametrize(
    ("kind", "rows"),
    [("pt", None), *(pytest.param("pt2", rows, marks=pytest.mark.slow) for rows in (3, None))],
)
def test_files_of_models(kind: str, rows: int | None, tmp_path: Path) -> None:
    path = save(kind, models.Sphere(), tmp_path, rows)
    encoder = gs.TorchModel(path, order="lonlat", dimension=8, cache=tmp_path)
    found = encode(encoder)
    assert found.dtype == np.float32
    assert found.shape == (5, 8)
    np.testing.assert_allclose(found, unit(models.Sphere(), LONLAT), atol=1e-6)
    path.unlink()
    again = encode(encoder, PLACES.take(EVERY[1:3]))  # cached, and known by its content
    np.testing.assert_array_equal(again, found[1:3])


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_class_with_its_weights(suffix: str, tmp_path: Path) -> None:
    model = models.Waves(6)
    path = tmp_path / f"w.{suffix}"
    if suffix == "pt":
        torch.save({"params": {}, "state_dict": model.state_dict()}, path)
    else:
        from safetensors.torch import save_file

        save_file(model.state_dict(), path)
    given: dict[str, Any] = {"path": path, "model": f"{HERE}:Waves", "order": "lonlat"}
    encoder = gs.TorchModel(arguments={"width": 6}, units="unit", cache=tmp_path, **given)
    inputs = LONLAT / torch.tensor([180.0, 90.0])
    np.testing.assert_allclose(encode(encoder), unit(model, inputs), atol=1e-6)
    double = gs.TorchModel(arguments={"width": 6}, units="unit", precision="float64", **given)
    assert double.version != encoder.version
    with pytest.raises(GeospotError, match=r"w\.\w+: weights are not those of .*Waves \(size mism"):
        encode(gs.TorchModel(arguments={"width": 5}, units="unit", **given))
    with pytest.raises(GeospotError, match=r"cannot be made of encoder\.arguments \(.*depth"):
        encode(gs.TorchModel(arguments={"depth": 5}, units="unit", **given))


def test_units_and_order(tmp_path: Path) -> None:
    expected = unit(models.Sphere(), LONLAT)
    units: Any
    for units, scale in {"degrees": 180.0, "radians": np.pi, "xyz": 0.0}.items():
        for order in ("lonlat", "latlon"):
            name, arguments = "Sphere", {"latlon": order == "latlon", "to_radians": scale}
            if units == "xyz":
                name, arguments = "Directions", {}
            encoder = gs.TorchModel(
                model=f"{HERE}:{name}", arguments=arguments, order=order, units=units,
                cache=tmp_path,
            )  # fmt: skip
            if units != "xyz":
                np.testing.assert_allclose(encode(encoder), expected, atol=1e-6)
    xyz = torch.as_tensor(gs.sphere.unit_vectors(lon=LON, lat=LAT), dtype=torch.float32)
    np.testing.assert_allclose(encode(encoder), unit(models.Directions(), xyz), atol=1e-6)


def test_a_model_may_give_numpy(tmp_path: Path) -> None:
    encoder = gs.TorchModel(model=f"{HERE}:NumPy", order="lonlat", cache=tmp_path)
    np.testing.assert_allclose(encode(encoder), unit(models.Sphere(), LONLAT), atol=1e-6)


def test_lengths_may_be_kept(tmp_path: Path) -> None:
    given: dict[str, Any] = {"model": f"{HERE}:Sphere", "order": "lonlat", "cache": tmp_path}
    kept, scaled = gs.TorchModel(normalize=False, **given), gs.TorchModel(**given)
    assert kept.version != scaled.version
    assert not kept.unit_length
    np.testing.assert_allclose(encode(kept), models.Sphere()(LONLAT).detach(), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "declared", "message"),
    [
        (
            "Sphere",
            {},
            {"order": "latlon"},
            r"at the poles .* with encoder\.order=lonlat encoder\.u",
        ),
        (
            "Sphere",
            {"latlon": True},
            {"order": "lonlat"},
            r"with encoder\.order=latlon encoder\.uni",
        ),
        (
            "Sphere",
            {},
            {"order": "lonlat", "units": "radians"},
            r"with .*=lonlat encoder\.units=deg",
        ),
        (
            "Sphere",
            {"to_radians": 3.14159265},
            {"order": "latlon"},
            r"=lonlat encoder\.units=radians",
        ),
        (
            "Waves",
            {},
            {"order": "lonlat", "units": "radians"},
            r"at the antimeridian .* encoder\.units=unit, and not w",
        ),
        ("Constant", {}, {"order": "lonlat"}, r"gives one vector for 8 cities of the Earth: see"),
        (
            "Undefined",
            {},
            {"order": "lonlat"},
            r"gives vectors that are not finite, for example at",
        ),
        ("Normalised", {}, {"order": "lonlat"}, r"depends on the others of its batch: switch off"),
        (
            "Pair",
            {},
            {"order": "lonlat"},
            r"gives a tuple for \d+ places: it must give one tensor",
        ),
        (
            "Complex",
            {},
            {"order": "lonlat"},
            r"gives a complex tensor \[\d+, 2\] for .* places: it",
        ),
        ("Vector", {}, {"order": "lonlat"}, r"gives a tensor \[\d+\] for \d+ places: it must give"),
        ("Broken", {}, {"order": "lonlat"}, r"cannot be run on float32 \[\d+, 2\] \(.*see encoder"),
        ("Sphere", {}, {"order": "lonlat", "dimension": 9}, r"gives 8 features, and .*dimension=9"),
        ("Linear", {}, {"order": "lonlat"}, r"models has no class Linear of torch\.nn\.Module"),
        ("math", {}, {"order": "lonlat"}, r"models has no class math of torch\.nn\.Module"),
    ],
)
def test_what_known_places_show(
    name: str, arguments: Any, declared: Any, message: str, tmp_path: Path
) -> None:
    encoder = gs.TorchModel(model=f"{HERE}:{name}", arguments=arguments, cache=tmp_path, **declared)
    with pytest.raises(GeospotError, match=message) as error:
        encode(encoder)
    assert "\n" not in str(error.value)


def test_one_reading_is_named_once() -> None:
    with pytest.raises(
        GeospotError, match=r"vector with encoder\.order=lonlat encoder\.units=degrees, and not"
    ):
        encode(gs.TorchModel(model=f"{HERE}:Sphere", order="lonlat", units="radians"))


@pytest.mark.parametrize("name", ["Flat", "Waves"])
def test_what_is_believed_is_said(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    units: Any = "unit" if name == "Waves" else "degrees"
    torch.jit.script(getattr(models, name)()).save(str(tmp_path / f"{name}.pt"))
    with caplog.at_level(logging.WARNING, "geospot_gpu"):
        encode(gs.TorchModel(tmp_path / f"{name}.pt", order="latlon", units=units, cache=tmp_path))
    assert f"and encoder.order=latlon encoder.units={units} is believed" in caplog.text


def test_a_reference_proves_the_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lat, lon = CITIES.T
    vectors = models.Flat()(torch.tensor(CITIES[:, ::-1].copy(), dtype=torch.float32))
    table = pd.DataFrame({"lon": lon, "lat": lat, "vector": (3 * vectors).tolist()})
    table.to_parquet(tmp_path / "reference.parquet")
    given: dict[str, Any] = {
        "model": f"{HERE}:Flat", "reference": tmp_path / "reference.parquet", "cache": tmp_path,
    }  # fmt: skip
    encode(gs.TorchModel(order="lonlat", **given))
    assert not caplog.text
    with pytest.raises(
        GeospotError,
        match=r"reference\.parquet: row \d: .*:Flat gives another vector there, which differs by "
        r".*; with encoder\.order=lonlat encoder\.units=degrees they agree: set these",
    ):
        encode(gs.TorchModel(order="latlon", **given))
    table["vector"] = [[1.0]] * len(table)
    table.to_parquet(tmp_path / "reference.parquet")
    with pytest.raises(GeospotError, match=r"has vectors of 1 features, and .*Flat gives 4"):
        encode(gs.TorchModel(order="lonlat", **given))


class Trap:
    """Says when it is unpickled."""

    def __reduce__(self) -> Any:
        return print, ("code ran",)


@pytest.mark.slow
def test_nothing_that_a_file_holds_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = save("pt2", models.Sphere(), tmp_path)
    with zipfile.ZipFile(plain) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (sample,) = (name for name in members if "sample_inputs" in name and name.endswith(".pt"))
    torch.save({"a": Trap()}, tmp_path / "trap")
    trap = (tmp_path / "trap").read_bytes()
    top = sample.split("/")[0]
    for changed, message in [
        ({sample: trap}, r"holds more than tensors and plain values \(.*sample_inputs"),
        ({f"{top}/data/constants/opaque_obj_0": pickle.dumps(Trap())}, r"holds code or objects"),
        ({f"{top}/data/aotinductor/model/x.so": b""}, r"holds code or objects \(.*x\.so\), and is"),
    ]:
        path = tmp_path / "changed.pt2"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in (members | changed).items():
                archive.writestr(name, content)
        with pytest.raises(GeospotError, match=message):
            encode(gs.TorchModel(path, order="lonlat"))
    with pytest.raises(GeospotError, match=r"trap: holds weights and no model: name the class"):
        encode(gs.TorchModel(tmp_path / "trap", order="lonlat"))
    with pytest.raises(GeospotError, match=r"trap: holds more than tensors and plain values, and"):
        encode(gs.TorchModel(tmp_path / "trap", model=f"{HERE}:Flat", order="lonlat"))
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_program_of_two_inputs(tmp_path: Path) -> None:
    class Two(torch.nn.Module):
        def forward(self, x: torch.Tensor, month: torch.Tensor) -> torch.Tensor:
            return x + month

    inputs = (torch.zeros(4, 2), torch.zeros(4, 2))
    torch.export.save(torch.export.export(Two(), inputs), tmp_path / "two.pt2")
    with pytest.raises(GeospotError, match=r"two\.pt2: takes 2 inputs: export one that takes coor"):
        encode(gs.TorchModel(tmp_path / "two.pt2", order="lonlat"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"encoder=torch needs encoder\.order=lonlat or latlon: which of the two"),
        (
            {"order": "lonlat"},
            r"encoder=torch needs encoder\.path=\.\.\.: a TorchScript or torch\.ex",
        ),
        ({"order": "yx", "path": "m.pt"}, r"encoder\.order='yx' is unknown: use one of lonlat, l"),
        (
            {"order": "lonlat", "path": "m.pt", "arguments": {"a": 1}},
            r"encoder\.arguments are thos",
        ),
        (
            {"order": "lonlat", "model": "a:B", "arguments": [1]},
            r"give them by name, as in \{width",
        ),
        (
            {"order": "lonlat", "path": "m.pt", "units": "km"},
            r"encoder\.units='km' is unknown: use",
        ),
    ],
)
def test_settings_that_do_not_do(settings: Any, message: str) -> None:
    with pytest.raises(GeospotError, match=message):
        gs.TorchModel(**settings)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("models", r"encoder\.model='models': give package\.module:Class"),
        ("no_such_package:A", r"no_such_package cannot be imported \(No module named 'no_such_pa"),
    ],
)
def test_classes_that_are_not_there(model: str, message: str) -> None:
    with pytest.raises(GeospotError, match=message):
        _ = gs.TorchModel(model=model, order="lonlat").version


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("no model")
    with pytest.raises(
        GeospotError, match=r"text\.pt: is neither TorchScript nor a program of torch\.export, or "
    ):
        encode(gs.TorchModel(tmp_path / "text.pt", order="lonlat"))
    with pytest.raises(GeospotError, match=r"text\.pt: cannot be read as weights: it is not what"):
        encode(gs.TorchModel(tmp_path / "text.pt", model=f"{HERE}:Flat", order="lonlat"))
    torch.save([1], tmp_path / "list.pt")
    with pytest.raises(GeospotError, match=r"list\.pt: holds no state_dict: save model\.state_dic"):
        encode(gs.TorchModel(tmp_path / "list.pt", model=f"{HERE}:Flat", order="lonlat"))
    torch.save({"epoch": 1}, tmp_path / "epoch.pt")
    with pytest.raises(GeospotError, match=r"epoch\.pt: 'epoch' is no tensor: save model\.state_d"):
        encode(gs.TorchModel(tmp_path / "epoch.pt", model=f"{HERE}:Flat", order="lonlat"))


@pytest.mark.slow
def test_a_sweep_with_a_class_and_a_reference(tmp_path: Path, geospot_here: Geospot) -> None:
    """Settings of all kinds on a command line; the run opens again in another folder."""
    torch.save(models.Sphere(5).state_dict(), tmp_path / "w.pt")
    table = pd.DataFrame({"lon": LON, "lat": LAT, "r": list("aabbb")})
    table.to_csv(tmp_path / "points.csv", index=False)
    vectors = models.Sphere(5)(LONLAT).tolist()
    table.assign(v=pd.Series(vectors)).to_parquet(tmp_path / "reference.parquet")
    command = (
        "sweep", "points=table", "points.path=points.csv", "points.region=r", "out=run",
        "device=cpu", "regions.min_points=1", "encoder=torch", "encoder.path=w.pt",
        f"encoder.model={HERE}:Sphere", "encoder.arguments={width:5}",
        "encoder.reference=reference.parquet", "outputs=[nearest]",
        f"encoder.cache={tmp_path}",
    )  # fmt: skip
    failed = geospot_here(*command, "encoder.order=latlon")
    assert "with encoder.order=lonlat encoder.units=degrees they agree: set these" in failed.stderr
    done = geospot_here(*command, "encoder.order=lonlat")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["identity"]["encoder"].startswith("torch-")
    given = manifest["config"]["encoder"]
    assert given["arguments"] == [["width", 5]]
    assert given["reference"] == str(tmp_path / "reference.parquet")
    (tmp_path / "elsewhere").mkdir()
    with contextlib.chdir(tmp_path / "elsewhere"):
        regions = gs.Run.open(tmp_path / "run").regions
    np.testing.assert_allclose(regions.points_of("a").sort_values("lon")["lon"], [-77, 2.35])
    missing = geospot_here("sweep", "encoder=satclip", "out=other")
    assert "encoder=satclip needs encoder.path=" in missing.stderr
