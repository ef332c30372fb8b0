"""Write the tables of docs/benchmarks/ anew from the results, and README.md's of columns.

python -m benchmarks.page
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from benchmarks import gpu_tables
from benchmarks.record import RESULTS
from geospot_gpu.distances.column import Column, Table
from geospot_gpu.distances.columns import REGISTER

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "benchmarks").glob("*.md"))
README = ROOT / "README.md"


def figures(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())["figures"] if path.exists() else None


def listed(values: dict[str, Any]) -> str:
    rows = [f"| {key} | {value} |" for key, value in values.items() if not isinstance(value, list)]
    return "\n".join(["| | measured |", "|---|---|", *rows])


def compared(values: dict[str, Any]) -> str:
    """One comparison: the methods, then what was measured of ours."""
    columns = list(values["methods"][0])
    rows = [
        "| " + " | ".join(str(row.get(column, "")) for column in columns) + " |"
        for row in values["methods"]
    ]
    head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    methods, rest = "\n".join([*head, *rows]), listed(values)
    return methods if len(values) == 1 else f"{methods}\n\n{rest}"


def table(name: str) -> str:
    """The tables of one result."""
    found = figures(name)
    if found is None:
        return "Not measured yet."
    if name in gpu_tables.TABLES:
        before = figures("gpu_before")
        assert before is not None
        return gpu_tables.TABLES[name](found, before)
    if all(isinstance(part, dict) for part in found.values()):
        parts = []
        for title, part in found.items():
            body = compared(part) if "methods" in part else listed(part)
            parts.append(f"**{title}**\n\n{body}")
        return "\n\n".join(parts)
    return listed(found)


def columns(name: str) -> str:
    """What the register has of a table: distances first, what says how they were made last."""
    table = cast(Table, name)
    rows = ["| column | unit | meaning |", "|---|---|---|"]
    last = ("covariate", "record")
    tables = (table, None) if table == "pairs" else (table,)
    for column in sorted(REGISTER, key=lambda column: column.group in last):
        if column.table in tables:
            rows.append(f"| {_names(column)} | {column.unit} | {column.meaning} |")
    return "\n".join(rows)


def _names(column: Column) -> str:
    if not column.directed:
        return ", ".join(f"`{name}`" for name in column.stored)
    names = ", ".join(f"`{name}`" for name in column.sides())
    ends = [f"`{bound.removeprefix(column.name)}`" for bound in column.bounds]
    return f"{names}, with {' and '.join(ends)}" if ends else names


def rewritten(text: str, table_of: Callable[[str], str]) -> str:
    """A page whose tables, between ``<!-- name -->`` and ``<!-- / -->``, are new."""
    return re.sub(
        r"<!-- (\w+) -->\n.*?<!-- / -->",
        lambda match: f"<!-- {match[1]} -->\n{table_of(match[1])}\n<!-- / -->",
        text,
        flags=re.DOTALL,
    )


def main() -> None:
    for page in PAGES:
        page.write_text(rewritten(page.read_text(), table))
    README.write_text(rewritten(README.read_text(), columns))


if __name__ == "__main__":
    main()
