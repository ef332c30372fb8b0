"""Names of regions, columns and ids: kept as first written, compared by one rule.

Two spellings are one name where their NFC forms without surrounding blanks are equal. Case, blanks
within, and characters that cannot be seen distinguish.
"""

from __future__ import annotations

import difflib
import logging
import re
import unicodedata
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError, checks

log = logging.getLogger("geospot_gpu")

_WHOLE_AS_FLOAT = re.compile(r"([+-]?\d+)\.0*")
_LARGEST_EXACT = 2**53
"""Whole numbers below this are exact in float64."""
_LEADING_ZEROS = r"^\s*([+-]?)0+(?=\d)"
_SHOWN = 3

Name = str | bytes | int | float | np.generic | tuple[Any, ...]
"""What may name a thing; see :func:`name_of`."""


def name_key(name: str) -> str:
    r"""What is compared of a name.

    >>> name_key(" Cote\u0302 ") == name_key("Cot\u00ea")
    True
    """
    return unicodedata.normalize("NFC", name).strip()


def name_of(value: object, where: str) -> str:
    """The text of whatever names a thing: text, a whole or other number, or a tuple of these.

    Args:
        value: the name; members of a tuple, as pandas names groups by several columns, are joined
            by slashes, and 7.0 is 7.
        where: the argument or setting, for the message.

    Raises:
        GeospotError: it is missing, or no name.

    >>> name_of(6037, "target"), name_of(7.0, "target"), name_of(("FR", 2020), "target")
    ('6037', '7', 'FR/2020')
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise GeospotError(f"{where}: {value!r} is not UTF-8: write names as text") from error
    if isinstance(value, np.generic):
        return name_of(value.item(), where)
    if isinstance(value, bool | int):
        return str(value)
    if isinstance(value, tuple) and value:
        return "/".join(name_of(part, where) for part in value)
    if isinstance(value, float) and np.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < _LARGEST_EXACT else str(value)
    if isinstance(value, pd.Timestamp | pd.Interval | pd.Period) or hasattr(value, "isoformat"):
        return str(value)
    raise GeospotError(f"{where}: {checks.shown(value)} is no name: give text or a whole number")


def labels(values: pd.Series[Any]) -> pd.Series[Any]:
    """Names or ids of a column as text, missing ones as NA; whole numbers have no decimals."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if pd.api.types.is_float_dtype(values):
        known = values.dropna()
        # Columns of whole numbers become floating point where one of them is missing.
        if (known % 1 == 0).all() and (known.abs() < _LARGEST_EXACT).all():
            return values.astype("Int64").astype("string")
    if values.dtype != object:
        return values.astype("string")
    objects = values.to_numpy(object)
    for value in objects:
        if not isinstance(value, Hashable):
            name_of(value, str(values.name))  # which says that a list or the like is no name
    codes, distinct = pd.factorize(objects)  # missing ones have code -1
    texts = pd.array([name_of(value, str(values.name)) for value in distinct], dtype="string")
    found = texts.take(codes, allow_fill=True)
    return pd.Series(found, index=values.index, name=values.name)


def as_ids_of(wanted: pd.Series[Any], own: pd.Series[Any]) -> pd.Series[Any]:
    """Ids of one table as they are among those of another, where 0713 may have been read as 713.

    Args:
        wanted: text, from :func:`labels`.
        own: the column of ids of the other table, as it was read.

    >>> as_ids_of(pd.Series(["0713"], dtype="string"), pd.Series([713])).tolist()
    ['713']
    """
    if not pd.api.types.is_numeric_dtype(own):
        return wanted
    return wanted.str.replace(_LEADING_ZEROS, r"\1", regex=True)


def keys(values: pd.Series[Any]) -> pd.Series[Any]:
    """What is compared of each name of a column of text; NA where nothing is left."""
    codes, distinct = pd.factorize(values)
    known = np.asarray(distinct, object)  # Arrow's own strings take long to go through
    texts = pd.array([name_key(str(name)) or pd.NA for name in known], dtype="string")
    found = texts.take(codes, allow_fill=True)
    return pd.Series(found, index=values.index, name=values.name)


def unified(values: pd.Series[Any], where: str) -> pd.Series[Any]:
    """Names of a column, each as it was first written; NA where there is none.

    What was unified is said, and so is a name with characters that cannot be seen.

    Args:
        values: text, from :func:`labels`.
        where: the table and its column, for messages.
    """
    compared = keys(values)
    once = (compared.notna() & ~compared.duplicated()).to_numpy(bool)
    codes, _ = pd.factorize(compared)
    texts = pd.array(values.to_numpy(object)[once], dtype="string")
    found = pd.Series(
        texts.take(codes, allow_fill=True), index=values.index, name=values.name, dtype="string"
    )
    spelled = pd.DataFrame({"as": found.to_numpy(object), "written": values.to_numpy(object)})
    other = spelled[spelled["as"].notna() & (spelled["as"] != spelled["written"])]
    if len(other):
        pairs = [f"{written!a} is {name!a}" for name, written in set(other.itertuples(index=False))]
        log.warning(
            "%s: names that differ in surrounding blanks or Unicode form alone are one: %s%s",
            *(where, ", ".join(sorted(pairs)[:_SHOWN]), _more(len(pairs))),
        )
    warn_of_invisible([str(name) for name in texts], where)
    return found


