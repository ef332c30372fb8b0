"""What a stored number depends on: the identity of a run, of a region in it, and of a pair."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.cost import GroundCost
from geospot_gpu.engine import Solver
from geospot_gpu.regions import Regions

Identity = dict[str, object]


def run_identity(regions: Regions, cost: GroundCost, solver: Solver) -> Identity:
    """Encoder, cost, solver and sampling seed: all that the pairs of one folder share."""
    return {
        "encoder": regions.encoder,
        "cost": asdict(cost),
        "solver": {"name": type(solver).__name__.lower(), **asdict(solver)},
        "seed": regions.sampling.seed,
    }


def region_keys(regions: Regions, identity: Identity) -> list[str]:
    """A hash of each region's name and content under an identity, 24 hexadecimal digits."""
    common = json.dumps(identity, sort_keys=True)
    return [
        hashlib.blake2b(json.dumps([name, digest, common]).encode(), digest_size=12).hexdigest()
        for name, digest in zip(regions.names, regions.digests, strict=True)
    ]


def pair_keys(sources: Sequence[str], targets: Sequence[str]) -> NDArray[np.str_]:
    """Keys of pairs of regions, from the keys of the regions, element by element."""
    return np.char.add(np.asarray(sources, dtype=str), np.asarray(targets, dtype=str))


def describe_difference(stored: Identity, wanted: Identity) -> str:
    """What differs between two identities, as ``cost.geo_weight=0.5 there, 1.0 here``."""
    there, here = _flat(stored), _flat(wanted)
    return "; ".join(
        f"{key}={there.get(key, 'absent')} there, {here.get(key, 'absent')} here"
        for key in sorted(there.keys() | here.keys())
        if there.get(key) != here.get(key)
    )


def _flat(identity: Identity) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in identity.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": part for name, part in value.items()}
        else:
            flat[key] = value
    return flat
