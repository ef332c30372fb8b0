"""A mixture of encoders: one space whose cost is the weighted mean of theirs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.encoders.base import Encoder, Features, LazyEncoder
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.points.table import Points

Weighted = tuple[Encoder, float]


class Mixture(LazyEncoder):
    """Feature vectors of several encoders, one after another, scaled by the roots of their weights.

    For vectors ``u_k`` and ``v_k`` of length one and weights ``w_k`` that sum to one, the inner
    product of two such vectors is ``sum_k w_k <u_k, v_k>``. So the cosine cost between them is
    exactly the mean ``sum_k w_k (1 - <u_k, v_k>)`` of the encoders' own, and squared Euclidean
    costs are mixed likewise: nothing is computed but inner products of longer vectors.

    Args:
        parts: encoders of vectors of length one, each with its weight; weights sum to one.

    Raises:
        GeospotError: a weight is not positive or they do not sum to one, or an encoder has vectors
            of other lengths.
    """

    def __init__(self, parts: Sequence[Weighted]) -> None:
        if not parts:
            raise GeospotError("a mixture has no parts: give each of its encoders a weight")
        self._parts = [
            (_of_unit_length(encoder), checks.real(weight, "weight")) for encoder, weight in parts
        ]
        weights = [weight for _, weight in self._parts]
        if min(weights) <= 0 or abs(sum(weights) - 1) > 1e-6:
            raise GeospotError(
                f"weights {', '.join(f'{weight:g}' for weight in weights)} of a mixture must be "
                "positive and sum to one"
            )
        self.reads_coordinates = all(encoder.reads_coordinates for encoder, _ in self._parts)

    @property
    def version(self) -> str:
        return " + ".join(f"{weight:.9g} {encoder.version}" for encoder, weight in self._parts)

    @property
    def learned(self) -> object:
        found = [encoder.learned for encoder, _ in self._parts]
        return None if all(part is None for part in found) else found

    @property
    def learns(self) -> bool:
        return any(encoder.learns for encoder, _ in self._parts)

    def relearn(self, learned: object) -> None:
        if isinstance(learned, list) and len(learned) == len(self._parts):
            for (encoder, _), part in zip(self._parts, learned, strict=True):
                encoder.relearn(part)

    def fit(self, points: Points, rows: NDArray[np.int64]) -> None:
        for encoder, _ in self._parts:
            encoder.fit(points, rows)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(name for encoder, _ in self._parts for name in encoder.ids)

    def open(self, points: Points, rows: NDArray[np.int64], device: str) -> Features:
        found = []
        for encoder, weight in self._parts:
            features = encoder.open(points, rows, device)
            if features is None:
                raise GeospotError(f"{encoder.version} gives no features that could be mixed")
            found.append((features, np.float32(np.sqrt(weight))))
        return _Mixed(found)

    def usable(self, points: Points, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows all of the encoders have features for, [len(rows)]."""
        found = [encoder.usable(points, rows) for encoder, _ in self._parts]
        usable: NDArray[np.bool_] = np.logical_and.reduce(found)
        return usable


class _Mixed:
    """Features of several encoders, side by side."""

    def __init__(self, parts: Sequence[tuple[Features, np.float32]]) -> None:
        self._parts = parts

    def __getitem__(self, index: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.concatenate([scale * features[index] for features, scale in self._parts], axis=1)


def _of_unit_length(encoder: object) -> Encoder:
    checked: Encoder = checks.instance(encoder, Encoder, "encoder")
    if not checked.unit_length:
        raise GeospotError(
            f"{checked.version} has vectors that are not of length one, which cannot be mixed: "
            "leave out normalize=false"
        )
    return checked
