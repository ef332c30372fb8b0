"""Where to start from: potentials of the same regions under another cost or epsilon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from geospot_gpu.arrays import Indices
from geospot_gpu.devices import upload
from geospot_gpu.errors import checks
from geospot_gpu.kernels.clouds import CloudBatch


class WarmStarts:
    """Potentials of solved pairs, from which the same pairs start when they are solved again.

    A sweep over several ``geo_weight`` or ``epsilon`` takes about a quarter fewer iterations so.
    Where an iteration starts does not change what it must reach: results differ within the
    tolerance, and intervals hold. (Potentials of a neighbouring pair were tried too: for countries
    and for districts side by side they saved no iterations.) GeomLoss's loop and EMD start anew.

    Args:
        max_bytes: no more potentials are kept beyond this.
    """

    def __init__(self, max_bytes: int = 2**28) -> None:
        self._free = checks.whole(max_bytes, "max_bytes", least=0)
        self.known: dict[tuple[str, str], _Place] = {}

    def of(self, pairs: list[tuple[str, str]], target: CloudBatch) -> WarmBatch:
        """The starts of one batch.

        Args:
            pairs: digests of the two regions of each pair, [B].
            target: the target side of the batch.
        """
        return WarmBatch(self, pairs, target)

    def get(self, pair: tuple[str, str]) -> Tensor | None:
        """Potentials of the target of a pair, if it was solved before."""
        found = self.known.get(pair)
        return None if found is None else found.values[found.first : found.stop]

    def room_for(self, pairs: list[tuple[str, str]], needed: Indices) -> Indices:
        """Which pairs [B] are new and kept from now on, each of the bytes ``needed``, [B']."""
        new: dict[tuple[str, str], int] = {}
        for k, pair in enumerate(pairs):
            if pair not in self.known and pair not in new and needed[k] <= self._free:
                self._free -= int(needed[k])
                new[pair] = k
        return np.array(list(new.values()), np.int64)


class _Place(NamedTuple):
    """Where the potentials of a pair are: among those of the batch that it was first solved in."""

    values: Tensor
    first: int
    stop: int


class WarmBatch(NamedTuple):
    """The starts of one batch of pairs."""

    starts: WarmStarts
    pairs: list[tuple[str, str]]
    target: CloudBatch

    def start(self, other: Tensor | None) -> Tensor | None:
        """Potentials [B, M] of the targets.

        Args:
            other: those of pairs that are new; zero if None.

        Returns:
            None where all are zero.
        """
        if not any(pair in self.starts.known for pair in self.pairs):
            return other
        start = torch.zeros_like(self.target.weight) if other is None else other.clone()
        for values, rows, places in self._known():
            found = values[upload(rows, values.device)]
            start.view(-1)[upload(places, start.device)] = found.to(start)
        return start

    def keep(self, potentials: Tensor) -> None:
        """Remember the potentials [B, M] of the targets, while there is room."""
        for values, rows, places in self._known():
            found = potentials.flatten()[upload(places, potentials.device)]
            values[upload(rows, values.device)] = found.to(values)
        new = self.starts.room_for(self.pairs, self.target.size * potentials.element_size())
        if len(new):
            places = torch.from_numpy(self._places(new))
            values = potentials.flatten()[upload(places, potentials.device)]
            stop = np.cumsum(self.target.size[new])
            for k, first, last in zip(new, stop - self.target.size[new], stop, strict=True):
                self.starts.known[self.pairs[k]] = _Place(values, int(first), int(last))

    def _known(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Arrays that have potentials of the batch, where there, and where in [B, M] flattened."""
        together: dict[int, list[int]] = defaultdict(list)
        for k, pair in enumerate(self.pairs):
            if (place := self.starts.known.get(pair)) is not None:
                together[id(place.values)].append(k)
        for members in together.values():
            places = [self.starts.known[self.pairs[k]] for k in members]
            rows = np.concatenate([np.arange(place.first, place.stop) for place in places])
            there = self._places(np.array(members))
            yield places[0].values, torch.from_numpy(rows), torch.from_numpy(there)

    def _places(self, index: Indices) -> Indices:
        """Places of the targets at ``index`` [K], one after another, in [B, M] flattened."""
        size, width = self.target.size[index], self.target.shape[1]
        return np.concatenate([k * width + np.arange(n) for k, n in zip(index, size, strict=True)])
