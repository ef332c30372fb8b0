"""Folders of results: only what geospot wrote is replaced."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.outputs import OutputFolder
from geospot_gpu.files.places import Folder
from geospot_gpu.files.record import RECORD, adopt
from tests.helpers.results import NAMES, NEW, OLD, command, content, write


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
    adopt(Folder(tmp_path), NAMES)
    command(tmp_path, "new")
    (tmp_path / "map.png").write_text("edited")
    adopt(Folder(tmp_path), NAMES)
    with pytest.raises(GeospotError, match=r"map\.png: was not written"):
        command(tmp_path, "newer")


def test_nothing_is_made_before_there_are_results(tmp_path: Path) -> None:
    OutputFolder(tmp_path / "a" / "b", NAMES).check_writable()
    assert not list(tmp_path.iterdir())
    command(tmp_path / "a" / "b", "new")
    assert content(tmp_path / "a" / "b") == NEW
