"""Random convolutional features: a description of images that needs no training and no weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from geospot_gpu.files import content_hash

Mode = Literal["gaussian", "empirical"]

KERNEL = 3
"""Rows and columns of a filter."""
BIAS = -1.0
_LEAST_NORM, _WHITENING = 1e-8, 1e-3
_MOST_ENTRIES = 1 << 24
"""Of what is computed at a time, 64 MiB."""


class RandomConvolutions:
    """Mean responses of an image to random filters (Rolf et al. 2021, A generalizable and
    accessible approach to machine learning with global satellite imagery).

    Of each filter w there are two features, the means over the image of ``max(w * x - 1, 0)`` and
    ``max(1 - w * x, 0)``. For the same filters they are those of torchgeo's ``RCF``, whose
    generator is drawn from in the same order.

    Args:
        filters: [k, bands, KERNEL, KERNEL], float32.
        device: where to compute.
    """

    def __init__(self, filters: Tensor, device: str) -> None:
        self._filters = filters.to(device)
        self._bias = torch.full((len(filters),), BIAS, device=device)

    @property
    def weights(self) -> str:
        """A hash of the filters, 16 hexadecimal digits."""
        return content_hash(self._filters.cpu().numpy().astype("<f4").tobytes())[:16]

    def features(self, images: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Features [n, 2 k] of images [bands, height, width], each of a size of its own."""
        found = np.empty((len(images), 2 * len(self._filters)), np.float32)
        shapes = [image.shape for image in images]
        for shape in dict.fromkeys(shapes):
            members = [k for k, other in enumerate(shapes) if other == shape]
            stack = torch.from_numpy(np.stack([images[k] for k in members]))
            found[members] = self._of_one_shape(stack)
        return found

    def _of_one_shape(self, images: Tensor) -> NDArray[np.float32]:
        """Features [n, 2 k] of images [n, bands, height, width], strip by strip of their rows."""
        n, _, height, width = images.shape
        rows, columns = height - KERNEL + 1, width - KERNEL + 1
        step = max(1, _MOST_ENTRIES // (n * len(self._filters) * columns))
        sums = torch.zeros(n, 2 * len(self._filters), dtype=torch.float64)
        for low in range(0, rows, step):
            strip = images[:, :, low : min(rows, low + step) + KERNEL - 1].to(self._bias.device)
            response = functional.conv2d(strip, self._filters, self._bias)
            parts = response.clamp(min=0.0), response.clamp(max=0.0).neg_()
            sums += torch.cat([part.sum((2, 3)) for part in parts], 1).double().cpu()
        return (sums / (rows * columns)).float().numpy()


def gaussian_filters(count: int, bands: int, seed: int) -> Tensor:
    """Filters [count, bands, KERNEL, KERNEL] of independent normal numbers.

    >>> gaussian_filters(2, 3, seed=0).shape
    torch.Size([2, 3, 3, 3])
    """
    return torch.randn(count, bands, KERNEL, KERNEL, generator=_generator(seed))


def empirical_filters(
    count: int, images: int, image: Callable[[Sequence[int]], Any], seed: int
) -> Tensor:
    """Filters [count, bands, KERNEL, KERNEL] that are patches of the images, whitened.

    Args:
        count: of the filters.
        images: how many there are.
        image: gives those at ascending positions, one after another, each
            [bands, height, width].
        seed: of which patches are drawn.
    """
    generator = _generator(seed)
    chosen = torch.randint(0, images, (count,), generator=generator).numpy()
    # Where in its image a patch lies, as a share of the way: images differ in size.
    places = torch.rand(count, 2, generator=generator, dtype=torch.float64).numpy()
    patches: dict[int, NDArray[Any]] = {}
    distinct = sorted(set(chosen.tolist()))
    for position, pixels in zip(distinct, image(distinct), strict=True):
        for k in np.flatnonzero(chosen == position).tolist():
            y, x = (
                int(share * (size - KERNEL + 1))
                for share, size in zip(places[k], pixels.shape[1:], strict=True)
            )
            patches[k] = pixels[:, y : y + KERNEL, x : x + KERNEL]
    return torch.from_numpy(whitened(np.stack([patches[k] for k in range(count)])))


def whitened(patches: NDArray[Any]) -> NDArray[np.float32]:
    """Patches [n, bands, KERNEL, KERNEL] without their means, of length one, and whitened by ZCA.

    Whitening is applied twice, to the patches and to what they will be multiplied with (Coates &
    Ng 2012, Learning feature representations with k-means, section 3).
    """
    flat = patches.reshape(len(patches), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    flat = flat / np.where(norm < _LEAST_NORM, 1.0, norm)
    values, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
    inverse = (vectors / (values + _WHITENING)) @ vectors.T
    found: NDArray[np.float32] = (flat @ inverse).reshape(patches.shape).astype(np.float32)
    return found


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
