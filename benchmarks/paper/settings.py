"""What the paper does with each of its data sets, and what of it may be changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from geospot_gpu.errors import GeospotError, checks


@dataclass(frozen=True)
class Protocol:
    """Regions of a data set, and targets of its choice of regions, as in the published settings."""

    regions: int | None = None
    """So many with most training samples; all if not given."""
    years: tuple[int, ...] | None = None
    """Samples of these years take part; all if not given."""
    targets: tuple[str, ...] = ()
    """Names or numbers of regions; the three with most training samples if not given."""


PROTOCOLS = {
    "geoyfcc": Protocol(targets=("57", "12", "34")),
    "fmow": Protocol(regions=25, years=(2016, 2017)),
}


@dataclass
class Settings:
    """Of ``python -m benchmarks.paper``; lists have commas between their values."""

    dataset: str = ""
    """``geoyfcc`` or ``fmow``."""
    root: str = ""
    """The folder of its files, as they are published."""
    embeddings: str | None = None
    """A folder of feature files (``.parquet``, ``.npz``, ``.npy``) by ``id``, as ``geospot embed``
    writes them: each is a space, called by its file. Probes read the first."""
    satclip: list[str] = field(default_factory=list)
    """Checkpoints of SatCLIP."""
    geoclip: bool = True
    """Whether GeoCLIP is among the spaces."""
    task: str | None = None
    """The space that probes read; the first if not given."""
    points: int = 1000
    """Of a region at most: distances are between so many, and models are trained and tested on
    so many."""
    regions: int | None = None
    targets: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=lambda: [1, 2, 5])
    """Regions that are chosen for a target."""
    budgets: list[int] = field(default_factory=lambda: [2000, 5000, 10000])
    """Samples of all of them together."""
    lambdas: list[float] = field(default_factory=lambda: [k / 10 for k in range(1, 10)])
    """Weights of the task's space in mixtures."""
    seeds: int = 1
    """Draws of samples and models; the paper has five."""
    device: str = "auto"
    out: str | None = None
    """A file for all figures, as JSON."""


def read(arguments: Sequence[str]) -> Settings:
    """Settings as ``key=value``.

    Raises:
        GeospotError: a key is unknown, a value is of another kind, or data set or root is missing.

    >>> read(["dataset=fmow", "root=data", "counts=1,2"]).counts
    [1, 2]
    """
    kinds = {one.name: str(one.type) for one in fields(Settings)}
    given: dict[str, Any] = {}
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in kinds:
            raise GeospotError(f"{key}: there is no such setting; use {', '.join(kinds)}")
        given[key] = _value(key, value, kinds[key])
    settings = Settings(**given)
    checks.one_of(settings.dataset, PROTOCOLS, "dataset")
    if not settings.root:
        raise GeospotError("root is needed: give root=FOLDER, where the data set's files are")
    return settings


def _value(key: str, value: str, kind: str) -> Any:
    parts = {"int": int, "float": float, "str": str}
    try:
        if kind.startswith("list["):
            part = parts[kind.removeprefix("list[").removesuffix("]")]
            return [part(one) for one in value.split(",") if one]
        if kind == "bool":
            return {"true": True, "false": False}[value.lower()]
        return parts[kind.partition(" ")[0]](value)
    except (ValueError, KeyError) as error:
        raise GeospotError(f"{argument_of(key, value)} is no {kind}") from error


def argument_of(key: str, value: str) -> str:
    """As it was typed."""
    return f"{key}={value}"
