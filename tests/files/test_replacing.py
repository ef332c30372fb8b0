"""Results are replaced all together or not at all, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import record
from geospot_gpu.files.outputs import OutputFolder
from geospot_gpu.files.record import RECORD
from tests.helpers.folders import mounted_disk
from tests.helpers.results import NAMES, NEW, OLD, command, content, write

FORK = multiprocessing.get_context("fork")


class Failing:
    """A function of which one call raises, and which counts them."""

    def __init__(self, function: Callable[..., Any], call: int, error: BaseException) -> None:
        self.function, self.call, self.error, self.calls = function, call, error, 0

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        if self.calls == self.call:
            raise self.error
        return self.function(*arguments, **options)


@pytest.mark.parametrize("name", ["replace", "fsync", "mkdir", "open", "unlink"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_after_a_failure_the_earlier_results_are_there(
    out: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    """Whatever fails: each call that writes, in turn. Some failures can be gone round."""
    error, call, failures = OSError(number, os.strerror(number)), 1, 0
    before = sorted(out.rglob("*"))
    while True:
        function, expected = Failing(getattr(os, name), call, error), NEW
        with monkeypatch.context() as patch:
            patch.setattr(os, name, function)
            try:
                command(out, "new")
            except GeospotError as told:
                expected, failures = OLD, failures + 1
                assert f"cannot be written ({os.strerror(number)})" in str(told)  # noqa: PT017
                assert "tmp" not in str(told).replace(str(out), "")  # noqa: PT017
        if function.calls < call:
            break
        assert content_but_leftovers(out) == expected
        if name not in ("open", "unlink"):  # which removing needs as well
            assert expected == NEW or sorted(out.rglob("*")) == before
        command(out, "old")
        call += 1
    assert failures > 0 or name == "unlink"


@pytest.mark.parametrize("name", ["replace", "fsync", "mkdir", "unlink"])
def test_interrupted_while_writing(out: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    call = 1
    while True:
        function = Failing(getattr(os, name), call, KeyboardInterrupt())
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(os, name, function)
            command(out, "new")
        if function.calls < call:
            break
        found = content_but_leftovers(out)
        assert found == OLD or (found == NEW and name == "unlink"), "all of one, nothing lost"
        command(out, "old")
        call += 1
    assert call > 1


def test_a_failure_names_the_file(out: Path, tmp_path: Path) -> None:
    results = OutputFolder(out, NAMES)
    for place in (str(out / "gone" / "map.png"), None):  # libraries do not always say which
        full = OSError(errno.ENOSPC, "No space left on device", place)
        with pytest.raises(GeospotError) as told:
            write(results, {"table.csv": "new", "map.png": "half"}, full)
        expected = f"{place or out}: cannot be written (No space left on device)"
        assert str(told.value) == expected
    staged = out / ".outputs.0123456789ab.tmp"
    gone = FileNotFoundError(errno.ENOENT, "No such file", str(staged / "map.png"))
    assert results._named(staged, gone) == out / "map.png"
    assert content(out) == OLD
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("nowhere")
    for folder, reason in (
        ("file", "Not a directory"),
        ("file/out", "Not a directory"),
        ("dangling", "No such file or directory"),
    ):
        with pytest.raises(GeospotError) as told:
            command(tmp_path / folder, "new")
        assert str(told.value) == f"{tmp_path / folder}: cannot be created ({reason})"
    with pytest.raises(AssertionError, match="not announced"):
        write(results, {"other.csv": "new"})


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    with mounted_disk(tmp_path / "disk", "64k") as folder:
        yield folder


@pytest.mark.slow
def test_a_full_disk(disk: Path) -> None:
    for folder in (disk, disk / "out"):
        command(folder, "old")
        results = OutputFolder(folder, NAMES)
        with pytest.raises(GeospotError, match="No space left"):
            write(results, {name: name * 3000 for name in NAMES})
        assert {name: (folder / name).read_text() for name in NAMES} == OLD
        assert not list(folder.rglob("*.tmp"))
    with pytest.raises(OSError, match="No space left"):
        (disk / "filler").write_bytes(bytes(100_000))
    for folder in (disk, disk / "out", disk / "new" / "out"):
        with pytest.raises(GeospotError, match=r"\(No space left on device\)"):
            OutputFolder(folder, NAMES).check_writable()
    (disk / "filler").unlink()
    command(disk / "out", "new")


def test_a_disk_that_may_not_be_written(disk: Path) -> None:
    command(disk, "old")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    results = OutputFolder(disk, NAMES)
    assert results.current(NAMES, ""), "what has nothing to do may go on"
    for folder, done in ((disk, "written"), (disk / "new", "created")):
        with pytest.raises(GeospotError, match=rf"cannot be {done} \(Read-only file system\)$"):
            command(folder, "new")
    assert content(disk) == OLD


def killed(out: Path, name: str, call: int) -> bool:
    """Run the command in a process that kills itself at a call of a function of ``os``."""
    child = os.fork()
    if child == 0:
        function, calls = getattr(os, name), iter(range(1, 1000))

        def maybe(*arguments: Any, **options: Any) -> Any:
            if next(calls) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        setattr(os, name, maybe)
        try:
            command(out, "new")
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["replace", "fsync", "unlink", "mkdir"])
def test_killed_while_writing(out: Path, name: str) -> None:
    """Never a mixture of old and new; the same command goes on; nothing is left for good."""
    call = 1
    while killed(out, name, call):
        found = content_but_leftovers(out)
        assert found.items() <= OLD.items() or found.items() <= NEW.items()
        command(out, "newest")
        for leftover in out.rglob(".*.tmp"):
            os.utime(leftover, (0, 0))
        command(out, "old")
        assert content(out) == OLD
        assert len(list((out / RECORD).iterdir())) == len(NAMES) + 1
        call += 1
    assert call > 1
    assert content(out) == NEW


def content_but_leftovers(out: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in out.iterdir() if path.name[0] != "."}


def test_only_leftovers_of_geospot_are_cleared(out: Path, tmp_path: Path) -> None:
    """``out=.`` is a folder of the user's, who may have such names as well."""
    mine = tmp_path / "mine"
    mine.mkdir()
    ours = [out / ".outputs.0123456789ab.tmp", out / RECORD / ".map.png.0123456789ab.tmp"]
    for folder in (out / ".backup.tmp", out / ".outputs.tmp", ours[0], mine):
        folder.mkdir(exist_ok=True)
        (folder / "file").write_text("kept")
    for file in (out / ".notes.2026.tmp", out / "a.0123456789ab.tmp", ours[1]):
        file.write_text("kept")
    (out / ".link.0123456789ab.tmp").symlink_to(mine)
    before = set(out.rglob("*"))
    OutputFolder(out, NAMES)
    assert set(out.rglob("*")) == before, "another process may be writing them"
    for path in before:
        os.utime(path, (0, 0))
    os.utime(mine, (0, 0))
    OutputFolder(out, NAMES)
    gone = {*ours, ours[0] / "file", out / ".link.0123456789ab.tmp"}
    assert set(out.rglob("*")) == before - gone
    assert (mine / "file").exists()


