"""Commands run in processes forked from a prepared one, and what they said on their way."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]


class Kill(NamedTuple):
    """When and how a command is killed."""

    phase: str
    occurrence: int
    """Which of the times that the phase begins, from 1."""
    delay: float
    """Seconds after that."""
    signal: signal.Signals


class Event(NamedTuple):
    """What a command did, and when."""

    kind: str
    what: Any
    units: list[str]
    time: float


class Ended(NamedTuple):
    """A command that ended, one way or another."""

    code: int
    out: str
    err: str
    events: list[Event]
    killed: bool

    @property
    def phase(self) -> str:
        """The phase that it was in."""
        begun = [str(event.what) for event in self.events if event.kind == "begin"]
        return begun[-1] if begun else "starting"

    @property
    def line(self) -> str:
        """What it said last, of an error."""
        said = [line for line in self.err.splitlines() if line.startswith("error:")]
        return said[-1] if said else ""

    def finished(self, kind: str) -> Counter[str]:
        """Units of a kind that were finished, and how often."""
        units: Counter[str] = Counter()
        for event in self.events:
            if event.kind == "done" and event.what == kind:
                units.update(event.units)
        return units

    def problems(self, *, refused: bool = False) -> list[str]:
        """What is wrong with how it ended, when nobody killed it.

        Args:
            refused: whether an error of one line is all right.
        """
        if "Traceback" in self.err:
            return [f"a traceback: {self.err.strip().splitlines()[-1]}"]
        if self.code == 0 or (refused and self.code == 1 and self.line):
            return []
        return [f"ended with {self.code}: {self.line or self.err.strip()[-200:]}"]


class Server:
    """The prepared process; a context."""

    def __enter__(self) -> Server:
        self._folder = tempfile.TemporaryDirectory(prefix="faults-")
        self._path = f"{self._folder.name}/socket"
        threads = dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.faults.server", self._path],
            cwd=ROOT,
            env=os.environ | threads | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError("the process that forks commands did not start")
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()
        self._folder.cleanup()

    def run(
        self,
        arguments: tuple[str, ...],
        folder: Path,
        *,
        kill: Kill | None = None,
        rename: tuple[int, str] | None = None,
        delay: float = 0.0,
    ) -> Ended:
        """Run a command to its end, or kill it.

        Args:
            arguments: of ``geospot``.
            folder: where it runs; the cache is ``cache`` in it.
            kill: when to kill it.
            rename: at which rename it dies, ``before`` or ``after`` it.
            delay: seconds to wait before it starts.
        """
        time.sleep(delay)
        handle, log = tempfile.mkstemp(dir=self._folder.name)
        os.close(handle)
        request = {
            "arguments": arguments,
            "folder": str(folder),
            "log": log,
            "environment": {"GEOSPOT_CACHE": str(folder / "cache")},
            "rename": rename,
        }
        events: list[Event] = []
        with self._asked(request) as connection:
            code, killed = _follow(connection, kill, lambda event: events.append(_event(event)))
        out, err = [Path(f"{log}.{end}").read_text(errors="replace") for end in ("out", "err")]
        for end in ("", ".out", ".err"):
            Path(log + end).unlink()
        return Ended(code, out, err, events, killed or (rename is not None and code < 0))

    def call(self, function: str, arguments: tuple[Any, ...], hear: Callable[[Any], None]) -> int:
        """Call ``module:function`` in a process of its own; returns how that ended."""
        request = {
            "call": function,
            "arguments": arguments,
            "folder": str(ROOT),
            "log": f"{self._folder.name}/call",
            "environment": {},
        }
        with self._asked(request) as connection:
            code, _ = _follow(connection, None, hear)
        return code

    def _asked(self, request: dict[str, Any]) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._path)
        connection.sendall(json.dumps(request).encode() + b"\n")
        return connection


def _event(said: list[Any]) -> Event:
    kind, what, *units, when = said
    return Event(kind, what, units[0] if units else [], when)


def _follow(
    connection: socket.socket, kill: Kill | None, hear: Callable[[Any], None]
) -> tuple[int, bool]:
    """Read what a process says until it ends, and kill it when it is time.

    Returns:
        Its exit code, and whether it was killed.
    """
    pid, seen, deadline, buffer, killed = 0, 0, float("inf"), b"", False
    while True:
        wait = None if deadline == float("inf") else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([connection], [], [], wait)
        if not ready:
            assert kill is not None
            os.kill(pid, kill.signal)
            killed, deadline = True, float("inf")
            continue
        part = connection.recv(1 << 16)
        if not part:
            raise RuntimeError("the process that forks commands has ended")
        *lines, buffer = (buffer + part).split(b"\n")
        for line in lines:
            event = json.loads(line)
            kind, what, when = event[0], event[1], event[-1]
            if kind == "end":
                return int(what), killed
            if kind == "pid":
                pid = int(what)
                continue
            hear(event)
            if kill is not None and kind == "begin" and what == kill.phase:
                seen += 1
                if seen == kill.occurrence and not killed:
                    deadline = when + kill.delay
