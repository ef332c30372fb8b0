"""A run on object storage: what is true of one in a folder, and what only storage does."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import geospot_gpu as gs
from tests.helpers.commands import Geospot
from tests.helpers.s3 import BUCKET, Fault, ObjectServer
from tests.helpers.sweeps import CPU, GEOGRAPHY, regions_of

OUT = f"s3://{BUCKET}/runs/towns"


def sweep(towns: Path, *names: str, epsilon: float = 0.01, out: str = OUT) -> gs.Run:
    return gs.sweep(
        out,
        regions_of(towns, *names),
        cost=GEOGRAPHY,
        solver=gs.Sinkhorn(epsilon=epsilon),
        engine=CPU,
        outputs=["divergence"],
    )


def matrix(where: str | Path) -> np.ndarray:
    return np.asarray(gs.open_run(where).divergence)


@pytest.fixture
def expected(tmp_path: Path, towns: Path) -> np.ndarray:
    """The distances of the four towns, by a run in a folder."""
    sweep(towns, out=str(tmp_path / "expected"))
    return matrix(tmp_path / "expected")


def stored(storage: ObjectServer, part: str) -> list[str]:
    """Names of the objects of a part of the run."""
    inside = f"runs/towns/{part}/"
    return [name for name in storage.content if name.startswith(inside)]


def test_a_run_goes_on_and_is_opened(
    storage: ObjectServer, towns: Path, expected: np.ndarray
) -> None:
    three = sweep(towns, "lima", "oslo", "rome")
    assert str(three.folder) == OUT
    assert len(three.pairs) == 3
    blocks = stored(storage, "distances")
    sweep(towns)
    assert len(stored(storage, "distances")) > len(blocks), "more is stored, not all again"
    np.testing.assert_array_equal(matrix(OUT), expected)
    run = gs.Run.open(OUT)
    assert repr(run).startswith(f"<Run: {OUT}: 4 regions")
    assert run.regions.digests == regions_of(towns).digests, "drawn from the points that are kept"
    before = storage.content
    sweep(towns)
    assert storage.content == before, "nothing is to be done"


@pytest.mark.slow
def test_commands_take_urls(storage: ObjectServer, geospot_here: Geospot, towns: Path) -> None:
    settings = (f"points.path={towns}", "points.region=town", "encoder=none", "device=cpu")
    made = geospot_here(
        *("sweep", "points=table", *settings, "regions.min_points=1"),
        *("outputs=[divergence]", f"out={OUT}"),
    )
    assert made.returncode == 0, made.stderr
    assert f"results in {OUT}\n" in made.stdout
    outputs = {"matrix.csv", "heatmap.png", "regions.parquet", "manifest.json", "identity.json"}
    direct = {name.removeprefix("runs/towns/") for name in storage.content}
    assert {name for name in direct if "/" not in name} == outputs
    again = geospot_here(
        *("sweep", "points=table", *settings, "regions.min_points=1"),
        *("outputs=[divergence]", f"out={OUT}"),
    )
    assert "computed=0 reused=6" in again.stdout, again.stderr
    explained = geospot_here(
        *("explain", f"sweep={OUT}", "source=lima", "target=oslo", f"out={OUT}/explained")
    )
    assert explained.returncode == 0, explained.stderr
    assert f"results in {OUT}/explained" in explained.stdout
    assert "runs/towns/explained/summary.json" in storage.content
    grid = geospot_here("sweep", "-m", "points=table", *settings, f"out={OUT}", "seed=0,1")
    assert grid.returncode != 0
    assert "a grid makes a folder for each of its points" in grid.stderr


def test_there_is_no_run(storage: ObjectServer) -> None:
    with pytest.raises(gs.GeospotError, match=f"{OUT}: holds no sweep"):
        gs.open_run(OUT)


def test_another_sweep_is_refused(storage: ObjectServer, towns: Path) -> None:
    sweep(towns, "lima", "oslo")
    before = storage.content
    with pytest.raises(gs.GeospotError, match=f"{OUT} holds another sweep .*epsilon"):
        sweep(towns, epsilon=0.02)
    assert storage.content == before


def test_of_two_sweeps_that_begin_at_once_one_is_refused(
    storage: ObjectServer, towns: Path
) -> None:
    """Neither sees the identity of the other when it looks: the conditional put decides."""

    def another(method: str, name: str) -> None:
        if method == "PUT" and name.endswith("identity.json"):
            storage.fault = lambda method, name: None
            sweep(towns, "lima", "oslo")

    storage.fault = another
    with pytest.raises(gs.GeospotError, match=r"holds another sweep .*epsilon"):
        sweep(towns, "lima", "oslo", epsilon=0.02)
    run = gs.Run.open(OUT)
    assert isinstance(run.solver, gs.Sinkhorn)
    assert run.solver.epsilon == 0.01
    assert len(run.pairs) == 1


def test_two_runs_at_once(storage: ObjectServer, towns: Path, expected: np.ndarray) -> None:
    barrier, failed = threading.Barrier(2), []

    def work(*names: str) -> None:
        barrier.wait(60)
        try:
            sweep(towns, *names)
        except BaseException as error:
            failed.append(error)

    threads = [
        threading.Thread(target=work, args=names)
        for names in (("lima", "oslo", "rome"), ("oslo", "rome", "suva"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert failed == []
    sweep(towns)
    np.testing.assert_array_equal(matrix(OUT), expected)


@pytest.mark.parametrize("part", ["distances", "regions", "identity.json", "manifest.json"])
def test_what_is_damaged_is_made_again(
    storage: ObjectServer,
    towns: Path,
    expected: np.ndarray,
    caplog: pytest.LogCaptureFixture,
    part: str,
) -> None:
    sweep(towns)
    (name, *_) = [one for one in storage.content if one.startswith(f"runs/towns/{part}")]
    content = storage.content[name]
    half = len(content) // 2
    storage.put(name, content[:half] + b"\0" + content[half + 1 :])
    sweep(towns)
    assert "damaged" in caplog.text
    assert f"{name.rpartition('.')[0]}.damaged" in storage.content
    np.testing.assert_array_equal(matrix(OUT), expected)
    caplog.clear()
    sweep(towns)
    assert caplog.text == ""


def test_points_that_are_damaged_are_kept_again(storage: ObjectServer, towns: Path) -> None:
    sweep(towns, "lima", "oslo")
    (name,) = stored(storage, "points")
    content = storage.content[name]
    storage.put(name, content[:-1] + b"x")
    with pytest.raises(gs.GeospotError, match=f"s3://{BUCKET}/{name}: is damaged: sweep the same"):
        _ = gs.Run.open(OUT).regions
    sweep(towns, "lima", "oslo")
    assert storage.content[name] == content


def test_a_server_that_is_killed_in_the_middle(
    storage: ObjectServer, towns: Path, expected: np.ndarray
) -> None:
    """And started again: whoever computes waits for it."""
    starting = threading.Timer(0.5, storage.start)

    def killed(method: str, name: str) -> None:
        if method == "PUT" and "/distances/" in name:
            storage.fault = lambda method, name: None
            storage.stop()
            starting.start()
            raise Fault("")

    storage.fault = killed
    sweep(towns)
    starting.join(60)
    np.testing.assert_array_equal(matrix(OUT), expected)


def test_cut_off_before_any_part_of_it(
    storage: ObjectServer, towns: Path, expected: np.ndarray
) -> None:
    """Says so in one line, whatever it was storing; the same sweep goes on."""
    for part in ("identity.json", "points/", "regions/", "distances/", "manifests/", "manifest."):
        storage.objects[BUCKET].clear()

        def refused(method: str, name: str, part: str = part) -> None:
            if method in ("PUT", "POST") and f"/{part}" in name:
                raise Fault("AccessDenied")

        storage.fault = refused
        with pytest.raises(gs.GeospotError, match=f"^{OUT}.*cannot be written .access is refused"):
            sweep(towns)
        storage.fault = lambda method, name: None
        sweep(towns)
        np.testing.assert_array_equal(matrix(OUT), expected)
