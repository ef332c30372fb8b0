"""A pretended GPU: tensors that say they live on ``cuda:0`` while their numbers are on the CPU.

Within ``with Pretended() as gpu:`` every operation of torch passes through one dispatch mode. What
is made on, or moved to, a CUDA device becomes a :class:`Fake`, which wraps the CPU tensor that
holds its numbers. Operations run on those numbers, so that code whose flow depends on values runs
to its end, unlike with meta tensors. As on a GPU

- operations on tensors of both devices raise (single numbers and indices on the CPU may mix in),
- ``.numpy()`` of a tensor on the device raises,
- code takes its branches for CUDA: ``device.type`` is ``"cuda"``.

Triton's programs run in its interpreter, once all their tensors are known to be on the device.
"""

# torch types what is public of it.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import contextlib
import gc
import sys
import weakref
from collections import Counter
from types import SimpleNamespace, TracebackType
from typing import Any, Self
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_map

from geospot_gpu.errors.say import warn_once
from geospot_gpu.kernels.gpu import triton_problem
from geospot_gpu.kernels.gpu.batch import Batch
from geospot_gpu.kernels.keops import keops_problem

DEVICE = torch.device("cuda", 0)
LAUNCH, TRITON, WAIT, COPY, EVENT = (
    "launches",
    "Triton launches",
    "waits",
    "copies to the device",
    "waits for an event",
)
"""What is counted: a wait is a number that the host needs before it goes on."""

aten = torch.ops.aten
_INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
_MOVES = {aten._to_copy.default, aten.copy_.default, aten.lift_fresh.default, aten.lift.default}
_NUMBERS = {aten._local_scalar_dense.default, aten.equal.default}
_WAITS = _NUMBERS | {
    aten.nonzero.default, aten.masked_select.default, aten._unique2.default,
    aten.repeat_interleave.Tensor,
}  # fmt: skip
# They make room and run nothing.
_ROOM = {
    aten.scalar_tensor.default, aten.new_empty.default, aten.empty.memory_format,
    aten.empty_like.default,
}  # fmt: skip


_PROPERTIES = {"shared_memory_per_block_optin": 227 << 10, "major": 9}  # an H100's


class Fake(torch.Tensor):
    """A tensor on the pretended device."""

    numbers: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Fake:
        made: Fake = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device("meta"),  # beneath Python, where torch may know no CUDA
        )
        made.numbers = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, *_: Any, **__: Any) -> Any:  # type: ignore[override]
        raise RuntimeError(f"{func}: a tensor of a pretended GPU that is gone")

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Fake({self.numbers!r})"

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return DEVICE

    def data_ptr(self) -> int:
        return self.numbers.data_ptr()


