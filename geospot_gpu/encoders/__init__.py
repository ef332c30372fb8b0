"""Encoders: what turns points into feature vectors."""

from __future__ import annotations

from geospot_gpu.encoders.base import Encoder
from geospot_gpu.encoders.geoclip import GeoClip
from geospot_gpu.encoders.location import LocationEncoder
from geospot_gpu.encoders.mixture import Mixture
from geospot_gpu.encoders.nearest_embedding import NearestEmbedding
from geospot_gpu.encoders.none import NoEncoder
from geospot_gpu.encoders.precomputed import Precomputed
from geospot_gpu.encoders.raster import Raster
from geospot_gpu.encoders.satclip import SatClip
from geospot_gpu.encoders.spaces import Spaces
from geospot_gpu.encoders.torch_model import TorchModel
from geospot_gpu.errors import GeospotError, checks

__all__ = [
    "ENCODERS",
    "Encoder",
    "GeoClip",
    "LocationEncoder",
    "Mixture",
    "NearestEmbedding",
    "NoEncoder",
    "Precomputed",
    "Raster",
    "SatClip",
    "Spaces",
    "TorchModel",
    "get_encoder",
]

ENCODERS: dict[str, type[Encoder]] = {
    "geoclip": GeoClip,
    "precomputed": Precomputed,
    "satclip": SatClip,
    "torch": TorchModel,
    "raster": Raster,
    "nearest_embedding": NearestEmbedding,
    "none": NoEncoder,
    "spaces": Spaces,
}
"""All there are, by the name that settings have for them; their arguments are their settings."""


def get_encoder(encoder: str | Encoder) -> Encoder:
    """The encoder itself, or the one of that name with its default settings.

    Raises:
        GeospotError: there is no encoder of that name, or it does not work without settings.
    """
    if isinstance(encoder, Encoder):
        return encoder
    if isinstance(encoder, str) and encoder in ENCODERS:
        return ENCODERS[encoder]()
    raise GeospotError(
        f"encoder={checks.shown(encoder)} is unknown: use {', '.join(ENCODERS)}, or an Encoder "
        "such as Precomputed(...)"
    )
