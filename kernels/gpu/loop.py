"""The iteration on a GPU: launches are queued ahead, and a count says when there are enough.

Everything is decided on the device (:mod:`~geospot_gpu.kernels.gpu.finish`); the host looks how
many problems are left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from geospot_gpu.errors.say import warn_once
from geospot_gpu.kernels.contract import IterationSettings, Side
from geospot_gpu.kernels.gpu.batch import Batch
from geospot_gpu.kernels.gpu.finish import FAR, MEMORY, PENDING, State
from geospot_gpu.kernels.gpu.iteration import step
from geospot_gpu.kernels.looks import Looks

EAGER = 2
"""Iterations that are launched one by one: they compile what a graph repeats."""
BLOCK = 4
"""Iterations of a graph."""


def solve(
    batch: Batch,
    settings: IterationSettings,
    *,
    exact: bool,
    damped: Side = "source",
    limit: Tensor | None = None,
) -> State:
    """Iterate until all problems of a batch are solved, or at their limits.

    Args:
        batch: the problems.
        settings: how to iterate; ``start`` is of the side that is not damped.
        exact: on costs to 22 bits, not on those that are kept or computed from 11.
        damped: the side whose softmins are multiplied by ``settings.damping``.
        limit: most iterations of each problem, int32 [B], where they differ.
    """
    quick = batch.quick and not exact
    state = begin(batch, settings, damped, FAR.value if quick else PENDING.value)
    if limit is not None:
        state.limit.copy_(limit)
    if settings.max_iterations < 1:
        return state

    def advance() -> None:
        step(batch, state, settings, damped, PENDING.value, exact=exact, quick=quick)

    def rescue() -> None:
        step(batch, state, settings, damped, FAR.value, exact=exact, quick=False)

    _run(advance, rescue if quick else None, state.left)
    return state


def begin(
    batch: Batch, settings: IterationSettings, damped: Side = "source", mode: int = PENDING.value
) -> State:
    """What is known before the first iteration."""
    a, b = batch.source.weight, batch.target.weight
    count = len(a)
    memory = a.new_ones(count, MEMORY)
    memory[:, 1:4:2] = 0.0
    memory[:, 2] = torch.inf
    f, g, omega = torch.zeros_like(a), torch.zeros_like(b), a.new_ones(count)
    start = settings.start
    if settings.damping != 1.0 and damped == "target":
        omega.zero_()  # the first step keeps f, and finds the softmin of it alone
        f = f if start is None else start.clone()
    elif start is not None:
        g = start.clone()
    left = torch.full((2,), count, dtype=torch.int32, device=a.device)
    if mode == PENDING.value:
        left[1:] = 0
    return State(
        f=f,
        g=g,
        softmin_f=torch.zeros_like(a),
        after=torch.zeros_like(a),
        next_g=torch.zeros_like(b),
        omega=omega,
        mode=torch.full((count,), mode, dtype=torch.int32, device=a.device),
        iterations=torch.zeros(count, dtype=torch.int32, device=a.device),
        limit=torch.full((count,), settings.max_iterations, dtype=torch.int32, device=a.device),
        error=torch.zeros_like(omega),
        memory=memory,
        left=left,
    )


def _run(advance: Callable[[], None], rescue: Callable[[], None] | None, left: Tensor) -> None:
    """Launch iterations until none is left.

    Args:
        advance: launches an iteration.
        rescue: launches one of the problems that a quick step does not suit, which all are at
            first; None where there is but one kind of step.
        left: see :class:`~geospot_gpu.kernels.gpu.finish.State`.
    """
    looks, on_gpu = Looks(left), left.device.type == "cuda"
    graph: Any = None
    eager, far = 0, 0
    if rescue is not None:
        rescue()
    while True:
        if rescue is not None and far > 0:
            rescue()
        if graph is not None:
            graph.replay()
        else:
            advance()
            eager += 1
            if on_gpu and eager == EAGER:
                graph = _captured(advance, left.device)
        pending, far = looks.look().tolist()
        if pending == 0:
            return


def _captured(advance: Callable[[], None], device: torch.device) -> Any:
    """A graph of some iterations; None, with a warning, where it cannot be made."""
    graph: Any = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.stream(torch.cuda.Stream(device)):  # type: ignore[no-untyped-call]
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                for _ in range(BLOCK):
                    advance()
            finally:
                graph.capture_end()
    except RuntimeError as error:
        warn_once(f"iterations are launched one by one, without CUDA graphs: {error}")
        return None
    return graph
