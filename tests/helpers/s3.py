"""A server that speaks S3, on 127.0.0.1, which can be stopped, started again, and made to fail."""

from __future__ import annotations

import hashlib
import secrets
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

BUCKET = "bucket"
ACCESS_KEY = "tests"
_STATUS = {
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "AccessDenied": 403,
    "PreconditionFailed": 412,
    "SlowDown": 503,
}


class Stored(NamedTuple):
    """An object."""

    content: bytes
    modified: datetime

    @property
    def tag(self) -> str:
        return f'"{hashlib.md5(self.content).hexdigest()}"'


class Fault(Exception):
    """Raised by :attr:`ObjectServer.fault`: an error code of S3, or a blank to hang up."""


class ObjectServer:
    """Buckets in memory, which stay when the server stops.

    Attributes:
        objects: by bucket and name.
        page: how many objects are listed at once.
        conditional: whether conditional puts are known.
        fault: called with the method and the name before anything is done, and may raise Fault.
        lost: the same, after it is done and before it is answered.
        requests: methods and names of all that was asked.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Stored]] = {BUCKET: {}}
        self.page, self.conditional = 1000, True
        self.fault: Callable[[str, str], None] = lambda method, name: None
        self.lost: Callable[[str, str], None] = lambda method, name: None
        self.requests: list[tuple[str, str]] = []
        self.lock = threading.RLock()
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.connections: set[socket.socket] = set()
        self.port = 0
        self.start()

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which programs find it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }

    @property
    def content(self) -> dict[str, bytes]:
        """What the bucket holds."""
        with self.lock:
            return {name: stored.content for name, stored in self.objects[BUCKET].items()}

    def put(self, name: str, content: bytes) -> None:
        """Store an object, as somebody else would."""
        with self.lock:
            self.objects[BUCKET][name] = Stored(content, datetime.now(UTC))

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """As if it were killed: whoever is connected is cut off."""
        self._server.shutdown()
        self._thread.join(60)
        self._server.server_close()
        with self.lock:
            for connection in self.connections:
                connection.shutdown(socket.SHUT_RDWR)
            self.connections.clear()


class _Handler(BaseHTTPRequestHandler):
    owner: ObjectServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        with self.owner.lock:
            self.owner.connections.add(self.connection)

    def finish(self) -> None:
        with self.owner.lock:
            self.owner.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # whoever asked has gone
            self.close_connection = True

    def _do(self) -> None:
        parts = urlsplit(self.path)
        bucket, _, name = unquote(parts.path).lstrip("/").partition("/")
        query = {
            key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()
        }
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self.owner.requests.append((self.command, name))
            self.owner.fault(self.command, name)
            if f"Credential={ACCESS_KEY}/" not in self.headers.get("Authorization", ""):
                raise Fault("AccessDenied")
            with self.owner.lock:
                if bucket not in self.owner.objects:
                    raise Fault("NoSuchBucket")
                found = self._answer(self.owner.objects[bucket], name, query, body)
            self.owner.lost(self.command, name)
        except Fault as fault:
            code = str(fault)
            if not code:
                self.close_connection = True
                return
            found = _STATUS[code], {}, f"<Error><Code>{code}</Code></Error>".encode()
        status, headers, content = found
        self.send_response(status)
        headers.setdefault("Content-Length", str(len(content)))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _do

    def _answer(
        self, objects: dict[str, Stored], name: str, query: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if self.command in ("GET", "HEAD"):
            return self._list(objects, query) if not name else self._get(objects, name)
        if self.command == "DELETE":
            objects.pop(name, None)
            return 204, {}, b""
        if "delete" in query:
            names = [key.text or "" for key in ElementTree.fromstring(body).iterfind(".//{*}Key")]
            for key in names:
                objects.pop(key, None)
            deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in names)
            return 200, {}, f"<DeleteResult>{deleted}</DeleteResult>".encode()
        if "uploads" in query:
            upload = secrets.token_hex(6)
            self.owner.uploads[upload] = {}
            text = f"<UploadId>{upload}</UploadId><Bucket/><Key/>"
            tag = "InitiateMultipartUploadResult"
            return 200, {}, f"<{tag}>{text}</{tag}>".encode()
        if "partNumber" in query:
            self.owner.uploads[query["uploadId"]][int(query["partNumber"])] = body
            return 200, {"ETag": '"part"'}, b""
        if "uploadId" in query:
            parts = self.owner.uploads.pop(query["uploadId"])
            body = b"".join(part for _, part in sorted(parts.items()))
        refused = self.headers.get("If-None-Match") == "*" and self.owner.conditional
        if refused and name in objects:
            raise Fault("PreconditionFailed")
        objects[name] = Stored(body, datetime.now(UTC))
        tag = objects[name].tag
        text = f"<CompleteMultipartUpload><ETag>{escape(tag)}</ETag></CompleteMultipartUpload>"
        return 200, {"ETag": tag}, text.encode() if "uploadId" in query else b""

    def _get(self, objects: dict[str, Stored], name: str) -> tuple[int, dict[str, str], bytes]:
        if name not in objects:
            raise Fault("NoSuchKey")
        found = objects[name]
        headers = {"ETag": found.tag, "Last-Modified": f"{found.modified:%a, %d %b %Y %X GMT}"}
        size, wanted = len(found.content), self.headers.get("Range")
        if wanted is None:
            return 200, headers | {"Content-Length": str(size)}, found.content
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last) + 1, size) if first and last else size
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        return 206, headers, found.content[start:end]

    def _list(
        self, objects: dict[str, Stored], query: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        entries: dict[str, str] = {}
        for name in sorted(objects):
            if not name.startswith(prefix):
                continue
            inner, cut, _ = name.removeprefix(prefix).partition(delimiter or "\0")
            if cut:
                within = prefix + inner + cut
                entries[within] = (
                    f"<CommonPrefixes><Prefix>{escape(within)}</Prefix></CommonPrefixes>"
                )
            else:
                found = objects[name]
                entries[name] = (
                    f"<Contents><Key>{escape(name)}</Key><Size>{len(found.content)}</Size>"
                    f"<LastModified>{found.modified:%Y-%m-%dT%X.%fZ}</LastModified>"
                    f"<ETag>{escape(found.tag)}</ETag></Contents>"
                )
        left = [name for name in entries if name > query.get("continuation-token", "")]
        page, more = left[: self.owner.page], len(left) > self.owner.page
        text = "".join(entries[name] for name in page)
        text += f"<IsTruncated>{str(more).lower()}</IsTruncated><KeyCount>{len(page)}</KeyCount>"
        text += f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return 200, {}, f"<ListBucketResult>{text}</ListBucketResult>".encode()
