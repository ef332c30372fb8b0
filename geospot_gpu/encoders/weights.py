"""Weights of models, read as data: nothing that a file holds is run."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import regular
from geospot_gpu.files.inputs import why

if TYPE_CHECKING:
    from torch import Tensor


def read_checkpoint(path: Path, keep: str = "the state_dict of the model") -> Any:
    """What ``torch.save`` put in a file, or the tensors of a ``.safetensors`` file, on the CPU.

    Tensors stay on disk until they are used, but for files of before PyTorch 1.6.

    Args:
        path: the file.
        keep: what of it is needed, for the message where there is more.

    Raises:
        GeospotError: there is no such file, or it holds more than tensors and plain values.
    """
    import torch

    file = regular(path)
    try:
        if file.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        mapped = zipfile.is_zipfile(file)
        return torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except ImportError as error:
        raise GeospotError(
            f"{path}: needs safetensors: install it with pip install safetensors"
        ) from error
    except Exception as error:  # a broken file is one in many ways
        refused = "Weights only load failed" in str(error)
        if refused and not zipfile.is_zipfile(file) and "global" not in str(error).lower():
            raise GeospotError(
                f"{path}: cannot be read as weights: it is not what torch.save or safetensors "
                "writes, or is cut off"
            ) from error
        if refused or "Unsupported global" in str(error):
            raise GeospotError(
                f"{path}: holds more than tensors and plain values, and is not run: save {keep} "
                "alone"
            ) from error
        raise GeospotError(f"{path}: cannot be read as weights ({why(error)})") from error


def state_of(content: Any, path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint: all of it, or its ``state_dict``.

    Raises:
        GeospotError: it holds none.
    """
    import torch

    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise GeospotError(f"{path}: holds no state_dict: save model.state_dict() with torch.save")
    for name, value in content.items():
        if not isinstance(value, torch.Tensor):
            raise GeospotError(
                f"{path}: {name!r} is no tensor: save model.state_dict() with torch.save"
            )
    return dict(content)


def tensors_hash(state: Mapping[str, Tensor], *settings: object) -> str:
    """A hash of named tensors and of settings, 12 hexadecimal digits."""
    content = hashlib.blake2b(repr(settings).encode(), digest_size=6)
    for name in sorted(state):
        value = state[name].contiguous()
        content.update(f"{name} {value.dtype} {tuple(value.shape)}\0".encode())
        content.update(value.numpy().tobytes())
    return content.hexdigest()
