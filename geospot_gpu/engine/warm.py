"""Where to start from: potentials of the same regions under another cost or epsilon."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from geospot_gpu.errors import checks
from geospot_gpu.kernels.clouds import CloudBatch


class WarmStarts:
    """Potentials of solved pairs, from which the same pairs start when they are solved again.

    A sweep over several ``geo_weight`` or ``epsilon`` takes about a quarter fewer iterations so.
    Where an iteration starts does not change what it must reach: results differ within the
    tolerance, and intervals hold. (Potentials of a neighbouring pair were tried too: for countries
    and for districts side by side they saved no iterations.) GeomLoss's loop starts anew.

    Args:
        max_bytes: no more potentials are kept beyond this.
    """

    def __init__(self, max_bytes: int = 2**28) -> None:
        self._free = checks.whole(max_bytes, "max_bytes", least=0)
        self._potentials: dict[tuple[str, str], Tensor] = {}

    def of(self, pairs: list[tuple[str, str]], target: CloudBatch) -> WarmBatch:
        """The starts of one batch.

        Args:
            pairs: digests of the two regions of each pair, [B].
            target: the target side of the batch.
        """
        return WarmBatch(self, pairs, target)

    def get(self, pair: tuple[str, str]) -> Tensor | None:
        """Potentials of the target of a pair, if it was solved before."""
        return self._potentials.get(pair)

    def put(self, pair: tuple[str, str], potential: Tensor) -> None:
        """Remember the potentials of the target of a pair, while there is room."""
        needed = 0 if pair in self._potentials else potential.nbytes
        if needed <= self._free:
            self._free -= needed
            self._potentials[pair] = potential.clone()


class WarmBatch(NamedTuple):
    """The starts of one batch of pairs."""

    starts: WarmStarts
    pairs: list[tuple[str, str]]
    target: CloudBatch

    def start(self) -> Tensor | None:
        """Potentials [B, M] of the targets; zero for pairs that are new, None where all are."""
        known = [self.starts.get(pair) for pair in self.pairs]
        if all(potential is None for potential in known):
            return None
        start = torch.zeros_like(self.target.weight)
        for row, potential in zip(start, known, strict=True):
            if potential is not None:
                row[: len(potential)] = potential
        return start

    def keep(self, potentials: Tensor) -> None:
        """Remember the potentials [B, M] of the targets."""
        for pair, size, row in zip(self.pairs, self.target.size.tolist(), potentials, strict=True):
            self.starts.put(pair, row[:size])
