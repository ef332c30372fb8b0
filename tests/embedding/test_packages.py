"""Packages that are missing or broken, weights of other models, and that nothing is fetched."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch

import geospot_gpu as gs
from geospot_gpu.embedding.packages import (
    hash_of,
    offline,
    package,
    state_dict,
    torchvision,
    weights_file,
    without_broken_torchvision,
)


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A torchvision that cannot be imported, as beside another build of torch."""
    folder = tmp_path / "torchvision"
    folder.mkdir()
    (folder / "part.py").touch()
    code = "import torchvision.part\nraise RuntimeError('operator torchvision::nms does not exist')"
    (folder / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    held = {name: module for name, module in sys.modules.items() if is_torchvision(name)}
    for name in held:
        del sys.modules[name]
    yield
    for name in [name for name in sys.modules if is_torchvision(name)]:
        del sys.modules[name]
    sys.modules.update(held)


def is_torchvision(name: str) -> bool:
    return name.partition(".")[0] == "torchvision"


@pytest.mark.usefixtures("broken")
def test_a_broken_torchvision_looks_absent_for_a_while() -> None:
    with without_broken_torchvision():
        assert importlib.util.find_spec("torchvision") is None
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("torchvision")
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("torchvision.part")
    assert importlib.util.find_spec("torchvision") is not None
    assert not any(map(is_torchvision, sys.modules))


@pytest.mark.usefixtures("broken")
def test_a_torchvision_that_works_or_is_not_there_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    works = types.ModuleType("torchvision")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torchvision", works)
        with without_broken_torchvision():
            assert importlib.import_module("torchvision") is works
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with without_broken_torchvision():
        assert "torchvision" not in sys.modules
    with pytest.raises(gs.GeospotError, match=r"needs torchvision: .* 'geospot_gpu\[image\]'"):
        torchvision("embed.model=resnet50")


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("model", ["resnet50", "timm/resnet18", "open_clip/RN50"])
def test_where_it_is_needed_a_broken_torchvision_is_named(model: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth").touch()
    by = gs.Images(model=model, weights=tmp_path / "w.pth")
    message = (
        rf"embed\.model={model} needs torchvision, and the one installed does not fit torch "
        r".* \(operator torchvision::nms does not exist\): install both anew from one index"
    )
    with pytest.raises(gs.GeospotError, match=message):
        by.open(lambda: iter(()), "cpu")


def test_packages_that_are_missing_or_broken_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(gs.GeospotError, match=r"x needs no-such: install it with pip install 'geo"):
        package("no_such", "x", "text")
    (tmp_path / "half_there.py").write_text("import no_such_part")
    monkeypatch.syspath_prepend(tmp_path)
    message = r"x needs half-there, which is installed but cannot be imported \(No module named 'no"
    with pytest.raises(gs.GeospotError, match=message):
        package("half_there", "x", "text")


def test_nothing_is_fetched_and_what_was_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "0")
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with offline():
        assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == "1"
        assert constants.HF_HUB_OFFLINE
    assert "HF_HUB_OFFLINE" not in os.environ
    assert os.environ["TRANSFORMERS_OFFLINE"] == "0"
    assert not constants.HF_HUB_OFFLINE


def test_weights_are_read_as_data(tmp_path: Path) -> None:
    weights = {"module.a": torch.ones(2), "b": torch.zeros(1)}
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "w.pth")
    safetensors.torch.save_file(weights, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        found = state_dict(tmp_path / name, "x")
        assert found.keys() == {"a", "b"}
        assert torch.equal(found["a"], torch.ones(2))
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "text.pth").write_text("nothing")
    (tmp_path / "text.safetensors").write_text("nothing")
    for name in ("whole.pth", "text.pth", "text.safetensors"):
        with pytest.raises(
            gs.GeospotError, match=rf"{name}: cannot be read as weights \("
        ) as error:
            state_dict(tmp_path / name, "x")
        assert "\n" not in str(error.value)
    with pytest.raises(gs.GeospotError, match=r"list\.pth: holds no weights by name: save model"):
        state_dict(tmp_path / "list.pth", "x")


def test_weights_are_needed(tmp_path: Path) -> None:
    with pytest.raises(gs.GeospotError, match=r"x needs embed\.weights=\.\.\.: the file of its w"):
        weights_file(None, "x")
    with pytest.raises(gs.GeospotError, match="there is no such file"):
        weights_file(tmp_path / "w.pth", "x")
    with pytest.raises(gs.GeospotError, match="is a folder: give a file"):
        weights_file(tmp_path, "x")


def test_a_hash_is_of_contents(tmp_path: Path) -> None:
    one, two, same = (tmp_path / name for name in "abc")
    for path, content in ((one, b"1"), (two, b"2"), (same, b"1")):
        path.write_bytes(content)
    assert hash_of([one]) == hash_of([same]) != hash_of([two])
    assert hash_of([one, two]) != hash_of([two, one])
    with pytest.raises(gs.GeospotError, match="cannot be read"):
        hash_of([tmp_path / "gone"])


@pytest.mark.slow
def test_nothing_of_it_is_imported_otherwise() -> None:
    code = (
        "import sys, geospot_gpu.config.objects, geospot_gpu.embedding.embed, geospot_gpu.sinkhorn;"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "geospot_gpu" in loaded
    extras = {"PIL", "datasets", "open_clip", "ot", "rasterio", "safetensors", "timm"}
    assert not loaded & (extras | {"sentence_transformers", "torchvision", "transformers"})
