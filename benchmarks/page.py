"""Write the tables of benchmarks/README.md anew from the results.

python -m benchmarks.page
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS

PAGE = Path(__file__).with_name("README.md")


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
    if all(isinstance(part, dict) for part in found.values()):
        parts = []
        for title, part in found.items():
            body = compared(part) if "methods" in part else listed(part)
            parts.append(f"**{title}**\n\n{body}")
        return "\n\n".join(parts)
    return listed(found)


def main() -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- / -->``."""
    text = PAGE.read_text()
    PAGE.write_text(
        re.sub(
            r"<!-- (\w+) -->\n.*?<!-- / -->",
            lambda match: f"<!-- {match[1]} -->\n{table(match[1])}\n<!-- / -->",
            text,
            flags=re.DOTALL,
        )
    )


if __name__ == "__main__":
    main()