def repeated(out: Path, text: str, barrier: Any, rounds: int) -> None:
    for _ in range(rounds):
        barrier.wait(60)
        command(out, text)
        barrier.wait(60)


def test_two_commands_that_end_at_once(out: Path) -> None:
    rounds, barrier = 20, FORK.Barrier(3)
    ours = [
        FORK.Process(target=repeated, args=(out, text, barrier, rounds)) for text in ("one", "two")
    ]
    for process in ours:
        process.start()
    for _ in range(rounds):
        barrier.wait(60)
        OutputFolder(out, NAMES)  # a third that starts meanwhile is not refused
        barrier.wait(60)
        assert content(out) in (dict.fromkeys(NAMES, "one"), dict.fromkeys(NAMES, "two"))
        assert OutputFolder(out, NAMES).current(NAMES, "")
    for process in ours:
        process.join(60)
        assert process.exitcode == 0


def test_a_command_that_starts_while_another_one_ends(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a file and at the record both are replaced."""
    digest, calls = record._digest, iter(range(1000))

    def late(path: Path) -> str | None:
        found = digest(path)
        if next(calls) == 0:
            command(out, "new")
        return found

    monkeypatch.setattr(record, "_digest", late)
    OutputFolder(out, NAMES)


def test_a_file_system_without_locks(
    out: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    command(out, "new")
    assert content(out) == NEW
    assert "cannot be locked" in caplog.text
