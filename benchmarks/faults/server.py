"""A process that has imported everything and computed nothing, and forks one for every command.

    python -m benchmarks.faults.server SOCKET

It serves until its standard input is closed. A request is a line of JSON; events come back, one a
line, while the command runs, and its exit code at the end.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.faults import layout
from geospot_gpu import cli
from geospot_gpu.points.cities import degrees_to_city

Say = Callable[..., None]


def import_everything() -> None:
    """All that a command imports, or its trial would take seconds; nothing that starts threads."""
    for module, _ in cli.COMMANDS.values():
        importlib.import_module(module)
    others = ("hydra", "geopandas", "matplotlib.pyplot", "pyarrow.dataset", "global_land_mask")
    for module in (*others, "sklearn.linear_model", "sklearn.ensemble", "sklearn.model_selection"):
        importlib.import_module(module)
    degrees_to_city(lon=0.0, lat=0.0)  # the table of cities is read once
    # Hydra composes faster the second time. Without a folder it computes nothing.
    quiet, said = os.open(os.devnull, os.O_WRONLY), os.dup(2)
    os.dup2(quiet, 2)
    sys.argv = ["geospot", "sweep"]
    with contextlib.suppress(SystemExit):
        cli.main()
    sys.stderr.flush()
    os.dup2(said, 2)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def serve(path: str) -> None:
    import_everything()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _watch(connection)
            connection.close()


def _watch(connection: socket.socket) -> None:
    """Run the command of a request in a process of its own, and say how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection.makefile("r") as lines:
        request = json.loads(lines.readline())

    def say(*event: object) -> None:
        connection.sendall(json.dumps([*event, time.monotonic()]).encode() + b"\n")

    child = os.fork()
    if child == 0:
        _run(request, say)
    say("pid", child)
    _, status = os.waitpid(child, 0)
    say("end", os.waitstatus_to_exitcode(status))
    os._exit(0)


def _run(request: dict[str, Any], say: Say) -> None:
    os.chdir(request["folder"])
    os.environ |= request["environment"]
    log = Path(request["log"])
    null = os.open(os.devnull, os.O_RDONLY)
    for stream, target in enumerate((null, *(_created(log, end) for end in ("out", "err")))):
        os.dup2(target, stream)
    code: object = 1
    try:
        layout.make_small()
        if "call" in request:
            module, _, name = request["call"].partition(":")
            getattr(importlib.import_module(module), name)(say, *request["arguments"])
            os._exit(0)
        watch(say, request.get("rename"))
        sys.argv = ["geospot", *request["arguments"]]
        cli.main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(str(code)))


def _created(log: Path, end: str) -> int:
    return os.open(f"{log}.{end}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)


def watch(say: Say, rename: list[Any] | None) -> None:
    """Say when phases begin and units are finished; die at a rename.

    Args:
        say: where to.
        rename: which one, and whether ``before`` or ``after`` it.
    """
    for phase in layout.PHASES:
        _announce(phase, say)
    layout.watch_units(lambda kind, units: say("done", kind, units))
    count = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            here = rename is not None and rename[0] == count
            say("rename", str(arguments[1]))
            if here and rename is not None and rename[1] == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*arguments, **options)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in ("replace", "rename", "link"):
        setattr(os, name, counted(getattr(os, name)))


def _announce(phase: layout.Phase, say: Say) -> None:
    """Have a function say that a phase begins, by whatever name it was imported."""
    module, _, path = phase.function.partition(":")
    *outer, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in outer:
        owner = getattr(owner, part)
    function = getattr(owner, name)
    static = isinstance(vars(owner)[name], staticmethod)

    def begin(*arguments: Any, **options: Any) -> Any:
        say("begin", phase.name)
        return function(*arguments, **options)

    setattr(owner, name, staticmethod(begin) if static else begin)
    for other in [m for key, m in sys.modules.items() if key.startswith("geospot_gpu")]:
        for alias, value in list(vars(other).items()):
            if value is function:
                setattr(other, alias, begin)


if __name__ == "__main__":
    serve(sys.argv[1])
