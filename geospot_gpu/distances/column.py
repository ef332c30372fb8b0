"""What a column is: one thing that can be known of a pair of regions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.engine.needs import Need
from geospot_gpu.errors import GeospotError

if TYPE_CHECKING:
    from geospot_gpu.regions import Regions

DataType = Literal["string", "int32", "float32", "bool"]
Table = Literal["pairs", "baselines"]
"""A folder of rows: ``distances/`` of what solvers find, ``baselines/`` of what needs none."""
Group = Literal["transport", "baseline", "own", "covariate", "evidence", "record"]
"""What a column is to a verdict of ``geospot transfer``.

A distance of ``transport`` is what a verdict speaks of, and so is a person's ``own``; a
``baseline`` is a simple distance that has to be beaten; a ``covariate`` is a property of samples,
which no verdict names; ``evidence`` says how exact a distance is; a ``record`` is no quantity.
"""
Compute = Callable[["Regions", NDArray[np.int64], NDArray[np.int64]], Any]
"""From regions and the positions of the two of each pair [K] to values [K]; of a directed column
to a tuple of those from source to target and those from target to source."""

COST = "scaled ground cost"
DIRECTIONS = ("source_to_target", "target_to_source")


@dataclass(frozen=True)
class Column:
    """One thing that can be known of a pair.

    Args:
        name: of the variable in datasets and matrices, and of ``by=``.
        dtype: as it is stored.
        title: for pictures, and ``long_name`` in datasets.
        meaning: for the README: the start of a sentence.
        group: what it is to a verdict.
        unit: of its values, ``1`` where they have none, and "" where they are no quantity.
        table: where it is stored; None where it is known of the regions.
        directed: whether it differs between A to B and B to A: it is then stored as
            ``NAME_source_to_target`` and ``NAME_target_to_source``, and ``NAME_reversed`` is the
            matrix of the other direction.
        mirror: the column that is this one where source and target change places; itself if "".
        bounds: names of its certified bounds, which are stored beside it; those of a directed
            column begin with its name.
        of_self: what a region has with itself, for the column and its bounds: a value, or the name
            of a self term; unknown if ().
        needs: what has to be solved for it.
        predicts: whether ``geospot predict`` learns from it.
        of_features: whether it depends on features; what does not is the same in every space.
        compute: what computes it, where it is one of the baselines; None where a solver does, or
            :func:`~geospot_gpu.baselines` together with others.
    """

    name: str
    dtype: DataType
    title: str
    meaning: str
    group: Group
    unit: str = ""
    table: Table | None = "pairs"
    directed: bool = False
    mirror: str = ""
    bounds: tuple[()] | tuple[str, str] = ()
    of_self: tuple[float | str, ...] = ()
    needs: tuple[Need, ...] = ()
    predicts: bool = False
    of_features: bool = True
    compute: Compute | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        """Itself and its bounds."""
        return (self.name, *self.bounds)

    @property
    def matrices(self) -> tuple[str, ...]:
        """Itself, and the other direction where there is one."""
        return (self.name, f"{self.name}_reversed") if self.directed else (self.name,)

    def attributes(self, variable: str = "") -> dict[str, str]:
        """``long_name`` of a variable, itself if "", and ``units`` where it has any.

        >>> from geospot_gpu.distances.columns import find
        >>> find("ot_value").attributes("ot_lower")
        {'long_name': 'Entropic OT value, lower bound', 'units': 'scaled ground cost'}
        """
        ends = ("", ", lower bound", ", upper bound")
        end = ends[self.variables.index(variable or self.name)]
        return {"long_name": f"{self.title}{end}"} | ({"units": self.unit} if self.unit else {})

    def sides(self, variable: str = "") -> tuple[str, str]:
        """Where a variable, itself if "", is stored: from source to target, and the other way.

        >>> from geospot_gpu.distances.columns import find
        >>> find("coverage").sides("coverage_lower")
        ('coverage_source_to_target_lower', 'coverage_target_to_source_lower')
        >>> find("divergence").sides("lower"), find("n_source").sides()
        (('lower', 'lower'), ('n_source', 'n_target'))
        """
        variable = variable or self.name
        if not self.directed:
            return variable, self.mirror or variable
        end = variable.removeprefix(self.name)
        there, back = (f"{self.name}_{direction}{end}" for direction in DIRECTIONS)
        return there, back

    def computed(
        self, regions: Regions, left: NDArray[np.int64], right: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        """Values [K] by names as they are stored, if it has a function of its own.

        Raises:
            GeospotError: the function gives anything but a number for every pair.
        """
        if self.compute is None:
            return {}
        given = self.compute(regions, left, right)
        values = np.asarray(given if self.directed else (given,), np.float64)
        if values.shape != (len(self.stored), len(left)):
            raise GeospotError(
                f"column {self.name}: its function gave values of shape {np.shape(given)}: give a "
                f"number for each of {len(left)} pairs{' and both directions' * self.directed}"
            )
        return dict(zip(self.stored, values, strict=True))

    @property
    def stored(self) -> tuple[str, ...]:
        """Names as they are stored, in order.

        >>> from geospot_gpu.distances.columns import find
        >>> find("divergence").stored, find("nearest").stored
        (('divergence', 'lower', 'upper'), ('nearest_source_to_target', 'nearest_target_to_source'))
        """
        if not self.directed:
            return self.variables
        sides = zip(*map(self.sides, self.variables), strict=True)
        return tuple(name for side in sides for name in side)
