"""Object storage as a place: on a server of our own, which fails as it is told to."""

from __future__ import annotations

import itertools
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from geospot_gpu.errors import GeospotError
from geospot_gpu.files import Unwritable
from geospot_gpu.files.objects import Bucket
from geospot_gpu.files.places import Folder, Place
from geospot_gpu.files.urls import place
from tests.helpers.s3 import BUCKET, Fault, ObjectServer

URL = f"s3://{BUCKET}/runs/a#b%20 é"
"""Names are taken as they are typed."""


@pytest.fixture(params=["folder", "bucket"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path, storage: ObjectServer) -> Place:
    """What is true of a folder is true of a bucket."""
    found = place(tmp_path / "runs" if request.param == "folder" else URL)
    assert isinstance(found, Folder if request.param == "folder" else Bucket)
    return found


def test_a_place_holds_files(anywhere: Place) -> None:
    assert anywhere.names() == []
    anywhere.prepare()
    assert anywhere.names() == []
    anywhere.write("b.txt", b"0123456789")
    anywhere.write("a.txt", b"first")
    anywhere.write("a.txt", b"a")
    assert anywhere.names() == ["a.txt", "b.txt"]
    assert anywhere.names("a") == anywhere.names(suffix="a.txt") == ["a.txt"]
    assert anywhere.read("a.txt") == b"a"
    assert {name: stamp.size for name, stamp in anywhere.stamps().items()} == {
        "a.txt": 1,
        "b.txt": 10,
    }
    anywhere.remove("a.txt")
    anywhere.remove("a.txt")
    assert anywhere.names() == ["b.txt"]
    with pytest.raises(FileNotFoundError, match=r"a\.txt"):
        anywhere.read("a.txt")


def test_one_of_many_creates_a_file(anywhere: Place) -> None:
    anywhere.prepare()
    barrier, won = threading.Barrier(8), []

    def create(number: int) -> None:
        barrier.wait(60)
        if anywhere.create("identity.json", b"%d" % number):
            won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [b"%d" % number for number in won] == [anywhere.read("identity.json")]


def test_places_within_a_place(anywhere: Place) -> None:
    inner = anywhere.child("points")
    inner.prepare()
    inner.write("a", b"1")
    assert str(inner) == f"{anywhere}/points"
    assert inner.file("a") == f"{anywhere}/points/a"
    assert inner.names() == ["a"]
    assert "a" not in anywhere.names()


def test_what_is_damaged_is_set_aside(anywhere: Place) -> None:
    anywhere.prepare()
    anywhere.write("a.json", b"damaged")
    for name in ("a.json", "gone.json"):
        anywhere.set_aside(name)
    assert anywhere.names() == ["a.damaged"]
    assert anywhere.read("a.damaged") == b"damaged"


def test_a_stamp_changes_with_the_content(anywhere: Place) -> None:
    anywhere.prepare()
    anywhere.write("a", b"1")
    before = anywhere.stamps()
    assert anywhere.stamps() == before
    anywhere.write("a", b"2")
    assert anywhere.stamps() != before


def test_the_newest_comes_first(anywhere: Place) -> None:
    anywhere.prepare()
    for name in ("b.json", "c.json", "a.json", "d.txt"):
        anywhere.write(name, b"")
        time.sleep(0.01)  # clocks of file systems tick
    assert anywhere.newest(".json") == ["a.json", "c.json", "b.json"]


def test_objects_are_read_in_parts(storage: ObjectServer) -> None:
    bucket = place(URL)
    assert isinstance(bucket, Bucket)
    content = bytes(range(256)) * 40_000  # in several parts, put and read
    bucket.write("large", content)
    assert bucket.read("large") == content
    assert bucket.tail("large", 1000) == content[-1000:]
    with bucket.open("large") as file:
        assert file.read(10) == content[:10]
        file.seek(-700_000, 2)
        assert file.read(10) == content[-700_000:-699_990]
        file.seek(5_000, 0)
        asked = len(storage.requests)
        assert file.read() == content[5_000:]
        assert file.read() == b""
        assert len(storage.requests) == asked + 1
    for ask in (lambda: bucket.tail("gone", 1), lambda: bucket.open("gone")):
        with pytest.raises(FileNotFoundError, match="gone"):
            ask()


def test_listings_of_many_pages(storage: ObjectServer) -> None:
    bucket, storage.page = place(URL), 3
    names = [f"part-{number}" for number in range(8)]
    for name in names:
        bucket.write(name, b"")
        bucket.child(name).write("inner", b"")
    assert bucket.names() == names


def test_the_bucket_itself_is_a_place(storage: ObjectServer) -> None:
    bucket = place(f"S3://{BUCKET}//")
    assert str(bucket) == f"s3://{BUCKET}"
    bucket.write("a", b"")
    bucket.child("runs").write("b", b"")
    assert bucket.names() == ["a"]
    assert list(storage.content) == ["a", "runs/b"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://", "is no place for objects: give s3://BUCKET/PREFIX"),
        (f"s3://{BUCKET}/a//b", "is no place for objects"),
        (f"s3://{BUCKET}/../b", "is no place for objects"),
        ("ftp://there/a", "there is no storage of this kind: .* s3://, gs://, az://$"),
        (Path("s3://bucket/a"), "give a URL as text, not as a path"),
    ],
)
def test_what_is_no_url_of_object_storage(url: str | Path, said: str) -> None:
    with pytest.raises(GeospotError, match=said):
        place(url)


