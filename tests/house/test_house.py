"""What holds of every file: none is long, and no test imports another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.folders import ROOT

FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("geospot_gpu", "kernels", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)
MOST_LINES = 400


def test_no_file_is_long() -> None:
    lines = {file: len((ROOT / file).read_text().splitlines()) for file in FILES}
    assert not [file for file, count in lines.items() if count > MOST_LINES]


def imported(path: Path) -> Iterator[str]:
    """Modules that a file imports anywhere, and the names it takes from them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("file", [file for file in FILES if "/test_" in file])
def test_no_test_imports_another(file: str) -> None:
    parts = [name.split(".") for name in imported(ROOT / file)]
    of_tests = [name for name in parts if name[0] == "tests"]
    assert not [name for name in of_tests if "conftest" in name]
    assert not [name for name in of_tests if any(part.startswith("test_") for part in name)]
