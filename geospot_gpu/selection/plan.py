"""What a plan of coverage takes from each of several regions."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from geospot_gpu.arrays import Indices
from geospot_gpu.devices import upload
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.progress import Progress
from geospot_gpu.selection.quota import pieces, seen_from

Array = NDArray[np.float64]


def taken_from(
    engine: PairEngine,
    targets: Indices,
    shares: Array,
    sources: Indices,
    count: Indices,
    epsilon: float,
) -> Array:
    """Share of the mass of targets that a plan of coverage takes from each source, [R].

    Where the source's mass is free, ``rho -> 0``, the plan of coverage takes the mass of target
    point j from points i of all sources in proportion to ``a_i exp(-C_ij / eps)``, the weights of
    its softmin: no iteration is needed. (Chizat et al. 2018, Scaling algorithms for unbalanced
    optimal transport problems, table 1, where the scaling of the source is then one.) A point of a
    source that is the target itself never stands for itself.

    Args:
        engine: the regions and their cost.
        targets: positions of the targets, [T].
        shares: what each counts, [T].
        sources: positions of the sources, [R].
        count: what the points of each count together, [R], positive.
        epsilon: entropic regularisation, in units of the scaled ground cost.
    """
    regions, found = engine.regions, np.zeros(len(sources))
    points, others = (int(engine.sizes[k].sum()) for k in (targets, sources))
    with Progress("comparing", "points", total=points) as progress:
        for t, share in zip(targets.tolist(), shares.tolist(), strict=True):
            weight = regions.weight[slice(*regions.offsets[t : t + 2].tolist())].double()
            for rows in pieces(int(engine.sizes[t]), others):
                columns = []
                for r, of_source in zip(sources.tolist(), count.tolist(), strict=True):
                    draw = seen_from(engine, t, rows, r)
                    mass = draw.weight * (of_source / draw.weight.sum(dim=1, keepdim=True))
                    columns.append((mass.log() - draw.costs / epsilon).logsumexp(dim=1))
                plan = torch.stack(columns, dim=1).softmax(dim=1)
                found += share * (upload(weight[rows], plan.device) @ plan).cpu().numpy()
                progress.update(rows.stop - rows.start)
    return found
