"""A smaller run of ``python -m benchmarks.faults``: kills, races and damages, for real."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.faults import damages, kills, races, world
from benchmarks.faults.__main__ import spread
from benchmarks.faults.trials import Server
from tests.helpers.examples import examples

pytestmark = pytest.mark.slow

SEED = 20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[world.World]:
    with Server() as server:
        yield world.make_world(tmp_path_factory.mktemp("faults") / "world", server)


def test_a_killed_command_keeps_what_it_finished(place: world.World) -> None:
    killed = kills.kills(place, examples(4), SEED, ["sweep"], spread)
    assert [one for one in killed if one.problems] == []
    assert len({one.phase for one in killed}) > 2


def test_two_commands_at_once_lose_nothing(place: world.World) -> None:
    raced = races.races(place, examples(4), SEED, spread)
    assert {one.kind for one in raced} == set(races.KINDS)
    assert [one for one in raced if one.problems] == []


def test_nothing_damaged_is_believed(place: world.World) -> None:
    read = damages.damages(place, examples(10), SEED, lambda _: None)
    assert [one for one in read if one.outcome in damages.FAILURES] == []
    assert {"refused", "recomputed aloud"} <= {one.outcome for one in read}
