"""Packages and weights that models need: what is missing or broken, and that none is fetched."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from geospot_gpu import files
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.packages import not_installed
from geospot_gpu.files.inputs import why

_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def package(name: str, what: str, extra: str) -> ModuleType:
    """An optional package.

    Args:
        name: of its module.
        what: needs it, as in ``embed=text``.
        extra: of geospot_gpu that brings it.

    Raises:
        GeospotError: it is not installed, or it cannot be imported.
    """
    called = name.replace("_", "-")
    try:
        return importlib.import_module(name)
    except Exception as error:  # a package that does not fit another fails in any way
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            raise not_installed(f"{what} needs {called}", extra) from error
        raise GeospotError(
            f"{what} needs {called}, which is installed but cannot be imported ({why(error)}): "
            f"install it again with pip install --force-reinstall 'geospot_gpu[{extra}]'"
        ) from error


def torchvision(what: str) -> ModuleType:
    """The torchvision package.

    Raises:
        GeospotError: it is not installed, or its build does not fit that of torch.
    """
    import torch

    if importlib.util.find_spec("torchvision") is None:
        raise not_installed(f"{what} needs torchvision", "image")
    try:
        return importlib.import_module("torchvision")
    except Exception as error:  # its operators are registered with another torch
        _forget_torchvision()
        raise GeospotError(
            f"{what} needs torchvision, and the one installed does not fit torch "
            f"{torch.__version__} ({why(error)}): install both anew from one index, as in "
            "pip install --force-reinstall torch torchvision, or use embed.model=rcf"
        ) from error


@contextlib.contextmanager
def without_broken_torchvision() -> Iterator[None]:
    """Let a torchvision that cannot be imported look as if it was not installed, in the block.

    transformers takes it where it finds it, though texts need none. A ``None`` among the modules is
    Python's own way to say that there is no such module; afterwards it is gone.
    """
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        yield
        return
    try:
        importlib.import_module("torchvision")
    except Exception:
        _forget_torchvision()
        sys.modules["torchvision"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if sys.modules.get("torchvision", ...) is None:
            del sys.modules["torchvision"]


def _forget_torchvision() -> None:
    """Remove what a failed import of torchvision has left."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Nothing is fetched from Hugging Face in the block, whatever a model's files ask for."""
    before = {name: os.environ.get(name) for name in _OFFLINE}
    os.environ.update(dict.fromkeys(_OFFLINE, "1"))
    loaded: Any = sys.modules.get("huggingface_hub.constants")
    former = before["HF_HUB_OFFLINE"] not in (None, "", "0")
    if loaded is not None:  # it has read the environment
        former, loaded.HF_HUB_OFFLINE = loaded.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        loaded = sys.modules.get("huggingface_hub.constants")
        if loaded is not None:
            loaded.HF_HUB_OFFLINE = former


def hash_of(paths: Iterable[Path]) -> str:
    """A hash of the contents of files, 16 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=8)
    for path in paths:
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise files.unreadable(path, error) from error
    return digest.hexdigest()


def weights_file(path: Path | None, what: str) -> Path:
    """The file of a model's weights.

    Raises:
        GeospotError: none is given, or there is no such file.
    """
    if path is None:
        raise GeospotError(
            f"{what} needs embed.weights=...: the file of its weights; nothing is downloaded"
        )
    return files.regular(path)


def state_dict(path: Path, what: str) -> dict[str, Any]:
    """Weights by name: of a ``.safetensors`` file, or of one of torch that holds tensors alone.

    Raises:
        GeospotError: the file is of another kind, or broken.
    """
    import torch

    try:
        if path.name.endswith(".safetensors"):
            load_file = package("safetensors.torch", what, "image").load_file
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except GeospotError:
        raise
    except Exception as error:  # of zip, pickle, safetensors and torch
        raise GeospotError(
            f"{path}: cannot be read as weights ({why(error)}): give a .safetensors file, or what "
            "torch.save made of model.state_dict()"
        ) from error
    if isinstance(found, dict):
        for key in ("state_dict", "model"):  # as trainers store it
            if isinstance(found.get(key), dict):
                found = found[key]
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise GeospotError(f"{path}: holds no weights by name: save model.state_dict()")
    return {key.removeprefix("module."): value for key, value in found.items()}
