"""Networks that were trained on pictures: ResNet50, those of timm, and those of open_clip."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geospot_gpu.embedding.base import Item, Model
from geospot_gpu.embedding.packages import (
    hash_of,
    offline,
    package,
    state_dict,
    torchvision,
    weights_file,
)
from geospot_gpu.embedding.pixels import picture
from geospot_gpu.errors import GeospotError
from geospot_gpu.files.inputs import why

_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours, which ResNet50's weights were trained on."""
_SIDE, _CROP = 256, 224

Prepare = Callable[[Any], torch.Tensor]


def resnet50(weights: Path | None, device: str) -> Model:
    """ResNet50 of torchvision without its last layer: 2,048 features.

    Pictures are made 256 pixels on their shorter side, of which the middle 224 x 224 are taken.

    Raises:
        GeospotError: torchvision is missing or broken, or the weights do not fit.
    """
    what = "embed.model=resnet50"
    path = weights_file(weights, what)
    library = torchvision(what)
    network = library.models.resnet50(weights=None)
    _fill(network, state_dict(path, what), path, what, without=("fc.",))
    network.fc = torch.nn.Identity()
    return _model("resnet50", path, network, _of_imagenet, device)


def timm(name: str, weights: Path | None, device: str) -> Model:
    """An architecture of timm without its classifier, with its own preparation of pictures.

    Raises:
        GeospotError: a package is missing or broken, there is no such architecture, or the
            weights do not fit.
    """
    what = f"embed.model=timm/{name}"
    path = weights_file(weights, what)
    torchvision(what)
    with offline():
        library = package("timm", what, "image")
        if not library.is_model(name):
            raise _unknown(what, "timm", name, library.list_models())
        network = library.create_model(name, pretrained=False, num_classes=0)
        heads = network.pretrained_cfg.get("classifier") or ()
        heads = (heads,) if isinstance(heads, str) else tuple(heads)
        _fill(network, state_dict(path, what), path, what, tuple(f"{head}." for head in heads))
        config = library.data.resolve_model_data_config(network)
        prepare = library.data.create_transform(**config, is_training=False)
    return _model(f"timm-{name}", path, network, prepare, device)


def open_clip(name: str, weights: Path | None, device: str) -> Model:
    """The image side of a model of open_clip, with its own preparation of pictures.

    Raises:
        GeospotError: as for :func:`timm`.
    """
    what = f"embed.model=open_clip/{name}"
    path = weights_file(weights, what)
    torchvision(what)
    with offline():
        library = package("open_clip", what, "image")
        if name not in library.list_models():
            raise _unknown(what, "open_clip", name, library.list_models())
        before = logging.root.level
        try:
            logging.root.setLevel(logging.ERROR)  # it tells the root logger of every step
            network, prepare = library.create_model_from_pretrained(name, pretrained=str(path))
        except Exception as error:  # of torch, and of its own
            raise _misfit(path, what, _reason(error)) from error
        finally:
            logging.root.setLevel(before)
    found = _model(f"open_clip-{name}", path, network, prepare, device)
    return found._replace(features=_runner(network.encode_image, device))


def _model(name: str, path: Path, network: Any, prepare: Prepare, device: str) -> Model:
    network.to(device).eval()
    weights = hash_of([path])
    about = {"version": f"{name}-{weights}", "model": name, "weights": weights}

    def load(item: Item) -> torch.Tensor:
        return prepare(picture(item))

    return Model(about, load, _runner(network, device))


def _runner(
    network: Callable[[torch.Tensor], torch.Tensor], device: str
) -> Callable[[Sequence[Any]], NDArray[np.float32]]:
    def features(pictures: Sequence[Any]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found = network(torch.stack(list(pictures)).to(device))
        return found.flatten(1).float().cpu().numpy()

    return features


def _of_imagenet(image: Any) -> torch.Tensor:
    """A picture of Pillow as ResNet50 wants it, [3, 224, 224]."""
    resampling = package("PIL.Image", "embed.model=resnet50", "image").Resampling.BILINEAR
    width, height = image.size
    scale = _SIDE / min(width, height)
    # The longer side is cut off, not rounded, as torchvision has it.
    size = tuple(_SIDE if side == min(width, height) else int(scale * side) for side in image.size)
    left, top = (round((side - _CROP) / 2.0) for side in size)
    cropped = image.resize(size, resampling).crop((left, top, left + _CROP, top + _CROP))
    values = np.asarray(cropped, np.float32) / 255.0
    scaled = (values - np.array(_MEAN, np.float32)) / np.array(_SPREAD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))


def _fill(
    network: Any, weights: dict[str, Any], path: Path, what: str, without: tuple[str, ...]
) -> None:
    """Put weights into a network, all of them but those of its last layer.

    Raises:
        GeospotError: they are those of another network.
    """
    known = network.state_dict()
    used = {name: value for name, value in weights.items() if not name.startswith(without)}
    needed = {name for name in known if not name.startswith(without)}
    for name in sorted(needed.symmetric_difference(used)):
        side = "has no" if name in needed else "has, and the model not,"
        raise _misfit(path, what, f"it {side} {name}")
    try:
        network.load_state_dict(used, strict=False)
    except RuntimeError as error:
        raise _misfit(path, what, _reason(error)) from error


def _reason(error: Exception) -> str:
    """Why weights were refused; torch has a line before, which says that they were."""
    said = str(error).strip().split("\n", 1)
    return why(Exception(said[-1] if said[0].startswith("Error(s) in loading") else str(error)))


def _misfit(path: Path, what: str, reason: str) -> GeospotError:
    return GeospotError(
        f"{path}: is of another model than {what} ({reason}): name the architecture that the "
        "weights are of"
    )


def _unknown(what: str, package: str, name: str, known: Sequence[str]) -> GeospotError:
    close = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"see {package}.list_models()"
    return GeospotError(f"{what}: {package} has no such architecture: {hint}")
