"""Coordinates as people write them: numbers, decimal commas, letters of the compass, minutes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_NUMBER = r"\d+(?:[.,]\d*)?|[.,]\d+"
_DEGREES = re.compile(
    rf"""
    (?P<before>[NSEW]?)\s*
    (?P<sign>[+-]?)\s*(?P<degrees>{_NUMBER})
    (?:\s*(?:[°ºd:]|deg|\s)\s*
      (?:(?P<minutes>{_NUMBER})
        (?:\s*(?:[':m]|min|\s)\s*
          (?:(?P<seconds>{_NUMBER})\s*(?:"|''|sec)?)?
        )?
      )?
    )?\s*
    (?P<after>[NSEW]?)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SECONDS = re.compile(r"(m\s*[\d.,]+\s*)s")
"""As in 58m56s, where the letter is not that of the south."""
_AS_TYPED = str.maketrans("−–′’‘ʹ`″”“ʺ\u00a0\u202f", "--'''''\"\"\"\"  ")
"""Signs that are printed, and those that are typed."""


def degrees(values: pd.Series[Any], letters: str) -> NDArray[np.float64]:
    r"""Degrees [n] of a column of coordinates; NaN where it holds none.

    Args:
        values: numbers, or text such as ``10,5``, ``10.5 E`` and ``40° 26' 46" N``.
        letters: of the compass, the positive first: ``EW`` or ``NS``.

    >>> degrees(pd.Series(["-10,5", "10.5W", "40°26'46\"N", "Oslo"]), "EW").tolist()
    [-10.5, -10.5, nan, nan]
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    found = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
    left = np.flatnonzero(np.isnan(found) & values.notna().to_numpy(bool))
    if not len(left):
        return found
    codes, texts = pd.factorize(values.iloc[left].to_numpy(object))
    read = np.array(
        [degrees_of_text(text, letters) if isinstance(text, str) else np.nan for text in texts]
    )
    found = found.copy()
    found[left] = read[codes]
    return found


def degrees_of_text(text: str, letters: str) -> float:
    """Degrees of one coordinate; see :func:`degrees`."""
    match = _DEGREES.fullmatch(_SECONDS.sub(r'\1"', text.translate(_AS_TYPED)).strip())
    if match is None:
        return np.nan
    side = (match["before"] + match["after"]).upper()
    if len(side) > 1 or side not in ("", *letters) or (side and match["sign"] == "-"):
        return np.nan
    parts = [float((match[part] or "0").replace(",", ".")) for part in ("minutes", "seconds")]
    if max(parts) >= 60.0:
        return np.nan
    size = float(match["degrees"].replace(",", ".")) + parts[0] / 60.0 + parts[1] / 3600.0
    return -size if side == letters[1] or match["sign"] == "-" else size
