"""Checkpoints of location encoders in their true formats, with small random weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def save_satclip(
    path: Path,
    *,
    degrees: int = 10,
    convention: str = "analytic",
    hidden: int = 2,
    capacity: int = 32,
    width: int = 256,
    without: str = "",
    **parameters: Any,
) -> Mapping[str, torch.Tensor]:
    """A checkpoint of SatCLIP as Lightning 2 writes it, image encoder and optimizer included.

    Args:
        path: where to.
        degrees, convention, hidden, capacity, width: hyperparameters of the location encoder.
        without: a key of ``state_dict`` to leave out.
        parameters: other hyperparameters.

    Returns:
        Its ``state_dict``.
    """
    generator = torch.Generator().manual_seed(degrees)
    sizes = [degrees**2, *[capacity] * hidden, width]
    names = [*(f"layers.{k}" for k in range(hidden)), "last_layer"]
    state = {
        "model.logit_scale": torch.tensor(2.66),
        "model.visual.conv1.weight": torch.zeros(8, 13, 2, 2),
        "model.visual.proj": torch.zeros(8, width),
    }
    for name, into, out in zip(names, sizes, sizes[1:], strict=False):
        spread = 1 / into if name == "layers.0" else (6 / into) ** 0.5
        for part, shape in (("weight", (out, into)), ("bias", (out,))):
            values = (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1) * spread
            for where in ("model.nnet", "model.location.nnet"):
                state[f"{where}.{name}.{part}"] = values
    state.pop(without, None)
    given = {
        "embed_dim": width,
        "image_resolution": 256,
        "vision_layers": "moco_vit16",
        "vision_width": 768,
        "vision_patch_size": 32,
        "in_channels": 13,
        "le_type": "sphericalharmonics",
        "pe_type": "siren",
        "frequency_num": 16,
        "max_radius": 0.01,
        "min_radius": 1e-5,
        "legendre_polys": degrees,
        "harmonics_calculation": convention,
        "sh_embedding_dims": 32,
        "learning_rate": 1e-4,
        "weight_decay": 0.01,
        "num_hidden_layers": hidden,
        "capacity": capacity,
        "eval_downstream": False,
        "air_temp_data_path": "",
        "election_data_path": "",
    }
    torch.save(
        {
            "epoch": 1,
            "global_step": 2,
            "pytorch-lightning_version": "2.0.0",
            "state_dict": state,
            "loops": {"fit_loop": {"state_dict": {}}},
            "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(1.0)}},
            "optimizer_states": [{"state": {0: {"step": torch.tensor(2.0)}}, "param_groups": []}],
            "lr_schedulers": [],
            "hparams_name": "kwargs",
            "hyper_parameters": given | parameters,
        },
        path,
    )
    return state
