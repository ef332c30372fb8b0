"""Writing what was computed while the next is being computed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Writer:
    """Writes one thing at a time in a thread of its own; a context.

    It takes the next when the one before is on disk: a process that is killed loses what it is
    computing and at most one thing besides. An interruption or error loses nothing that was handed
    over.

    Args:
        written: called in the thread of the caller with the count of what was written.
    """

    def __init__(self, written: Callable[[int], None]) -> None:
        self._written = written
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="geospot-writer")
        self._running: tuple[Future[None], int] | None = None

    def __enter__(self) -> Writer:
        return self

    def put(self, count: int, write: Callable[[], None]) -> None:
        """Hand over how ``count`` things are written.

        Raises:
            Exception: whatever writing those before has raised.
        """
        self._wait()
        self._running = self._pool.submit(write), count

    def _wait(self) -> None:
        if self._running is None:
            return
        future, count = self._running
        try:
            future.result()
        except Exception:
            self._running = None  # said once; an interruption leaves it to be waited for
            raise
        self._running = None
        self._written(count)

    def __exit__(self, *error: object) -> None:
        with self._pool:
            self._wait()
