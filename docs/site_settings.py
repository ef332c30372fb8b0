"""The settings of every command: keys, types and defaults of its schema, meanings of docstrings."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import hydra
from omegaconf import OmegaConf
from settings_text import MEANINGS

import geospot_gpu as gs
from geospot_gpu.cli import COMMANDS
from geospot_gpu.config import settings
from geospot_gpu.config.composed import offer
from geospot_gpu.config.schema import MISSING
from geospot_gpu.embedding import EMBEDDERS
from geospot_gpu.encoders import ENCODERS
from geospot_gpu.regions.grouping import GROUPINGS
from geospot_gpu.sinkhorn import SOLVERS

Functions = tuple[Callable[..., Any], ...]

GROUPS: dict[str, Functions] = {
    "points": (gs.read_points, gs.read_dataset),
    "against": (gs.read_points,),
    "regions": (gs.Regions.from_groups, *GROUPINGS.values()),
    "cost": (gs.GroundCost,),
    "engine": (gs.Engine, gs.Ray),
    "scores": (gs.read_scores,),
    "few": (gs.read_scores,),
    "targets": (gs.predict_scores, gs.read_points),
    "training": (gs.read_points,),
    "pool": (gs.read_points,),
}
"""What has the settings of a group, which several commands may have, as arguments."""

CHOICES: dict[str, dict[str, Any]] = {"encoder": ENCODERS, "solver": SOLVERS, "embed": EMBEDDERS}
"""Of groups whose option chooses their settings: what the options make."""

CALLED: dict[str, Functions] = {
    "sweep": (gs.sweep, gs.pairwise, gs.Engine),
    "transfer": (gs.assess_transfer,),
    "predict": (gs.predict_scores,),
    "explain": (gs.explain_distance,),
    "select": (gs.select_regions, gs.select_points),
    "nearest": (gs.nearest_regions, gs.Engine),
    "embed": (gs.embed,),
    "doctor": (gs.Engine,),
}
"""What a command calls with settings that are in no group."""

_ENTRY = re.compile(r"^    (\w+(?:, \w+)*): (.*(?:\n {8}.*|\n(?=\n {8}))*)", re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")


def page() -> str:
    """All commands, then the groups that they share."""
    parts: list[str] = []
    groups: dict[str, tuple[type, dict[str, Any]]] = {}
    for command in reversed(COMMANDS):  # the first one has the most of a group
        values = _composed(command)
        parts.insert(0, _command(command, values))
        for group, schema in _groups(settings.SCHEMAS[command]):
            groups[group] = (schema, values[group])
    parts.append("## Groups\n")
    for group, (schema, values) in groups.items():
        parts.append(f"### `{group}`\n\n{_options(group)}")
        parts.append(_table(schema, values, group, GROUPS.get(group, ())))
    for group, kinds in CHOICES.items():
        parts.append(f"### `{group}`\n")
        for name, kind in kinds.items():
            schema = settings.OPTIONS[group][name]
            parts.append(f"**`{group}={name}`**\n")
            parts.append(_table(schema, None, group, (kind,)))
    return "\n".join(parts)


def _groups(schema: type) -> list[tuple[str, type]]:
    """Settings of a schema that are groups of settings."""
    hints: dict[str, Any] = typing.get_type_hints(schema)
    kinds = [(name, kind) for name, kind in hints.items() if isinstance(kind, type)]
    return [(name, kind) for name, kind in kinds if dataclasses.is_dataclass(kind)]


def _command(command: str, values: dict[str, Any]) -> str:
    schema = settings.SCHEMAS[command]
    groups = [*(name for name in values if name in CHOICES), *dict(_groups(schema))]
    shared = f"Groups: {', '.join(f'[{name}](#{name})' for name in groups)}.\n" if groups else ""
    table = _table(schema, values, command, CALLED.get(command, ()))
    said = COMMANDS[command][1]
    return f"## `{command}`\n\n{said[0].upper()}{said[1:]}.\n\n{table}\n{shared}"


def _composed(command: str) -> dict[str, Any]:
    """The values that a command has if nothing is typed."""
    offer(command)
    with hydra.initialize_config_module("geospot_gpu.conf", version_base="1.3"):
        config = hydra.compose(command)
    found = OmegaConf.to_container(config, resolve=False)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def _table(schema: type, values: dict[str, Any] | None, where: str, functions: Functions) -> str:
    hints, rows = typing.get_type_hints(schema), []
    meanings: dict[str, str] = {}
    for function in reversed(functions):
        meanings |= _meanings(function)
    for field in dataclasses.fields(schema):
        group = dataclasses.is_dataclass(hints[field.name]) or field.name in CHOICES
        if group or (field.name == "name" and values is None):  # that is the option itself
            continue
        value = _default(field) if values is None else values.get(field.name)
        meaning = MEANINGS.get(f"{where}.{field.name}") or meanings.get(field.name)
        meaning = meaning or MEANINGS.get(field.name)
        if meaning is None:
            key = f"{where}.{field.name}"
            raise KeyError(f"docs/settings_text.py: say what {key} is; no docstring does")
        cells = (f"`{field.name}`", _kind(hints[field.name]), _shown(value), _plain(meaning))
        rows.append(f"| {' | '.join(cells)} |")
    if not rows:
        return "No settings.\n"
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _meanings(function: Callable[..., Any]) -> dict[str, str]:
    """What a docstring says of each argument."""
    text = inspect.getdoc(function) or ""
    _, _, rest = text.partition("Args:\n")
    arguments = re.split(r"^\S", rest, maxsplit=1, flags=re.MULTILINE)[0]
    found = {}
    for names, said in _ENTRY.findall(arguments):
        for name in names.split(", "):
            found[name] = " ".join(said.split())
    return {name: said for name, said in found.items() if not said.startswith("as for ")}


def _plain(text: str) -> str:
    text = _ROLE.sub(r"`\1`", text).replace("``", "`").rstrip(".")
    return text.replace("|", "\\|")


def _kind(kind: Any) -> str:
    words = {str: "text", bool: "true, false", int: "whole number", float: "number", Any: "any"}
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        (kind,) = (part for part in typing.get_args(kind) if part is not type(None))
    if typing.get_origin(kind) is list:
        return f"list of {words[typing.get_args(kind)[0]]}"
    return words[kind]


def _shown(value: Any) -> str:
    if value == MISSING:
        return "needed"
    if value in (None, "") or value == {}:
        return ""
    written = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{written}`"


def _options(group: str) -> str:
    """The options of a group as files of conf/, with the comment that each begins with."""
    return "".join(f"{row}\n" for row in _option_rows(group))


def _option_rows(group: str) -> Iterator[str]:
    folder = files("geospot_gpu.conf") / group
    if not folder.is_dir():
        return
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".yaml"))
    yield from (f"| `{group}=` | |", "|---|---|")
    for name in names:
        lines = (folder / name).read_text().splitlines()
        said = []
        for line in lines:
            if not line.startswith("#"):
                break
            said.append(line.lstrip("# "))
        yield f"| `{name.removesuffix('.yaml')}` | {_plain(' '.join(said))} |"
    yield ""
