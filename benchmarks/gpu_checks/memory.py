"""A checker of memory for Triton's interpreter: bounds, unset memory, races and missing barriers.

Within ``with MemoryCheck() as check:`` every load and store of every program is watched:

- an address lies inside a tensor that the launch was given, not merely inside some page;
- memory from ``torch.empty`` and ``new_empty`` is written before a program reads it;
- no two programs of a launch write one address, and none reads what another writes;
- within a program, what was stored is read, or stored again, after a barrier only.

Programs run in a shuffled order.
"""

# Triton and torch type what is public of them.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import contextlib
import random
from collections import Counter
from typing import Any, Self
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from triton.runtime import interpreter

Addresses = NDArray[np.int64]


class MemoryCheck:
    """The checker; a context.

    Args:
        seed: of the order in which programs run.
    """

    def __init__(self, seed: int = 0) -> None:
        self.problems: Counter[str] = Counter()
        """What was found, by pass, and how often."""
        self.launches = self.accesses = 0
        self._random = random.Random(seed)
        # By address: what programs have written, and the bytes themselves, which torch may write.
        self._unset: dict[int, tuple[NDArray[np.bool_], NDArray[np.uint8]]] = {}
        self._since: list[Addresses] = []  # what the program has stored since its last barrier
        self._name = ""

    def __enter__(self) -> Self:
        builder, executor = interpreter.interpreter_builder, interpreter.GridExecutor
        load, store = builder.create_masked_load, builder.create_masked_store
        add = builder.create_atomic_rmw
        set_grid_idx, barrier = builder.set_grid_idx, builder.create_barrier
        init_arguments, call = executor._init_args_hst, executor.__call__

        def masked_load(pointers: Any, mask: Any, *rest: Any) -> Any:
            return load(pointers, self._access(pointers, mask, write=False), *rest)

        def masked_store(pointers: Any, value: Any, mask: Any, *rest: Any) -> Any:
            return store(pointers, value, self._access(pointers, mask, write=True), *rest)

        def atomic(operation: Any, pointers: Any, value: Any, mask: Any, *rest: Any) -> Any:
            inside = self._access(pointers, mask, write=False)  # any number of programs may
            return add(operation, pointers, value, inside, *rest)

        def begin_program(x: int, y: int, z: int) -> None:
            self._program, self._since = x, []
            set_grid_idx(self._order[x], y, z)

        def create_barrier(*arguments: Any, **keywords: Any) -> Any:
            self._since = []
            return barrier(*arguments, **keywords)

        def take_arguments(this: Any, arguments: Any, keywords: Any) -> Any:
            spans = [s for value in [*arguments, *keywords.values()] for s in _spans(value)]
            self._starts, self._stops = np.array(sorted(spans), np.int64).reshape(-1, 2).T
            return init_arguments(this, arguments, keywords)

        def run(this: Any, *arguments: Any, **keywords: Any) -> Any:
            self.launches += 1
            self._name = this.fn.__name__
            self._reads: list[tuple[Addresses, int]] = []
            self._writes: list[tuple[Addresses, int]] = []
            self._order = list(range(this.grid[0]))
            self._random.shuffle(self._order)
            result = call(this, *arguments, **keywords)
            self._look_for_races()
            return result

        self._patches = contextlib.ExitStack()
        for owner, name, value in (
            (builder, "create_masked_load", masked_load),
            (builder, "create_masked_store", masked_store),
            (builder, "create_atomic_rmw", atomic),
            (builder, "set_grid_idx", begin_program),
            (builder, "create_barrier", create_barrier),
            (executor, "_init_args_hst", take_arguments),
            (executor, "__call__", run),
            (torch, "empty", self._watched(torch.empty)),
            (torch.Tensor, "new_empty", self._watched(torch.Tensor.new_empty)),
        ):
            self._patches.enter_context(mock.patch.object(owner, name, value))
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()

    def _watched(self, make: Any) -> Any:
        """Fills what ``make`` makes with nonsense, and watches it."""

        def made(*arguments: Any, **keywords: Any) -> torch.Tensor:
            tensor: torch.Tensor = make(*arguments, **keywords)
            if tensor.numel() and type(tensor) is torch.Tensor:
                storage = tensor.untyped_storage()
                storage.fill_(0xFF)  # type: ignore[attr-defined]  # NaN, and the largest of integers
                values = torch.empty(0, dtype=torch.uint8).set_(storage)
                self._unset[storage.data_ptr()] = np.zeros(len(values), bool), values.numpy()
            return tensor

        return made

    def _note(self, what: str) -> None:
        self.problems[f"{self._name}: {what}"] += 1

    def _access(self, pointers: Any, mask: Any, *, write: bool) -> Any:
        """Note an access; the mask of what of it is within bounds, for the rest is not done."""
        size = max(1, pointers.get_element_ty().primitive_bitwidth // 8)
        addresses, keep = np.broadcast_arrays(pointers.data.astype(np.int64), mask.data)
        self.accesses += int(keep.sum())
        owner = np.searchsorted(self._starts, addresses, side="right") - 1
        inside = (owner >= 0) & (addresses + size <= self._stops[np.maximum(owner, 0)])
        what = "store" if write else "load"
        if (keep & ~inside).any():
            self._note(f"{what} out of bounds")
        at: Addresses = addresses[keep & inside].ravel()
        if len(at):
            self._inspect(at, size, what, write=write)
        return type(mask)(keep & inside, mask.dtype)

    def _inspect(self, at: Addresses, size: int, what: str, *, write: bool) -> None:
        """Note what is wrong with an access within bounds."""
        at = np.unique(at)
        if self._since and len(np.intersect1d(at, np.concatenate(self._since))):
            self._note(f"{what} of what was stored since the last barrier")
        if write:
            self._since.append(at)
        for start, (known, values) in self._unset.items():
            inside = at[(at >= start) & (at + size <= start + len(known))] - start
            every = inside[:, None] + np.arange(size)
            if write:
                known[every] = True
            elif (~known[every] & (values[every] == 0xFF)).all(axis=1).any():
                self._note("load of unset memory")
        (self._writes if write else self._reads).append((at, self._program))

    def _look_for_races(self) -> None:
        wrote, by = _by_program(self._writes)
        if len(np.unique(wrote)) < len(wrote):
            self._note("two programs write one address")
        read, reader = _by_program(self._reads)
        if not len(wrote):
            return
        where = np.minimum(np.searchsorted(wrote, read), len(wrote) - 1)
        if ((wrote[where] == read) & (by[where] != reader)).any():
            self._note("a program reads what another writes")


def _by_program(parts: list[tuple[Addresses, int]]) -> tuple[Addresses, Addresses]:
    """Addresses with the program of each, every such pair once, in order."""
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    pairs = [np.stack([at, np.full(len(at), program)], axis=1) for at, program in parts]
    both = np.unique(np.concatenate(pairs), axis=0)
    return both[:, 0], both[:, 1]


def _spans(value: Any) -> list[tuple[int, int]]:
    """First address of a tensor and the one behind its last; of all tensors of a tuple."""
    if isinstance(value, tuple):
        return [span for field in value for span in _spans(field)]
    if not isinstance(value, torch.Tensor) or not value.numel():
        return []
    last = sum((n - 1) * s for n, s in zip(value.shape, value.stride(), strict=True))
    start = value.data_ptr()
    return [(start, start + (last + 1) * value.element_size())]
