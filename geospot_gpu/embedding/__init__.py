"""Embedding: what turns the texts and images of a table into a file of feature vectors."""

from __future__ import annotations

from geospot_gpu.embedding.base import Embedder
from geospot_gpu.embedding.images import Images
from geospot_gpu.embedding.texts import Texts

__all__ = ["EMBEDDERS", "Embedder", "Images", "Texts"]

EMBEDDERS: dict[str, type[Embedder]] = {"text": Texts, "image": Images}
"""All there are, by the name that settings have for them; their arguments are their settings."""
