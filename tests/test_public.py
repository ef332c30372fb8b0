"""What is public: names that stay, no module in the way of any, and every type in a signature."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

import geopandas
import pandas as pd
import pytest
import xarray
from torch import Tensor

import geospot_gpu as gs

PANDAS = types.SimpleNamespace(DataFrame=pd.DataFrame, Series=list, Index=list)
"""What of pandas annotations name: at run time series have no types of values."""
ANNOTATED = {"geopandas": geopandas, "pd": PANDAS, "xarray": xarray, "Matrix": object}
ANNOTATED["Tensor"] = Tensor
"""What modules know for annotations alone."""
INSIDE = {
    "CloudBatch",
    "WarmBatch",
    "Drawn",
    "Model",
    "Nearest",
    "Catalogue",
    "Cell",
    "PairStore",
    "PairTable",
    "Stamp",
}
"""What methods for the engine and the store, and a base class, speak of."""


def test_no_module_hides_a_public_name() -> None:
    """Importing geospot_gpu.x sets geospot_gpu.x."""
    modules = [
        module.name
        for module in pkgutil.walk_packages(gs.__path__, "geospot_gpu.")
        if not module.name.startswith("geospot_gpu.kernels.")
    ]
    assert len(modules) > 100
    code = f"""
import importlib, inspect
import geospot_gpu as gs
for name in {modules!r}:
    importlib.import_module(name)
for name in gs.__all__:
    assert callable(getattr(gs, name)) and not inspect.ismodule(getattr(gs, name)), name
    assert getattr(gs, name).__name__ == name, name
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_public_names_stand_once() -> None:
    assert len(gs.__all__) == len(set(gs.__all__))
    assert set(gs.__all__) <= set(dir(gs))


@pytest.mark.parametrize("name", gs.__all__)
def test_every_type_in_a_public_signature_is_public(name: str) -> None:
    public = {getattr(gs, one) for one in gs.__all__}
    hidden = {
        kind.__qualname__
        for annotation in annotated(getattr(gs, name))
        for kind in kinds(annotation)
        if kind.__module__.startswith("geospot_gpu")
        and kind not in public
        and kind.__name__ not in INSIDE
    }
    assert not hidden, f"{name} speaks of {', '.join(sorted(hidden))}"


def annotated(public: Any) -> Iterator[Any]:
    """Of a function, or of the fields, properties and methods that a class shows."""
    if not inspect.isclass(public):
        yield from hints(public)
        return
    if issubclass(public, BaseException):
        return
    yield from hints(public)
    for name, member in inspect.getmembers(public):
        if name.startswith("_") and name != "__init__":
            continue
        function = getattr(member, "fget", getattr(member, "func", member))
        ours = getattr(function, "__module__", None) or ""
        if ours.startswith("geospot_gpu") and inspect.isroutine(function):
            yield from hints(function)


def hints(thing: Any) -> list[Any]:
    known = {name: getattr(gs, name) for name in gs.__all__} | ANNOTATED
    return list(typing.get_type_hints(thing, None, known).values())


def kinds(annotation: Any) -> Iterator[type]:
    """The classes that an annotation is made of."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        yield annotation
    for part in typing.get_args(annotation):
        for one in part if isinstance(part, list) else [part]:
            yield from kinds(one)
