"""GeomLoss's loop over our kernels, against its own SamplesLoss and float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import geospot_gpu as gs
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.kernels import make_kernel
from geospot_gpu.kernels.clouds import CloudBatch, PointArrays
from geospot_gpu.kernels.contract import IterationSettings, Kernel, Side
from geospot_gpu.kernels.keops import keops_problem, quiet_import
from geospot_gpu.sinkhorn.coverage import certify_coverage, damping
from geospot_gpu.sinkhorn.geomloss import anneal, diameters
from tests.helpers.clouds import cost_matrix, exact_transport, kernel, random_regions, weights

EPSILON, SCALING = 0.05, 0.8
MIXED = gs.GroundCost(geo_weight=0.5)
SQUARES = gs.GroundCost(feature="sqeuclidean", geo_weight=0.2, feature_scale=4.0)
PAIR, SELF = IterationSettings(1e-3, 0), IterationSettings(1e-3, 0, symmetric=True)
CPU = gs.Engine("cpu")
KERNELS = [
    ("torch", "kept", torch.float64),
    ("torch", "streamed", torch.float64),
    ("compiled", "kept", torch.float32),
    ("compiled", "streamed", torch.float32),
    pytest.param("keops", "streamed", torch.float64, marks=pytest.mark.slow),
    pytest.param("triton", "kept", torch.float32, marks=pytest.mark.slow),
    pytest.param("triton", "streamed", torch.float32, marks=pytest.mark.slow),
]
