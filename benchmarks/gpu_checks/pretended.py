"""A pretended GPU: tensors that say they live on ``cuda:0`` while their numbers are on the CPU.

Within ``with Pretended() as gpu:`` every operation of torch passes through one dispatch mode. What
is made on, or moved to, a CUDA device becomes a :class:`Fake`, which wraps the CPU tensor that
holds its numbers. Operations run on those numbers, so that code whose flow depends on values runs
to its end, unlike with meta tensors. As on a GPU

- operations on tensors of both devices raise (single numbers and indices on the CPU may mix in),
- ``.numpy()`` of a tensor on the device raises,
- code takes its branches for CUDA: ``device.type`` is ``"cuda"``, and a card says what it has.

Triton's programs run in its interpreter, once all their tensors are known to be on the device that
is current. What is done later than asked for, such as a copy or a graph, is in ``pretended_queue``.
"""

# torch types what is public of it.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import contextlib
import gc
import importlib.util
import sys
import weakref
from collections import Counter
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Self
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_map

from benchmarks.gpu_checks.pretended_cuda import Cuda
from benchmarks.gpu_checks.pretended_queue import WAIT, Copy, Queue, spoil
from benchmarks.gpu_checks.pretended_tensor import (
    ANY,
    NEW,
    TO_HOST,
    Fake,
    aten,
    check_devices,
    placed,
    runs_nothing,
    unwrapped,
    waits,
)
from geospot_gpu.errors.say import warn_once
from geospot_gpu.kernels.gpu import triton_problem
from geospot_gpu.kernels.keops import keops_problem

LAUNCH, TRITON = "launches", "Triton launches"
COPY, ASYNC = "copies to the device", "asynchronous copies to the device"
BACK = "asynchronous copies to the host"
"""What is counted: a wait is a number that the host needs before it goes on, and so is a copy, as
torch synchronises after it, unless it is asynchronous: from pinned memory, or small, which CUDA
keeps aside meanwhile."""

_SMALL = 64 << 10
"""Bytes that are copied aside where memory is not pinned."""


