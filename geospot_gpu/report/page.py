"""A page of one file: sections, with the scripts and styles that show them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files

from geospot_gpu.report.html import Section, escaped, script_json
from geospot_gpu.report.packing import Packed

_SCRIPTS = (
    *("page", "arrays", "colours", "tables", "projection", "view"),
    *("pairs", "map", "matrix", "scatter", "tree", "atlas"),
    *("transfer", "predict", "select", "explain", "start"),
)
"""In the order in which they need each other."""


def page(title: str, sections: Sequence[Section], command: str) -> str:
    """The whole page.

    What is shown may not ask anything of anybody: its policy allows the one script and the one
    style that stand in it, by their digests, and nothing from elsewhere.

    Args:
        title: of the page.
        sections: in order.
        command: what makes the page again.
    """
    style = _asset("report.css")
    script = "\n".join(_asset(f"{name}.js") for name in _SCRIPTS)
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    data = {section.name: section.data for section in sections if section.data}
    about, elements = {}, []
    for section in sections:
        for name, array in section.arrays.items():
            about[name] = array.about
            elements.append(f'<script type="text/plain" id="array-{name}">{array.text}</script>\n')
    links = "".join(
        f'<a href="#{section.name}">{escaped(section.title)}</a>' for section in sections
    )
    body = "".join(
        f'<section id="{section.name}"><h2>{escaped(section.title)}</h2>\n'
        f"{section.text}</section>\n"
        for section in sections
    )
    parts = {
        "policy": policy,
        "title": escaped(title),
        "style": style,
        "links": links,
        "sections": body,
        "data": script_json({"command": command, "sections": data, "arrays": about}),
        "arrays": "".join(elements),
        "script": script,
    }
    found = _asset("page.html")
    for name in parts:
        assert f"{{{{{name}}}}}" in found
    head, *rest = found.split("{{")
    filled = [head]
    for piece in rest:  # in one pass, so that no text is taken for a place
        name, _, after = piece.partition("}}")
        filled += [parts[name], after]
    return "".join(filled)


def land() -> dict[str, Packed]:
    """The outline of the land: steps from corner to corner, and corners of each polygon."""
    return {name: Packed(**part) for name, part in json.loads(_asset("land.json")).items()}


def _asset(name: str) -> str:
    return (files("geospot_gpu.report") / "assets" / name).read_text("utf-8")


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"
