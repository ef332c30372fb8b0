"""GeoCLIP: a pretrained location encoder that needs nothing but coordinates."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import types
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.encoders.base import unit_rows
from geospot_gpu.encoders.location import LocationEncoder, in_company
from geospot_gpu.points.gallery import geoclip_folder

if TYPE_CHECKING:
    import torch


class GeoClip(LocationEncoder):
    """The location encoder of GeoCLIP (Vivanco Cepeda et al. 2023), 512 features per point.

    Class and weights are those of the ``geoclip`` package. Vectors are normalised to length one
    and cached on disk under a hash of their coordinates and the package's version.

    Args:
        cache: folder of the cache; ``$GEOSPOT_CACHE`` or the user's cache folder if not given.
    """

    dimension = 512

    @property
    def version(self) -> str:
        geoclip_folder()  # says how to install the package where it is missing
        return f"geoclip-{importlib.metadata.version('geoclip')}"

    def load(self, device: str) -> Callable[[NDArray[np.float64]], NDArray[np.float32]]:
        model = load_location_encoder(device)
        return lambda lat_lon: self._run(lat_lon, model, device)

    @staticmethod
    def _run(
        lat_lon: NDArray[np.float64], model: torch.nn.Module, device: str
    ) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            batch = torch.as_tensor(in_company(lat_lon), dtype=torch.float32)
            features = model(batch.to(device)).cpu().numpy()[: len(lat_lon)]
        return unit_rows(features, lambda k: f"GeoCLIP at (lat, lon) {tuple(lat_lon[k].tolist())}")


def load_location_encoder(device: str) -> torch.nn.Module:
    """The pretrained model, without the imports of the package's ``__init__``.

    That one needs torchvision and transformers for the image encoder, which locations do not use.
    The subpackage with the location encoder is therefore imported under a name of our own.
    """
    alias = "geospot_gpu.encoders._geoclip_model"
    if alias not in sys.modules:
        package = types.ModuleType(alias)
        package.__path__ = [str(geoclip_folder() / "model")]
        sys.modules[alias] = package
    module = importlib.import_module(f"{alias}.location_encoder")
    model: torch.nn.Module = module.LocationEncoder().to(device).eval()
    return model
