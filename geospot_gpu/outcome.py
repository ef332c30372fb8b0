"""What a command came to: lines for people, or one JSON object for programs."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from geospot_gpu.errors.say import one_line, printable


class Outcome:
    """What a command said, kept instead of printed."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.results: str | None = None
        self.figures: dict[str, Any] = {}
        self.summary: dict[str, Any] | None = None
        self.jobs: list[dict[str, Any]] = []
        """What the jobs of a grid came to, each like the whole."""

    def as_json(self, command: str, warnings: Sequence[str], error: str | None) -> str:
        """One object in one line, with null where a number is none.

        Args:
            command: which was run.
            warnings: that were logged meanwhile.
            error: why it failed, if it did.

        >>> print(Outcome().as_json("verify", [], "there is no run"))  # doctest: +ELLIPSIS
        {"command": "verify", "error": "there is no run", "results": null, "figures": {}, ...
        """
        found = {
            "command": command,
            "error": error,
            "results": self.results,
            "figures": self.figures,
            "summary": self.summary,
            "said": self.said,
            "jobs": self.jobs,
            "warnings": list(warnings),
        }
        return json.dumps(plain(found), allow_nan=False, ensure_ascii=False)


_kept: ContextVar[Outcome | None] = ContextVar("outcome", default=None)


@contextlib.contextmanager
def kept_outcome() -> Iterator[Outcome]:
    """Keep what is said in the block, which prints nothing."""
    found = Outcome()
    before = _kept.set(found)
    try:
        yield found
    finally:
        _kept.reset(before)


@contextlib.contextmanager
def one_of_several(job: str | None) -> Iterator[None]:
    """Keep the outcome of the block as that of a job, where outcomes are kept and it is one.

    Args:
        job: the settings that set it apart; None where there is one alone.
    """
    outside = _kept.get()
    if outside is None or job is None:
        yield
        return
    error: str | None = None
    with kept_outcome() as found:
        try:
            yield
        except Exception as failure:
            error = one_line(str(failure))
            raise
        finally:
            parts = {key: getattr(found, key) for key in ("results", "figures", "summary", "said")}
            outside.jobs.append({"job": job, "error": error, **parts})


def say(*lines: str) -> None:
    """Tell people lines: the one way to speak on standard output."""
    outcome = _kept.get()
    if outcome is not None:
        outcome.said.extend(lines)
    else:
        write("".join(f"{printable(line)}\n" for line in lines))


def write(text: str) -> None:
    """Put text on standard output, whatever letters a terminal lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def conclude(results: object, figures: Mapping[str, Any], *, of: str = "") -> None:
    """Say where results are, and the figures by which programs know how it went: the last lines.

    Args:
        results: the folder or file that was written, if any.
        figures: by name.
        of: what they are of, as the line begins.

    >>> conclude("runs/near", {"nearest": 3, "coverage": 0.123456789})
    results in runs/near
    nearest=3 coverage=0.123457
    """
    if results is not None:
        say(f"results in {results}")
    say(" ".join([*([of] if of else []), *(f"{k}={_short(v)}" for k, v in figures.items())]))
    outcome = _kept.get()
    if outcome is not None:
        outcome.results = None if results is None else str(results)
        outcome.figures |= figures


def summarise(summary: dict[str, Any]) -> None:
    """Let programs have a summary, too, which is written to a file."""
    outcome = _kept.get()
    if outcome is not None:
        outcome.summary = summary


def plain(value: Any) -> Any:
    """The same as JSON has it: numbers that are none as null, numbers of NumPy as Python's.

    >>> plain({"a": float("nan"), "b": (1, 2.5)})
    {'a': None, 'b': [1, 2.5]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value).replace(" ", "_")
