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


def translated(config: object) -> object:
    """The configuration of a manifest, whose settings are called what they are called now."""
    if not isinstance(config, dict) or not isinstance(config.get("kernel"), dict):
        return config
    new: dict[str, Any] = dict(config)
    chosen, engine = KERNELS.get(str(new["kernel"].get("name"))), new.get("engine", {})
    if chosen is None or not isinstance(engine, dict):
        return config
    del new["kernel"]
    return new | {"engine": chosen | engine}
