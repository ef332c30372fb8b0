"""Inputs that are no files, archives that lie, and headers that were never meant to be read."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geospot_gpu.config.overrides import text_keys
from geospot_gpu.config.settings import SCHEMAS
from geospot_gpu.encoders.files import read_features
from geospot_gpu.errors import GeospotError
from geospot_gpu.files import inputs, regular
from geospot_gpu.files.tables import read_raw_table as read_scores
from geospot_gpu.points.readers import read_table
from tests.helpers.commands import Geospot

BASE = {
    "points": "table",
    "points.path": "points.csv",
    "points.region": "region",
    "encoder": "none",
    "regions.min_points": "1",
}
OWN = {
    "sweep": BASE,
    "nearest": BASE | {"target": "A", "k": "1"},
    "explain": {"sweep": "run", "source": "A", "target": "B"},
    "report": {"sweep": "run"},
    "transfer": {"sweep": "run", "scores.path": "scores.csv", "scores.kind": "accuracy"},
    "predict": {"sweep": "run", "scores.path": "scores.csv", "scores.kind": "accuracy"},
    "select": {"sweep": "run", "target": "A", "budget": "4"},
    "import": {"reference": "."},
    "embed": {"points.path": "points.csv", "embed": "text", "embed.column": "region"},
}
NEEDED = {
    "points.path": {"points": "table"},
    "regions.path": {"regions": "polygons", "regions.name": "id", "points.region": "null"},
    "encoder.path": {"encoder": "precomputed", "encoder.id": "region"},
    "embed.weights": {"embed": "image", "embed.model": "resnet50"},
    "encoder.cache": {"encoder": "geoclip"},
    "encoder.columns": {"encoder": "precomputed"},
    "encoder.id": {"encoder": "precomputed"},
    "targets.path": {"targets.region": "region"},
    "pool.path": {"over": "points"},
    "pool.features": {"over": "points", "pool.path": "points.csv", "sweep": "features"},
}
"""What a setting has no effect without."""
FILES = {"points.path", "against.path", "regions.path", "encoder.path", "scores.path"} | {
    *("targets.path", "training.path", "pool.path", "pool.features", "prices"),
    *("points.labels", "few.path"),
}


@pytest.fixture
def _alarm() -> Iterator[None]:
    """A command that waits for a pipe fails, for ever is too long."""

    def waited(signum: int, frame: FrameType | None) -> None:
        raise AssertionError("waited for a pipe")

    before = signal.signal(signal.SIGALRM, waited)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """A folder with points, scores and features."""
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"region": list("ABCDEFGH") * 3, "id": [f"p{k}" for k in range(24)]})
    table["lon"], table["lat"] = generator.uniform(0, 50, (2, 24))
    table.to_csv(tmp_path / "points.csv", index=False)
    scores = pd.DataFrame(generator.uniform(0.2, 0.9, (8, 8)), list("ABCDEFGH"), list("ABCDEFGH"))
    scores.to_csv(tmp_path / "scores.csv")
    features = pd.DataFrame(generator.normal(size=(24, 3)), columns=["a", "b", "c"])
    features.assign(id=table["id"]).to_parquet(tmp_path / "features.parquet")
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("_alarm", "few_models")
def test_no_setting_waits_for_a_pipe(inside: Path, geospot_here: Geospot) -> None:
    """Every setting that holds text is given a pipe; those that name a file refuse it as such."""
    os.mkfifo(inside / "pipe.csv")

    def run(command: str, settings: dict[str, str]) -> str:
        arguments = [f"{key}={value}" for key, value in settings.items()]
        signal.alarm(60)
        done = geospot_here(command, *arguments)
        signal.alarm(0)
        assert done.returncode in (0, 1)
        assert done.returncode == 0 or done.stderr.splitlines()[-1].startswith("error: ")
        return done.stderr

    assert run("sweep", BASE | {"out": "run"}).count("error") == 0
    by_features = {"encoder": "precomputed", "encoder.path": "features.parquet", "encoder.id": "id"}
    assert run("sweep", BASE | by_features | {"out": "features"}).count("error") == 0
    found: set[str] = set()
    tried: set[str] = set()
    for command in SCHEMAS:
        for key in sorted(text_keys(command) - tried):
            tried.add(key)
            said = run(
                command,
                OWN[command] | NEEDED.get(key, {}) | {"out": f"o{len(tried)}"} | {key: "pipe.csv"},
            )
            if "pipe.csv: is a pipe or a device" in said:
                found.add(key)
    assert found == FILES


def make(kind: str, path: Path) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        server = socket.socket(socket.AF_UNIX)
        before = Path.cwd()
        os.chdir(path.parent)  # addresses of sockets are short
        server.bind(path.name)
        os.chdir(before)
    elif kind == "loop":
        path.symlink_to(path.name)


READERS: dict[str, Callable[[Path], Any]] = {
    "points.csv": read_table,
    "points.csv.gz": read_table,
    "points.parquet": read_table,
    "points.geojson": read_table,
    "scores.csv": lambda path: read_scores(path, "scores"),
    "features.npz": lambda path: read_features(path, "id", None, ()),
    "features.npy": lambda path: read_features(path, "id", None, ()),
    "features.parquet": lambda path: read_features(path, "id", None, ()),
    "any": regular,
}


@pytest.mark.usefixtures("_alarm")
@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("folder", "is a folder: give a file"),
        ("pipe", "is a pipe or a device"),
        ("device", "is a pipe or a device"),
        ("socket", "is a pipe or a device"),
        ("loop", r"cannot be read \(Too many levels of symbolic links"),
        ("nothing", "there is no such file"),
    ],
)
def test_what_is_no_file(name: str, kind: str, message: str, tmp_path: Path) -> None:
    make(kind, tmp_path / name)
    signal.alarm(20)
    with pytest.raises(GeospotError, match=f"{name}: {message}"):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("before", "message"), [("a\0", "null"), ("x" * 5000, "File name too long")]
)
def test_names_that_no_file_can_have(name: str, before: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(GeospotError, match=message):
        READERS[name](tmp_path / f"{before}{name}")


def test_ids_beside_features(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.ones((3, 2)))
    os.mkfifo(tmp_path / "f.ids.npy")
    with pytest.raises(GeospotError, match="is a pipe or a device"):
        read_features(tmp_path / "f.npy", "id", None, ())


@pytest.mark.parametrize("name", ["points.csv.gz", "points.geojson.gz", "scores.csv.gz"])
@pytest.mark.parametrize("line", [b"region,lon,lat\n", b'{"type": "FeatureCollection"}\n', b"\0"])
def test_gzip_bombs(
    name: str, line: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "LEAST_LIMIT", 1 << 20)
    path = tmp_path / name
    path.write_bytes(gzip.compress(line * ((20 << 20) // len(line)), 9))
    read = READERS["scores.csv"] if name.startswith("scores") else read_table
    with pytest.raises(
        GeospotError, match=r"unpacks to more than [\d.]+ MiB|line is longer|neither"
    ):
        read(path)


def test_an_honest_archive_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "LEAST_LIMIT", 1 << 10)
    generator = np.random.default_rng(0)
    table = pd.DataFrame(generator.uniform(0, 50, (2000, 2)), columns=["lon", "lat"])
    table.to_csv(tmp_path / "points.csv.gz", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "points.csv.gz"), table)
    table.to_csv(tmp_path / "plain.csv", index=False)
    (tmp_path / "plain.csv").rename(tmp_path / "called.csv.gz")
    pd.testing.assert_frame_equal(read_table(tmp_path / "called.csv.gz"), table)


@pytest.mark.parametrize("name", ["points.csv", "scores.csv"])
def test_a_table_in_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"lon,lat," + b"a," * (1 << 20))
    with pytest.raises(GeospotError, match=r"line is longer than"):
        READERS[name](tmp_path / name)


def npy(header: bytes, data: bytes = b"") -> bytes:
    """A file of NumPy's with any header."""
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


