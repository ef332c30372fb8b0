"""geospot doctor says what is there, and fails where a kernel does not compute what it should."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from geospot_gpu.commands import doctor
from geospot_gpu.kernels import gpu, probe
from geospot_gpu.kernels.reference.streaming import StreamingKernel
from tests.helpers.commands import Geospot

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: use it")


def rows(printed: str) -> dict[str, str]:
    """What is said, by what it is about."""
    pairs = (re.split(r"  +", line.strip(), maxsplit=1) for line in printed.splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def test_a_cpu_is_examined(geospot_here: Geospot) -> None:
    pytest.importorskip("numba")
    done = geospot_here("doctor", "device=cpu")
    assert done.returncode == 0, done.stderr
    said = rows(done.stdout)
    assert {"cpu", "driver", "torch", "triton", "keops", "geomloss", "faiss"} <= set(said)
    assert said["torch"].startswith(torch.__version__)
    assert "can be written" in said["cache"]
    for name in ("compiled kept", "compiled streamed", "torch kept", "torch streamed"):
        assert re.match(r"right to \de-0\d of the largest value, in [\d.]+ s ", said[name])
    assert said["triton kept"] == "not tried: auto never takes it on cpu"
    assert done.stdout.splitlines()[-1] == "device=cpu right=4 wrong=0 missing=3"


def test_a_kernel_that_is_wrong_is_an_error(
    geospot_here: Geospot, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = StreamingKernel.nearest
    monkeypatch.setattr(
        StreamingKernel, "nearest", lambda self: tuple(1.001 * x for x in right(self))
    )
    done = geospot_here("doctor", "device=cpu")
    assert done.returncode == 1
    said = "its numbers are wrong: nearest costs by 1.0e-03 of the largest value"
    assert rows(done.stdout)["torch streamed"] == said
    assert "wrong=1" in done.stdout.splitlines()[-1]
    assert done.stderr == f"error: torch streamed: {said}\n"


def test_a_folder_that_cannot_be_written_is_said(
    geospot_here: Geospot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOSPOT_CACHE", "/proc/nothing")
    done = geospot_here("doctor", "device=cpu")
    assert (
        rows(done.stdout)["cache"] == "/proc/nothing cannot be written (No such file or directory)"
    )


@needs_no_gpu
@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda", "device=cuda: there is no CUDA device here; use device=cpu or auto"),
        ("gpu", "device='gpu' is unknown: use auto, cpu, cuda or cuda:1"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(
    geospot_here: Geospot, device: str, message: str
) -> None:
    done = geospot_here("doctor", f"device={device}")
    assert done.returncode == 1
    assert done.stderr == f"error: {message}\n"


def test_help_and_mistakes(geospot_here: Geospot) -> None:
    assert "usage: geospot doctor device=auto" in geospot_here("doctor", "--help").stdout
    assert "there is no setting 'devise'; did you mean 'device'?" in (
        geospot_here("doctor", "devise=cpu").stderr
    )


@pytest.mark.parametrize(
    ("ray", "said"),
    [
        (True, "sweeps use all 2, with Ray"),
        (False, "there are 2 GPUs, and one of them is used: pip install 'geospot_gpu[cluster]' "),
    ],
)
def test_it_is_said_whether_all_of_several_gpus_are_used(
    monkeypatch: pytest.MonkeyPatch, ray: bool, said: str
) -> None:
    about = SimpleNamespace(name="pretended", major=9, minor=0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: about)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**30, 2**30))
    monkeypatch.setattr(doctor, "has_ray", lambda: ray)
    assert dict(doctor._devices())["gpus"].startswith(said)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert "gpus" not in dict(doctor._devices())


@pytest.fixture
def _pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    pretended = pytest.importorskip("benchmarks.gpu_checks.pretended")
    about = SimpleNamespace(name="pretended", major=9, minor=0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: about)
    monkeypatch.setattr("geospot_gpu.kernels.keops.keops_problem", lambda device: "not here")
    # Interpreted, programs take long; what they compute of more is tried where kernels are probed.
    monkeypatch.setitem(probe._SIZES, True, ((9,), (7,)))
    _forget_problems()
    with pretended.Pretended():
        yield
    _forget_problems()


def _forget_problems() -> None:
    probe._problem.cache_clear()
    probe._exact.cache_clear()


@pytest.mark.slow
@needs_no_gpu
@pytest.mark.usefixtures("_pretended")
def test_a_gpu_is_examined(geospot_here: Geospot) -> None:
    done = geospot_here("doctor", "device=cuda:0")
    assert done.returncode == 0, done.stderr
    said = rows(done.stdout)
    assert said["cuda:0"].startswith("pretended, compute capability 9.0, 80.0 of 80.0 GiB")
    assert said["memory for costs"].startswith("40.0 GiB on cuda:0")
    assert said["triton kept"].startswith("right to ")
    assert said["triton streamed"].startswith("right to ")
    assert said["keops streamed"] == "not here"
    assert done.stdout.splitlines()[-1] == "device=cuda:0 right=4 wrong=0 missing=3"


@pytest.mark.slow
@needs_no_gpu
@pytest.mark.usefixtures("_pretended")
def test_a_gpu_without_triton_is_an_error(
    geospot_here: Geospot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "triton_problem", lambda *_, **__: "triton is not installed")
    done = geospot_here("doctor", "device=cuda:0")
    assert done.returncode == 1
    assert "device=cuda:0 right=2 wrong=2 missing=3" in done.stdout
    assert done.stderr.startswith("error: triton kept: triton is not installed; triton streamed")
