"""Text of pages: nothing that a person named is ever read as markup."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from geospot_gpu.errors.say import printable
from geospot_gpu.report.packing import Packed

MOST_ROWS = 200
"""Of a table that stands in the page as text; what is beyond is counted, and in its CSV."""


@dataclass
class Section:
    """One part of a page.

    Attributes:
        name: by which links and scripts find it.
        title: its heading.
        text: markup of what is there without scripts, too.
        data: what scripts read, as JSON.
        arrays: what scripts read, as typed arrays.
    """

    name: str
    title: str
    text: str
    data: dict[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Packed] = field(default_factory=dict)


def escaped(text: object) -> str:
    """Text as markup that shows it, without what cannot be seen.

    >>> print(escaped("<img onerror='x'>"))
    &lt;img onerror=&#x27;x&#x27;&gt;
    """
    return html.escape(printable(str(text)), quote=True)


def script_json(data: object) -> str:
    r"""JSON that may stand within a script element, whatever names it holds; NaN becomes null.

    >>> print(script_json({"name": "</script>", "value": float("nan")}))
    {"name":"\u003c/script>","value":null}
    """
    plain = json.dumps(_finite(data), separators=(",", ":"), allow_nan=False)
    return plain.replace("<", "\\u003c")


def _finite(data: Any) -> Any:
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if isinstance(data, Mapping):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return data


def paragraph(text: object, kind: str = "") -> str:
    """A paragraph."""
    return f"<p{_class(kind)}>{escaped(text)}</p>\n"


def listed(lines: Iterable[object]) -> str:
    """A list."""
    items = "".join(f"<li>{escaped(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>\n" if items else ""


def facts(pairs: Iterable[tuple[object, object]]) -> str:
    """A list of names and what is said of them."""
    rows = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(value)}</dd>" for name, value in pairs)
    return f"<dl>{rows}</dl>\n"


def picture(source: str | None, about: str) -> str:
    """A picture for those who see no script; nothing where there is none."""
    if source is None:
        return ""
    return f'<noscript><img class="static" src="{source}" alt="{escaped(about)}"></noscript>\n'


def table(name: str, frame: pd.DataFrame, titles: Mapping[str, str] | None = None) -> str:
    """A table that can be read without scripts, sorted and saved with them.

    Args:
        name: of the table, and of the file that it is saved as.
        frame: its rows; the first ones alone where they are many, and how many are not is said.
        titles: of columns, where they are not their names.
    """
    shown = frame.head(MOST_ROWS)
    titles = titles or {}
    numbers = {column for column in frame if pd.api.types.is_numeric_dtype(frame[column])}
    numbers -= {column for column in frame if pd.api.types.is_bool_dtype(frame[column])}
    head = "".join(
        f'<th scope="col"{_class("number" if column in numbers else "")}>'
        f"{escaped(titles.get(str(column), column))}</th>"
        for column in frame
    )
    numeric = [column in numbers for column in frame]
    rows = "".join(
        f"<tr>{''.join(map(_cell, row, numeric))}</tr>\n"
        for row in shown.itertuples(index=False, name=None)
    )
    more = len(frame) - len(shown)
    note = paragraph(f"{more:,} more rows are in the CSV", "note") if more else ""
    return (
        f'<div class="scroll"><table data-table="{escaped(name)}" '
        f'data-testid="table-{escaped(name)}">'
        f"<thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>\n{note}"
    )


def records(frame: pd.DataFrame) -> dict[str, Any]:
    """A table as JSON: columns, and rows of cells."""
    columns = [str(column) for column in frame]
    cells = [[_plain(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    return {"columns": columns, "rows": cells}


def number(value: Any) -> str:
    """A number in four digits.

    >>> number(0.123456), number(12345.678), number(float("nan")), number(3)
    ('0.1235', '12,346', '–', '3')
    """
    value = _plain(value)
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if value != 0 and abs(value) < 1e-3:
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value.item() if hasattr(value, "item") else value


def _cell(value: Any, numeric: bool) -> str:
    plain = _plain(value)
    if not numeric and not isinstance(plain, bool | type(None)):
        return f"<td>{escaped(plain)}</td>"
    exact = "" if plain is None else f' data-value="{escaped(plain)}"'
    return f'<td class="number"{exact}>{number(plain)}</td>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
