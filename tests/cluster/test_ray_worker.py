"""What lives in a process of a cluster, here in this one: no Ray is started."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from geospot_gpu.cluster.parcel import packed, unpacked
from geospot_gpu.cluster.ray_worker import RayWorker, Versions
from geospot_gpu.errors.say import warn_once
from tests.helpers.jobs import Squares, Task

ray = pytest.importorskip("ray")


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[RayWorker]:
    monkeypatch.setattr(ray, "get", lambda parcel: parcel)
    context = SimpleNamespace(get_node_id=lambda: "n1")
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    for library in ("OMP", "MKL", "OPENBLAS", "NUMBA"):  # which a worker sets for its process
        monkeypatch.setenv(f"{library}_NUM_THREADS", "1")
    monkeypatch.setattr(logging.getLogger("geospot_gpu"), "handlers", [])
    threads = torch.get_num_threads()
    warn_once.cache_clear()
    with warnings.catch_warnings():
        yield RayWorker("cpu", 1)
    warn_once.cache_clear()
    torch.set_num_threads(threads)


def test_a_worker_does_items_of_the_job_it_began(worker: RayWorker, tmp_path: Path) -> None:
    assert worker.begin(1, [packed(Squares(tmp_path))], Versions.here()).node == "n1"
    done = worker.do(1, Task(7, "warn", seconds=0.01))
    assert (done.result.square, done.error, done.warnings) == (49, None, ("squares are large",))
    assert 0.01 <= done.seconds < 10
    assert worker.do(1, Task(8)).warnings == ()


def test_a_job_that_is_over_is_not_begun_any_more(worker: RayWorker, tmp_path: Path) -> None:
    """Calls of an actor with several threads come in any order."""
    cubes = packed(Squares(tmp_path, np.arange(1000) ** 3))
    worker.begin(2, [packed(Squares(tmp_path))], Versions.here())
    worker.begin(1, [cubes], Versions.here())
    assert worker.do(2, Task(3)).result.square == 9
    assert worker.do(1, Task(3)).error == "was dropped"


def test_what_fails_is_said_in_one_line(worker: RayWorker, tmp_path: Path) -> None:
    (tmp_path / "full-None").touch()
    worker.begin(1, [packed(Squares(tmp_path))], Versions.here())
    failed = worker.do(1, Task(3, "fail"))
    assert failed.error == "ValueError: 3 is no number to square"
    assert "in compute" in failed.trace
    assert not failed.refused
    refused = worker.do(1, Task(4))
    assert refused.error == "run/pairs: cannot be written (No space left on device)"
    assert refused.refused
    begun = worker.begin(2, [packed(Squares(tmp_path, None))], Versions.here())
    assert begun.error == "there is no table of squares"


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(12.0).reshape(3, 4)[:, 1:],
        torch.tensor(2.5, dtype=torch.float64),
        torch.tensor([True, False]),
        torch.zeros(0, 3, dtype=torch.bfloat16),
        torch.ones(2, 2, dtype=torch.bfloat16),
    ],
)
def test_tensors_arrive_as_they_were(tensor: torch.Tensor) -> None:
    found = unpacked(packed({"x": tensor, "again": tensor}))
    assert found["x"].dtype == tensor.dtype
    assert torch.equal(found["x"], tensor)
    assert found["x"] is found["again"]


def test_no_array_is_copied_on_its_way() -> None:
    table, tensor = np.arange(1000.0), torch.arange(1000.0)
    parcel = packed([table, tensor[:500], np.zeros((0, 3))])
    assert len(parcel.content) < 1000
    assert parcel.nbytes < 11_500
    for buffer in parcel.buffers:
        buffer.flags.writeable = False  # as those of the object store
    table[0] = tensor[0] = 7
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the worker's filter
        array, half, empty = unpacked(parcel)
    assert (array[0], half[0], empty.shape) == (7, 7, (0, 3))
    assert not array.flags.writeable
