"""The command line: ``geospot <command> [hydra overrides]``."""

from __future__ import annotations

import difflib
import importlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from geospot_gpu.errors import GeospotError

if TYPE_CHECKING:
    from omegaconf import DictConfig

COMMANDS = {"sweep": ("geospot_gpu.sweep.command", "the distance between every two regions")}
"""Module of each command, which has a function of the same name, and one line about it."""

_USAGE = """geospot: optimal-transport distances between regions of the Earth

usage: geospot <command> [key=value ...] [-m key=value1,value2 ...]

commands:
{commands}

geospot <command> --help lists the settings of a command; geospot --version the version."""


def main() -> None:
    """Run the command that the arguments name.

    Exit codes: 0 done, 1 an error (one line on stderr), 130 interrupted.
    """
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        lines = [f"  {name:10s}{about}" for name, (_, about) in COMMANDS.items()]
        print(_USAGE.format(commands="\n".join(lines)))
        return
    if arguments[0] == "--version":
        from geospot_gpu import __version__

        print(__version__)
        return
    command = arguments[0]
    if command not in COMMANDS:
        _fail(f"there is no command {command!r}{_did_you_mean(command, COMMANDS)}; see geospot --help")
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        _run(command, arguments[1:])
    except GeospotError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        print("interrupted: finished batches are kept, the same command goes on", file=sys.stderr)
        sys.exit(130)


def _run(command: str, arguments: list[str]) -> None:
    """Compose the command's configuration with Hydra and run it, once or over a grid."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    # Values of a swept key may contain slashes; a folder of the grid is still one folder.
    OmegaConf.register_new_resolver("one_folder", lambda name: name.replace("/", "-"), replace=True)
    errors: list[BaseException] = []

    def task(config: DictConfig) -> None:
        # Hydra would print errors in its own way, so they are kept and raised afterwards. In a
        # multirun the remaining jobs still run.
        try:
            runtime = HydraConfig.get()
            alone = runtime.mode == RunMode.RUN
            out = config.out if alone else runtime.runtime.output_dir
            module, _ = COMMANDS[command]
            work: Callable[[Any, str], None] = getattr(importlib.import_module(module), command)
            work(config, out)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            errors.append(error)

    sys.argv = [f"geospot {command}", *arguments, *_folder_names(arguments)]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    launch = hydra.main(
        version_base="1.3", config_path="pkg://geospot_gpu.conf", config_name=command
    )(task)
    try:
        launch()
    except (HydraException, OmegaConfBaseException) as error:
        raise GeospotError(_explain(error, command)) from error
    for error in errors:
        if isinstance(error, OmegaConfBaseException):
            raise GeospotError(_explain(error, command)) from error
        if not isinstance(error, GeospotError):
            raise error
    if errors:
        raise GeospotError("; ".join(str(error) for error in errors))


def _folder_names(arguments: list[str]) -> list[str]:
    """Overrides that name the folders of a multirun by the swept keys alone."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if not {"-m", "--multirun"} & set(arguments):
        return []
    overrides = [argument for argument in arguments if "=" in argument and argument[0] != "-"]
    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except HydraException:
        return []  # Hydra will say what is wrong
    fixed = [override.key_or_group for override in parsed if not override.is_sweep_override()]
    return [f"hydra.job.config.override_dirname.exclude_keys=[{','.join(fixed)}]"] if fixed else []


def _explain(error: Exception, command: str) -> str:
    """One line for an error of Hydra or OmegaConf, with the nearest valid key or option."""
    text = str(error)
    key = re.search(r"Could not override '([^']+)'", text) or re.search(
        r"full_key: (\S+)", text.replace("full_key: \n", "")
    )
    if "Could not override" in text or "not in struct" in text:
        name = key[1] if key else ""
        return f"there is no setting {name!r}{_did_you_mean(name, _settings(command))}"
    missing = re.search(r"Missing mandatory value: (\S+)", text)
    if missing:
        return f"{missing[1]} is needed: give {missing[1]}=..."
    options = re.search(r"Could not find '([^']+)'.*?Available options in '([^']+)':\s*(.*)", text, re.S)
    if options:
        names = [name for name in options[3].split() if name != "__init__"]
        wanted = options[1].rpartition("/")[2]
        return (
            f"{options[2]}={wanted} is unknown{_did_you_mean(wanted, names)}; "
            f"use one of {', '.join(names)}"
        )
    group = re.search(r"Could not override '([^']+)'\.\s*No match in the defaults list", text)
    if group:
        return f"there is no group {group[1]!r}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    where = f"{key[1]}: " if key else ""
    return where + (lines[0] if lines else type(error).__name__)


def _settings(command: str) -> list[str]:
    """All settings of a command, as dotted keys."""
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import DictConfig

    GlobalHydra.instance().clear()
    with initialize_config_module("geospot_gpu.conf", version_base="1.3"):
        config = compose(command)

    def keys(node: DictConfig, prefix: str) -> Iterable[str]:
        for name in node:
            yield f"{prefix}{name}"
            value = node._get_node(name)
            if isinstance(value, DictConfig) and not value._is_missing():
                yield from keys(value, f"{prefix}{name}.")

    return list(keys(config, ""))


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _fail(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)
