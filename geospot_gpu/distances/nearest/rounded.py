"""Features rounded to bfloat16, for bounds: products of those are faster on some processors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from geospot_gpu.cost import GroundCost
from geospot_gpu.kernels.clouds import PointArrays, required

_UNIT = 2.0**-8
_PIECE = 2048


class Rounded(NamedTuple):
    """Points with rounded features, and by how much they are off."""

    points: PointArrays
    away: float
    """Largest distance of a feature vector from its rounded one."""
    longest: float
    """Largest length of a feature vector."""


def rounds(cost: GroundCost, points: PointArrays) -> bool:
    """Whether bounds are found faster from rounded features: cosine costs in float32 on a CPU."""
    cosine = cost.uses_features and cost.feature == "cosine"
    return cosine and points.xyz.dtype == torch.float32 and multiplies_bfloat16(points.xyz.device)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether products of bfloat16 numbers are faster than those of float32 numbers."""
    ask: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    return device.type == "cpu" and bool(ask().get("avx512_bf16"))  # torch 2.9 cannot say


def rounded(points: PointArrays) -> Rounded:
    """Points with their features rounded."""
    exact: Tensor = required(points.features)
    near = exact.to(torch.bfloat16)
    pieces = zip(torch.split(exact, _PIECE), torch.split(near, _PIECE), strict=True)
    away = max(float((x - y).square_().sum(1).amax()) for x, y in pieces) ** 0.5
    arrays = PointArrays(near, points.xyz, points.mass)
    return Rounded(arrays, away, float(points.feature_norm.amax()))


def cost_error(cost: GroundCost, x: Rounded, y: Rounded) -> float:
    """Bound on the error of cosine costs between rounded features.

    ``|x.y - x'.y'| <= |x - x'| |y| + |x'| |y - y'|``, and the product is rounded again.
    """
    longest = x.longest + x.away
    product = x.away * y.longest + longest * y.away + _UNIT * longest * (y.longest + y.away)
    return (1.0 - cost.geo_weight) / cost.feature_scale * product
