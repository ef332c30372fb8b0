"""Encoders: what turns points into feature vectors."""

from __future__ import annotations

from geospot_gpu.encoders.base import Encoder
from geospot_gpu.encoders.geoclip import GeoClip
from geospot_gpu.encoders.none import NoEncoder
from geospot_gpu.encoders.precomputed import Precomputed
from geospot_gpu.errors import GeospotError, checks

__all__ = ["Encoder", "GeoClip", "NoEncoder", "Precomputed", "get_encoder"]


def get_encoder(encoder: str | Encoder) -> Encoder:
    """The encoder itself, or the one of that name with its default settings.

    Raises:
        GeospotError: no encoder of that name works without settings.
    """
    if isinstance(encoder, Encoder):
        return encoder
    if isinstance(encoder, str) and encoder == "geoclip":
        return GeoClip()
    if isinstance(encoder, str) and encoder == "none":
        return NoEncoder()
    raise GeospotError(
        f"encoder={checks.shown(encoder)} is unknown: use geoclip, none, or an Encoder such as "
        "Precomputed(...)"
    )
