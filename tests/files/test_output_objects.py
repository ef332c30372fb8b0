"""Results on object storage: only what geospot wrote is replaced, and never old among new."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from typing import Any

import pytest

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.output_objects import OutputObjects
from geospot_gpu.files.record import adopt
from geospot_gpu.files.urls import outputs_in, place
from tests.helpers.results import NAMES, NEW, OLD
from tests.helpers.s3 import BUCKET, Fault, ObjectServer

OUT = f"s3://{BUCKET}/out"


def command(text: str, names: tuple[str, ...] = NAMES, about: str = "", **options: Any) -> None:
    results = outputs_in(OUT, names, **options)
    assert isinstance(results, OutputObjects)
    results.check_writable()
    with results.replacing(about) as staged:
        for name in names:
            (staged / name).write_text(text)


def content(storage: ObjectServer) -> dict[str, str]:
    """All objects by name, but for the record."""
    named = {key.removeprefix("out/"): text.decode() for key, text in storage.content.items()}
    return {name: text for name, text in named.items() if not name.startswith(".")}


def markers(storage: ObjectServer) -> list[str]:
    return [name for name in storage.content if name.startswith("out/.geospot/")]


def test_a_command_replaces_its_own_results(storage: ObjectServer) -> None:
    command("old")
    assert content(storage) == OLD
    command("new")
    assert content(storage) == NEW
    assert len(markers(storage)) == len(NAMES), "nothing old is kept on record"
    command("newest", names=NAMES[:1])
    assert content(storage) == NEW | {NAMES[0]: "newest"}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_known_stays(storage: ObjectServer, name: str) -> None:
    command("old")
    storage.put(f"out/{name}", b"edited")
    said = rf"^{OUT}/{name}: was not written by geospot, or changed since: .* overwrite=true$"
    with pytest.raises(GeospotError, match=said):
        command("new")
    assert content(storage) == OLD | {name: "edited"}
    command("new", overwrite=True)
    assert content(storage) == NEW


def test_an_object_that_is_edited_while_the_command_runs(storage: ObjectServer) -> None:
    command("old")
    results = outputs_in(OUT, NAMES)
    storage.put("out/map.png", b"edited")
    with pytest.raises(GeospotError, match="changed since"), results.replacing() as staged:
        (staged / "table.csv").write_text("new")
    assert content(storage) == OLD | {"map.png": "edited"}


def test_results_that_are_not_made_any_more_are_removed_if_known(storage: ObjectServer) -> None:
    command("old")
    storage.put("out/map.png", b"edited")
    results = outputs_in(OUT, ("summary.json",), stale=NAMES)
    with results.replacing() as staged:
        (staged / "summary.json").write_text("new")
    assert content(storage) == {"summary.json": "new", "map.png": "edited"}


def test_current_knows_what_objects_were_made_from(storage: ObjectServer) -> None:
    command("old", about="regions")
    results = outputs_in(OUT, NAMES)
    assert results.current(NAMES, "regions")
    assert not results.current(NAMES, "others")
    assert not results.current(NAMES[:2], "regions"), "one too many"
    storage.put("out/map.png", b"edited")
    assert not results.current(NAMES, "regions")


def test_adopting_what_is_there(storage: ObjectServer) -> None:
    """As of a run that was copied there without its record."""
    storage.put("out/map.png", b"old")
    with pytest.raises(GeospotError, match="was not written by geospot"):
        command("new")
    adopt(place(OUT), NAMES)
    command("new")
    assert content(storage) == NEW


def cut_off(storage: ObjectServer, requests: int) -> bool:
    """Run the command, of which so many requests are answered; whether it wanted more."""
    left, wanted = itertools.count(1), []

    def fault(method: str, name: str) -> None:
        if next(left) > requests:
            wanted.append(name)
            raise Fault("AccessDenied")

    storage.fault = fault
    try:
        command("new")
    except GeospotError as error:
        assert "access is refused" in str(error)  # noqa: PT017
    storage.fault = lambda method, name: None
    return bool(wanted)


def test_cut_off_at_any_request(storage: ObjectServer) -> None:
    """What is not there yet is left out, nothing old is among new, and the same goes on."""
    command("old")
    partly = set()
    for requests in itertools.count(1):
        more, found = cut_off(storage, requests), content(storage)
        assert found.items() <= OLD.items() or found.items() <= NEW.items()
        partly.add(len(found))
        command("old")
        assert content(storage) == OLD
        if not more:
            break
    assert partly == {0, 1, 2, 3}
    assert found == NEW


@pytest.mark.parametrize("after", range(1, 60, 2))
def test_two_commands_that_end_at_once(storage: ObjectServer, after: int) -> None:
    """One begins and ends at a request of the other: whoever comes next finds all of it known."""
    command("old")
    left = itertools.count(1)

    def fault(method: str, name: str) -> None:
        if next(left) == after:
            storage.fault = lambda method, name: None
            command("one")

    storage.fault = fault
    with contextlib.suppress(GeospotError):  # the other may change what this has looked at
        command("two")
    storage.fault = lambda method, name: None
    assert set(content(storage).values()) <= {"old", "one", "two"}
    command("new")
    assert content(storage) == NEW
    assert len(markers(storage)) <= 2 * len(NAMES)


def test_an_object_that_another_command_puts_at_the_very_end(storage: ObjectServer) -> None:
    """Its marker is one of those that are there from before, and stays."""
    command("other")

    def fault(method: str, name: str) -> None:
        if method == "GET" and name.startswith("out/.geospot/map.png-"):
            assert content(storage)["map.png"] == "one", "when markers are removed"
            storage.put("out/map.png", b"other")

    storage.fault = fault
    command("one")
    storage.fault = lambda method, name: None
    assert content(storage) == dict.fromkeys(NAMES, "one") | {"map.png": "other"}
    command("new")
    assert content(storage) == NEW


def test_a_machine_without_room_for_results(storage: ObjectServer) -> None:
    command("old")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(GeospotError, match=r"cannot be written \(No space left"):  # noqa: SIM117
        with outputs_in(OUT, NAMES).replacing():
            raise full
    assert content(storage) == OLD


def test_storage_that_is_not_to_be_written(storage: ObjectServer) -> None:
    def fault(method: str, name: str) -> None:
        if method != "GET":
            raise Fault("AccessDenied")

    storage.fault = fault
    with pytest.raises(GeospotError, match=r"cannot be written \(access is refused"):
        outputs_in(OUT, NAMES).check_writable()
