"""What a stored number depends on: the identity of a run, of a region in it, and of a pair."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from geospot_gpu.cost import GroundCost
from geospot_gpu.engine.method import Method
from geospot_gpu.errors import GeospotError
from geospot_gpu.regions import Regions
from geospot_gpu.sinkhorn import SOLVERS

Identity = dict[str, object]


def run_identity(encoder: str, seed: int, method: Method) -> Identity:
    """Encoder, method and sampling seed: all that the pairs of one folder share.

    Outputs may differ, as every row says which it has, and so may a target error, which only says
    which samples are solved.
    """
    cost = {key: value for key, value in asdict(method.cost).items() if value is not None}
    return {
        "encoder": encoder,
        "cost": json.loads(json.dumps(cost)),  # tables are lists there
        "solver": {"name": type(method.solver).__name__.lower(), **asdict(method.solver)},
        "seed": seed,
    }


def same(stored: Identity, wanted: Identity) -> bool:
    """Whether a folder's identity is the wanted one.

    A cost with labels may be without its table of classes yet, which is the folder's then. That of
    version 0.1 also says whether its solver debiased, and has no price of coverage where
    none was computed.
    """
    return _of_now(stored, wanted) == wanted


def _of_now(stored: Identity, wanted: Identity) -> Identity:
    cost, own = stored.get("cost"), wanted["cost"]
    if isinstance(cost, dict) and isinstance(own, dict) and "class_costs" not in own:
        tabled = "label_weight" in own
        kept = {k: v for k, v in cost.items() if not (tabled and k in ("class_costs", "classes"))}
        stored = {**stored, "cost": kept}
    then, now = stored.get("solver"), wanted["solver"]
    if not isinstance(then, dict) or not isinstance(now, dict):
        return stored
    solver = {key: value for key, value in then.items() if key != "debias"}
    if "rho" in solver and solver["rho"] is None:
        solver["rho"] = now.get("rho")
    return {**stored, "solver": solver}


def method_of(identity: Identity) -> Method:
    """The cost and solver of an identity; see :func:`same` on those of version 0.1.

    Raises:
        GeospotError: they are of another version of geospot_gpu.

    >>> method = Method(GroundCost(geo_weight=0.25), SOLVERS["sinkhorn"](epsilon=0.02))
    >>> method_of(run_identity("none", 0, method)) == method
    True
    """
    try:
        cost: dict[str, Any] = dict(identity["cost"])  # type: ignore[call-overload]
        solver: dict[str, Any] = dict(identity["solver"])  # type: ignore[call-overload]
        solver.pop("debias", None)
        if solver.get("rho", 0.0) is None:
            del solver["rho"]
        kind = SOLVERS[solver.pop("name")]
        return Method(GroundCost(**cost), kind(**solver))
    except (KeyError, TypeError, ValueError) as error:
        raise GeospotError(
            f"its cost and solver are not of this version of geospot_gpu ({error}): run the same "
            "sweep again in a new folder"
        ) from error


def region_keys(regions: Regions, identity: Identity) -> list[str]:
    """A hash of each region's name and content under an identity, 24 hexadecimal digits."""
    common = json.dumps(identity, sort_keys=True)
    return [
        hashlib.blake2b(json.dumps([name, digest, common]).encode(), digest_size=12).hexdigest()
        for name, digest in zip(regions.names, regions.digests, strict=True)
    ]


def describe_difference(stored: Identity, wanted: Identity) -> str:
    """What differs between two identities, as ``cost.geo_weight=0.5 there, 1.0 here``."""
    there, here = _flat(_of_now(stored, wanted)), _flat(wanted)
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
