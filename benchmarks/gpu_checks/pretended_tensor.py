"""A tensor on a pretended GPU, and what is known of torch's operations on such."""

# torch types what is public of it.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any, cast

import torch

NEW = ("new_empty", "new_full", "new_ones", "new_tensor", "new_zeros")
"""Methods that make a tensor."""

ANY = -1
"""The card of a single number that torch made beneath Python, where cards have no number."""

aten = torch.ops.aten
_INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
_MOVES = {aten._to_copy.default, aten.copy_.default, aten.lift_fresh.default, aten.lift.default}
_WAITS = {
    aten._local_scalar_dense.default, aten.equal.default, aten.nonzero.default,
    aten.masked_select.default, aten._unique2.default, aten.repeat_interleave.Tensor,
}  # fmt: skip
TO_HOST = {aten._local_scalar_dense.default, aten.equal.default}
"""Operations whose result is no tensor."""
# They make room and run nothing.
_ROOM = {
    aten.scalar_tensor.default, aten.new_empty.default, aten.empty.memory_format,
    aten.empty_like.default,
}  # fmt: skip


class Fake(torch.Tensor):
    """A tensor on a pretended device."""

    numbers: torch.Tensor
    card: int
    """Number of the device; that of any, if torch made it beneath Python for one number."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor, card: int) -> Fake:
        made: Fake = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device("meta"),  # beneath Python, where torch may know no CUDA
        )
        made.numbers, made.card = inner, card
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, *_: Any, **__: Any) -> Any:  # type: ignore[override]
        raise RuntimeError(f"{func}: a tensor of a pretended GPU that is gone")

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Fake({self.numbers!r})"

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("cuda", max(self.card, 0))

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    def data_ptr(self) -> int:
        return self.numbers.data_ptr()

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @property
    def address(self) -> int:
        """Of the memory that it is a view of."""
        return self.numbers.untyped_storage().data_ptr()


def placed(name: str) -> Any:
    """A method that makes a tensor, told the device: beneath Python its number is not known."""
    make = getattr(torch.Tensor, name)

    def made(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if isinstance(x, Fake) and kwargs.get("device") is None:
            kwargs["device"] = x.device
        return cast(torch.Tensor, make(x, *args, **kwargs))

    return made


def waits(func: Any, args: Any) -> bool:
    """Whether the host waits for what an operation finds."""
    if func in _INDEXED:  # by flags: how many are set decides the shape
        return any(x is not None and x.dtype == torch.bool for x in args[1])
    return func in _WAITS


def runs_nothing(func: Any) -> bool:
    """Whether an operation is a view, or makes room and no more."""
    returns = func._schema.returns
    views = any(r.alias_info is not None and not r.alias_info.is_write for r in returns)
    return views or func in _ROOM


def check_devices(func: Any, args: Any, tensors: list[torch.Tensor]) -> None:
    """Raise where an operation gets tensors of both devices, as CUDA does."""
    if func in _MOVES:
        return
    strangers = [x for x in tensors if not isinstance(x, Fake) and x.dim() > 0]
    if func in _INDEXED and isinstance(args[0], Fake):  # indices may be on the CPU
        values = args[2] if len(args) > 2 else None
        strangers = [x for x in strangers if x is values]
    indices = sorted({x.card for x in tensors if isinstance(x, Fake)} - {ANY})
    if len(indices) > 1:
        raise RuntimeError(f"{func}: tensors on cuda:{indices[0]} and cuda:{indices[1]}")
    if strangers and indices:
        shapes = [tuple(x.shape) for x in strangers]
        raise RuntimeError(f"{func}: tensors on cuda:{indices[0]} and cpu: {shapes}")


def unwrapped(x: Any) -> Any:
    """The numbers of a tensor, of all within a tuple; anything else as it is."""
    if isinstance(x, tuple):
        values = [unwrapped(y) for y in x]
        return type(x)(*values) if hasattr(x, "_fields") else tuple(values)
    return x.numbers if isinstance(x, Fake) else x
