"""What Hydra is told of settings, and what it composed, made into typed settings again."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from importlib.resources import files
from typing import Any, TypeVar

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from geospot_gpu.config.settings import OPTIONS, SCHEMAS
from geospot_gpu.config.validation import check_numbers
from geospot_gpu.errors import GeospotError

T = TypeVar("T")


def offer(command: str) -> None:
    """Give Hydra the settings of a command, with their defaults; ``conf/`` says what differs.

    They have no types yet, so that mistakes are found in one place, by :func:`checked`.
    """
    store = ConfigStore.instance()
    store.store(name="settings", node=default_values(SCHEMAS[command]))
    for group, schemas in OPTIONS.items():
        for name, schema in schemas.items():
            store.store(group=group, name=name, node=default_values(schema))


def options(group: str) -> list[str]:
    """The options of a group, in ``conf/`` or of a registry; none where there is no such group."""
    folder = files("geospot_gpu.conf") / group
    there = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    written = [name.removesuffix(".yaml") for name in sorted(there) if name.endswith(".yaml")]
    return list(dict.fromkeys([*OPTIONS.get(group, ()), *written]))


def default_values(schema: Any) -> dict[str, Any]:
    """All settings of a schema, as Hydra composes them; of a group that is chosen, none yet."""
    found: dict[str, Any] = {}
    for field in fields(schema):
        factory = field.default_factory
        if factory is MISSING:
            found[field.name] = {} if field.default is MISSING else field.default
        else:
            found[field.name] = default_values(factory) if is_dataclass(factory) else factory()
    return found


def checked(config: DictConfig, schema: type[T]) -> T:
    """The composed configuration of a command, every value checked against its schema.

    Raises:
        GeospotError: a mandatory value is missing, or there is no such encoder or solver.
        omegaconf.errors.OmegaConfBaseException: a key is unknown or a value of the wrong type.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    if missing or not config.get("out", "-"):  # not all commands write
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
