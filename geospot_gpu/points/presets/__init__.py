"""Public data sets that geo-ML people know by name, read from their files as they are published."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.memory import out_of_memory
from geospot_gpu.files import expanded
from geospot_gpu.files.inputs import why
from geospot_gpu.points.presets import (
    cropharvest,
    dollarstreet,
    fmow,
    geode,
    geoplant,
    geoyfcc,
    povertymap,
)
from geospot_gpu.points.readers.labels import label_of
from geospot_gpu.points.table import Invalid, Points

PRESETS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "geoyfcc": geoyfcc.read,
    "fmow": fmow.read,
    "povertymap": povertymap.read,
    "geode": geode.read,
    "dollarstreet": dollarstreet.read,
    "cropharvest": cropharvest.read,
    "geoplant": geoplant.read,
}
"""What reads each of the data sets from its folder, into a table with a row for each point.

Its columns are ``id``, ``lon``, ``lat``, ``region`` and ``label``, and ``split``, ``text`` and
``image`` (the path of a file) where the data set has them; one without coordinates has neither
``lon`` nor ``lat``.
"""


UNLOCATED = frozenset({"geode", "dollarstreet"})
"""Those without coordinates: distances between their regions are of features alone."""


def read_dataset(
    name: str,
    root: str | Path,
    *,
    split: Iterable[str] | None = None,
    invalid: Invalid = "error",
    label: str | None = None,
) -> Points:
    """The points of a public data set, from its files as they are published.

    ================  ==================================  ====================  =================
    ``name``          expected in ``root``                ``region``            ``label``
    ================  ==================================  ====================  =================
    ``geoyfcc``       ``GeoYFCC.pkl``, or tables of it    country               one of 1,261
    ``fmow``          ``rgb_metadata.csv``                country, alpha-3      use of land
    ``povertymap``    ``dhs_metadata.csv``                country               wealth
    ``geode``         ``geode_paths.csv``                 country               object
    ``dollarstreet``  ``images_v2_imagenet_train.csv``    country, alpha-2      topic
    ``cropharvest``   ``labels.geojson``                  data set              0 or 1, is crop
    ``geoplant``      ``GLC24_PA_metadata_train.csv``     country               species
    ================  ==================================  ====================  =================

    ``geode`` and ``dollarstreet`` have no coordinates. Nothing is downloaded.

    Args:
        name: of the data set.
        root: the folder of its files.
        split: keep the points of these splits, as ``["test"]``; all if not given.
        invalid: ``error`` refuses rows without valid coordinates, ``drop`` leaves them out.
        label: column of labels, as ``label``.

    Returns:
        Points whose ``attributes`` are the columns besides ``lon`` and ``lat``: see the function
        ``read`` of ``geospot_gpu.points.presets.<name>``.

    Raises:
        GeospotError: there is no such data set or split, or a file is not there or not as expected;
            the message says which file is expected where.
    """
    checks.one_of(name, tuple(PRESETS), "name")
    folder = expanded(checks.path(root, "points.root"))
    with out_of_memory(f"reading points of {folder}", "take one split of them: points.split=test"):
        try:
            frame = PRESETS[name](folder)
        except GeospotError:
            raise
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            raise GeospotError(
                f"{folder}: is not as {name} is published ({type(error).__name__}: {why(error)})"
            ) from error
        if split is not None:
            frame = _of_split(frame, split, f"{folder}: {name}")
        places: dict[str, Any] = {axis: frame.get(axis) for axis in ("lon", "lat")}
        points = Points.build(
            **places,
            attributes=frame.drop(columns=["lon", "lat"], errors="ignore"),
            origin=str(folder),
            invalid=invalid,
            label=label_of(frame, label, str(folder)),
        )
        points.warn_of_zeros()
        return points


def _of_split(frame: pd.DataFrame, split: Iterable[str], where: str) -> pd.DataFrame:
    """The rows of one split or several.

    Raises:
        GeospotError: the data set has no splits, or none of that name.
    """
    wanted = [split] if isinstance(split, str) else checks.texts(split, "points.split")
    if "split" not in frame:
        raise GeospotError(f"{where} has no splits in its files: leave out points.split")
    there = sorted(frame["split"].dropna().astype(str).unique())
    for one in wanted:
        checks.one_of(one, there, f"{where}: points.split")
    return frame[frame["split"].isin(wanted)]
