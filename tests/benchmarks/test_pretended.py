"""The pretended GPU computes, counts, and raises where CUDA does or numbers come too early."""

from __future__ import annotations

# torch types what is public of it.
# mypy: disable-error-code="no-untyped-call"
import pytest
import torch

from benchmarks.gpu_checks.pretended import ASYNC, COPY, LAUNCH, Pretended
from benchmarks.gpu_checks.pretended_queue import EVENT, NODE, REPLAY, WAIT

if torch.cuda.is_available():
    pytest.skip("there is a GPU: use it", allow_module_level=True)


def test_it_computes_and_counts() -> None:
    with Pretended() as gpu:
        x = torch.arange(6.0).to("cuda:0")
        assert x.device == torch.device("cuda", 0)
        assert x.is_cuda
        total = (x.view(2, 3) * 2.0).sum()
        assert gpu.counts == {COPY: 1, LAUNCH: 2}  # views are none
        assert float(total) == 30.0
        assert gpu.counts[WAIT] == 1
        assert gpu.where.total() == 1
        assert torch.cuda.memory_allocated() == gpu.alive > 0


def test_it_raises_as_cuda_does() -> None:
    with Pretended():
        x, y = torch.ones(3, device="cuda"), torch.ones(3)
        with pytest.raises(RuntimeError, match="tensors on cuda:0 and cpu"):
            x + y
        with pytest.raises((RuntimeError, TypeError)):
            x.numpy()
        assert float((x * torch.tensor(2.0)).sum()) == 6.0  # a single number may mix in


def test_tensors_of_two_gpus_do_not_meet() -> None:
    with Pretended(devices=2):
        x, y = torch.ones(3, device="cuda:0"), torch.ones(3, device="cuda:1")
        assert (y + 1.0).device == torch.empty_like(y).device == torch.device("cuda:1")
        with pytest.raises(RuntimeError, match="cuda:0 and cuda:1"):
            x + y
        assert (x.to("cuda:1") + y).tolist() == [2.0, 2.0, 2.0]
        with torch.cuda.device(1):
            assert torch.ones(1, device="cuda").device == torch.device("cuda:1")
        with pytest.raises(RuntimeError, match="there is no cuda:2"):
            torch.ones(1, device="cuda:2")


def test_a_card_says_what_it_has() -> None:
    with Pretended(1 << 30, architecture=120):
        card = torch.cuda.get_device_properties(0)
        assert card.shared_memory_per_block_optin == 99 << 10  # type: ignore[attr-defined]
        assert torch.cuda.get_device_capability() == (12, 0)
        assert torch.cuda.mem_get_info() == (1 << 30, 1 << 30)


@pytest.mark.parametrize("lag", [0, 2])
def test_what_is_copied_is_there_once_the_event_says_so(lag: int) -> None:
    with Pretended(lag=lag) as gpu:
        x, number = torch.arange(4.0, device="cuda"), torch.zeros(1, pin_memory=True)
        number.copy_(x.sum()[None], non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        assert number.isnan()  # too early
        assert [event.query() for _ in range(lag + 1)] == [False] * lag + [True]
        assert float(number) == 6.0
        assert not gpu.counts[WAIT]
        event.synchronize()  # it is over
        assert not gpu.counts[EVENT]


def test_copies_to_memory_that_is_not_pinned_wait() -> None:
    with Pretended() as gpu:
        x = torch.ones(2, device="cuda")
        torch.zeros(2).copy_(x, non_blocking=True)
        assert gpu.counts[WAIT] == 1
        host = x.to("cpu", non_blocking=True)  # which torch pins
        assert gpu.counts[WAIT] == 1
        torch.cuda.synchronize()
        assert host.tolist() == [1.0, 1.0]


def test_copies_to_the_device_are_asynchronous_from_pinned_memory_or_if_small() -> None:
    with Pretended() as gpu:
        large = torch.ones(1 << 15)
        large.to("cuda", non_blocking=True)
        torch.ones(9).to("cuda")
        assert gpu.counts == {COPY: 2}
        large.pin_memory().to("cuda", non_blocking=True)
        torch.ones(9).to("cuda", non_blocking=True)
        assert gpu.counts == {COPY: 2, ASYNC: 2}


def test_pinned_memory_may_be_written_after_the_copy_only() -> None:
    with Pretended():
        pinned = torch.ones(3).pin_memory()
        x = pinned.to("cuda", non_blocking=True)
        torch.cuda.current_stream().record_event().synchronize()
        pinned.zero_()
        assert x.tolist() == [1.0, 1.0, 1.0]
        pinned.to("cuda", non_blocking=True)
        pinned.fill_(2.0)
        with pytest.raises(RuntimeError, match="written while it was copied"):
            torch.cuda.synchronize()


def graph_of(x: torch.Tensor) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
    """One that doubles ``x`` and gives its sum."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.stream(torch.cuda.Stream()):
        graph.capture_begin()
        x.mul_(2.0)
        total = x.sum() + 1.0
        graph.capture_end()
    return graph, total


def test_a_graph_runs_when_it_is_replayed() -> None:
    with Pretended() as gpu:
        x = torch.ones(3, device="cuda")
        graph, total = graph_of(x)
        assert x.tolist() == [1.0, 1.0, 1.0]
        assert total.isnan().item()
        gpu.counts.clear()
        for _ in range(3):
            graph.replay()
        assert gpu.counts == {REPLAY: 3, NODE: 9}
        assert total.item() == 25.0


def test_what_waits_cannot_be_captured() -> None:
    with Pretended():
        x = torch.ones(3, device="cuda")
        for waits in (lambda: x.sum().item(), x.nonzero, lambda: torch.ones(1).to("cuda")):
            graph = torch.cuda.CUDAGraph()
            graph.capture_begin()
            with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
                waits()
            graph.capture_end()


def test_a_graph_needs_the_memory_that_it_was_captured_on() -> None:
    with Pretended():
        x = torch.ones(3, device="cuda")
        graph, _ = graph_of(x)
        graph.replay()
        del x
        with pytest.raises(RuntimeError, match="memory that is gone"):
            graph.replay()
