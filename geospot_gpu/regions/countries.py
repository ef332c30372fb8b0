"""Countries by their names: which one a name means, and where it lies."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors.packages import imported
from geospot_gpu.points.cities import cities
from geospot_gpu.sphere import centre, unit_vectors

_LOGGER = "country_converter.country_converter"


def country_codes(names: Sequence[str]) -> list[str | None]:
    """The ISO 3166 two-letter code of each name; None where it is no country.

    Names may be spelled in any usual way, or be codes of two, three letters or three digits.

    Raises:
        GeospotError: country_converter is not installed.

    >>> country_codes(["Côte d'Ivoire", "KOR", "UK", "Bavaria"])
    ['CI', 'KR', 'GB', None]
    """
    converter, logger = _converter(), logging.getLogger(_LOGGER)
    before, logger.disabled = logger.disabled, True  # it warns of every name that is no country
    try:
        found = converter.convert([*map(_spelled, names)], to="ISO2", enforce_list=True)
    finally:
        logger.disabled = before
    return [codes[0] if len(codes) == 1 and len(codes[0]) == 2 else None for codes in found]


def _spelled(name: str) -> str:
    """As the converter knows names: of words, and numbers without leading zeros."""
    text = name.replace("_", " ").strip()
    return str(int(text)) if text.isdecimal() else text


@functools.cache
def _converter() -> Any:
    needs = "names of countries are known by country_converter"
    country_converter = imported("country_converter", needs, "geo").country_converter
    # Read here: beside pandas 3 its own reading takes the code of Namibia for a missing one.
    table = pd.read_csv(
        country_converter.COUNTRY_DATA_FILE, sep="\t", dtype=str, keep_default_na=False
    )
    present = table[table["obsolete"] == ""].assign(obsolete=np.nan)
    return country_converter.CountryConverter(country_data=present)


def country_places(names: Sequence[str]) -> NDArray[np.float64] | None:
    """Longitude and latitude [n, 2] of countries, in degrees; None where one name is no country.

    A country lies at the mean direction of its cities, by population.

    Raises:
        GeospotError: country_converter is not installed.

    >>> country_places(["Peru", "jp"]).round().tolist(), country_places(["Peru", "Bavaria"])
    ([[-76.0, -11.0], [137.0, 36.0]], None)
    """
    by_code = dict(iter(cities().groupby("country_code")))
    found = []
    for code in country_codes(names):
        if code is None or code not in by_code:
            return None
        own = by_code[code]
        xyz = unit_vectors(lon=own["longitude"], lat=own["latitude"])
        found.append(centre(xyz, own["population"].to_numpy(float) + 1.0))
    return np.array(found)
