"""Models in PyTorch's own formats: TorchScript, exported programs, and classes with weights."""

from __future__ import annotations

import importlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from geospot_gpu.encoders.weights import read_checkpoint, state_of
from geospot_gpu.errors import GeospotError
from geospot_gpu.files import regular
from geospot_gpu.files.inputs import why

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_CODE = ("custom_obj_", "opaque_obj_")
"""Constants of an exported program that are objects, restored by code."""


class Model(NamedTuple):
    """A model that runs on one device."""

    run: Callable[[Tensor], Any]
    batch: int | None
    """How many rows it takes at once, where it takes no other number."""


def open_file(path: Path, device: str) -> Model:
    """A TorchScript file, or a program of ``torch.export``; which it is, its content says.

    Both run the graph of a model and no Python. Of an exported program all that would be restored
    by running code (pickles of anything but tensors, compiled libraries) is refused.

    Raises:
        GeospotError: there is no such file, or it is neither.
    """
    import torch

    file = regular(path)
    if not zipfile.is_zipfile(file):
        raise GeospotError(
            f"{path}: is neither TorchScript nor a program of torch.export, or is cut off: save "
            "the model as one of them; of weights name the class with encoder.model"
        )
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if any(name.split("/")[1:2] == ["code"] for name in names):
                script: Any = torch.jit.load(str(file), map_location=device)  # type: ignore[no-untyped-call]
                return Model(script.eval(), None)
            if any(name.endswith((".json", "archive_format")) for name in names):
                _check_exported(archive, path)
                return _exported(file, device)
    except GeospotError:
        raise
    except Exception as error:  # a broken file is one in many ways
        raise GeospotError(f"{path}: cannot be read as a model ({why(error)})") from error
    raise GeospotError(
        f"{path}: holds weights and no model: name the class they are for with "
        "encoder.model=package.module:Class, or save the model as TorchScript"
    )


def open_class(
    name: str, arguments: Mapping[str, Any], path: Path | None, key: str = "encoder.model"
) -> torch.nn.Module:
    """A model of an importable class, with the weights of a file, on the CPU.

    Args:
        name: as in ``package.module:Class``. Importing it and making one runs its code.
        arguments: of the class.
        path: its ``state_dict``; the weights that the class makes itself if not given.
        key: the setting that gave the name, for messages.

    Raises:
        GeospotError: there is no such module, or no class of a model in it; it cannot be made of
            the arguments, or the weights are those of another.
    """
    import torch

    home, _, label = name.partition(":")
    if not home or not label:
        raise GeospotError(f"{key}={name!r}: give package.module:Class")
    try:
        module = importlib.import_module(home)
    except Exception as error:  # whatever another's code does
        raise GeospotError(
            f"{key}={name}: {home} cannot be imported ({why(error)}): install it, or name its "
            "folder in PYTHONPATH"
        ) from error
    kind = getattr(module, label, None)
    if not isinstance(kind, type) or not issubclass(kind, torch.nn.Module):
        raise GeospotError(f"{key}={name}: {home} has no class {label} of torch.nn.Module")
    try:
        model = kind(**arguments)
    except Exception as error:
        raise GeospotError(
            f"{key}={name}: cannot be made of encoder.arguments ({why(error)})"
        ) from error
    if path is not None:
        state = state_of(read_checkpoint(path), path)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise GeospotError(
                f"{path}: weights are not those of {name} ({lines[-1][:200]})"
            ) from error
    return model.eval()


def _exported(file: Path, device: str) -> Model:
    import torch
    from torch.export.passes import move_to_device_pass

    program = torch.export.load(file)
    inputs = program.graph_signature.user_inputs
    if len(inputs) != 1:
        raise GeospotError(f"{file}: takes {len(inputs)} inputs: export one that takes coordinates")
    rows = next(node for node in program.graph.nodes if node.name == inputs[0]).meta["val"].shape[0]
    if device != "cpu":
        program = move_to_device_pass(program, device)
    return Model(program.module(), rows if isinstance(rows, int) else None)


def _check_exported(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise where reading an exported program would run code that came with it.

    ``torch.export.load`` unpickles whatever it finds: what is pickled here must consist of tensors
    and plain values.
    """
    import torch

    names = archive.namelist()
    pickled = {name for name in names if name.endswith((".pt", ".pkl"))}
    for name in names:
        folder, _, last = name.rpartition("/")
        if last.startswith(_CODE) or "/aotinductor/" in f"/{name}" or names.count(name) > 1:
            raise GeospotError(f"{path}: holds code or objects ({name}), and is not run")
        if last.endswith("_config.json"):
            listed = json.loads(archive.read(name)).get("config", {})
            pickled |= {
                f"{folder}/{one['path_name']}" for one in listed.values() if one.get("use_pickle")
            }
    for name in sorted(pickled & set(names)):
        content = archive.read(name)
        if not content:
            continue
        try:
            torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except Exception as error:
            raise GeospotError(
                f"{path}: holds more than tensors and plain values ({name}), and is not run"
            ) from error
