"""Tests stand alone, and what they share is in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
MODULES = sorted(path.relative_to(TESTS.parent).as_posix() for path in TESTS.rglob("test_*.py"))


def imported(path: Path) -> Iterator[str]:
    """Modules that a file imports anywhere, and the names it takes from them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("module", MODULES)
def test_no_test_imports_another(module: str) -> None:
    parts = [name.split(".") for name in imported(TESTS.parent / module)]
    of_tests = [name for name in parts if name[0] == "tests"]
    assert not [name for name in of_tests if "conftest" in name]
    assert not [name for name in of_tests if any(part.startswith("test_") for part in name)]
