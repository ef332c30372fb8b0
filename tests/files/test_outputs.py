"""Folders of results: only what geospot wrote is replaced, all of it together."""

from __future__ import annotations

import contextlib
import errno
import io
import multiprocessing
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import outputs
from geospot_gpu.files.outputs import RECORD, OutputFolder, adopt, write_csv
from tests.helpers.folders import mounted_disk

NAMES = ("table.csv", "map.png", "summary.json")
FORK = multiprocessing.get_context("fork")


def command(folder: Path, text: str, names: tuple[str, ...] = NAMES, **options: Any) -> None:
    """What every command does, with results that say whose they are."""
    results = OutputFolder(folder, names, **options)
    results.check_writable()
    write(results, dict.fromkeys(names, text))


def write(results: OutputFolder, files: dict[str, str], error: Exception | None = None) -> None:
    with results.replacing() as staged:
        for name, text in files.items():
            (staged / name).write_text(text)
        if error is not None:
            raise error


def content(folder: Path) -> dict[str, str]:
    """All files of a folder by name; the record has only markers and its lock."""
    record = folder / RECORD
    if record.exists():
        markers = [path.name for path in record.iterdir() if path.name != "lock"]
        assert not [name for name in markers if name.endswith(".tmp")]
    return {path.name: path.read_text() for path in folder.iterdir() if path != record}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with results."""
    command(tmp_path / "out", "old")
    return tmp_path / "out"


OLD, NEW = dict.fromkeys(NAMES, "old"), dict.fromkeys(NAMES, "new")


def test_a_command_replaces_its_own_results(out: Path) -> None:
    assert content(out) == OLD
    command(out, "new")
    assert content(out) == NEW
    assert len(list((out / RECORD).iterdir())) == len(NAMES) + 1, "nothing old is kept on record"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_known_stays(out: Path, name: str) -> None:
    """A file of the user's, one that was edited, one that another one of ours was copied to."""
    said = rf"{name}: was not written by geospot, or changed since: .* overwrite=true$"
    (out / name).write_text("olf")
    with pytest.raises(GeospotError, match=said):
        command(out, "new")
    assert content(out) == OLD | {name: "olf"}
    command(out, "new", overwrite=True)
    assert content(out) == NEW
    command(out, "newer")  # what replaced it is known
    command(out, "mine", names=("other.csv",))
    shutil.copy(out / "other.csv", out / name)
    with pytest.raises(GeospotError, match=said):
        command(out, "new")


def test_a_file_that_is_edited_while_the_command_runs(out: Path) -> None:
    results = OutputFolder(out, NAMES)
    (out / "map.png").write_text("edited")
    with pytest.raises(GeospotError, match="changed since"):
        write(results, NEW)
    assert content(out) == OLD | {"map.png": "edited"}


def test_results_that_are_not_made_any_more_are_removed_if_known(out: Path) -> None:
    few = ("summary.json",)
    (out / "map.png").write_text("edited")
    command(out, "new", names=few, stale=NAMES)
    assert content(out) == {"summary.json": "new", "map.png": "edited"}
    command(out, "newer", names=few, stale=NAMES, overwrite=True)
    assert content(out) == {"summary.json": "newer", "map.png": "edited"}, "nothing replaces it"


def test_names_that_are_not_written_this_time(out: Path) -> None:
    write(OutputFolder(out, NAMES), {"table.csv": "new"})
    assert content(out) == {"table.csv": "new"}


