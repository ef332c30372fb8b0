"""The register: everything that can be known of a pair of regions, each said once.

Schemas of what is stored, variables of datasets, the table of ``geospot transfer``, the choices of
``by=``, titles in pictures and the tables of the README are made from it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

from geospot_gpu.distances.baseline_columns import BASELINES
from geospot_gpu.distances.column import Column, Group, Table
from geospot_gpu.errors import GeospotError, checks

if TYPE_CHECKING:
    import pyarrow as pa

_COST = "scaled ground cost"

REGISTER: tuple[Column, ...] = (
    Column("source", "string", "Source", "name of the first region", "record", table=None),
    Column("target", "string", "Target", "name of the second region", "record", table=None),
    Column(
        *("n_source", "int32", "Points of the source", "points taken of the first region"),
        group="covariate",
        unit="points",
        table=None,
        mirror="n_target",
        of_features=False,
    ),
    Column(
        *("n_target", "int32", "Points of the target", "points taken of the second region"),
        group="covariate",
        unit="points",
        table=None,
        mirror="n_source",
        of_features=False,
    ),
    Column(
        "divergence",
        "float32",
        "Sinkhorn divergence",
        "the distance: Sinkhorn divergence, symmetric, zero for equal regions; and certified "
        "bounds on it, whatever the iteration and its rounding did",
        group="transport",
        unit=_COST,
        bounds=("lower", "upper"),
        of_self=(0.0, 0.0, 0.0),
        needs=("self_terms",),
        predicts=True,
    ),
    Column(
        "std_error",
        "float32",
        "Standard error of the divergence",
        "what sampling leaves uncertain about it where `regions.max_points` left points out; zero "
        "where none was left out, null where the distance is too near zero to say",
        group="evidence",
        unit=_COST,
        needs=("self_terms", "half_samples"),
    ),
    Column(
        "bias",
        "float32",
        "Bias of the divergence",
        "by how much it is expected to lie above that of all points; zero and null as `std_error`",
        group="evidence",
        unit=_COST,
        needs=("self_terms", "half_samples"),
    ),
    Column(
        "ot_value",
        "float32",
        "Entropic OT value",
        "the entropic optimal-transport value, and its certified bounds",
        group="transport",
        unit=_COST,
        bounds=("ot_lower", "ot_upper"),
        of_self=("self_ot", "self_lower", "self_upper"),
    ),
    Column(
        "transport_cost",
        "float32",
        "Transport cost",
        "mean cost of the transport plan: what the published code reports; and certified bounds "
        "on that of the optimal plan",
        group="transport",
        unit=_COST,
        bounds=("transport_cost_lower", "transport_cost_upper"),
    ),
    Column(
        "coverage",
        "float32",
        "Coverage",
        "how far the second region is from what the first covers: the second's mass is fixed, the "
        "first's is free at price `solver.rho`; not symmetric, not debiased",
        group="transport",
        unit=_COST,
        directed=True,
        bounds=("coverage_lower", "coverage_upper"),
        needs=("coverage",),
        predicts=True,
    ),
    Column(
        "nearest",
        "float32",
        "Cost to the nearest point",
        "mean cost of the points of the second region to the nearest of the first: the limit of "
        "coverage at price and blur zero",
        group="baseline",
        unit=_COST,
        directed=True,
        of_self=(0.0,),
        needs=("nearest",),
        predicts=True,
    ),
    Column("iterations", "int32", "Iterations", "how many the solver took", "evidence", "1"),
    Column(
        "marginal_error",
        "float32",
        "Marginal error",
        "by how much the plan misses the masses where the solver ended",
        group="evidence",
        unit="1",
    ),
    Column(
        "converged",
        "bool",
        "Converged",
        "whether that is within the tolerance, in the self terms and both coverages, too",
        group="evidence",
        of_self=("self_converged",),
    ),
    Column(
        "kernel",
        "string",
        "Kernel",
        "what computed the costs, and whether they were kept, as `compiled kept`",
        group="record",
    ),
    Column("seconds", "float32", "Seconds", "its share of its batch's time", "record", "s"),
    *BASELINES,
)
"""All columns, in the order in which they are stored and shown."""


_LOCK = threading.Lock()


def register_column(column: Column) -> None:
    """Add a column of one's own, which is then computed, stored and compared like all others.

    It lasts as long as the process; examples/own_distance.py has one.

    Args:
        column: with a function ``compute``; of the group ``own``, unless it shall be judged as
            another.

    Raises:
        GeospotError: nothing computes it, or there is another of its name.
    """
    global REGISTER
    checks.instance(column, Column, "column")
    if column.compute is None:
        raise GeospotError(f"column {column.name}: give compute=..., a function that computes it")
    with _LOCK:
        taken = {name for known in REGISTER for name in _names_of(known)}
        twice = taken.intersection(_names_of(column))
        if twice:
            raise GeospotError(f"column {min(twice)}: there is one of this name: give another")
        REGISTER = (*REGISTER, column)


def _names_of(column: Column) -> set[str]:
    return {*column.variables, *column.stored, *column.matrices}


def stored_in(table: Table) -> tuple[Column, ...]:
    """Those that are stored in a table."""
    return tuple(column for column in REGISTER if column.table == table)


def stored(table: Table) -> tuple[str, ...]:
    """Names of what a table has of pairs, as it is stored."""
    return tuple(name for column in stored_in(table) for name in column.stored)


def schema(table: Table) -> pa.Schema:
    """Of a table, as Arrow has it."""
    import pyarrow as pa

    return pa.schema(
        [
            (name, pa.type_for_alias(column.dtype))
            for column in stored_in(table)
            for name in column.stored
        ]
    )


def bounds_stored_in(table: Table) -> tuple[list[str], list[str]]:
    """Names of the lower and of the upper bounds that a table has."""
    bounded = [column for column in stored_in(table) if column.bounds]
    lower, upper = (
        [name for column in bounded for name in dict.fromkeys(column.sides(column.bounds[k]))]
        for k in (0, 1)
    )
    return lower, upper


def mirrors() -> dict[str, str]:
    """What a stored column is called where the regions of its pairs change places, if otherwise."""
    return {
        name: other
        for column in REGISTER
        if column.directed
        for variable in column.variables
        for name, other in zip(column.sides(variable), column.sides(variable)[::-1], strict=True)
    }


def find(name: str) -> Column:
    """The column of this name, or with a bound of this name."""
    return next(column for column in REGISTER if name in column.variables)


def possible_outputs() -> tuple[Column, ...]:
    """Columns of pairs that are computed where they are asked for; all others always are."""
    asked = ("transport", "baseline", "own")
    return tuple(c for c in stored_in("pairs") if c.group in asked or c.needs)


def outputs_by_default() -> tuple[str, ...]:
    """Names of the columns that are computed where nothing is said: all."""
    return tuple(column.name for column in possible_outputs())


def measured(outputs: Collection[str]) -> tuple[Column, ...]:
    """Variables of a dataset: the outputs that were asked for, and what is always evidence.

    Numbers of points are not among them, as they are coordinates there.
    """
    optional = {column.name for column in possible_outputs()}
    return tuple(
        column
        for column in stored_in("pairs")
        if (column.name in outputs if column.name in optional else column.group == "evidence")
    )


def distances() -> tuple[Column, ...]:
    """Those that say how far apart regions are, which ``by=`` may be."""
    groups = ("transport", "baseline", "own")
    return tuple(column for column in REGISTER if column.group in groups)


def choices() -> tuple[str, ...]:
    """Their names."""
    return tuple(column.name for column in distances())


def compared() -> tuple[Column, ...]:
    """Distances and covariates, as ``geospot transfer`` lists them: directed ones at the end."""
    covariates = [column for column in REGISTER if column.group == "covariate"]
    return (*sorted(distances(), key=lambda column: column.directed), *covariates)


def predictors() -> tuple[str, ...]:
    """Matrices that ``geospot predict`` learns from."""
    return tuple(name for column in REGISTER if column.predicts for name in column.matrices)


def featureless() -> frozenset[str]:
    """Matrices that do not depend on features, so that they are the same in every space."""
    return frozenset(n for column in REGISTER if not column.of_features for n in column.matrices)


def evidence() -> frozenset[str]:
    """Variables that say how exact others are."""
    bounds = (bound for column in REGISTER for bound in column.bounds)
    return frozenset(bounds).union(c.name for c in REGISTER if c.group == "evidence")


def groups() -> dict[str, Group]:
    """The groups of all matrices that are compared."""
    return {name: column.group for column in compared() for name in column.matrices}
