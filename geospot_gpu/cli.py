"""The command line: ``geospot <command> [hydra overrides]``."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import keyword
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from geospot_gpu.caches import provide_all
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.former import check_former
from geospot_gpu.errors.kept import with_notes
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.errors.say import one_line
from geospot_gpu.outcome import kept_outcome, one_of_several, say, write
from geospot_gpu.progress import progress_shown

if TYPE_CHECKING:
    from omegaconf import DictConfig

COMMANDS = {
    "sweep": ("geospot_gpu.commands.sweep", "the distance between every two regions"),
    "transfer": ("geospot_gpu.commands.transfer", "do the distances predict how models transfer"),
    "predict": ("geospot_gpu.commands.predict", "where will a model underperform"),
    "explain": ("geospot_gpu.commands.explain", "which places drive a distance"),
    "select": ("geospot_gpu.commands.select", "which samples to take for a target"),
    "nearest": ("geospot_gpu.commands.nearest", "the regions most like one of them"),
    "report": ("geospot_gpu.commands.report", "one page of all that a run holds"),
    "import": (
        "geospot_gpu.commands.import_reference",
        "outputs of the published code, as tables for the others",
    ),
    "embed": ("geospot_gpu.commands.embed", "texts or images into a file of features"),
    "doctor": ("geospot_gpu.commands.doctor", "what is there to compute with, and is it right"),
    "verify": ("geospot_gpu.commands.verify", "is all of a run there, and as it was written"),
    "convert": ("geospot_gpu.commands.convert", "a run of version 0.1 into the form of now"),
}
"""Module of each command, which has a function of the same name, and one line about it."""

_SHORT = (
    (re.compile(r"^(scores|targets|training|few|pool)="), r"\1.path="),
    (re.compile(r"^root="), "points.root="),
)
"""Keys that are short for others."""

_PART = "write \\${ where ${ is part of a name"

_FLAGS = ("-h", "--help", "-m", "--multirun")
"""Those of Hydra."""

_VOICES = {
    "--json": "json",
    "-q": "quiet",
    "--quiet": "quiet",
    "-v": "verbose",
    "--verbose": "verbose",
}
"""How a command speaks."""

_MEMORY = "take fewer regions or points (regions.exclude, regions.min_points, regions.max_points)"
"""What helps where nothing more precise is known."""

_USAGE = """geospot: optimal-transport distances between regions of the Earth

usage: geospot <command> [key=value ...] [-m key=value1,value2 ...]

commands:
{commands}

options:
  --json         one JSON object on standard output, in place of lines
  -q, --quiet    nothing but warnings and errors
  -v, --verbose  also what is read and kept, which kernels compute, and where an error came from

