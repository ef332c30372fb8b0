"""A place in memory, which says what is asked of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

from geospot_gpu.files.places import Place, Stamp


class Memory(Place):
    """Files by name, in this process alone.

    Args:
        name: what it is called, which tells it from others.
        watch: is told of everything that is asked, with the name of the file, before it is done.
    """

    def __init__(self, name: str, watch: Callable[[str, str], object] = lambda *_: None) -> None:
        self._name, self._watch = name, watch
        self.files: dict[str, bytes] = {}
        self._versions: dict[str, int] = {}
        self._places: dict[str, Memory] = {}

    def __str__(self) -> str:
        return f"memory://{self._name}-{id(self)}"

    def child(self, name: str) -> Memory:
        return self._places.setdefault(name, Memory(f"{self._name}/{name}", self._watch))

    def prepare(self) -> None:
        self._watch("prepare", "")

    def names(self, prefix: str = "", suffix: str = "") -> list[str]:
        return list(self.stamps(prefix, suffix))

    def stamps(self, prefix: str = "", suffix: str = "") -> dict[str, Stamp]:
        self._watch("stamps", prefix)
        return {
            name: Stamp(len(content), str(self._versions[name]))
            for name, content in sorted(self.files.items())
            if name.startswith(prefix) and name.endswith(suffix)
        }

    def read(self, name: str) -> bytes:
        self._watch("read", name)
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name]

    def tail(self, name: str, size: int) -> bytes:
        self._watch("tail", name)
        return self._there(name)[len(self._there(name)) - size :]

    def open(self, name: str) -> BinaryIO:
        self._watch("open", name)
        return io.BytesIO(self._there(name))

    def write(self, name: str, content: bytes) -> None:
        self._watch("write", name)
        self.files[name] = content
        self._versions[name] = self._versions.get(name, 0) + 1

    def create(self, name: str, content: bytes) -> bool:
        if name in self.files:
            return False
        self.write(name, content)
        return True

    def remove(self, name: str) -> None:
        self._watch("remove", name)
        self.files.pop(name, None)

    def _there(self, name: str) -> bytes:
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name]

    def newest(self, suffix: str = "") -> list[str]:
        found = self.stamps(suffix=suffix)
        return sorted(found, key=lambda name: int(found[name].version), reverse=True)
