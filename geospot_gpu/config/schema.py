"""Plain data, as JSON holds it, made into the typed settings that it claims to be.

The command line is read by Hydra and OmegaConf, where text may stand for other settings or for
variables of the environment. What comes from a file is somebody else's: here text is text.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from geospot_gpu.errors import GeospotError

T = TypeVar("T")

MISSING: Any = "???"
"""A value that has to be given, in Hydra's spelling."""

_LARGEST = 1e300
_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


def built(schema: type[T], data: object, key: str, choices: Mapping[str, Mapping[str, type]]) -> T:
    """Settings of a schema, every value of the type that it asks for.

    Args:
        schema: a dataclass of settings and of groups of them.
        data: its fields; those with a default may be absent.
        key: what to call the whole, for messages.
        choices: of the groups whose schema their ``name`` chooses, the schemas by this name.

    Raises:
        GeospotError: the data have another form.

    >>> @dataclasses.dataclass
    ... class Grid:
    ...     name: str
    ...     degrees: float = 10.0
    >>> built(Grid, {"name": "${oc.env:HOME}", "degrees": 5}, "config", {})
    Grid(name='${oc.env:HOME}', degrees=5.0)
    """
    if not isinstance(data, dict):
        raise GeospotError(f"{key} must be a group of settings")
    hints = typing.get_type_hints(schema)
    for name in data:
        if name not in hints:
            raise GeospotError(f"{key} has no setting {str(name)[:60]!r}")
    values = {}
    for field in dataclasses.fields(schema):  # type: ignore[arg-type]
        name = f"{key}.{field.name}"
        if field.name not in data:
            absent = dataclasses.MISSING
            if field.default in (absent, MISSING) and field.default_factory is absent:
                raise GeospotError(f"{name} is missing")
            continue
        kind, value = hints[field.name], data[field.name]
        if options := choices.get(field.name):
            chosen = value.get("name") if isinstance(value, dict) else None
            if not isinstance(chosen, str) or chosen not in options:
                raise GeospotError(f"{name}.name must be one of {', '.join(options)}")
            kind = options[chosen]
        values[field.name] = _value(kind, value, name)
    return schema(**values)


def _value(kind: Any, value: Any, key: str) -> Any:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        if value is None:
            return None
        (kind,) = (part for part in typing.get_args(kind) if part is not type(None))
    if kind is Any:  # in several forms, which whoever takes it tells apart
        return value
    if dataclasses.is_dataclass(kind):
        return built(typing.cast(type, kind), value, key, {})
    if typing.get_origin(kind) is list:
        if not isinstance(value, list):
            raise GeospotError(f"{key} must be a list")
        (part,) = typing.get_args(kind)
        return [_value(part, one, f"{key}[{k}]") for k, one in enumerate(value)]
    fits = isinstance(value, (int, float) if kind is float else kind)
    if not fits or isinstance(value, bool) is not (kind is bool):
        raise GeospotError(f"{key} must be {_WORDS[kind]}")
    if kind in (int, float) and not abs(value) < _LARGEST:
        raise GeospotError(f"{key} must be a number of usual size")
    return kind(value)
