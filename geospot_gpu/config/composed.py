"""What Hydra composed, made into typed settings: all of the room that knows OmegaConf."""

from __future__ import annotations

from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf

from geospot_gpu.config.settings import OPTIONS
from geospot_gpu.config.validation import check_numbers
from geospot_gpu.errors import GeospotError

T = TypeVar("T")


def checked(config: DictConfig, schema: type[T]) -> T:
    """The composed configuration of a command, every value checked against its schema.

    Raises:
        GeospotError: a mandatory value is missing, or there is no such encoder or solver.
        omegaconf.errors.OmegaConfBaseException: a key is unknown or a value of the wrong type.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    if missing or not config.out:
        key = missing[0] if missing else "out"
        raise GeospotError(f"{key} is needed: give {key}=...")
    chosen = {group: _chosen(config, group) for group in OPTIONS if group in config}
    found = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema(**chosen)), config))
    assert isinstance(found, schema)
    check_numbers(found)
    return found


def _chosen(config: DictConfig, group: str) -> Any:
    """The schema of the option that a group's ``name`` says."""
    name, options = OmegaConf.select(config, f"{group}.name"), OPTIONS[group]
    if name not in options:
        raise GeospotError(f"{group}.name={name} is unknown: use one of {', '.join(options)}")
    return options[name]
