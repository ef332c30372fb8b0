"""Object storage, by obstore: S3 and what speaks as it does, Google Cloud Storage, and Azure.

An object is put as a whole, or created by a conditional put unless it is there, which is all that
:class:`~geospot_gpu.files.places.Place` asks for. There are no locks.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

from geospot_gpu import files
from geospot_gpu.errors import GeospotError
from geospot_gpu.files.inputs import why
from geospot_gpu.files.places import Place, Stamp

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

    Environment = tuple[tuple[str, str], ...]

STORES = {"s3": "S3Store", "gs": "GCSStore", "az": "AzureStore"}
"""What obstore calls the storage of a URL, by its scheme."""
_VARIABLES = ("AWS_", "AZURE_", "GOOGLE_")
"""How the environment variables begin that obstore reads."""
_READ_AT_ONCE = 1 << 18
_PATIENT: ClientConfig = {"timeout": timedelta(minutes=2)}
"""Seconds would not do for a large object; obstore tries again for three minutes."""
_IMPATIENT: ClientConfig = {
    "connect_timeout": timedelta(seconds=3),
    "timeout": timedelta(seconds=10),
}
_FEW_RETRIES: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
"""Of the first request to a bucket, so that what is misspelt is said in seconds."""
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_NO_BUCKET = re.compile("NoSuchBucket|ContainerNotFound|specified bucket does not exist")
_NO_CREDENTIALS = re.compile(r"169\.254\.169\.254|metadata\.google|Account must be specified")
_REFUSED = re.compile(r"\b40[13] |AccessDenied|PermissionDenied|Unauthenticated")
_ENDPOINT = re.compile(r"https?://[^/\s]+")
_prepared: set[tuple[str, str, Environment]] = set()


class Bucket(Place):
    """Objects of a bucket whose names have a prefix.

    Credentials, region and endpoint are those of the environment variables that other programs of
    the storage read, such as ``AWS_ACCESS_KEY_ID`` and ``AWS_ENDPOINT_URL``. What fails on the way
    is tried again for minutes, but for the first request to a bucket.

    Args:
        scheme: which storage it is, as ``s3``.
        bucket: its name; of Azure that of the container.
        prefix: what names begin with, without slashes at its ends; blank for the whole bucket.

    Raises:
        GeospotError: no object has such a name.
    """

    def __init__(self, scheme: str, bucket: str, prefix: str = "") -> None:
        self.scheme, self.bucket, self.prefix = scheme, bucket, prefix
        parts = [bucket, *(prefix.split("/") if prefix else [])]
        if {"", ".", ".."} & set(parts):
            raise GeospotError(f"{self}: is no place for objects: give {scheme}://BUCKET/PREFIX")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")

    def child(self, name: str) -> Bucket:
        return Bucket(self.scheme, self.bucket, self._key(name))

    def prepare(self) -> None:
        """Find out whether it can be written, and knows conditional puts.

        Raises:
            Unwritable: it cannot be, or does not.
        """
        bucket = self.scheme, self.bucket, _environment()
        if bucket in _prepared:
            return
        probe = f".probe.{secrets.token_hex(6)}.tmp"
        try:
            if self.create(probe, b"first") and self.create(probe, b"second"):
                raise files.Unwritable(
                    f"{self}: puts objects in place of others where it was told not to (it does "
                    "not know If-None-Match): use storage that does, or a folder"
                )
        finally:
            with contextlib.suppress(GeospotError):  # what is wrong is being said
                self.remove(probe)
        _prepared.add(bucket)

    def names(self, prefix: str = "", suffix: str = "") -> list[str]:
        return list(self.stamps(prefix, suffix))

    def stamps(self, prefix: str = "", suffix: str = "") -> dict[str, Stamp]:
        return {
            name: Stamp(meta["size"], meta["e_tag"] or str(meta["last_modified"]))
            for name, meta in self._listed(prefix, suffix).items()
        }

    def newest(self, suffix: str = "") -> list[str]:
        found = self._listed(suffix=suffix)
        return sorted(found, key=lambda name: (found[name]["last_modified"], name), reverse=True)

    def read(self, name: str) -> bytes:
        with self._reading(name) as store:
            return bytes(store.get(self._key(name)).bytes())

    def tail(self, name: str, size: int) -> bytes:
        if self.scheme == "az":  # which counts from the beginning alone
            with self.open(name) as file:
                file.seek(-size, os.SEEK_END)
                return file.read()
        with self._reading(name) as store:
            found = store.get(self._key(name), options={"range": {"suffix": size}})
            return bytes(found.bytes())

    def open(self, name: str) -> BinaryIO:
        with self._reading(name) as store:
            size = store.head(self._key(name))["size"]
        return io.BufferedReader(_Object(self, name, size), _READ_AT_ONCE)

    def part(self, name: str, start: int, end: int) -> bytes:
        """The bytes of a file from ``start`` to before ``end``."""
        with self._reading(name) as store:
            return bytes(store.get_range(self._key(name), start=start, end=end))

    def write(self, name: str, content: bytes) -> None:
        with self._writing(name) as store:
            store.put(self._key(name), content)

    def create(self, name: str, content: bytes) -> bool:
        with self._writing(name) as store:
            from obstore.exceptions import AlreadyExistsError

            try:
                store.put(self._key(name), content, mode="create", use_multipart=False)
                return True
            except AlreadyExistsError:
                pass
        # An answer that is lost on the way makes obstore ask again, and find what it has put.
        with contextlib.suppress(FileNotFoundError):
            return self.read(name) == content
        return False

    def remove(self, name: str) -> None:
        with self._writing(name) as store, contextlib.suppress(FileNotFoundError):
            store.delete(self._key(name))

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _listed(self, prefix: str = "", suffix: str = "") -> dict[str, ObjectMeta]:
        with self._reading() as store:
            found = store.list_with_delimiter(self.prefix or None)["objects"]
        named = {meta["path"].removeprefix(self._key("")): meta for meta in found}
        return {
            name: named[name]
            for name in sorted(named)
            if name.startswith(prefix) and name.endswith(suffix) and "/" not in name
        }

    @contextlib.contextmanager
    def _reading(self, name: str = "") -> Iterator[ObjectStore]:
        where = self.file(name) if name else str(self)
        try:
            with self._requests() as store:
                yield store
        except _Failed as failed:
            if isinstance(failed.error, FileNotFoundError) and name:
                raise FileNotFoundError(where) from failed.error
            raise GeospotError(f"{where}: cannot be read ({failed})") from failed.error

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[ObjectStore]:
        try:
            with self._requests() as store:
                yield store
        except _Failed as failed:
            raise files.Unwritable(
                f"{self.file(name)}: cannot be written ({failed})"
            ) from failed.error

    @contextlib.contextmanager
    def _requests(self) -> Iterator[ObjectStore]:
        """The bucket, once it has answered; what fails of it says why."""
        try:
            import obstore.exceptions
        except ImportError as error:
            raise GeospotError(
                f"{self}: object storage needs obstore: install it with "
                "pip install 'geospot_gpu[cloud]'"
            ) from error
        if _first_process() != os.getpid():  # it would wait for threads that are not there
            raise GeospotError(
                f"{self}: cannot be used in a process that was forked from one that used object "
                "storage: start processes by multiprocessing's spawn"
            )
        try:
            yield _reached(self.scheme, self.bucket, _environment())
        except FileNotFoundError as error:
            if _NO_BUCKET.search(str(error)):
                raise _Failed(self, OSError(str(error))) from error
            raise _Failed(self, error) from error
        except (obstore.exceptions.BaseError, OSError, NotImplementedError) as error:
            raise _Failed(self, error) from error


class _Failed(Exception):
    """A request that failed, whose text says why and what to do."""

    def __init__(self, bucket: Bucket, error: Exception) -> None:
        self.error = error
        said = f"{type(error).__name__} {error}".partition("Debug source")[0]
        credentials = _CREDENTIALS[bucket.scheme]
        endpoint = _ENDPOINT.search(said)
        if _NO_BUCKET.search(said):
            text = f"there is no bucket {bucket.bucket}: make it first, or correct its name"
        elif _NO_CREDENTIALS.search(said):
            text = f"there are no credentials in the environment: set {credentials}"
        elif _REFUSED.search(said):
            text = f"access is refused: {credentials} must be of somebody who may"
        elif "configured region" in said:
            text = "it is in another region: set AWS_REGION"
        elif "HTTP error" in said and endpoint:
            text = f"{endpoint[0]} does not answer: look at the network and at AWS_ENDPOINT_URL"
        else:
            text = why(error)
        super().__init__(text)


class _Object(io.RawIOBase):
    """An object, read in parts."""

    def __init__(self, bucket: Bucket, name: str, size: int) -> None:
        self._bucket, self._name, self._size, self._at = bucket, name, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        found = self._next(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def readall(self) -> bytes:
        return self._next(self._size)

    def _next(self, size: int) -> bytes:
        end = min(self._at + size, self._size)
        if self._at >= end:
            return b""
        found = self._bucket.part(self._name, self._at, end)
        self._at += len(found)
        return found


def _environment() -> Environment:
    return tuple(sorted(item for item in os.environ.items() if item[0].startswith(_VARIABLES)))


@functools.cache
def _first_process() -> int:
    return os.getpid()


@functools.lru_cache(maxsize=16)
def _reached(scheme: str, bucket: str, environment: Environment) -> ObjectStore:
    """A bucket that has answered a first request; what was not answered is not remembered."""
    import obstore.store

    make = getattr(obstore.store, STORES[scheme])
    plain: ClientConfig = {"allow_http": any(value[:7] == "http://" for _, value in environment)}
    first = make(bucket, client_options=_IMPATIENT | plain, retry_config=_FEW_RETRIES)
    first.list_with_delimiter(".geospot")
    store: ObjectStore = make(bucket, client_options=_PATIENT | plain)
    return store
