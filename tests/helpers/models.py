"""Small location encoders, as people bring them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


class Sphere(nn.Module):
    """Knows the Earth to be round: features of unit vectors, as SatCLIP's are."""

    def __init__(self, width: int = 8, *, latlon: bool = False, to_radians: float = 180.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(width)
        self.latlon, self.scale = latlon, math.pi / to_radians
        self.weight = nn.Parameter(torch.randn(3, width, generator=generator) * 2)

    def forward(self, x: Tensor) -> Tensor:
        angles = x * self.scale
        lon, lat = angles[:, 0], angles[:, 1]
        if self.latlon:
            lon, lat = lat, lon
        place = torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], 1)
        return torch.sin(place @ self.weight)


class Directions(nn.Module):
    """Takes unit vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[1.0, 2, 3], [0, 1, -1], [1, 1, 1]]))

    def forward(self, xyz: Tensor) -> Tensor:
        return xyz @ self.weight


class Waves(nn.Module):
    """Sines and cosines of both coordinates in [-1, 1], as SINR's input is."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(width)
        self.net = nn.Linear(4, width)
        with torch.no_grad():
            self.net.weight.copy_(torch.randn(width, 4, generator=generator))
            self.net.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.net(torch.cat([torch.sin(math.pi * x), torch.cos(math.pi * x)], 1))
        return features


class Flat(nn.Module):
    """Knows nothing of the Earth."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.tanh(x / 50), x / 100], 1)


class Normalised(nn.Module):
    """A vector depends on the others of its batch."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(0)) / (x.std(0) + 1)


def giving(function: Callable[[Tensor], object]) -> type[nn.Module]:
    """A class of models that give what a function does."""

    class Given(nn.Module):
        def forward(self, x: Tensor) -> object:
            return function(x)

    return Given


NumPy = giving(lambda x: Sphere()(x).detach().numpy())
Constant = giving(lambda x: torch.ones(len(x), 4))
Undefined = giving(lambda x: torch.log(x))
Pair = giving(lambda x: (x, x))
Complex = giving(lambda x: torch.complex(x, x))
Vector = giving(lambda x: x[:, 0])
Broken = giving(lambda x: x @ torch.ones(5, 5))
