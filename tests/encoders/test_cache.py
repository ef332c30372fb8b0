from __future__ import annotations

import multiprocessing
import os
import pwd
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geospot_gpu.encoders import cache as cache_module
from geospot_gpu.encoders.cache import EmbeddingCache, default_cache
from geospot_gpu.errors import say


def embed(lat_lon: Any) -> Any:
    """A stand-in for the model: features that tell every place apart."""
    return np.column_stack([lat_lon, lat_lon**2]).astype(np.float32)


def no_model(_: Any) -> Any:
    raise AssertionError("the model ran")


def each(model: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Chunk after chunk of places to a model."""
    return lambda chunks: ((k, model(chunk)) for k, chunk in enumerate(chunks))


def cache_in(folder: Path, version: str = "v") -> EmbeddingCache:
    return EmbeddingCache(version, 4, folder)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def places(count: int, seed: int = 0) -> Any:
    generator = np.random.default_rng(seed)
    return np.unique(generator.uniform([-90, -180], [90, 180], (count, 2)), axis=0)


GRID = np.array(
    [[lat, lon] for lat in (-89.0, 1.0, 2.0, 6.0, 90.0) for lon in (-180.0, 3.0, 4.0, 179.0)]
)


@pytest.fixture(autouse=True)
def anew() -> None:
    say.warn_once.cache_clear()


@pytest.fixture
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MOST", 5)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.integers(-90, 90), st.integers(-180, 180)), min_size=1, unique=True).map(
        sorted
    )
)
def test_what_was_computed_comes_back(
    tmp_path_factory: pytest.TempPathFactory, coordinates: list[tuple[int, int]]
) -> None:
    lat_lon = np.array(coordinates, float)
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_module, "MOST", 5)
        for model in (embed, no_model):
            found = cache_in(folder).lookup(lat_lon, each(model))
            np.testing.assert_array_equal(found, embed(lat_lon))


def asked_of(folder: Path, lat_lon: Any) -> Any:
    """Which points are computed; what comes back is right."""
    asked = [np.empty((0, 2))]

    def compute(missing: Any) -> Any:
        assert len(missing) <= cache_module.MOST
        asked.append(missing)
        return embed(missing)

    np.testing.assert_array_equal(cache_in(folder).lookup(lat_lon, each(compute)), embed(lat_lon))
    return np.unique(np.concatenate(asked), axis=0)


def test_points_are_computed_once_whatever_their_company(tmp_path: Path, small_cells: None) -> None:
    """Some of them, others, all of them, and points nearer to each other than any cell."""
    lat_lon = np.unique(np.concatenate([places(100), places(100) * 1e-12]), axis=0)
    generator = np.random.default_rng(0)
    known = np.zeros(len(lat_lon), bool)
    for share in (0.1, 0.3, 0.5, 1.0, 0.2):
        some = generator.random(len(lat_lon)) < share
        np.testing.assert_array_equal(asked_of(tmp_path, lat_lon[some]), lat_lon[some & ~known])
        known |= some


def test_versions_do_not_mix(tmp_path: Path) -> None:
    cache_in(tmp_path, "v1").lookup(GRID, each(embed))
    other = cache_in(tmp_path, "v2").lookup(GRID, each(lambda missing: embed(missing) + 1))
    np.testing.assert_array_equal(other, embed(GRID) + 1)


# --- files that are not what they should be


@pytest.mark.slow
def test_damaged_files_are_computed_again_aloud(
    tmp_path: Path,
    small_cells: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A thousand damages of every kind, and never a wrong feature."""
    monkeypatch.setattr("os.fsync", lambda handle: None)  # it waits for the disk
    lat_lon = places(60)
    cache_in(tmp_path).lookup(lat_lon, each(embed))
    cache_in(tmp_path, "older").lookup(lat_lon, each(lambda missing: embed(missing) + 1))
    EmbeddingCache("wider", 5, tmp_path).lookup(
        lat_lon, each(lambda rows: np.ones((len(rows), 5), "f4"))
    )
    whole = {path: path.read_bytes() for path in files(tmp_path / "embeddings" / "v")}
    assert len(whole) > 10
    generator = np.random.default_rng(0)

    def flipped(path: Path) -> None:
        content = bytearray(whole[path])
        content[generator.integers(len(content))] ^= 1 << generator.integers(8)
        path.write_bytes(content)

    def cut(path: Path) -> None:
        path.write_bytes(whole[path][: generator.integers(len(whole[path]))])

    def longer(path: Path) -> None:
        path.write_bytes(whole[path] + bytes(int(generator.integers(1, 50))))

    def emptied(path: Path) -> None:
        path.write_bytes(b"")

    def swapped(path: Path) -> None:
        others = [one for one in whole if one != path]
        path.write_bytes(whole[others[generator.integers(len(others))]])

    def from_folder(version: str) -> Callable[[Path], None]:
        def taken(path: Path) -> None:
            other = path.parent.parent.with_name(version) / path.parent.name / path.name
            path.write_bytes(other.read_bytes())

        return taken

    def pipe(path: Path) -> None:
        path.unlink()
        os.mkfifo(path)

    def folder(path: Path) -> None:
        path.unlink()
        path.mkdir()
        (path / "inside").write_text("text")

    def loop(path: Path) -> None:
        path.unlink()
        path.symlink_to(path)

    quick = [flipped, flipped, flipped, cut, longer, swapped, from_folder("older")]
    kinds = [*quick, emptied, from_folder("wider"), pipe]
    for _ in range(100):
        for path in set(files(tmp_path / "embeddings" / "v")) | set(whole):
            path.unlink(missing_ok=True)
        for path, content in whole.items():
            path.write_bytes(content)
        paths = generator.choice(np.array(list(whole)), 10, replace=False)
        for path in paths:
            kinds[generator.integers(len(kinds))](path)
        caplog.clear()
        asked = asked_of(tmp_path, lat_lon)
        assert len(asked) >= 10, "what a file does not prove is computed again"
        why = "embeddings are computed again (it is damaged)"
        assert {f"{path}: {why}" for path in paths} >= set(caplog.messages)
        assert len(asked_of(tmp_path, lat_lon)) == 0
    path = files(tmp_path / "embeddings" / "v")[0]
    for kind in (loop, folder):  # neither can be read, and one of them cannot be removed
        kind(path)
        asked_of(tmp_path, lat_lon)


def test_what_cannot_be_replaced_does_not_keep_others_from_being_stored(
    tmp_path: Path, small_cells: None, caplog: pytest.LogCaptureFixture
) -> None:
    cache_in(tmp_path).lookup(GRID, each(embed))
    first, *others = files(tmp_path)
    for path in (first, *others):
        path.unlink()
    first.mkdir()
    for _ in range(2):
        np.testing.assert_array_equal(cache_in(tmp_path).lookup(GRID, each(embed)), embed(GRID))
    assert files(tmp_path) == others
    assert caplog.text.count(f"{first}: embeddings are computed again") == 2
    assert caplog.text.count("embeddings are not cached (Is a directory)") == 1


def test_files_of_version_0_1_are_renewed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They have no proof; nothing is said, for nothing is wrong."""
    old = tmp_path / "embeddings" / "v" / "ab" / f"ab{'0' * 30}.npz"
    old.parent.mkdir(parents=True)
    np.savez(old, features=embed(GRID))
    np.testing.assert_array_equal(cache_in(tmp_path).lookup(GRID, each(embed)), embed(GRID))
    assert not old.exists()
    assert not caplog.records


# --- processes that are killed, and several at once


def slow(lat_lon: Any) -> Any:
    time.sleep(0.02)
    return embed(lat_lon)


def fill(folder: Path, seed: int = 0) -> None:
    """In a process of its own: fill a cache slowly."""
    cache_module.MOST = 5
    lat_lon = places(200, seed)
    np.testing.assert_array_equal(cache_in(folder).lookup(lat_lon, each(slow)), embed(lat_lon))


def test_a_kill_loses_the_running_batch_alone(tmp_path: Path, small_cells: None) -> None:
    lat_lon = places(200)
    context = multiprocessing.get_context("fork")

    def stored() -> int:
        return sum((path.stat().st_size - 32) // 32 for path in tmp_path.rglob("*.f32"))

    kept = 0
    for number in range(4):
        process = context.Process(target=fill, args=(tmp_path,))
        process.start()
        while stored() < (number + 1) * 40:
            assert process.is_alive(), "it ended before it could be killed"
            time.sleep(0.002)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert kept < stored() < len(lat_lon)
        kept = stored()
    assert len(asked_of(tmp_path, lat_lon)) == len(lat_lon) - kept, "what was stored is used"


def test_leftovers_go_when_the_cache_is_written(tmp_path: Path) -> None:
    """Wherever they are, but neither recent ones, nor what is not ours."""
    cache_in(tmp_path).lookup(GRID[1:], each(embed))
    stored = files(tmp_path)[0]
    folder, name = stored.parent, stored.stem
    hour_ago = time.time() - 3700
    (folder.parent / "older" / "ab").mkdir(parents=True)
    old = [
        folder / f".{name}.f32.0123456789ab.tmp",
        folder.parent / "older" / "ab" / f".{name}.npz.0123456789ab.tmp",
    ]
    spared = [folder / f".{name}.f32.ba9876543210.tmp", folder.parent / ".of_others.tmp"]
    for path in (*old, *spared):
        path.write_bytes(b"half")
    for path in (*old, spared[1]):
        os.utime(path, (hour_ago, hour_ago))
    cache_in(tmp_path).lookup(GRID[1:], each(no_model))
    assert all(path.exists() for path in old), "reading changes nothing"
    cache_in(tmp_path).lookup(GRID, each(embed))
    assert [path.exists() for path in (*old, *spared)] == [False, False, True, True]


def test_two_processes_fill_the_same_cache(tmp_path: Path, small_cells: None) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=fill, args=(tmp_path, seed)) for seed in (0, 0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    for seed in (0, 1):
        lat_lon = places(200, seed)
        found = cache_in(tmp_path).lookup(lat_lon, each(no_model))
        np.testing.assert_array_equal(found, embed(lat_lon))
    assert not list(tmp_path.rglob("*.tmp"))


# --- where the cache cannot be


def test_a_cache_that_cannot_be_written_only_warns(
    tmp_path: Path, small_cells: None, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    for _ in range(2):
        found = cache_in(tmp_path / "file").lookup(GRID, each(embed))
        np.testing.assert_array_equal(found, embed(GRID))
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "embeddings are not cached (Not a directory)" in record.message


def test_a_full_disk_only_warns_and_leaves_nothing(
    tmp_path: Path,
    small_cells: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(path: Path, content: bytes) -> None:
        with open(path, "wb") as file:
            file.write(content[:9])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    np.testing.assert_array_equal(cache_in(tmp_path).lookup(GRID, each(embed)), embed(GRID))
    assert files(tmp_path) == []
    (record,) = caplog.records
    assert "embeddings are not cached (No space left on device)" in record.message


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOSPOT_CACHE", "/a")
    assert default_cache() == Path("/a")
    monkeypatch.setenv("GEOSPOT_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert default_cache() == Path("/b/geospot_gpu")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/c")
    assert default_cache() == Path("/c/.cache/geospot_gpu")


def test_without_a_home_nothing_is_cached(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a container that runs under a number that no user has."""
    for name in ("GEOSPOT_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(number: int) -> Any:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for _ in range(2):
        np.testing.assert_array_equal(EmbeddingCache("v", 4).lookup(GRID, each(embed)), embed(GRID))
    (record,) = caplog.records
    assert record.message == "there is no home folder to keep embeddings in: set GEOSPOT_CACHE"
