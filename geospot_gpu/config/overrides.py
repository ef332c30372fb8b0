"""Settings as a person typed them: text stays text, whatever it looks like."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from geospot_gpu.config.settings import OPTIONS, SCHEMAS
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.say import printable

_LONGEST_FOLDER = 200
"""Bytes of a folder's name; file systems allow 255."""
_PLAIN = re.compile(r"'([\w.+/ -]+)'")
_CHOICE = "choice("
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.S)
_FUNCTION = re.compile(
    r"(range|interval|glob|shuffle|sort|tag|extend_list|int|float|str|bool|json_str)\(.*\)$"
)
_ESCAPED = re.compile(r"(\\+\$\{)|\\([\\()\[\]{}:=, \t])")
"""What backslashes stand before; those before ``${`` are left for OmegaConf to read."""
_HOLDS = re.compile(r"\s*[\w-]+\s*:\s*[\[{].*[\]}]\s*", re.S)
"""A setting that holds others, or a list."""
_NUMBER = re.compile(r"null|true|false|[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.I)
_INTERPOLATION = re.compile(r"(\\*)\$\{")


def keep_text(setting: str, text: Collection[str]) -> str:
    r"""``key=value`` in Hydra's grammar, with every name in it as it was typed.

    Hydra reads ``1_2`` as 12, ``2.50`` as 2.5 and ``7e4`` as 70000.0, and refuses letters that are
    not English; regions, columns and files may have such names. What looks like a list, a mapping,
    a quoted text, a function of Hydra's or an interpolation is one; ``\${`` begins none. A mapping
    from names becomes a list of pairs, for Hydra knows no quotes in its keys; one that holds lists
    or mappings is of settings, whose names need none.

    Args:
        setting: one argument of a command.
        text: keys of the settings that hold text, lists of it, or mappings from it.

    >>> keep_text("target=1_2", {"target"}), keep_text("k=1_2", {"target"})
    ("target='1_2'", 'k=1_2')
    >>> keep_text("target=[KEN,2.50,'7']", {"target"}), keep_text("target=null", {"target"})
    ("target=['KEN','2.50','7']", 'target=null')
    >>> keep_text("have={KEN:2,1_2:1}", {"have"}), keep_text("target=KEN,1_2", {"target"})
    ("have=[['KEN',2],['1_2',1]]", "target='KEN','1_2'")
    >>> print(keep_text("s={a:geoclip,b:{name:none},c:{a:0.5,b:.5}}", {"s"}))
    s={a:'geoclip',b:{name:'none'},c:{a:0.5,b:.5}}
    """
    key, _, value = setting.partition("=")
    if key not in text or value.strip() in ("", "null"):
        return setting
    parts = _split(value)
    if parts is None:
        return setting  # brackets do not close: Hydra says so
    return f"{key}={','.join(_quoted(part) for part in parts)}"


def _quoted(value: str) -> str:
    """One value, with the text in it in quotes."""
    from hydra.core.override_parser.types import Quote, QuotedString

    value = value.strip()
    inner = _split(value[1:-1]) if value[:1] + value[-1:] in ("[]", "{}") else None
    if inner is not None and value[0] == "[":
        return f"[{','.join(_quoted(part) for part in inner)}]"
    if inner is not None and any(map(_HOLDS.fullmatch, inner)):
        return f"{{{','.join(map(_setting, inner))}}}"
    if inner is not None:
        pairs = [part.rpartition(":") for part in inner]
        if all(colon for _, colon, _ in pairs):
            return f"[{','.join(f'[{_quoted(name)},{count}]' for name, _, count in pairs)}]"
    choices = _split(value[len(_CHOICE) : -1]) if value.startswith(_CHOICE) else None
    if choices is not None and value.endswith(")"):
        return f"{_CHOICE}{','.join(_quoted(part) for part in choices)})"
    if _QUOTED.fullmatch(value) or _FUNCTION.match(value):
        return value
    return QuotedString(_ESCAPED.sub(r"\1\2", value), Quote.single).with_quotes()


def _setting(part: str) -> str:
    """``name:value`` of settings within settings, whose names are such as Hydra reads."""
    name, colon, value = part.partition(":")
    value = value.strip()
    if value[:1] == "{":
        inner = _split(value[1:-1]) or []
        value = f"{{{','.join(map(_setting, inner))}}}"
    elif not _NUMBER.fullmatch(value):
        value = _quoted(value)
    return f"{name}{colon}{value}"


def literal(text: str) -> str:
    r"""Text as a value for OmegaConf that stands for itself, whatever it holds.

    >>> print(literal("${oc.env:SECRET}.csv"), literal(r"a\${b}"))
    \${oc.env:SECRET}.csv a\\\${b}
    """
    return _INTERPOLATION.sub(r"\1\1\\${", text)


def quoted(text: str) -> str:
    r"""Text as a value that stands for itself in Hydra's grammar, too, whatever it holds.

    >>> print(quoted("runs/seed=1,k=2"), quoted("it's"))
    'runs/seed=1,k=2' 'it\'s'
    """
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(literal(text), Quote.single).with_quotes()


def environment(typed: Iterable[str]) -> Callable[..., Any]:
    """What ``${oc.env:NAME}`` gives: variables of the environment, if it was typed.

    Args:
        typed: the arguments of the command.
    """
    from omegaconf.resolvers import oc

    if any("oc.env" in setting for setting in typed):
        return oc.env

    def refuse(*_: str) -> str:
        raise GeospotError("variables of the environment are for the command line alone")

    return refuse


def _split(value: str) -> list[str] | None:
    """A value at its commas outside of brackets and quotes; None where brackets do not close."""
    parts, depth, quote, start = [""], 0, "", True
    for before, letter in zip(" " + value, value, strict=False):
        if quote:
            quote = "" if letter == quote and before != "\\" else quote
        elif before == "\\":
            pass
        elif letter in "'\"" and start:
            quote = letter
        elif letter in "[{(":
            depth += 1
        elif letter in ")}]":
            depth -= 1
        start = letter in ",[{(:" or (start and letter == " ")
        if letter == "," and depth == 0 and not quote and before != "\\":
            parts.append("")
        else:
            parts[-1] += letter
        if depth < 0:
            return None
    if depth or quote:
        return None
    return parts if value.strip() else []


def text_keys(command: str) -> set[str]:
    """Settings of a command that hold text: names of regions and columns, files, choices."""
    options = {group: schemas.values() for group, schemas in OPTIONS.items()}
    return text_settings(SCHEMAS[command], options)


def text_settings(
    schema: type, chosen: Mapping[str, Collection[type]], prefix: str = ""
) -> set[str]:
    """Keys of all settings of a schema that hold text, lists of it, or mappings from it.

    Args:
        schema: a dataclass of settings, and of groups of them.
        chosen: schemas that a group may have.
        prefix: of the keys.
    """
    keys: set[str] = set()
    types = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        key, kind = f"{prefix}{field.name}", types[field.name]
        groups = [kind] if dataclasses.is_dataclass(kind) else chosen.get(field.name, ())
        for group in groups:
            assert isinstance(group, type)
            keys |= text_settings(group, {}, f"{key}.")
        if not groups and (kind is Any or str in _parts(kind)):
            keys.add(key)
    return keys


def _parts(kind: Any) -> set[Any]:
    """A type with all that it is made of."""
    return {kind}.union(*(_parts(part) for part in typing.get_args(kind)))


class FolderNames:
    """Folders of the jobs of a multirun, named by their swept settings.

    >>> folders = FolderNames()
    >>> folders("target='1_2',k=3"), folders("points.path=more/towns.csv")
    ('target=1_2,k=3', 'points.path=more-towns.csv')
    >>> folders("points.path=more-towns.csv")
    'points.path=more-towns.csv-29d79975'
    """

    def __init__(self) -> None:
        self._jobs: dict[str, str] = {}

    def __call__(self, job: str) -> str:
        """The name of a job's folder; a hash tells it from its likes where it had to be changed."""
        # Quotes that keep_text put there say nothing; a folder of the grid is one folder.
        name = printable(_PLAIN.sub(r"\1", job)).replace("/", "-")
        encoded, digest = os.fsencode(name), hashlib.blake2b(os.fsencode(job), digest_size=4)
        if len(encoded) > _LONGEST_FOLDER:
            name = encoded[: _LONGEST_FOLDER - 9].decode(errors="ignore") + f"-{digest.hexdigest()}"
        elif self._jobs.setdefault(name, job) != job:
            name = f"{name}-{digest.hexdigest()}"
        return name
