"""A job on its way to workers: arrays and tensors apart from the rest, so that none is copied."""

from __future__ import annotations

import io
import pickle
import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Parcel(NamedTuple):
    """Anything that can be pickled, with the memory of its arrays beside it."""

    content: bytes
    buffers: list[NDArray[np.uint8]]

    @property
    def nbytes(self) -> int:
        """Size of all of it."""
        return len(self.content) + sum(buffer.nbytes for buffer in self.buffers)


def packed(thing: object) -> Parcel:
    """A parcel of a thing, which shares the memory of its arrays and of its tensors on the CPU."""
    from ray.cloudpickle import CloudPickler  # takes classes of scripts and notebooks, too

    torch = sys.modules.get("torch")  # without it there are no tensors

    class Packer(CloudPickler):  # type: ignore[misc]
        def reducer_override(self, value: Any) -> Any:
            if torch and type(value) is torch.Tensor and value.device.type == "cpu":
                # Left alone tensors would be copied into the content, of views all that they view.
                flat = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
                return _tensor, (flat, value.dtype, tuple(value.shape))
            return super().reducer_override(value)

    file, buffers = io.BytesIO(), list[pickle.PickleBuffer]()
    Packer(file, protocol=5, buffer_callback=buffers.append).dump(thing)
    return Parcel(file.getvalue(), [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers])


def unpacked(parcel: Parcel) -> Any:
    """The thing, whose arrays are the memory of the parcel: not to be written to."""
    return pickle.loads(parcel.content, buffers=parcel.buffers)


def _tensor(flat: NDArray[np.uint8], dtype: Any, shape: tuple[int, ...]) -> Any:
    import torch

    return torch.from_numpy(flat).view(dtype).reshape(shape)
