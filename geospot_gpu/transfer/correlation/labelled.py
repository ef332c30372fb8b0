"""Matrices of pairs of regions, brought to one order of regions by their labels."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.distances.columns import evidence
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.checks import instance
from geospot_gpu.names import name_key, name_of

if TYPE_CHECKING:
    import xarray

log = logging.getLogger("geospot_gpu")

Array = NDArray[np.float64]
_SIDES = ("source", "target")
_SHOWN = 5
_LEAST_SHARE = 1e-6
"""A weight may be this small beside the largest."""
_HOW = (
    "label it with regions, as xarray.DataArray(values, coords={'source': names, 'target': names}, "
    "dims=('source', 'target')) or pandas.DataFrame(values, index=names, columns=names)"
)


class Aligned(NamedTuple):
    """Values of the pairs of the same regions; sources in rows, targets in columns.

    Attributes:
        names: of the regions, in the order of what is compared of them, [R].
        distances: by name, over their largest magnitude, which no correlation sees, [R, R].
        loss: the same; NaN where it is not known, and on the diagonal, [R, R].
        weight: of the pairs, 0 where the loss is not known, [R, R].
    """

    names: tuple[str, ...]
    distances: dict[str, Array]
    loss: Array
    weight: Array


def align(
    distances: Mapping[Any, xarray.DataArray | pd.DataFrame],
    loss: xarray.DataArray | pd.DataFrame,
    weight: xarray.DataArray | pd.DataFrame | None = None,
) -> Aligned:
    """The regions that are source and target of every matrix and have a loss.

    Names are compared as everywhere (:mod:`geospot_gpu.names`), and which regions fell away is
    said.

    Args:
        distances: matrices by name, or a dataset, of which the evidence is left out.
        loss: what transfer loses.
        weight: of the pairs; all alike where it is not given.

    Raises:
        GeospotError: a matrix has no labels, is of another kind, or names a region twice; a loss
            is infinite; a weight is negative or missing; no pair is left.
    """
    import xarray

    instance(distances, Mapping, "distances", "of labelled matrices by name")
    named = {_name(key): values for key, values in distances.items()}
    if isinstance(distances, xarray.Dataset):
        beside = evidence()
        named = {
            name: values
            for name, values in named.items()
            if name not in beside and set(values.dims) == set(_SIDES)
        }
    if not named:
        raise GeospotError("distances: there is none")
    given = {f"distances[{name!r}]": values for name, values in named.items()} | {"loss": loss}
    if weight is not None:
        given["weight"] = weight
    written: dict[str, str] = {}
    arrays = [_labelled(values, where, written) for where, values in given.items()]
    every = {str(label) for one in arrays for side in _SIDES for label in one[side].values}
    inner = xarray.align(*arrays, join="inner", copy=False)
    both = sorted(set(inner[0]["source"].values) & set(inner[0]["target"].values))
    matrices = [one.sel(source=both, target=both).to_numpy() for one in inner]
    lost = matrices[len(named)].copy()
    known = ~np.isnan(lost) & ~np.eye(len(both), dtype=bool)
    infinite = np.argwhere(known & np.isinf(lost))
    if len(infinite):
        i, j = (written[both[k]] for k in infinite[0])
        raise GeospotError(f"loss from {i} to {j} is infinite: give NaN where it is not known")
    weights = known.astype(float)
    if weight is not None:
        weights[known] = _weights(matrices[-1], known, [written[key] for key in both])
        known &= weights > 0.0
    lost[~known] = np.nan
    used = known.any(0) | known.any(1)
    kept = [key for key, one in zip(both, used, strict=True) if one]
    left_out = sorted(written[key] for key in every - set(kept))
    if not kept:
        raise GeospotError(
            "loss: no pair of two regions that all distances know has one: label distances and "
            f"loss with the same names (there are {', '.join(left_out[:_SHOWN]) or 'none'})"
        )
    if left_out:
        log.warning(
            "%d of %d regions are not source and target of every distance or have no loss, and are "
            "left out: %s%s",
            *(len(left_out), len(every), ", ".join(left_out[:_SHOWN])),
            ", ..." if len(left_out) > _SHOWN else "",
        )
    grid = np.ix_(used, used)
    return Aligned(
        tuple(written[key] for key in kept),
        {name: _scaled(values[grid]) for name, values in zip(named, matrices, strict=False)},
        _scaled(lost[grid]),
        weights[grid],
    )


def _name(key: object) -> str:
    if not isinstance(key, str):
        raise GeospotError(f"distances: {key!r} names a matrix: give text")
    return key


def _labelled(values: object, where: str, written: dict[str, str]) -> xarray.DataArray:
    """Floats over what is compared of sources and targets; ``written`` learns how names look."""
    import xarray

    if isinstance(values, np.ndarray):
        raise GeospotError(f"{where} has no labels of regions: {_HOW}")
    instance(values, (xarray.DataArray, pd.DataFrame), where, _HOW)
    if isinstance(values, pd.DataFrame):
        if values.index.name == "target" or values.columns.name == "source":
            values = values.T
        if any(isinstance(axis, pd.RangeIndex) for axis in (values.index, values.columns)):
            raise GeospotError(f"{where} has numbers of rows in place of names of regions: {_HOW}")
        sides = [list(values.index), list(values.columns)]
        numbers = values.to_numpy()
    else:
        assert isinstance(values, xarray.DataArray)
        if set(values.dims) != set(_SIDES) or not set(_SIDES) <= set(values.coords):
            shown = ", ".join(str(dim) for dim in values.dims)
            raise GeospotError(f"{where} has no labels of source and target (dims {shown}): {_HOW}")
        values = values.transpose(*_SIDES)
        sides = [list(values[side].values) for side in _SIDES]
        numbers = values.to_numpy()
    coordinates = {}
    for side, labels in zip(_SIDES, sides, strict=True):
        names = [name_of(label, f"{where}, {side}") for label in labels]
        keys = [name_key(name) for name in names]
        if len(set(keys)) < len(keys):
            twice = next(name for name, key in zip(names, keys, strict=True) if keys.count(key) > 1)
            raise GeospotError(f"{where}: {side} {twice!r} is there twice: keep one of each region")
        for key, name in zip(keys, names, strict=True):
            written.setdefault(key, name)
        coordinates[side] = np.array(keys, dtype=object)
    return xarray.DataArray(_floats(numbers, where), coordinates, _SIDES)


def _floats(values: NDArray[np.generic], where: str) -> Array:
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    if values.dtype.kind == "O":
        try:
            return np.where(pd.isna(values), np.nan, values).astype(np.float64)
        except (TypeError, ValueError):
            pass
    raise GeospotError(f"{where} is a matrix of type {values.dtype}: give numbers")


def _scaled(values: Array) -> Array:
    """Values over the largest magnitude between different regions."""
    off = values[np.isfinite(values) & ~np.eye(len(values), dtype=bool)]
    found: Array = values / (np.abs(off).max(initial=0.0) or 1.0)
    return found


def _weights(weight: Array, known: NDArray[np.bool_], names: list[str]) -> Array:
    """Weights of the known pairs."""
    wrong = np.argwhere(known & ~(np.isfinite(weight) & (weight >= 0.0)))
    if len(wrong):
        i, j = wrong[0]
        raise GeospotError(
            f"weight from {names[i]} to {names[j]} is {weight[i, j]:g}: give 0 or more for every "
            "pair with a loss"
        )
    found = weight[known]
    positive = found[found > 0.0]
    if len(positive) and positive.min() < _LEAST_SHARE * positive.max():
        raise GeospotError(
            f"weight: from {positive.min():g} to {positive.max():g}: such small ones are lost "
            "beside such large ones: set them to 0"
        )
    return found
