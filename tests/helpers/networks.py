"""Networks with random weights, embedded by us and by the libraries themselves, as a process.

A torchvision that was built for another torch cannot be imported, as its operators are not there.
None of the networks uses them: declaring them by name lets all the rest of it be tested for real.
The process ends afterwards, so that no other test sees a torchvision that was helped.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from PIL import Image

import geospot_gpu as gs
from geospot_gpu.embedding.base import Model
from geospot_gpu.errors import GeospotError
from tests.helpers.images import noise, png

PICTURES = [noise(300, 400, 1), noise(280, 261, 2), noise(90, 70, 3)]


def import_torchvision() -> Any:
    """The installed torchvision, whatever build of torch it is for."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    spec = importlib.util.find_spec("torchvision")
    assert spec is not None
    text = Path(str(spec.origin)).with_name("_meta_registrations.py").read_text()
    library: Any = getattr(torch.library, "Library")("torchvision", "FRAGMENT")  # noqa: B009
    for name in set(re.findall(r'register_(?:meta|fake)\("(?:torchvision::)?(\w+)"', text)):
        library.define(f"{name}(Tensor x) -> Tensor")
    import_torchvision.library = library  # type: ignore[attr-defined]  # as long as the process
    return importlib.import_module("torchvision")


def embedded(by: gs.Images) -> tuple[Model, Any]:
    items = [png(values) for values in PICTURES]
    model = by.open(lambda: iter(items), "cpu")
    return model, model.features([model.load(item) for item in items])


def expected(prepare: Callable[[Any], torch.Tensor], network: Any) -> Any:
    """Vectors as the library's own code gives them, picture by picture."""
    with torch.inference_mode():
        rows = [network(prepare(Image.fromarray(values))[None])[0] for values in PICTURES]
    return torch.stack(rows).numpy()


def refused(by: gs.Images) -> str:
    try:
        embedded(by)
    except GeospotError as error:
        return str(error)
    return ""


def resnet50(folder: Path) -> dict[str, Any]:
    torchvision = importlib.import_module("torchvision")
    transforms = importlib.import_module("torchvision.transforms")
    path = folder / "resnet50.pth"
    network = torchvision.models.resnet50(weights=None).eval()
    torch.save(network.state_dict(), path)
    model, found = embedded(gs.Images(model="resnet50", weights=path))
    mean, spread = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    prepare = transforms.Compose(
        [
            *(transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()),
            transforms.Normalize(mean=mean, std=spread),
        ]
    )
    penultimate = torch.nn.Sequential(*list(network.children())[:-1], torch.nn.Flatten())
    other = torchvision.models.resnet18(weights=None).state_dict()
    torch.save(other, folder / "resnet18.pth")
    return {
        "shape": found.shape,
        "gap": float(np.abs(found - expected(prepare, penultimate)).max()),
        "version": model.version,
        "misfit": refused(gs.Images(model="resnet50", weights=folder / "resnet18.pth")),
    }


def timm(folder: Path) -> dict[str, Any]:
    library = importlib.import_module("timm")
    path, name = folder / "timm.safetensors", "test_vit"
    network = library.create_model(name, pretrained=False).eval()
    safetensors.torch.save_file(network.state_dict(), path)
    model, found = embedded(gs.Images(model=f"timm/{name}", weights=path))
    config = library.data.resolve_model_data_config(network)
    prepare = library.data.create_transform(**config, is_training=False)
    network.reset_classifier(0)
    return {
        "shape": found.shape,
        "gap": float(np.abs(found - expected(prepare, network)).max()),
        "version": model.version,
        "misfit": refused(gs.Images(model="timm/test_resnet", weights=path)),
        "unknown": refused(gs.Images(model="timm/resnet5", weights=path)),
    }


def open_clip(folder: Path) -> dict[str, Any]:
    library = importlib.import_module("open_clip")
    vision = {"layers": 2, "width": 64, "head_width": 32, "image_size": 64, "patch_size": 16}
    text = {"layers": 2, "width": 64, "heads": 2, "context_length": 8, "vocab_size": 100}
    for name, width in (("tiny", 64), ("tinier", 32)):
        config = {"embed_dim": 32, "vision_cfg": vision | {"width": width}, "text_cfg": text}
        (folder / f"{name}.json").write_text(json.dumps(config))
        library.add_model_config(folder / f"{name}.json")
    path = folder / "clip.pt"
    network, _, prepare = library.create_model_and_transforms("tiny")
    torch.save(network.state_dict(), path)
    model, found = embedded(gs.Images(model="open_clip/tiny", weights=path))
    return {
        "shape": found.shape,
        "gap": float(np.abs(found - expected(prepare, network.eval().encode_image)).max()),
        "version": model.version,
        "misfit": refused(gs.Images(model="open_clip/tinier", weights=path)),
        "unknown": refused(gs.Images(model="open_clip/ViT-B-33", weights=path)),
    }


if __name__ == "__main__":
    import_torchvision()
    done = {run.__name__: run(Path(sys.argv[1])) for run in (resnet50, timm, open_clip)}
    sys.stdout.write(f"{json.dumps(done)}\n")