def failing(method: str, code: str, times: int) -> Callable[[str, str], None]:
    """Fails so many requests of this kind."""
    left = itertools.count(1)

    def fail(asked: str, name: str) -> None:
        if asked == method and name.endswith("tried") and next(left) <= times:
            raise Fault(code)

    return fail


@pytest.mark.parametrize("code", ["SlowDown", ""])
def test_what_fails_on_the_way_is_tried_again(storage: ObjectServer, code: str) -> None:
    bucket = place(URL)
    storage.fault = failing("PUT", code, 2)
    bucket.write("tried", b"content")
    storage.fault = failing("GET", code, 2)
    assert bucket.read("tried") == b"content"
    assert [method for method, name in storage.requests if name.endswith("tried")] == [
        *("PUT", "PUT", "PUT", "GET", "GET", "GET"),
    ]


def test_an_answer_that_is_lost_is_no_refusal(storage: ObjectServer) -> None:
    """The object is there already when it is created again."""
    bucket = place(URL)
    storage.lost = failing("PUT", "", 1)
    assert bucket.create("tried", b"ours")
    assert len([one for one in storage.requests if one[0] == "PUT"]) == 2
    assert not bucket.create("tried", b"another's")
    assert bucket.read("tried") == b"ours"


def test_a_server_that_is_started_again(storage: ObjectServer) -> None:
    bucket = place(URL)
    bucket.write("a", b"kept")
    storage.stop()
    starting = threading.Timer(0.3, storage.start)
    starting.start()
    assert bucket.read("a") == b"kept"
    starting.join(60)


def test_storage_without_conditional_puts(storage: ObjectServer) -> None:
    bucket, storage.conditional = place(URL), False
    with pytest.raises(Unwritable, match="does not know If-None-Match"):
        bucket.prepare()
    assert storage.content == {}, "the probe goes"
    storage.conditional = True
    bucket.prepare()
    asked = len(storage.requests)
    bucket.child("points").prepare()
    assert len(storage.requests) == asked, "found out once"


def all_requests(where: str) -> list[Callable[[], object]]:
    bucket = place(where)
    return [
        lambda: bucket.names(),
        lambda: bucket.read("a"),
        lambda: bucket.write("a", b""),
        lambda: bucket.create("a", b""),
        lambda: bucket.remove("a"),
        lambda: bucket.prepare(),
    ]


def says(where: str, said: str) -> None:
    """Every request fails, and says so in one line."""
    for ask in all_requests(where):
        with pytest.raises(GeospotError, match=said) as told:
            ask()
        assert str(told.value).startswith(where)
        assert len(str(told.value)) < 300


def test_a_bucket_that_is_not_there(storage: ObjectServer) -> None:
    said = r"cannot be (read|written) \(there is no bucket none: make it first, or correct its name"
    says("s3://none/runs", said)
    bucket = place(URL)
    bucket.names()
    storage.objects.clear()
    with pytest.raises(GeospotError, match="there is no bucket"):  # and not that the file is not
        bucket.read("a")


def test_credentials_that_are_refused(
    storage: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    says(f"s3://{BUCKET}/runs", r"\(access is refused: AWS_ACCESS_KEY_ID and .* must be of somebod")
    monkeypatch.undo()


def test_no_credentials(storage: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    # Where machines of a cloud ask for theirs.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1/169.254.169.254")
    with pytest.raises(GeospotError, match="no credentials in the environment: set AWS_ACCESS_KEY"):
        place(URL).names()
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(GeospotError, match="environment: set AZURE_STORAGE_ACCOUNT_NAME"):
        place("az://container/runs").names()


def test_a_server_that_is_not_there_is_said_in_seconds(
    storage: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused, not found, and one that never answers."""
    said = r"\(http://.* does not answer: look at the network and at AWS_ENDPOINT_URL\)"
    for endpoint in ("http://127.0.0.1:1", "http://nowhere.invalid"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        says(f"s3://{BUCKET}/runs", said)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr("geospot_gpu.files.objects._IMPATIENT", {"timeout": "100ms"})
        with pytest.raises(GeospotError, match=said):
            place(URL).names()


def test_a_forked_process_is_told_so(storage: ObjectServer) -> None:
    """And does not wait for ever."""
    bucket = place(URL)
    bucket.write("a", b"kept")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            bucket.read("a")
        except GeospotError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with open(reading, "rb") as said:
        assert b"cannot be used in a process that was forked" in said.read()
    assert bucket.read("a") == b"kept"


def test_without_obstore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    says(f"s3://{BUCKET}", r"object storage needs obstore: .* pip install 'geospot_gpu\[cloud\]'$")