HEADERS = {
    "huge": b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 3), }",
    "overflow": b"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 8), }",
    "negative": b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 3), }",
    "objects": b"{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }",
    "inside": b"{'descr': [('a', '<f8'), ('b', '|O')], 'fortran_order': False, 'shape': (2,), }",
    "wide": b"{'descr': '<U536870911', 'fortran_order': False, 'shape': (9, 9), }",
    "call": b"{'descr': __import__('os').system('touch owned'), 'shape': (1,)}",
    "nested": b"(" * 9000,
    "lists": b"[" * 4000 + b"]" * 4000,
    "minus": b"-" * 9000 + b"1",
    "long": b"{'descr': '" + b"x" * 30000 + b"'}",
    "binary": bytes(range(256)),
    "empty": b"",
}


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_headers_of_arrays(
    header: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, content = tmp_path / f"f.{suffix}", npy(HEADERS[header])
    if suffix == "npy":
        np.save(tmp_path / "f.ids.npy", np.array(["a", "b"]))
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("features.npy", content)
            archive.writestr("../../id.npy", npy(HEADERS["huge"]))
    with pytest.raises(GeospotError) as raised:
        read_features(path, "id", None, ())
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < len(str(path)) + 400
    assert not (tmp_path / "owned").exists()


def test_members_of_archives_that_unpack_to_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "LEAST_LIMIT", 1 << 20)
    np.savez_compressed(tmp_path / "f.npz", id=np.arange(9), features=np.zeros((9, 1 << 19)))
    with pytest.raises(GeospotError, match=r"f\.npz: unpacks to more than [\d.]+ MiB"):
        read_features(tmp_path / "f.npz", "id", None, ())