geospot <command> --help lists the settings of a command; geospot --version the version."""


def main() -> None:
    """Run the command that the arguments name.

    Exit codes: 0 done, 1 an error (one line on stderr), 130 interrupted.
    """
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        lines = [f"  {name:10s}{about}" for name, (_, about) in COMMANDS.items()]
        say(*_USAGE.format(commands="\n".join(lines)).split("\n"))
        return
    if arguments[0] == "--version":
        from geospot_gpu import __version__

        say(__version__)
        return
    command, voices = arguments[0], {_VOICES[one] for one in arguments[1:] if one in _VOICES}
    rest = [argument for argument in arguments[1:] if argument not in _VOICES]
    handler = _Warnings(sys.stderr)
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    level = logging.DEBUG if "verbose" in voices else logging.WARNING
    logging.getLogger("geospot_gpu").setLevel(level)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as schedulers and docker stop ask
    try:
        with kept_outcome() if voices & {"json", "quiet"} else contextlib.nullcontext() as outcome:
            code, error = _ended(command, rest, voices)
        if outcome is not None and "json" in voices:
            write(f"{outcome.as_json(command, handler.lines, error)}\n")
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def _ended(command: str, arguments: list[str], voices: Set[str]) -> tuple[int, str | None]:
    """Run a command: its exit code, and the error that ended it."""
    try:
        with out_of_memory(f"running geospot {command}", _MEMORY):
            succeeded = _run(command, arguments, drawn="quiet" not in voices)
        sys.stdout.flush()
    except GeospotError as error:
        if "verbose" in voices:
            traceback.print_exception(error)
        text = with_notes(str(error), error)
        _print_error(text)
        return 1, one_line(text)
    except KeyboardInterrupt as stop:
        text = with_notes("interrupted", stop)
        sys.stderr.write(f"{text}\n")
        return 130, text
    return 0 if succeeded else 1, None


def _run(command: str, arguments: list[str], *, drawn: bool) -> bool:
    """Compose the command's configuration with Hydra and run it, once or over a grid.

    Args:
        command: its name.
        arguments: settings, and flags of Hydra.
        drawn: whether progress is.

    Returns:
        Whether all points of the grid succeeded.

    Raises:
        GeospotError: the arguments are wrong, or the command failed outside a grid.
    """
    if command not in COMMANDS:
        hint = _did_you_mean(command, COMMANDS)
        raise GeospotError(f"there is no command {command!r}{hint}; see geospot --help")
    flags = [argument for argument in arguments if argument.startswith("-")]
    typed = [argument for argument in arguments if not argument.startswith("-")]
    known = ", ".join((*_FLAGS, *_VOICES))
    for flag in flags:
        if flag not in _FLAGS:
            raise GeospotError(f"there is no option {flag!r}; use one of {known}")
    for setting in typed:
        if not setting.partition("=")[0]:
            raise GeospotError(f"{setting!r} is no setting: write key=value")
        key, _, value = setting.partition("=")
        check_former(key, value)
        if key == "out" and "://" in value and {"-m", "--multirun"} & set(flags):
            raise GeospotError(
                f"{setting}: a grid makes a folder for each of its points: give a folder, or sweep "
                "one after the other into places of object storage"
            )

    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf, read_write
    from omegaconf.errors import OmegaConfBaseException

    from geospot_gpu.config.composed import offer, options
    from geospot_gpu.config.overrides import (
        FolderNames,
        environment,
        keep_text,
        literal,
        quoted,
        text_keys,
    )
    from geospot_gpu.distances.columns import choices
    from geospot_gpu.files import expanded

    text = text_keys(command)
    # The folder of a multirun's job is called as its settings are: only those of it have a slash.
    if typed and "sweep" in text and ("=" not in typed[0] or "/" in typed[0].partition("=")[0]):
        typed[0] = f"sweep={quoted(typed[0])}"
    # A shell leaves the ~ of out=~/runs as it is, and Hydra makes folders of a multirun itself.
    typed = [
        f"out={literal(str(expanded(setting[4:])))}" if setting.startswith("out=~") else setting
        for setting in typed
    ]
    settings = [keep_text(_full(setting), text) for setting in typed]
    OmegaConf.register_new_resolver("one_folder", FolderNames(), replace=True)
    OmegaConf.register_new_resolver("distances", lambda: ", ".join(choices()), replace=True)
    OmegaConf.register_new_resolver(
        "options", lambda group: ", ".join(options(group)), replace=True
    )
    OmegaConf.register_new_resolver("oc.env", environment(typed), replace=True)
    offer(command)
    module, _ = COMMANDS[command]
    errors: list[Exception] = []
    expected = (GeospotError, OmegaConfBaseException, OSError)

    def task(config: DictConfig) -> None:
        # Hydra would end a multirun at the first error, and print errors in its own way.
        runtime = HydraConfig.get()
        paths = OmegaConf.to_container(runtime.runtime)
        assert isinstance(paths, dict)
        with read_write(runtime.runtime):  # type: ignore[arg-type]
            for key in ("cwd", "output_dir"):  # Hydra puts them there as if they had been typed
                setattr(runtime.runtime, key, literal(str(paths[key])))
        job = runtime.job.override_dirname if runtime.mode == RunMode.MULTIRUN else None
        try:
            if job is not None:
                say(f"job {runtime.job.num}: {job}")
                config.out = literal(runtime.runtime.output_dir)
            # import is a word of Python: the function is import_
            name = f"{command}_" if keyword.iskeyword(command) else command
            work: Callable[[DictConfig], None] = getattr(importlib.import_module(module), name)
            with (
                one_of_several(job),
                out_of_memory(f"running geospot {command}", _MEMORY),
                progress_shown(drawn),
            ):
                work(config)
        except Exception as error:
            errors.append(error)
            if job is not None and isinstance(error, expected):
                text = with_notes(_explain(error, command, settings), error)
                _print_error(f"job {runtime.job.num}: {text}")

    # Hydra takes flags in one place only.
    sys.argv = [f"geospot {command}", *flags, *settings]
    if {"-m", "--multirun"} & set(flags):
        sys.argv += _folder_names(settings)
    os.environ["MPLBACKEND"] = "agg"  # pictures go to files alone
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    # Threads that spin while they wait for work slow a shared machine down by ten.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    provide_all()
    launch = hydra.main(
        version_base="1.3", config_path="pkg://geospot_gpu.conf", config_name=command
    )(task)
    try:
        launch()
    except Exception as error:  # of Hydra: those of the task are in the list
        raise GeospotError(_explain(error, command, settings)) from error
    for failure in errors:
        if not isinstance(failure, expected) or isinstance(failure, BrokenPipeError):
            raise failure
        if not {"-m", "--multirun"} & set(flags):
            raise GeospotError(_explain(failure, command, settings)) from failure
    return not errors


def _full(setting: str) -> str:
    """A setting with its whole key, where the one that was typed is short for it."""
    for short, whole in _SHORT:
        setting = short.sub(whole, setting)
    return setting


def _folder_names(settings: list[str]) -> list[str]:
    """Settings of Hydra that name the folders of a multirun by the swept keys alone.

    Raises:
        GeospotError: the folder of the run is swept itself.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(settings)
    except HydraException:
        return []  # Hydra will say what is wrong
    swept = {override.key_or_group for override in parsed if override.is_sweep_override()}
    if "out" in swept:
        raise GeospotError("out cannot be swept: every point of the grid gets a folder in out=...")
    fixed = sorted({override.key_or_group for override in parsed} - swept)
    return [f"hydra.job.config.override_dirname.exclude_keys=[{','.join(fixed)}]"]


