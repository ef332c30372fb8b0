"""Settings by the names that they had, so that who knows those learns the new ones."""

from __future__ import annotations

from typing import Any

from geospot_gpu.errors import GeospotError

KERNELS = {
    "auto": {"backend": "auto", "storage": "auto"},
    "dense": {"storage": "kept"},
    "streaming": {"storage": "streamed"},
    "keops": {"backend": "keops"},
    "triton": {"backend": "triton"},
}
"""What ``kernel=`` chose, in settings of the group ``engine``."""


def no_kernel(name: object) -> GeospotError:
    """What to say of ``kernel=NAME``.

    >>> print(no_kernel("dense"))
    kernel=dense is now engine.storage=kept
    """
    settings = KERNELS.get(str(name), {"backend": "...", "storage": "..."})
    new = " ".join(f"engine.{key}={value}" for key, value in settings.items())
    return GeospotError(f"kernel={str(name)[:60]} is now {new}")


def check_former(key: str, value: str) -> None:
    """Raise where a setting of the command line is one that has another name by now.

    >>> check_former("solver.target_error", "0.01")
    Traceback (most recent call last):
    ...
    geospot_gpu.errors.GeospotError: solver.target_error=0.01 is now target_error=0.01
    """
    if key in ("kernel", "kernel.name"):
        raise no_kernel(value.split(",")[0])
    if key == "solver.target_error":
        raise GeospotError(f"{key}={value} is now target_error={value}")
    if key == "solver.debias":
        new = "outputs=[divergence]" if value.lower() == "true" else "outputs=[transport_cost]"
        raise GeospotError(f"{key}={value} is now {new}: what is asked for is computed")
    if key == "solver.rho" and value.lower() in ("null", "none"):
        raise GeospotError(f"{key}={value} is now outputs=[divergence]: coverage is not asked for")


def translated(config: object) -> object:
    """The configuration of a manifest, whose settings are called what they are called now."""
    if not isinstance(config, dict):
        return config
    return _with_outputs(_with_backend(config))


def _with_backend(config: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(config.get("kernel"), dict):
        return config
    new = dict(config)
    chosen, engine = KERNELS.get(str(new["kernel"].get("name"))), new.get("engine", {})
    if chosen is None or not isinstance(engine, dict):
        return config
    del new["kernel"]
    return new | {"engine": chosen | engine}


def _with_outputs(config: dict[str, Any]) -> dict[str, Any]:
    then = config.get("solver")
    if not isinstance(then, dict) or not {"debias", "target_error"} & then.keys():
        return config
    solver = {key: value for key, value in then.items() if key not in ("debias", "target_error")}
    outputs = ["ot_value", "transport_cost"]
    if then.get("debias", True):
        outputs += ["divergence", "std_error", "bias"]
    if solver.get("rho", 0.0) is None:
        del solver["rho"]
    else:
        outputs += ["coverage", "nearest"]
    asked = {"outputs": outputs, "target_error": then.get("target_error")}
    return config | {"solver": solver} | asked