def test_parquet_that_claims_more_than_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"lon": pa.array(np.zeros(1 << 20)), "lat": pa.array(np.zeros(1 << 20))})
    path = tmp_path / "points.parquet"
    pq.write_table(table, path)
    assert path.stat().st_size < 1 << 14, "zeros that repeat take no room"
    assert len(read_table(path)) == 1 << 20
    memory = type("Memory", (), {"available": 15 << 20})
    monkeypatch.setattr("psutil.virtual_memory", memory)
    for read in (read_table, READERS["scores.csv"]):
        with pytest.raises(GeospotError, match=r"claims 1,048,576 rows of at least 16 bytes"):
            read(path)


def test_any_footer_of_parquet(tmp_path: Path) -> None:
    """Every byte of the footer changed in turn is refused or read, and never more than a line."""
    path = tmp_path / "points.parquet"
    pq.write_table(pa.table({"lon": [1.0, 2.0], "lat": [3.0, 4.0], "region": ["A", "B"]}), path)
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    for at in generator.choice(len(whole), 300, replace=False):
        damaged = bytearray(whole)
        damaged[at] = generator.integers(256)
        path.write_bytes(bytes(damaged))
        for read in (read_table, READERS["scores.csv"]):
            assert said_of(read, path).startswith(f"{path}: ")


def said_of(read: Callable[[Path], Any], path: Path) -> str:
    """The one line that a reader says of a file, or as much where it reads it."""
    try:
        read(path)
    except GeospotError as error:
        return str(error)
    return f"{path}: is read"


FEATURE: dict[str, Any] = {"type": "Feature", "properties": {}, "geometry": None}


@pytest.mark.parametrize(
    "content",
    [
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        "[" * 100_000,
        json.dumps({"type": "FeatureCollection", "features": [FEATURE]}).replace(
            "null", '{"type":"GeometryCollection","geometries":[' * 20_000 + "]}" * 20_000
        ),
        '{"type": "FeatureCollection", "features": [1, null, {}]}',
        '{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1e999, -1e999]}}',
        "https://example.com/points.geojson",
        "/vsicurl/https://example.com/points.geojson",
    ],
)
def test_hostile_json(content: str, tmp_path: Path) -> None:
    path = tmp_path / "points.geojson"
    path.write_text(content)
    assert said_of(read_table, path).startswith(f"{path}: ")


def test_geojson_is_geojson(tmp_path: Path) -> None:
    """GDAL takes other kinds of file by their content, which lead it elsewhere."""
    (tmp_path / "secret.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": [FEATURE | {"properties": {"a": 1}}]})
    )
    assert read_table(tmp_path / "secret.geojson")["a"].tolist() == [1]
    path = tmp_path / "points.geojson"
    path.write_text(
        f'<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>{tmp_path}/secret.geojson'
        "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )
    with pytest.raises(GeospotError, match=r"points\.geojson: is XML, as KML"):
        read_table(path)