class Pretended(TorchDispatchMode):
    """The pretended GPU; a context.

    Args:
        memory: bytes that it says it has.
    """

    def __init__(self, memory: int = 80 << 30) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        """Of :data:`LAUNCH` and the like."""
        self.operations: Counter[str] = Counter()
        """Launches by operation, those of Triton by pass."""
        self.where: Counter[str] = Counter()
        """Waits by the line that asked."""
        self.alive = self.peak = 0
        """Bytes of tensors now, and at most."""
        self._memory = memory
        self._storages: dict[int, list[int]] = {}

    def __enter__(self) -> Self:
        for known in (triton_problem, keops_problem, warn_once):
            known.cache_clear()  # what was found out on another device
        self._patches = contextlib.ExitStack()
        for name, value in self._cuda().items():
            self._patches.enter_context(mock.patch.object(torch.cuda, name, value))
        self._patches.enter_context(mock.patch.object(Batch, "_launch", self._run))
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

    def _cuda(self) -> dict[str, Any]:
        """What ``torch.cuda`` says meanwhile."""
        counts = self.counts

        class Event:
            def __init__(self, **_: object) -> None: ...

            def record(self, *_: object) -> None: ...

            def query(self) -> bool:
                return True

            def synchronize(self) -> None:
                counts[EVENT] += 1

        def synchronize(*_: object) -> None:
            counts[WAIT] += 1

        return {
            "_lazy_init": lambda: None,
            "is_available": lambda: True,
            "device_count": lambda: 1,
            "current_device": lambda: 0,
            "get_device_name": lambda *_: "pretended",
            "get_device_properties": lambda *_: SimpleNamespace(**_PROPERTIES),
            "mem_get_info": lambda *_: (self._memory, self._memory),
            "Event": Event,
            "synchronize": synchronize,
            "device": lambda *_: contextlib.nullcontext(),
        }

    # What runs: unwrap, check devices, run on the CPU, wrap again.
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
        fakes = [x for x in tensors if isinstance(x, Fake)]
        device = kwargs.get("device")
        # Beneath Python the pretended device goes by the name of meta.
        to_gpu = device is not None and torch.device(device).type in ("cuda", "meta")
        to_cpu = device is not None and torch.device(device).type == "cpu"
        kwargs.pop("pin_memory", None)
        if not fakes and not to_gpu:
            return func(*args, **kwargs)
        _check_devices(func, args, tensors)
        if to_gpu and fakes and func is aten._to_copy.default and len(kwargs) == 1:
            return args[0]  # it is there already
        if to_gpu:
            kwargs["device"] = torch.device("cpu")
        plain_args, plain_kwargs = tree_map(_unwrapped, (args, kwargs))
        result = func(*plain_args, **plain_kwargs)
        self._count(func, args, bool(fakes), to_gpu=to_gpu, to_cpu=to_cpu)
        if func is aten.copy_.default:
            return args[0]
        if to_cpu or func in _NUMBERS:
            return result
        return self._wrapped(func, args, kwargs, result)

    def _wrapped(self, func: Any, args: Any, kwargs: Any, result: Any) -> Any:
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
        return tree_map(lambda x: self._wrap(x) if isinstance(x, torch.Tensor) else x, result)

    def _wrap(self, inner: torch.Tensor) -> Fake:
        made, storage = Fake(inner), inner.untyped_storage()
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

    def _count(self, func: Any, args: Any, on_gpu: bool, *, to_gpu: bool, to_cpu: bool) -> None:
        returns = func._schema.returns
        view = any(r.alias_info is not None and not r.alias_info.is_write for r in returns)
        waits = func in _WAITS or (to_cpu and on_gpu)
        if func is aten.copy_.default:
            waits = not isinstance(args[0], Fake) and not (len(args) > 2 and args[2])
        if func in _INDEXED:  # by flags: how many are set decides the shape
            waits = any(x is not None and x.dtype == torch.bool for x in args[1])
        if to_gpu and not on_gpu and func is aten._to_copy.default:
            self.counts[COPY] += 1
        elif waits:
            self.counts[WAIT] += 1
            self.where[_caller()] += 1
        elif not view and func not in _ROOM:
            self.counts[LAUNCH] += 1
            self.operations[str(func).removeprefix("aten.")] += 1

    def _run(self, kernel: Any, work: Any, *arguments: Any, **constants: Any) -> None:
        """In place of the launcher of a batch."""
        for x in tree_flatten((work, arguments))[0]:
            if isinstance(x, torch.Tensor) and not isinstance(x, Fake):
                raise RuntimeError(f"{kernel}: a tensor on the CPU {tuple(x.shape)}")
        self.counts[TRITON] += 1
        self.operations[f"triton {getattr(kernel, '__name__', kernel)}"] += 1
        plain = [_unwrapped(x) for x in (work, *arguments)]
        with _disable_current_modes():
            kernel[(len(work),)](*plain, **constants)


def _check_devices(func: Any, args: Any, tensors: list[torch.Tensor]) -> None:
    """Raise where an operation gets tensors of both devices, as CUDA does."""
    if func in _MOVES:
        return
    strangers = [x for x in tensors if not isinstance(x, Fake) and x.dim() > 0]
    if func in _INDEXED and isinstance(args[0], Fake):  # indices may be on the CPU
        values = args[2] if len(args) > 2 else None
        strangers = [x for x in strangers if x is values]
    if strangers and any(isinstance(x, Fake) for x in tensors):
        shapes = [tuple(x.shape) for x in strangers]
        raise RuntimeError(f"{func}: tensors on cuda:0 and cpu: {shapes}")


def _unwrapped(x: Any) -> Any:
    if isinstance(x, tuple):
        values = [_unwrapped(y) for y in x]
        return type(x)(*values) if hasattr(x, "_fields") else tuple(values)
    return x.numbers if isinstance(x, Fake) else x


def _caller() -> str:
    """Module and line of the package that asked."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("geospot_gpu."):
            return f"{module.removeprefix('geospot_gpu.')}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"
