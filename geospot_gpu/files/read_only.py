"""A place for those who look and change nothing, not even the name of what is damaged."""

from __future__ import annotations

from typing import BinaryIO

from geospot_gpu import files
from geospot_gpu.files.places import Place, Stamp


class ReadOnly(Place):
    """Another place, which cannot be written this way.

    Args:
        place: which.
    """

    def __init__(self, place: Place) -> None:
        self._place = place

    def __str__(self) -> str:
        return str(self._place)

    def child(self, name: str) -> ReadOnly:
        return ReadOnly(self._place.child(name))

    def file(self, name: str) -> str:
        return self._place.file(name)

    def names(self, prefix: str = "", suffix: str = "") -> list[str]:
        return self._place.names(prefix, suffix)

    def stamps(self, prefix: str = "", suffix: str = "") -> dict[str, Stamp]:
        return self._place.stamps(prefix, suffix)

    def newest(self, suffix: str = "") -> list[str]:
        return self._place.newest(suffix)

    def read(self, name: str) -> bytes:
        return self._place.read(name)

    def tail(self, name: str, size: int) -> bytes:
        return self._place.tail(name, size)

    def open(self, name: str) -> BinaryIO:
        return self._place.open(name)

    def prepare(self) -> None:
        raise self._refusal(str(self))

    def write(self, name: str, content: bytes) -> None:
        raise self._refusal(self.file(name))

    def create(self, name: str, content: bytes) -> bool:
        raise self._refusal(self.file(name))

    def remove(self, name: str) -> None:
        raise self._refusal(self.file(name))

    def set_aside(self, name: str) -> None:
        """Nothing: whoever may write does it."""

    @staticmethod
    def _refusal(where: str) -> files.Unwritable:
        return files.Unwritable(f"{where}: cannot be written (it was opened to be read alone)")