class Pretended(TorchDispatchMode):
    """The pretended GPUs; a context.

    Args:
        memory: bytes that each says it has.
        devices: how many there are.
        architecture: 90 is that of an H100.
        lag: how often an event says that it is not over yet.
    """

    def __init__(
        self, memory: int = 80 << 30, *, devices: int = 1, architecture: int = 90, lag: int = 0
    ) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        """Of :data:`LAUNCH` and the like."""
        self.operations: Counter[str] = Counter()
        """Launches by operation, those of Triton by pass."""
        self.where: Counter[str] = Counter()
        """Waits by the line that asked."""
        self.alive = self.peak = 0
        """Bytes of tensors now, and at most."""
        self._storages: dict[int, list[int]] = {}
        self.queue = Queue(self.counts, self._note_wait, self._storages, lag)
        self._cuda = Cuda(memory, devices, architecture)
        self._pinned: dict[int, torch.Tensor] = {}

    def __enter__(self) -> Self:
        for known in (triton_problem, keops_problem, warn_once):
            known.cache_clear()  # what was found out on another device
        self._patches = contextlib.ExitStack()
        patches: list[tuple[Any, str, Any]] = [
            (torch.cuda, name, value)
            for name, value in self._cuda.said(
                self.queue, lambda: self.alive, lambda: self.peak
            ).items()
        ]
        patches += [
            (torch.Tensor, "pin_memory", lambda x, *_: self._pin(x.clone())),
            (torch.Tensor, "is_pinned", lambda x, *_: self._is_pinned(x)),
            (torch.Tensor, "record_stream", lambda *_: None),
        ]
        to = torch.Tensor.to

        def moved(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            if args and isinstance(args[0], Fake):  # like another tensor
                args = args[0].device, args[0].dtype, *args[1:]
            args, kwargs = tree_map(self._cuda.numbered, (args, kwargs))
            return to(x, *args, **kwargs)

        patches.append((torch.Tensor, "to", moved))  # it would ask CUDA for the current device
        patches += [(torch.Tensor, name, placed(name)) for name in NEW]
        if importlib.util.find_spec("triton") is not None:
            from triton.runtime.interpreter import InterpretedFunction

            run = InterpretedFunction.run

            def launch(kernel: Any, *args: Any, grid: Any, warmup: bool, **constants: Any) -> None:
                self._run(run, kernel, args, grid, constants)

            patches.append((InterpretedFunction, "run", launch))
        for owner, name, value in patches:
            self._patches.enter_context(mock.patch.object(owner, name, value))
        torch._C._set_only_lift_cpu_tensors(True)
        self._patches.callback(torch._C._set_only_lift_cpu_tensors, False)
        gc.collect()
        super().__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._patches.close()
        for known in (triton_problem, keops_problem, warn_once):
            known.cache_clear()
        if error is None:
            self.queue.finish()  # raises where pinned memory was written too early

    def probe(self, device: str) -> str | None:
        """Why Triton does not run on a device; what it takes to find out is not counted."""
        places: tuple[Any, ...] = "cuda", torch.device(device)
        problem = next((found for found in map(triton_problem, places) if found), None)
        for counts in (self.counts, self.operations, self.where):
            counts.clear()
        self.peak = self.alive
        return problem

    # What runs: unwrap, check devices, run on the CPU, wrap again.
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
        fakes = [x for x in tensors if isinstance(x, Fake)]
        device = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
        # Beneath Python the pretended device goes by the name of meta.
        to_gpu = device is not None and device.type in ("cuda", "meta")
        pinned = kwargs.pop("pin_memory", None)
        if not fakes and not to_gpu:
            made = func(*args, **kwargs)
            return self._pin(made) if pinned else made
        index = max((x.card for x in fakes), default=ANY)
        if device is not None and device.type == "cuda":
            index = self._cuda.index(device)
        check_devices(func, args, tensors)
        if to_gpu:
            moves = func is aten._to_copy.default and len(kwargs) == 1
            if moves and fakes and fakes[0].card in (index, ANY):
                return args[0]  # it is there already
            kwargs["device"] = torch.device("cpu")
        work = partial(func, *tree_map(unwrapped, args), **tree_map(unwrapped, kwargs))
        if func is aten._to_copy.default and not fakes:
            return self._to_device(args[0], bool(kwargs.get("non_blocking")), work, None, index)
        if func is aten.copy_.default and not isinstance(args[1], Fake):
            return self._to_device(args[1], args[2:] == (True,), work, args[0], index)
        if func is aten.copy_.default and not isinstance(args[0], Fake):
            return self._to_host(args[0], args[2:] == (True,), work, args[1].numbers)
        if func is aten._to_copy.default and not to_gpu and device is not None:
            asks = bool(kwargs.get("non_blocking"))
            return self._to_host(None, asks, work, args[0].numbers)
        if device is not None and not to_gpu:
            return work()  # what only looks like a tensor of the device
        if waits(func, args):
            self.queue.wait()
            made = work()
            return made if func in TO_HOST else self._wrapped(func, args, kwargs, made, index)
        if runs_nothing(func):
            return self._wrapped(func, args, kwargs, work(), index)
        return self._wrapped(func, args, kwargs, self._launched(func, work, fakes), index)

    def _launched(self, func: Any, work: Callable[[], Any], fakes: list[Fake]) -> Any:
        """Run it; or note it for a graph, whose results nobody has computed yet."""
        name, graph = str(func).removeprefix("aten."), self.queue.graph
        if graph is None:
            self._count(LAUNCH, name)
            return work()
        memory = {x.address for x in fakes}
        if any(a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments):
            graph.record(work, memory, 1)
            return None
        results = work()
        kept = [x for x in tree_flatten(results)[0] if isinstance(x, torch.Tensor)]

        def again() -> None:
            for old, new in zip(kept, tree_flatten(work())[0], strict=True):
                old.copy_(new)

        graph.record(again, memory, 1)
        for values in kept:
            if values.is_floating_point():  # others may be indices of what is captured next
                spoil(values)
        return results

    def _count(self, kind: str, name: str) -> None:
        self.counts[kind] += 1
        self.operations[name] += 1

    def _to_device(
        self, source: Any, asks: bool, work: Callable[[], Any], to: Fake | None, index: int
    ) -> Any:
        """Copy from the host, into a tensor of the device or a new one."""
        pinned = self._is_pinned(source)
        late = asks and (pinned or source.nbytes <= _SMALL)
        if not late:
            self.queue.forbid("a copy that waits")
            self.queue.finish()
        self.counts[ASYNC if late else COPY] += 1
        if late and pinned:
            self.queue.begin(Copy(None, source.clone(), source))
        made = work()
        return self._wrap(made, index) if to is None else to

    def _to_host(
        self, to: torch.Tensor | None, asks: bool, work: Callable[[], Any], values: torch.Tensor
    ) -> Any:
        """Copy from the device, into a tensor on the host or a new one."""
        if not asks or (to is not None and not self._is_pinned(to)):
            self.queue.wait()
            return work()
        made = self._pin(work()) if to is None else to
        copy = partial(self._begin, made, values)
        if self.queue.graph is None:
            copy()
        else:
            self.queue.graph.record(copy, set(), 0)
        return made

    def _begin(self, to: torch.Tensor, values: torch.Tensor) -> None:
        self.counts[BACK] += 1
        self.queue.begin(Copy(to, values.to(to.dtype, copy=True), None))

    def _pin(self, made: Any) -> Any:
        self._pinned[made.untyped_storage().data_ptr()] = made  # kept: no other has its address
        return made

    def _is_pinned(self, x: torch.Tensor) -> bool:
        return not isinstance(x, Fake) and x.untyped_storage().data_ptr() in self._pinned

    def _wrapped(self, func: Any, args: Any, kwargs: Any, result: Any, index: int) -> Any:
        schema = func._schema
        # Operations that write return the very tensor they were given.
        written = [
            args[k] if k < len(args) else kwargs.get(a.name)
            for k, a in enumerate(schema.arguments)
            if a.alias_info is not None and a.alias_info.is_write
        ]
        if written and len(schema.returns) == len(written):
            if any(isinstance(x, Fake) and x.shape != x.numbers.shape for x in written):
                with torch._C._DisableTorchDispatch():  # squeeze_ and its like: the shape follows
                    func(*args, **kwargs)
            return written[0] if len(written) == 1 else tuple(written)
        return tree_map(
            lambda x: self._wrap(x, index) if isinstance(x, torch.Tensor) else x, result
        )

    def _wrap(self, inner: torch.Tensor, index: int) -> Fake:
        made, storage = Fake(inner, index), inner.untyped_storage()
        key = storage.data_ptr()
        entry = self._storages.setdefault(key, [0, storage.nbytes()])
        if entry[0] == 0:
            self.alive += entry[1]
            self.peak = max(self.peak, self.alive)
        entry[0] += 1
        weakref.finalize(made, self._drop, key)
        return made

    def _drop(self, key: int) -> None:
        entry = self._storages[key]
        entry[0] -= 1
        if entry[0] == 0:
            self.alive -= entry[1]
            del self._storages[key]

    def _note_wait(self) -> None:
        self.counts[WAIT] += 1
        self.where[_caller()] += 1

    def _run(self, run: Any, kernel: Any, arguments: Any, grid: Any, constants: Any) -> None:
        """In place of Triton's launcher."""
        name = f"triton {getattr(kernel, '__name__', kernel)}"
        tensors = [
            x for x in tree_flatten((arguments, constants))[0] if isinstance(x, torch.Tensor)
        ]
        for x in tensors:
            if not isinstance(x, Fake):
                raise RuntimeError(f"{name}: a tensor on the CPU {tuple(x.shape)}")
            if x.card not in (self._cuda.current, ANY):
                raise RuntimeError(f"{name}: a tensor on {x.device}, which is not current")
        plain = [unwrapped(x) for x in arguments]
        constants = {key: unwrapped(x) for key, x in constants.items()}

        def work() -> None:
            with _disable_current_modes():
                run(kernel, *plain, grid=grid, warmup=False, **constants)

        if self.queue.graph is not None:
            memory = {x.address for x in tensors if isinstance(x, Fake)}
            self.queue.graph.record(work, memory, 1)
            return
        self._count(TRITON, name)
        work()


def _caller() -> str:
    """Module and line of the package that asked."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("geospot_gpu."):
            return f"{module.removeprefix('geospot_gpu.')}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"
