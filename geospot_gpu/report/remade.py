"""Commands that make again what a page shows, as a shell takes them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from geospot_gpu.config.composed import default_values, options
from geospot_gpu.config.overrides import quoted
from geospot_gpu.config.settings import OPTIONS, SweepConfig, of_manifest
from geospot_gpu.runs.manifest import Manifest
from geospot_gpu.runs.origin import configured

_PLAIN = re.compile(r"[\w./:@%+-]+")
_DEFAULTS = {"points": "gallery", "regions": "default", "cost": "cosine"}
"""Options of groups that stand in ``conf/``, as ``conf/sweep.yaml`` chooses them."""
_CHOSEN = {"encoder": "geoclip", "solver": "sinkhorn"}


def command_line(command: str, settings: Mapping[str, Any]) -> str:
    r"""A command of ``geospot``; settings that are None are left out.

    >>> print(command_line("report", {"sweep": "runs/a b", "transfer": None, "out": "r.html"}))
    geospot report 'sweep='"'"'runs/a b'"'"'' out=r.html
    """
    given = {key: value for key, value in settings.items() if value is not None}
    words = [shlex.quote(f"{key}={written(value)}") for key, value in given.items()]
    return " ".join(["geospot", command, *words])


def written(value: Any) -> str:
    """A value of a setting as Hydra reads it.

    >>> print(written({"a": [1, "b c", None, True]}), written("x,y"))
    {a:[1,'b c',null,true]} 'x,y'
    """
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{written(part)}' for key, part in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(written, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    return text if _PLAIN.fullmatch(text) else quoted(text)


def sweep_command(manifest: Manifest, where: str) -> str | None:
    """The command that makes a sweep again, with the settings that differ from the defaults.

    Args:
        manifest: of the sweep.
        where: its folder, where the command writes.

    Returns:
        The command; None where the sweep was made from Python.

    Raises:
        GeospotError: the manifest holds no settings of a sweep.
    """
    if not configured(manifest):
        return None
    config = vars(of_manifest(manifest["config"], where))
    settings: dict[str, Any] = {"out": where}
    chosen: dict[str, list[str]] = {group: [option] for group, option in _DEFAULTS.items()}
    for group, key in (("points", "source"), ("regions", "by")):
        option = getattr(config[group], key)
        if option in options(group):
            chosen[group].append(option)
            if option not in (_DEFAULTS[group], "auto"):
                settings[group] = option
    defaults = default_values(SweepConfig)
    for group, kept in _CHOSEN.items():
        name = config[group].name
        defaults[group] = default_values(OPTIONS[group][name])
        if name != kept:
            settings[group] = name
    for group, names in chosen.items():
        for option in names:
            defaults[group] |= _values(group, option)
    for key, value in config.items():
        if key in ("out", "overwrite", "plan", "shard", "engine"):
            continue
        if isinstance(defaults[key], dict):
            settings |= {
                f"{key}.{name}": part
                for name, part in vars(value).items()
                if part != defaults[key].get(name)
            }
        elif value != defaults[key]:
            settings[key] = value
    # What is null is a value here, and none of command_line's that are left out.
    words = [shlex.quote(f"{key}={written(value)}") for key, value in settings.items()]
    return " ".join(["geospot", "sweep", *words])


def _values(group: str, option: str) -> dict[str, Any]:
    """What an option of a group sets, in ``conf/``."""
    import yaml

    text = (files("geospot_gpu.conf") / group / f"{option}.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(text) or {}
    found.pop("defaults", None)
    return found
