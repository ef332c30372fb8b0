"""A command's results on object storage, which renames nothing and has no locks."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from geospot_gpu import files
from geospot_gpu.files import record
from geospot_gpu.files.outputs import Outputs
from geospot_gpu.files.places import Place


class OutputObjects(Outputs):
    """Files of one command on object storage.

    They are written into a temporary folder of this machine first, and put one by one. A command
    that is killed or cut off meanwhile leaves files out, but never old among new; the same command
    puts them again. Of two that end at once the files may mix, which the next to run mends.
    """

    def __init__(
        self,
        place: Place,
        names: Collection[str],
        *,
        overwrite: bool = False,
        stale: Collection[str] = (),
    ) -> None:
        super().__init__(place, names, overwrite=overwrite, stale=stale)
        self._known = place.child(record.RECORD)
        self._former = self._markers()

    def check_writable(self) -> None:
        self._known.prepare()
        probe = f".probe.{secrets.token_hex(6)}.tmp"
        self._known.write(probe, b"")
        self._known.remove(probe)

    @contextlib.contextmanager
    def replacing(self, about: str = "") -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="geospot-", ignore_cleanup_errors=True) as folder:
            staged = Path(folder)
            try:
                yield staged
                made = {path.name: path.read_bytes() for path in staged.iterdir()}
            except OSError as error:
                raise files.unwritable(staged, error) from error
            self._publish(made, about)

    def _publish(self, made: dict[str, bytes], about: str) -> None:
        assert made.keys() <= set(self._names), "an output that was not announced"
        self._check()
        markers = {f"{name}-{files.content_hash(content)}" for name, content in made.items()}
        # All old files go before a new one comes, and the record knows both until the end.
        self._mark(markers, about)
        for name in self._every:
            if name in made or record.marker(self.place, name) is not None:
                self.place.remove(name)
        for name in self._names:  # in this order: the last says what the others are from
            if name in made:
                self.place.write(name, made[name])
        self._mark(markers, about)  # another command that ended meanwhile took them for old
        self._forget(self._former - markers)
        self._former = self._markers()

    def _mark(self, markers: Collection[str], about: str) -> None:
        for marker in markers:
            self._known.write(marker, about.encode())

    def _forget(self, markers: Collection[str]) -> None:
        """Remove markers of files that are not there any more."""
        for marker in markers:
            with contextlib.suppress(FileNotFoundError, files.Unwritable):  # it does no harm
                about = self._known.read(marker)
                self._known.remove(marker)
                # Only now: another command may have put its file before, else it marks it after.
                if record.digest(self.place, marker[:-33]) == marker[-32:]:
                    self._known.write(marker, about)

    def _markers(self) -> set[str]:
        return {marker for name in self._every for marker in record.markers(self.place, name)}
