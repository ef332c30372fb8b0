"""A kernel is a file that ends in its spec, and its name in the registry: two edits."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path

import pytest
import torch

import geospot_gpu as gs
from geospot_gpu import kernels
from geospot_gpu.kernels.spec import Workload
from tests.helpers.commands import Geospot

ADDED = """
from geospot_gpu.kernels.reference import STREAMED as TORCH
from geospot_gpu.kernels.reference.streaming import StreamingKernel
from geospot_gpu.kernels.spec import KernelSpec
from geospot_gpu.kernels.tiles import CostTiles


class Plain(StreamingKernel):
    pass


STREAMED = KernelSpec(
    backend="plain",
    storage="streamed",
    problem=lambda work, entries: None if work.device == "cpu" else "it is for a CPU",
    limits=TORCH.limits,
    build=lambda cost, source, target, epsilon, budget: Plain(
        CostTiles(cost, source, target, 1000), source, target, epsilon, 1000
    ),
)
"""
"""A kernel as somebody adds it."""


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, and what is made of the registry is made anew, as where it is imported."""
    (tmp_path / "plain_kernel.py").write_text(ADDED)
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.import_module("plain_kernel").STREAMED
    monkeypatch.setattr(kernels, "REGISTRY", (spec, *kernels.REGISTRY))
    backends = (kernels.AUTO, *dict.fromkeys(spec.backend for spec in kernels.REGISTRY))
    monkeypatch.setattr(kernels, "BACKENDS", backends)


@pytest.mark.slow
@pytest.mark.usefixtures("plain")
def test_a_kernel_is_one_file_and_one_name(
    geospot_here: Geospot, towns: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sweep = ("sweep", "points=table", f"points.path={towns}", "points.region=town", "encoder=none")
    few = ("regions.min_points=1", "regions.max_points=5", "device=cpu")
    wrong = geospot_here(*sweep, *few, "out=run", "engine.backend=plane")
    assert "use one of auto, plain, triton, compiled, torch, keops" in wrong.stderr
    wrong = geospot_here(*sweep, *few, "out=run", "engine.backend=plain", "engine.storage=kept")
    assert "engine.backend=plain does not go with engine.storage=kept" in wrong.stderr
    for backend in ("plain", "auto"):
        out = towns.parent / backend
        done = geospot_here(*sweep, *few, f"out={out}", f"engine.backend={backend}")
        assert done.returncode == 0, done.stderr
        assert set(gs.Run.open(out).pairs["kernel"]) == {"plain streamed"}
    workload = Workload(gs.GroundCost(geo_weight=1.0), 3, torch.float32, "cuda", 2**30)
    with caplog.at_level(logging.WARNING):
        assert kernels.choose_kernel(workload, 100, "plain").backend != "plain"
    assert "engine.backend=plain is not available, it is for a CPU: using" in caplog.text
