"""Progress is drawn where it is asked for, once, and counted in any case."""

from __future__ import annotations

import pytest

from geospot_gpu.errors import GeospotError
from geospot_gpu.progress import Progress, note, progress_shown, shows_progress


@shows_progress
def work(total: int, *, done: int = 0, progress: bool = False) -> int:
    """Work that counts, within which other work counts, too."""
    with Progress("working", "steps", total=total, done=done) as outer:
        for _ in range(total - done):
            with Progress("within", "parts", total=3) as inner:
                inner.update(3)
            outer.update()
            with Progress("beside", "parts", total=1, below=False):
                pass
    return outer.done + inner.done


def test_nothing_is_drawn_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    assert work(4) == work(4, progress=False) == 7
    assert capsys.readouterr() == ("", "")


def test_progress_is_drawn_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert work(4, done=1, progress=True) == 7
    drawn = capsys.readouterr().err
    assert "working: 100%" in drawn
    assert "4/4" in drawn
    assert "steps/s" in drawn
    assert "within" in drawn
    assert "beside" not in drawn
    assert drawn.splitlines()[-1].startswith("working: 100%"), "the outer one stays"
    work(4)
    assert capsys.readouterr().err == "", "only while it was asked for"


def test_commands_ask_once_for_all_that_they_do(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_shown():
        work(2)
        work(3)
    assert capsys.readouterr().err.count("100%") == 2


def test_what_is_said_beside_a_count_is_drawn_at_the_innermost_bar(
    capsys: pytest.CaptureFixture[str],
) -> None:
    note("nobody")
    with progress_shown(), Progress("outer", "steps", total=2):
        with Progress("inner", "parts", total=2):
            note("8 workers")
        note("9 workers")
    note("nobody")
    drawn = capsys.readouterr().err
    outer, inner = (
        [line for line in drawn.replace("\n", "\r").split("\r") if name in line]
        for name in ("outer", "inner")
    )
    assert any("8 workers" in line for line in inner)
    assert any("9 workers" in line for line in outer)
    assert not any("8 workers" in line for line in outer)
    assert "nobody" not in drawn


def test_progress_is_true_or_false() -> None:
    with pytest.raises(GeospotError, match="progress='no': give true or false"):
        work(4, progress="no")  # type: ignore[arg-type]