def test_two_commands_in_one_folder(out: Path) -> None:
    command(out, "other", names=("points.parquet", "summary.json"))
    assert content(out) == OLD | {"points.parquet": "other", "summary.json": "other"}
    command(out, "new")
    assert content(out) == NEW | {"points.parquet": "other"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_is_never_an_input(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.csv").symlink_to(out / "table.csv")
    (tmp_path / "hard.csv").hardlink_to(out / "table.csv")
    (tmp_path / "alias").symlink_to(out)
    for given in (
        *("out/table.csv", "./out/../out/table.csv", "sub/../out/table.csv", "~/out/table.csv"),
        *(str(out / "table.csv"), "link.csv", "hard.csv", "alias/table.csv"),
    ):
        for folder in (out, Path("out"), Path("alias"), Path("sub/../out")):
            for options in ({"names": NAMES}, {"names": ("summary.json",), "stale": NAMES}):
                with pytest.raises(GeospotError, match=r"table\.csv: is an input of this command"):
                    command(folder, "new", inputs=[given], overwrite=overwrite, **options)
    assert content(out) == OLD
    (out / "table.csv").unlink()
    (out / "table.csv").symlink_to(tmp_path / "mine.csv")
    (tmp_path / "mine.csv").write_text("mine")
    with pytest.raises(GeospotError, match="is an input"):
        command(out, "new", inputs=["mine.csv"], overwrite=overwrite)
    command(out, "new", inputs=["gone.csv", "sub"], overwrite=True)
    assert (tmp_path / "mine.csv").read_text() == "mine"


def test_links_pipes_and_folders_are_the_user_s(out: Path, tmp_path: Path) -> None:
    """A link may lead to a disk that is not there just now; a pipe would be read for ever."""
    name = out / "table.csv"
    shutil.copy(name, tmp_path / "copy.csv")
    for target in ("disk/table.csv", "copy.csv", "", None):  # the record knows the copy's content
        name.unlink()
        os.mkfifo(name) if target is None else name.symlink_to(tmp_path / target)
        with pytest.raises(GeospotError, match="was not written by geospot"):
            command(out, "new")
        command(out, "new", overwrite=True)
        assert content(out) == NEW
    assert not (tmp_path / "disk").exists()
    assert (tmp_path / "copy.csv").read_text() == "old"
    name.unlink()
    name.mkdir()
    with pytest.raises(GeospotError, match=r"table\.csv: is a folder"):
        command(out, "new", overwrite=True)


def test_a_link_to_a_folder_is_that_folder(out: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(out)
    command(tmp_path / "link", "new")
    assert content(out) == NEW
    assert (tmp_path / "link").is_symlink()


def test_current_knows_what_files_were_made_from(out: Path) -> None:
    results = OutputFolder(out, NAMES)
    assert results.current(NAMES, "")
    assert not results.current(NAMES, "a")
    assert not results.current(NAMES[:2], ""), "one too many"
    with results.replacing("a") as staged:
        for name in NAMES[:2]:
            (staged / name).write_text("old")
    assert results.current(NAMES[:2], "a")
    assert not results.current(NAMES, "a"), "one too few"
    (out / NAMES[2]).write_text("of the user's")
    assert results.current(NAMES[:2], "a")
    (out / NAMES[0]).write_text("edited")
    assert not results.current(NAMES[:2], "a")


def test_adopting_what_an_older_version_wrote(tmp_path: Path) -> None:
    for name in NAMES[:2]:
        (tmp_path / name).write_text("old")
    command(tmp_path, "other", names=("other.csv",))
    adopt(tmp_path, NAMES)
    command(tmp_path, "new")
    (tmp_path / "map.png").write_text("edited")
    adopt(tmp_path, NAMES)
    with pytest.raises(GeospotError, match=r"map\.png: was not written"):
        command(tmp_path, "newer")


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


def test_nothing_is_made_before_there_are_results(tmp_path: Path) -> None:
    OutputFolder(tmp_path / "a" / "b", NAMES).check_writable()
    assert not list(tmp_path.iterdir())
    command(tmp_path / "a" / "b", "new")
    assert content(tmp_path / "a" / "b") == NEW


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    with mounted_disk(tmp_path / "disk", "64k") as folder:
        yield folder


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
    digest, calls = outputs._digest, iter(range(1000))

    def late(path: Path) -> str | None:
        found = digest(path)
        if next(calls) == 0:
            command(out, "new")
        return found

    monkeypatch.setattr(outputs, "_digest", late)
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


FORMULAS = [
    "=1+1",
    "+A1",
    "-A1",
    "@SUM(A1)",
    "＝1",
    "＋A1",
    "－1",
    "＠A",
    "\t=1",
    "\r=1",
    " =1",
    "-1+1",
    "-1\r+A1",
]
NAMES_OF_PLACES = [
    "FR",
    "-10,20",
    "-170,-80",
    "-0.5",
    "+5",
    "1=1",
    "40N 010W",
    "DE+FR",
    "a=b",
    "'x",
]


def test_names_in_csv_are_no_formulas(tmp_path: Path) -> None:
    every = FORMULAS + NAMES_OF_PLACES
    expected = [f"'{name}".replace("\r", "\n") for name in FORMULAS] + NAMES_OF_PLACES
    path = tmp_path / "table.csv"
    for kind in (object, "string", "category"):
        table = pd.DataFrame({"region": pd.Series(every, dtype=kind), "=n": range(len(every))})
        write_csv(table, path, index=False)
        found = pd.read_csv(io.StringIO(path.read_bytes().decode(), newline=""))
        assert found["region"].tolist() == expected
        assert found["'=n"].tolist() == list(range(len(every)))
    matrix = pd.DataFrame(0.25, index=every, columns=every).rename_axis(index="source")
    write_csv(matrix, path, float_format="%.7g")
    found = pd.read_csv(io.StringIO(path.read_bytes().decode(), newline=""), index_col="source")
    assert found.index.tolist() == found.columns.tolist() == expected
    assert (found == 0.25).all(axis=None)
    write_csv(pd.DataFrame({"region": [], "n": []}), path, index=False)
    assert path.read_text() == "region,n\n"
    mixed = pd.DataFrame({"a": [None, "=x", 1.5, -2], "a2": [True, False, True, True]})
    write_csv(mixed.set_axis(["a", "a"], axis=1), path, index=False)
    assert path.read_text() == "a,a\n,True\n'=x,False\n1.5,True\n-2,True\n"
