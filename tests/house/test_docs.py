"""What the documentation leaves out: nothing that is public. ``make docs`` builds it."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import geospot_gpu as gs
from geospot_gpu.cli import COMMANDS
from geospot_gpu.distances.columns import REGISTER
from tests.helpers.folders import ROOT

DOCS = ROOT / "docs"
YEAR = re.compile(r"\b(?:19|20)\d\d\b")


@pytest.fixture(scope="module")
def site() -> Iterator[ModuleType]:
    """What makes the tables of the pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        yield importlib.import_module("site_tables")


@pytest.fixture(scope="module")
def tables(site: ModuleType) -> dict[str, str]:
    """The tables, by the name that a page has for them."""
    made: dict[str, str] = site.substitutions()
    return made


def test_every_public_name_is_on_a_page(site: ModuleType) -> None:
    pages = site.public_names()
    assert sorted(name for names in pages.values() for name in names) == sorted(gs.__all__)
    for page in pages:
        assert f"{{{{ api_{page} }}}}" in (DOCS / "api" / f"{page}.md").read_text()


def test_every_column_is_in_a_table(tables: dict[str, str]) -> None:
    page = (DOCS / "columns.md").read_text()
    shown = "".join(tables[name] for name in re.findall(r"{{ (columns_\w+) }}", page))
    for column in REGISTER:
        assert f"| `{column.sides()[0] if column.mirror else column.name}`" in shown, column.name


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_page(command: str) -> None:
    index = (DOCS / "howto" / "index.md").read_text()
    links = [link for link in (f"{command}.md", f"../{command}.md") if f"]({link})" in index]
    assert links, f"docs/howto/index.md: link to the page of {command}"
    assert f"geospot {command} " in (DOCS / "howto" / links[0]).read_text()


def test_every_setting_says_what_it_means(tables: dict[str, str]) -> None:
    page = tables["settings"]
    assert [command for command in COMMANDS if f"## `{command}`" not in page] == []
    rows = [line for line in page.splitlines() if line.startswith("| `") and "=`" not in line]
    assert len(rows) > 150
    assert [row for row in rows if not row.split(" | ")[-1].strip(" |")] == []


def test_a_setting_without_a_meaning_is_named(
    site: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = sys.modules["site_settings"]
    monkeypatch.delitem(settings.MEANINGS, "import.reference")
    with pytest.raises(KeyError, match=r"settings_text.py: say what import.reference is"):
        settings.page()


def entries() -> set[tuple[str, str]]:
    """Surname of the first author, and year, of what the bibliography has."""
    text = (DOCS / "references.bib").read_text()
    found = set()
    for entry in re.split(r"^@", text, flags=re.MULTILINE)[1:]:
        (author,) = re.findall(r"author = {(.+?)(?:,| and )", entry)
        (year,) = re.findall(r"\byear = {(\d{4})}", entry)
        plain = re.sub(r"{\\[`'\"^~c] ?\\?(\w)}", r"\1", author)
        found.add((plain, year))
    return found


def plain(text: str) -> str:
    """Text without accents."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", text) if sign.isascii())


def cited(path: Path) -> Iterator[tuple[str, str]]:
    """Text before a year, and the year, where a docstring cites by authors and year."""
    source = path.read_text()
    if not YEAR.search(source):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text = " ".join((ast.get_docstring(node) or "").split())
            for match in YEAR.finditer(text):
                before = text[max(0, match.start() - 60) : match.start()]
                if re.search(r"(?:et al\.|& [\w.-]+(?: [A-Z][\w-]+)?),? \(?$", before):
                    yield before, match[0]


def test_every_paper_that_a_docstring_cites_is_in_the_bibliography() -> None:
    known = entries()
    files = (file for room in ("geospot_gpu", "kernels") for file in (ROOT / room).rglob("*.py"))
    found = [(file, *where) for file in files for where in cited(file)]
    assert len(found) > 30
    missing = [
        (file.name, before, year)
        for file, before, year in found
        if not any(plain(name) in plain(before) and year == when for name, when in known)
    ]
    assert missing == []