def _explain(error: Exception, command: str, settings: Sequence[str]) -> str:
    """One line for an error of ours, Hydra or OmegaConf, with the nearest valid key or option."""
    from hydra.errors import OverrideParseException
    from omegaconf.errors import (
        GrammarParseError,
        InterpolationResolutionError,
        OmegaConfBaseException,
    )

    from geospot_gpu.config.composed import options

    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    text = str(error)
    first = text.strip().split("\n")[0]
    key = error.full_key if isinstance(error, OmegaConfBaseException) else None
    if isinstance(error, OverrideParseException):
        part = f", and {_PART}" if "${" in str(error.override) else ""
        return (
            f"cannot read {error.override!r} as key=value: quote a value that has special "
            f"characters twice, as in 'out=\"a=b\"'{part}"
        )
    for group, _, option in (setting.partition("=") for setting in settings):
        known = options(group)
        wrong = [one for one in option.split(",") if one not in (*known, "null")]
        composing = isinstance(error, TypeError) or re.search(
            rf"Could not (find|load|override) '{group}\b", text
        )
        if known and wrong and composing:
            hint = _did_you_mean(wrong[0], known)
            return f"{group}={wrong[0]} is unknown{hint or ': use one of ' + ', '.join(known)}"
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown or re.match(r"Key '.*' (is )?not in ", text):
        name = unknown[1] if unknown else str(key)
        return f"there is no setting {name!r}{_did_you_mean(name, _keys(command, settings))}"
    missing = re.search(r"Missing mandatory value: (\S+)", text)
    if missing:
        return f"{missing[1]} is needed: give {missing[1]}=..."
    if isinstance(error.__cause__, GrammarParseError):
        return f"a value has ${{ and cannot be read: close it with }}, or {_PART}"
    if isinstance(error, InterpolationResolutionError):
        return f"{key}: ${{...}} cannot be filled in ({first}): name another setting, or {_PART}"
    several = re.search(r"Ambiguous value for argument '([^']+)'", text)
    if several:
        return (
            f"{several[1]} gives several values: add -m for a run of each, or write a list as [a,b]"
        )
    if "is not a ListConfig" in text:
        return f"{key} is a list: write {key}=[...]"
    if "Cannot convert 'ListConfig'" in text:
        return f"{key} takes one value: give no list or mapping"
    return f"{key}: {first}" if key else first


def _keys(command: str, settings: Sequence[str]) -> list[str]:
    """All settings of a command under the options chosen for its groups, as dotted keys."""
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    from geospot_gpu.config.composed import options

    GlobalHydra.instance().clear()
    with initialize_config_module("geospot_gpu.conf", version_base="1.3"):
        default = OmegaConf.to_container(compose(command))
        assert isinstance(default, dict)
        groups = {key for key, value in default.items() if isinstance(value, dict)}
        chosen = [
            f"{group}={option}"
            for group, _, option in (text.partition("=") for text in settings)
            if group in groups and option in options(group)
        ]
        config = OmegaConf.to_container(compose(command, chosen))
    assert isinstance(config, dict)

    def keys(node: Mapping[Any, Any], prefix: str) -> Iterator[str]:
        for name, value in node.items():
            yield f"{prefix}{name}"
            if isinstance(value, dict):
                yield from keys(value, f"{prefix}{name}.")

    return list(keys(config, ""))


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


class _Warnings(logging.StreamHandler[Any]):
    """One line for each warning, whatever is quoted in it; they are kept, too."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.setFormatter(logging.Formatter())  # or basicConfig would give it one of its own
        self.lines: list[str] = []

    def format(self, record: logging.LogRecord) -> str:
        text = one_line(super().format(record))
        if record.levelno >= logging.WARNING:
            self.lines.append(text)
            return f"warning: {text}"
        return f"{record.relativeCreated / 1e3:8.2f} s  {text}"


def _print_error(message: str) -> None:
    sys.stderr.write(f"error: {one_line(message)}\n")