def warn_of_invisible(names: Iterable[str], where: str) -> None:
    """Say which names hold characters that cannot be seen, which tell them from their likes."""
    unseen = [
        name for name in names if any(unicodedata.category(c) == "Cf" for c in name_key(name))
    ]
    if unseen:
        log.warning(
            "%s: names hold characters that cannot be seen, and are other names for that: %s%s",
            *(where, ", ".join(f"{name!a}" for name in unseen[:_SHOWN]), _more(len(unseen))),
        )


def match_names(wanted: pd.Series[Any], known: pd.Series[Any]) -> NDArray[np.int64]:
    """Where names [m] of one table stand among those [n] of another; -1 where they do not.

    Whole numbers that one program wrote as ``12`` and another as ``12.0`` are the same, unless both
    are there.

    Args:
        wanted, known: text, from :func:`labels`; where a known name occurs twice the first counts.
    """
    compared = keys(known)
    once = np.flatnonzero((compared.notna() & ~compared.duplicated()).to_numpy(bool))
    names = pd.Index(compared.iloc[once].astype(object))
    asked = keys(wanted).astype(object)
    found = names.get_indexer(pd.Index(asked))
    found[asked.isna().to_numpy(bool)] = -1
    if (found < 0).any():
        plain = pd.Index([_whole(name) for name in names])
        alone = ~plain.duplicated(keep=False)
        other = plain[alone].get_indexer(pd.Index([_whole(name) for name in asked]))
        other = np.where(other < 0, -1, np.flatnonzero(alone)[other] if alone.any() else -1)
        found = np.where(found < 0, other, found)
    return np.where(found < 0, -1, once[found] if len(once) else -1).astype(np.int64)


def _whole(name: Any) -> Any:
    match = _WHOLE_AS_FLOAT.fullmatch(name) if isinstance(name, str) else None
    return match[1] if match else name


class Names(Mapping[str, int]):
    """Names and where each stands, looked up by whatever names a thing.

    >>> names = Names(["Kenya ", "12"])
    >>> names["Kenya"], names.find(12), names.find("kenya"), list(names)
    (0, 1, None, ['Kenya ', '12'])
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._written = list(names)
        self._at: dict[str, int] = {}
        for position, name in enumerate(self._written):
            self._at.setdefault(name_key(name), position)

    def __getitem__(self, name: str) -> int:
        return self._at[name_key(name)]

    def __iter__(self) -> Iterator[str]:
        return (self._written[position] for position in self._at.values())

    def __len__(self) -> int:
        return len(self._at)

    def find(self, name: object, where: str = "name") -> int | None:
        """Position of a name, or None; raises :class:`GeospotError` where it is no name at all."""
        return self._at.get(name_key(name_of(name, where)))

    def readings(self, name: str) -> list[list[int]]:
        """All ways to read a name as some of these, joined by plus signs.

        >>> Names(["a", "b", "b+c", "c"]).readings("a+b+c")
        [[0, 1, 3], [0, 2]]
        """
        parts = name.split("+")
        found = []
        for count in range(1, len(parts) + 1):
            first = self.find("+".join(parts[:count]))
            if first is not None and count == len(parts):
                found.append([first])
            elif first is not None:
                found += [[first, *rest] for rest in self.readings("+".join(parts[count:]))]
        return found

    def together(self, name: object, where: str = "name") -> tuple[int, ...] | None:
        """Positions of a name, or of those that plus signs join in it, in order; None without any.

        A name that has plus signs of its own goes first.

        Raises:
            GeospotError: it can be read in several ways, or is no name at all.

        >>> names = Names(["FRA", "DEU", "a+b", "a"])
        >>> names.together("DEU + FRA"), names.together("a+b"), names.together("FRA+b")
        ((0, 1), (2,), None)
        """
        own = self.find(name, where)
        if own is not None:
            return (own,)
        text = name_of(name, where)
        ways = {tuple(sorted(set(way))) for way in self.readings(text)}
        if len(ways) > 1:
            raise GeospotError(
                f"{where}: {text!r} can be read in several ways, for names hold a +: rename them"
            )
        return next(iter(ways), None)

    def hint(self, name: object, count: int = 8) -> str:
        """What may have been meant by a name that is not there, or what there is instead.

        >>> Names(["Kenya", "Mali"]).hint("Kenia"), Names(["Kenya", "Mali"]).hint("x")
        ("did you mean 'Kenya'?", 'there are: Kenya, Mali')
        """
        close = difflib.get_close_matches(str(name), list(self), n=1)
        if close:
            return f"did you mean {close[0]!r}?"
        return f"there are: {', '.join(sorted(self)[:count])}{_more(len(self), count)}"


def _more(count: int, shown: int = _SHOWN) -> str:
    return ", ..." if count > shown else ""
