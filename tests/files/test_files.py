"""A file is replaced as a whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from geospot_gpu.files import atomic_path


def test_atomic_path_replaces_all_or_nothing(tmp_path: Path) -> None:
    target = tmp_path / "t"
    target.write_text("old")

    def interrupted() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [target.read_text(), *tmp_path.iterdir()] == ["old", target]
    with atomic_path(target) as one, atomic_path(target) as other:
        assert one != other
        one.write_text("first")
        other.write_text("second")
    assert [target.read_text(), *tmp_path.iterdir()] == ["first", target]
