"""SatCLIP: a location encoder trained on satellite images, from a checkpoint on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.encoders.base import unit_rows
from geospot_gpu.encoders.harmonics import CONVENTIONS, satclip_harmonics
from geospot_gpu.encoders.location import LocationEncoder, in_company
from geospot_gpu.encoders.weights import read_checkpoint, state_of, tensors_hash
from geospot_gpu.errors import GeospotError, checks

if TYPE_CHECKING:
    from torch import Tensor

_FIRST = "nnet.layers.0.weight"
_PREFIXES = ("model.", "model.location.", "location.", "")
_FIRST_FREQUENCY = 30.0
"""Of the sine after the first layer (Sitzmann et al. 2020, SIREN); 1 after the others."""


class Weights(NamedTuple):
    """What of a checkpoint the location encoder consists of."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    """Matrix and bias of each layer, float64."""
    degrees: int
    """How many degrees of spherical harmonics: L."""
    convention: str
    """Of them."""
    hash: str


class SatClip(LocationEncoder):
    """The location encoder of SatCLIP (Klemmer et al. 2025), 256 features per point.

    Spherical harmonics of degrees below L (10 or 40 in the published checkpoints), then a network
    of sines, both in float64 and without the package itself or Lightning: of the checkpoint only
    tensors and plain values are read, and its image encoder is left on disk. Vectors are
    normalised to length one, as in its training, and cached under a hash of the weights.

    Args:
        path: the checkpoint, as in ``satclip-vit16-l40.ckpt``.
        cache: folder of the cache; ``$GEOSPOT_CACHE`` or the user's cache folder if not given.

    Raises:
        GeospotError: no path is given. A file that is no such checkpoint is refused when points are
            encoded.
    """

    def __init__(self, path: str | Path | None = None, cache: str | Path | None = None) -> None:
        super().__init__(cache)
        if path is None:
            raise GeospotError(
                "encoder=satclip needs encoder.path=...: a checkpoint, as satclip-vit16-l40.ckpt"
            )
        self.path = checks.path(path, "encoder.path")

    @property
    def dimension(self) -> int:  # type: ignore[override]
        return len(self._weights.layers[-1][1])

    @property
    def version(self) -> str:
        return f"satclip-l{self._weights.degrees}-{self._weights.hash}"

    @cached_property
    def _weights(self) -> Weights:
        return read_weights(self.path)

    def load(self, device: str) -> Callable[[NDArray[np.float64]], NDArray[np.float32]]:
        weights = self._weights
        layers = [(matrix.to(device), bias.to(device)) for matrix, bias in weights.layers]
        return lambda lat_lon: self._run(lat_lon, layers, weights, device)

    @staticmethod
    def _run(
        lat_lon: NDArray[np.float64],
        layers: list[tuple[Tensor, Tensor]],
        weights: Weights,
        device: str,
    ) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            lat, lon = torch.as_tensor(in_company(lat_lon).T.copy(), device=device)
            x = satclip_harmonics(lon, lat, weights.degrees, weights.convention)
            for k, (matrix, bias) in enumerate(layers):
                x = torch.nn.functional.linear(x, matrix, bias)
                if k < len(layers) - 1:
                    x = torch.sin(x * _FIRST_FREQUENCY if k == 0 else x)
        features = x.cpu().numpy()[: len(lat_lon)]
        return unit_rows(features, lambda k: f"SatCLIP at (lat, lon) {tuple(lat_lon[k].tolist())}")


def read_weights(path: Path) -> Weights:
    """The location encoder of a checkpoint.

    Raises:
        GeospotError: it is none of SatCLIP with spherical harmonics and a network of sines; the
            message names what is missing or different.
    """
    content = read_checkpoint(path, "state_dict and hyper_parameters, the latter as a dict,")
    if not isinstance(content, Mapping):
        raise GeospotError(f"{path}: is no checkpoint of SatCLIP: it holds no hyper_parameters")
    for key in ("hyper_parameters", "state_dict"):
        if not isinstance(content.get(key), Mapping):
            raise GeospotError(f"{path}: is no checkpoint of SatCLIP: it holds no {key}")
    given: Mapping[str, Any] = content["hyper_parameters"]
    state = state_of(content, path)
    for key, wanted in {"le_type": "sphericalharmonics", "pe_type": "siren"}.items():
        if given.get(key) != wanted:
            raise GeospotError(
                f"{path}: hyper_parameters have {key}={checks.shown(given.get(key))}: only "
                f"checkpoints of SatCLIP with {key}={wanted} can be read"
            )
    convention = given.get("harmonics_calculation", CONVENTIONS[0])
    if convention not in CONVENTIONS:
        raise GeospotError(
            f"{path}: hyper_parameters have harmonics_calculation={checks.shown(convention)}: only "
            f"{' and '.join(CONVENTIONS)} can be computed"
        )
    layers = tuple(_layers(state, given, path))
    degrees = given.get("legendre_polys")
    if not isinstance(degrees, int) or layers[0][0].shape[1] != degrees**2:
        raise GeospotError(
            f"{path}: hyper_parameters have legendre_polys={checks.shown(degrees)}, and the first "
            f"layer takes {layers[0][0].shape[1]} harmonics, not its square: give another"
        )
    named = {f"{k}.{side}": one for k, two in enumerate(layers) for side, one in enumerate(two)}
    return Weights(layers, degrees, convention, tensors_hash(named, degrees, convention))


def _layers(
    state: Mapping[str, Tensor], given: Mapping[str, Any], path: Path
) -> list[tuple[Tensor, Tensor]]:
    """Matrices and biases in float64, checked to fit each other."""
    prefix = next((one for one in _PREFIXES if one + _FIRST in state), _PREFIXES[0])
    count = given.get("num_hidden_layers")
    if not isinstance(count, int) or count < 1:
        raise GeospotError(f"{path}: hyper_parameters lack num_hidden_layers: give a whole one")
    layers: list[tuple[Tensor, Tensor]] = []
    for name in [*(f"layers.{k}" for k in range(count)), "last_layer"]:
        found = []
        for part in ("weight", "bias"):
            key = f"{prefix}nnet.{name}.{part}"
            if key not in state:
                raise GeospotError(f"{path}: state_dict lacks {key}: give a checkpoint of SatCLIP")
            found.append(state[key].double())
        matrix, bias = found
        into = layers[-1][0].shape[0] if layers else matrix.shape[-1]
        if matrix.ndim != 2 or bias.shape != matrix.shape[:1] or matrix.shape[1] != into:
            raise GeospotError(
                f"{path}: {prefix}nnet.{name} has weight {tuple(matrix.shape)} and bias "
                f"{tuple(bias.shape)}, which do not fit the layer before: give a whole checkpoint"
            )
        layers.append((matrix, bias))
    return layers
